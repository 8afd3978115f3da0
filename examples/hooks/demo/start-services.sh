#!/bin/sh
# Says what it would do. The real one is examples/hooks/lync/.
echo "Start-CsWindowsService on ${SWITCHBACK_SERVER:?}"
