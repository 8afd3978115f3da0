#!/bin/sh
# Says what it would do. The real one is examples/hooks/lync/.
echo "Stop-CsWindowsService on ${SWITCHBACK_SERVER:?}"
