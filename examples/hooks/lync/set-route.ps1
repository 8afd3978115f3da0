# Sets the XMPP federation route of a site.
# NOT run against a Lync installation: read README.md.
#
# Site and route come from the environment that switchback gives its hooks, or as arguments when
# the hook set-route calls this over ssh (ssh hands no environment on) or a person runs it:
#
#   .\set-route.ps1 -Site Site2 -Route EdgeServer2.contoso.com
#   .\set-route.ps1 -Site Site2 -Route EdgeServer:edgeserver2.contoso.com -Parameter XmppFederationRoute
#
# Exit code 0 means done. As an undo from the environment alone it would set the NEW pool's route
# again, so it refuses: the hook set-route looks up the old one and passes it.
param(
    [string] $Site = $env:SWITCHBACK_VAR_SITE,
    [string] $Route = $env:SWITCHBACK_VAR_ROUTE,
    # The document says XmppExternalFederationRoute, with the FQDN of a server of the pool; the
    # reference of Set-CsSite says XmppFederationRoute, with a service identity.
    [ValidateSet('XmppExternalFederationRoute', 'XmppFederationRoute')]
    [string] $Parameter = 'XmppExternalFederationRoute'
)

$ErrorActionPreference = 'Stop'

try {
    if ($env:SWITCHBACK_UNDO -eq '1' -and -not $PSBoundParameters.ContainsKey('Route')) {
        throw 'an undo needs -Site and -Route of the pool that federation came from'
    }
    if (-not $Site) { throw 'no site: pass -Site, or set SWITCHBACK_VAR_SITE' }
    if (-not $Route) { throw 'no route: pass -Route, or set SWITCHBACK_VAR_ROUTE' }

    Import-Module Lync
    # The parameter's name is chosen above: splatting passes it.
    $chosen = @{ Identity = $Site; $Parameter = $Route; ErrorAction = 'Stop' }
    Set-CsSite @chosen
    Write-Output "Set-CsSite $Site -$Parameter $Route"
    exit 0
}
catch {
    [Console]::Error.WriteLine("set-route: $($_.Exception.Message)")
    exit 1
}
