# Stops the Lync services of this edge server, or of the one in SWITCHBACK_VAR_HOST.
# Not run against a Lync installation: try it on yours before you rely on it.
$ErrorActionPreference = 'Stop'
if ($env:SWITCHBACK_VAR_HOST) { Stop-CsWindowsService -ComputerName $env:SWITCHBACK_VAR_HOST }
else { Stop-CsWindowsService }
