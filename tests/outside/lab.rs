//! The world around one service.
//!
//! ```text
//!        root .2 (NSD)        .  test.                     also 198.41.0.4, as a.root-servers.net
//!  switchback .4              contoso.test.                ns1
//!        knot .5 (Knot)       its secondary                ns2
//!    resolver .6 (unbound)    with a root hint
//!        lame .7 (NSD)        serves another zone          ns3, where a test wants it
//!         old .8 (NSD)        an old copy of contoso.test. ns4, where a test wants it
//!       edge1 .11  edge2 .12  Prosody for contoso.test
//! ```

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::namespaces::{Daemon, Network, in_namespaces, run};
use crate::patience::wait_for;

pub(crate) const SERVICE: &str = "xmpp-federation";
const TEST_BOUND: Duration = Duration::from_secs(120);
/// A server that does not come up within this does not come up.
const START: Duration = Duration::from_secs(20);

/// What differs between tests.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Records of contoso.test. in its parent.
    pub(crate) delegation: &'static str,
    /// The NS records in contoso.test. itself.
    pub(crate) servers: &'static [&'static str],
    /// To the end of which year the certificate of each edge is good.
    pub(crate) certificates: [i32; 2],
    /// What is added to the service.
    pub(crate) more: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            delegation: "contoso NS ns1.contoso\ncontoso NS ns2.contoso\n\
                         ns1.contoso A 10.77.0.4\nns2.contoso A 10.77.0.5\n",
            servers: &["ns1", "ns2"],
            certificates: [2099, 2099],
            more: "",
        }
    }
}

/// All hosts, up and running, and switchback serving.
pub(crate) struct Lab {
    daemons: Vec<Daemon>,
    network: Network,
    folder: TempDir,
}

/// Runs `body` in a lab of its own. `test` is the name of the test that calls this.
pub(crate) fn in_a_lab(test: &'static str, setup: Setup, body: impl FnOnce(&mut Lab)) {
    let tools = ["nsd", "knotd", "unbound", "prosody"];
    in_namespaces(test, TEST_BOUND, &tools, || body(&mut Lab::new(setup)));
}

impl Lab {
    fn new(setup: Setup) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let network = Network::new(path, "10.77.0.6");
        for (host, last) in [
            ("root", 2),
            ("switchback", 4),
            ("knot", 5),
            ("resolver", 6),
            ("lame", 7),
            ("old", 8),
            ("edge1", 11),
            ("edge2", 12),
        ] {
            network.add(host, &format!("10.77.0.{last}"));
        }
        // The root is where everybody knows it to be.
        run("ip address add 198.41.0.1/24 dev bridge0");
        run("ip -n root address add 198.41.0.4/24 dev eth0");
        let authority = Authority::new(path);
        let mut lab = Lab {
            daemons: Vec::new(),
            network,
            folder,
        };
        for (edge, last_year) in ["edge1", "edge2"].into_iter().zip(setup.certificates) {
            authority.issue(edge, &["contoso.test"], last_year);
            lab.start_edge(edge);
        }
        lab.start_switchback(setup);
        lab.start_nsd(
            "root",
            &[
                (".", ROOT),
                ("test.", &format!("{TEST}{}", setup.delegation)),
            ],
        );
        lab.start_nsd("lame", &[("fabrikam.test.", TEST)]);
        lab.start_nsd("old", &[("contoso.test.", OLD)]);
        lab.start_knot();
        lab.start_unbound();
        lab.settles();
        lab
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn own(&self, host: &str) -> PathBuf {
        let own = self.path(host);
        fs::create_dir_all(&own).unwrap();
        own
    }

    fn start(&mut self, host: &str, argv: &[&str]) {
        let own = self.own(host);
        self.daemons.push(Daemon::start(host, &own, argv));
    }

    /// From now on every packet to the host is lost.
    pub(crate) fn blackhole(&self, host: &str) {
        self.network.blackhole(host);
    }

    /// Ends [`Lab::blackhole`].
    pub(crate) fn reconnect(&self, host: &str) {
        self.network.reconnect(host);
    }

