-- One configuration for all XMPP servers of the tour; DOMAIN is what one of them serves.
local domain = ENV_DOMAIN

pidfile = "/run/prosody/prosody.pid"
data_path = "/run/prosody"
storage = "memory"
modules_enabled = { "admin_shell", "ping", "posix", "s2s_bidi", "saslauth", "tls" }
modules_disabled = { "c2s", "offline" }
log = { { levels = { min = "info" }, to = "console" } }

-- As partners should: no stream without a certificate that fits the domain.
s2s_secure_auth = true
ssl = {
	certificate = "/certificates/" .. domain .. ".pem";
	key = "/certificates/" .. domain .. ".key";
	cafile = "/certificates/ca.pem";
	capath = nil;
}
-- `test.` is nothing in the world outside (RFC 6761), and libunbound says so unless told otherwise.
unbound = { resolvconf = true; options = { ["local-zone:"] = "test. transparent" } }

VirtualHost(domain)
