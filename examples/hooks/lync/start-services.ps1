# Start-CsWindowsService on this Edge Server.
# NOT run against a Lync installation: read README.md.
#
# Run on the spot by a person, or over ssh by the hook start-services. Exit code 0 means done.

$ErrorActionPreference = 'Stop'

try {
    Import-Module Lync
    # A cmdlet's error that does not end it would still count as done without ErrorAction.
    Start-CsWindowsService -ErrorAction Stop
    Get-CsWindowsService | Format-Table -AutoSize Status, Name | Out-String -Width 100
    exit 0
}
catch {
    [Console]::Error.WriteLine("start-services: $($_.Exception.Message)")
    exit 1
}