    /// Until everybody answers, and the secondary has what the daemon serves.
    fn settles(&self) {
        for (edge, address) in [("edge1", "10.77.0.11:5269"), ("edge2", "10.77.0.12:5269")] {
            let at: SocketAddr = address.parse().unwrap();
            wait_for(&format!("{edge} to listen"), START, || {
                TcpStream::connect_timeout(&at, Duration::from_millis(500)).ok()
            });
        }
        wait_for("the pools to be known", START, || {
            let status = self.status();
            let pools = status["pools"].as_array()?.clone();
            pools
                .iter()
                .all(|pool| pool["health"] != "unknown")
                .then_some(())
        });
        for address in ["10.77.0.2", "10.77.0.7", "10.77.0.8"] {
            wait_for(address, START, || {
                dig(address, &["version.bind", "CH", "TXT"])
            });
        }
        wait_for("Knot to have the daemon's version", START, || {
            let serial = dig("10.77.0.4", &["contoso.test.", "SOA", "+short"])?;
            let theirs = dig("10.77.0.5", &["contoso.test.", "SOA", "+short"])?;
            (!serial.is_empty() && serial == theirs).then_some(())
        });
        wait_for("the resolver to answer", START, || {
            let said = dig("10.77.0.6", &["+rec", "ns1.contoso.test.", "A"])?;
            said.contains("status: ").then_some(())
        });
    }

    /// Until both pools are up.
    pub(crate) fn is_up(&self) {
        wait_for("the pools to be up", START, || {
            let status = self.status();
            let pools = status["pools"].as_array()?.clone();
            pools
                .iter()
                .all(|pool| pool["health"] == "up")
                .then_some(())
        });
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("switchback.toml")
    }

