#!/bin/sh
# Says what it would do. The real one is examples/hooks/lync/.
echo "Set-CsSite: the XMPP federation route moves from ${SWITCHBACK_FROM_POOL:?} to ${SWITCHBACK_TO_POOL:?}"
