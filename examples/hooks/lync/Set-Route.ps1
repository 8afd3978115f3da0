# Points XMPP federation at the new pool: vars = { site = "Site2", route = "EdgeServer2.contoso.com" }.
# Not run against a Lync installation: try it on yours before you rely on it.
#
# The procedure calls the parameter -XmppExternalFederationRoute and gives it an FQDN. The
# cmdlet's reference calls it -XmppFederationRoute and gives it a service identity. If yours is
# the latter, use this line instead:
#   Set-CsSite $env:SWITCHBACK_VAR_SITE -XmppFederationRoute "EdgeServer:$($env:SWITCHBACK_VAR_ROUTE)"
$ErrorActionPreference = 'Stop'
if (-not $env:SWITCHBACK_VAR_SITE -or -not $env:SWITCHBACK_VAR_ROUTE) {
    throw 'the pool has no site or route in its vars, both are needed, add them'
}
Set-CsSite $env:SWITCHBACK_VAR_SITE -XmppExternalFederationRoute $env:SWITCHBACK_VAR_ROUTE