    /// A command of the operator's.
    pub(crate) fn switchback(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchback"));
        command.args(words).arg("--config").arg(self.config());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// The same, under way, with its output in files.
    pub(crate) fn begin(&self, words: &[&str], output: &str) -> Child {
        let file = fs::File::create(self.path(output)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchback"));
        command.args(words).arg("--config").arg(self.config());
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        command.spawn().unwrap()
    }

    /// `switchback status --json`; nothing while nobody answers.
    pub(crate) fn status(&self) -> Value {
        let output = self.switchback(&["status", "--json"]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn start_switchback(&mut self, setup: Setup) {
        let servers: Vec<String> = setup
            .servers
            .iter()
            .map(|ns| format!("@ NS {ns}\n"))
            .collect();
        let zone = format!(
            "$ORIGIN contoso.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 5\n{}\
             ns1 A 10.77.0.4\nns2 A 10.77.0.5\nns3 A 10.77.0.7\nns4 A 10.77.0.8\n",
            servers.concat()
        );
        fs::write(self.path("contoso.test.zone"), zone).unwrap();
        fs::write(self.config(), CONFIG.to_owned() + setup.more).unwrap();
        let here = self.folder.path().display();
        let route = format!("#!/bin/sh\nwhile [ -e {here}/closed ]; do sleep 0.05; done\n");
        let page = format!("#!/bin/sh\necho \"$SWITCHBACK_TEXT\" >> {here}/paged\n");
        for (name, script) in [("route", route), ("page", page)] {
            fs::write(self.path(name), script).unwrap();
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.path(name), executable).unwrap();
        }
        let config = self.config().display().to_string();
        let program = env!("CARGO_BIN_EXE_switchback");
        self.start("switchback", &[program, "serve", "--config", &config]);
    }

    fn start_nsd(&mut self, host: &str, zones: &[(&str, &str)]) {
        let own = self.own(host);
        let here = own.display();
        let mut config = format!(
            "server:\n ip-address: 0.0.0.0\n username: \"\"\n chroot: \"\"\n database: \"\"\n \
             zonesdir: \"{here}\"\n pidfile: \"{here}/pid\"\n xfrdfile: \"{here}/xfrd\"\n \
             zonelistfile: \"{here}/zones\"\n xfrdir: \"{here}\"\n server-count: 1\n\
             remote-control:\n control-enable: no\n"
        );
        for (number, (origin, text)) in zones.iter().enumerate() {
            fs::write(own.join(format!("{number}.zone")), text).unwrap();
            config += &format!("zone:\n name: \"{origin}\"\n zonefile: \"{number}.zone\"\n");
        }
        fs::write(own.join("nsd.conf"), config).unwrap();
        let config = own.join("nsd.conf").display().to_string();
        self.start(host, &["nsd", "-d", "-c", &config]);
    }

    fn start_knot(&mut self) {
        let own = self.own("knot");
        let here = own.display();
        let config = format!(
            "server:\n    rundir: {here}\n    listen: 10.77.0.5@53\n    udp-workers: 1\n    \
             tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: {here}\nremote:\n  \
             - id: primary\n    address: 10.77.0.4@53\nacl:\n  - id: notify\n    address: \
             10.77.0.4\n    action: notify\nzone:\n  - domain: contoso.test.\n    storage: {here}\n    \
             file: zone\n    zonefile-sync: -1\n    master: primary\n    acl: [notify]\n"
        );
        fs::write(own.join("knot.conf"), config).unwrap();
        let config = own.join("knot.conf").display().to_string();
        self.start("knot", &["knotd", "-c", &config]);
    }

    /// `test.` is refused by default (RFC 6761 section 6.2); here it is the world.
    fn start_unbound(&mut self) {
        let own = self.own("resolver");
        let here = own.display();
        fs::write(
            own.join("root.hints"),
            ". 3600 NS a.root.\na.root. 3600 A 10.77.0.2\n",
        )
        .unwrap();
        let config = format!(
            "server:\n interface: 10.77.0.6\n access-control: 10.77.0.0/24 allow\n username: \
             \"\"\n chroot: \"\"\n directory: \"{here}\"\n pidfile: \"\"\n use-syslog: no\n \
             do-ip6: no\n root-hints: \"root.hints\"\n local-zone: \"test.\" nodefault\n \
             module-config: \"iterator\"\n qname-minimisation: yes\n num-threads: 1\n\
             remote-control:\n control-enable: no\n"
        );
        fs::write(own.join("unbound.conf"), config).unwrap();
        let config = own.join("unbound.conf").display().to_string();
        self.start("resolver", &["unbound", "-d", "-p", "-c", &config]);
    }

    fn start_edge(&mut self, edge: &str) {
        let own = self.own(edge);
        fs::create_dir_all(own.join("certs")).unwrap();
        let (here, lab) = (own.display(), self.folder.path().display().to_string());
        let config = format!(
            "run_as_root = true\npidfile = '{here}/pid'\ndata_path = '{here}'\n\
             modules_enabled = {{ 'tls', 'dialback' }}\n\
             modules_disabled = {{ 'c2s', 'offline', 's2s_auth_certs' }}\n\
             interfaces = {{ '*' }}\ns2s_ports = {{ 5269 }}\nc2s_ports = {{}}\n\
             log = {{ {{ levels = {{ min = 'info' }}, to = 'console' }} }}\n\
             VirtualHost 'contoso.test'\n\
             ssl = {{ key = '{lab}/{edge}.key', certificate = '{lab}/{edge}.pem' }}\n"
        );
        fs::write(own.join("prosody.cfg.lua"), config).unwrap();
        let config = own.join("prosody.cfg.lua").display().to_string();
        self.start(edge, &["prosody", "-F", "--config", &config]);
    }
}

/// What a server says to dig; nothing if it does not answer.
pub(crate) fn dig(server: &str, words: &[&str]) -> Option<String> {
    let mut command = Command::new("dig");
    command
        .arg(format!("@{server}"))
        .args(["+time=1", "+tries=1", "+norec"]);
    let output = command.args(words).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(said)
}

const ROOT: &str = "\
. 3600 IN SOA a.root. hostmaster.root. 1 3600 600 86400 5
. 3600 IN NS a.root.
a.root. 3600 IN A 10.77.0.2
test. 3600 IN NS a.root.
";

const TEST: &str = "$TTL 3600\n@ SOA a.root. hostmaster.root. 1 3600 600 86400 5\n@ NS a.root.\n";

/// As it was before a failover, long ago.
const OLD: &str = "\
$ORIGIN contoso.test.
$TTL 300
@ SOA ns1 hostmaster 1 3600 600 86400 5
@ NS ns1
@ NS ns4
ns1 A 10.77.0.4
ns4 A 10.77.0.8
_xmpp-server._tcp 5 SRV 10 0 5269 edge2
_xmpp-server._tcp 5 SRV 20 0 5269 edge1
edge1 5 A 10.77.0.11
edge2 5 A 10.77.0.12
";

const CONFIG: &str = r#"
state_dir = "state"
[listen]
dns     = ["10.77.0.4:53"]
control = "control.sock"
[[zone]]
origin   = "contoso.test."
file     = "contoso.test.zone"
transfer = ["10.77.0.5"]
notify   = ["10.77.0.5"]
[probe]
kind         = "xmpp-tls"
port         = 5269
domain       = "contoso.test"
interval     = "500ms"
tls_interval = "500ms"
timeout      = "2s"
rise         = 1
fall         = 2
ca_file      = "ca.pem"
[[pool]]
name    = "edgepool1"
servers = [{ name = "edge1.contoso.test.", addresses = ["10.77.0.11"] }]
[[pool]]
name    = "edgepool2"
servers = [{ name = "edge2.contoso.test.", addresses = ["10.77.0.12"] }]
[[service]]
name     = "xmpp-federation"
pools    = ["edgepool1", "edgepool2"]
records  = [
  { srv = "_xmpp-server._tcp.contoso.test.", port = 5269 },
  { address = "xmpp.contoso.test." },
]
ttl      = { min = "1s", max = "2s" }
failover = { after = "0s", cap_per_hour = 1000 }
failback = "manual"
"#;
