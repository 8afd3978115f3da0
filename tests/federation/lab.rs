//! Two organisations and the DNS between them.
//!
//! ```text
//!             root .2 (NSD)       .
//!           parent .3 (NSD)       contoso.test.  partner.test.
//!       switchback .4             _tcp.contoso.test.  xmpp.contoso.test.  edges.contoso.test.
//!          partner .20            Prosody for pN.partner.test, unbound with a root hint
//!  edge1a .11  edge1b .12         edgepool1: Prosody for contoso.test
//!           edge2 .13             edgepool2
//!           edge3 .14             edgepool3
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::certificates::Authority;
use crate::dns::{self, Order};
use crate::namespaces::{Daemon, Network, in_namespaces, say};
use crate::patience::{now, wait_for};

/// The names that the federation is found by.
pub(crate) const SERVICE: &str = "_xmpp-server._tcp.contoso.test.";
/// The address that follows the active pool.
pub(crate) const ADDRESS: &str = "xmpp.contoso.test.";
/// Every edge: its name, its address.
pub(crate) const EDGES: [(&str, &str); 4] = [
    ("edge1a", "10.77.0.11"),
    ("edge1b", "10.77.0.12"),
    ("edge2", "10.77.0.13"),
    ("edge3", "10.77.0.14"),
];
/// Where switchback answers.
pub(crate) const SWITCHBACK: &str = "10.77.0.4";
const PARTNER: &str = "10.77.0.20";
/// A server that does not come up within this does not come up.
const START: Duration = Duration::from_secs(20);
/// Valid in this test's lifetime.
const FUTURE: i32 = 2099;
/// How many times a partner can speak first.
const PARTNERS: u32 = 12;

/// No test in a lab may take longer.
const TEST_BOUND: Duration = Duration::from_secs(150);

/// Runs `body` in a lab of its own. `test` is the name of the test that calls this.
pub(crate) fn in_a_lab(test: &'static str, body: impl FnOnce(&mut Lab)) {
    in_a_lab_for(TEST_BOUND, test, body);
}

/// The same, with a `bound` of its own.
pub(crate) fn in_a_lab_for(bound: Duration, test: &'static str, body: impl FnOnce(&mut Lab)) {
    in_namespaces(test, bound, &["nsd", "unbound", "prosody"], || {
        body(&mut Lab::new(test));
    });
}

/// All hosts, up and running, except switchback's own server, which the test starts.
pub(crate) struct Lab {
    test: &'static str,
    edges: BTreeMap<&'static str, Daemon>,
    partners: u32,
    // Dropped last: what runs above writes into the folder.
    _infrastructure: Vec<Daemon>,
    network: Network,
    authority: Authority,
    folder: TempDir,
}

impl Lab {
    fn new(test: &'static str) -> Lab {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let network = Network::new(path, PARTNER);
        let authority = Authority::new(path);
        let hosts = [
            ("root", "10.77.0.2"),
            ("parent", "10.77.0.3"),
            ("switchback", SWITCHBACK),
            ("partner", PARTNER),
        ];
        for (name, address) in hosts.iter().chain(&EDGES) {
            network.add(name, address);
        }
        fs::write(path.join("mod_lab.lua"), include_str!("mod_lab.lua")).expect("written");
        authority.issue("partner", &["*.partner.test"], FUTURE);
        let partners: Vec<String> = (0..PARTNERS)
            .map(|n| format!("p{n}.partner.test"))
            .collect();
        let infrastructure = vec![
            nsd(path, "root", "10.77.0.2", &[(".", &root_zone())]),
            nsd(
                path,
                "parent",
                "10.77.0.3",
                &[
                    ("contoso.test.", CONTOSO),
                    ("partner.test.", &partner_zone(&partners)),
                ],
            ),
            unbound(path),
            prosody(path, "partner", PARTNER, "partner", &partners),
        ];
        let mut lab = Lab {
            test,
            edges: BTreeMap::new(),
            partners: 0,
            _infrastructure: infrastructure,
            network,
            authority,
            folder,
        };
        for (edge, _) in EDGES {
            lab.authority.issue(edge, &["contoso.test"], FUTURE);
            lab.start_edge(edge);
        }
        for (edge, address) in EDGES {
            listening(edge, address, 5269);
        }
        listening("partner", PARTNER, 5999);
        lab
    }

    /// Where files of the lab are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a dead edge; it listens some time later.
    pub(crate) fn start_edge(&mut self, edge: &'static str) {
        let address = address_of(edge).to_string();
        let hosts = ["contoso.test".to_owned()];
        let daemon = prosody(self.folder.path(), edge, &address, edge, &hosts);
        self.edges.insert(edge, daemon);
    }

    /// Starts a dead edge and waits until it listens.
    pub(crate) fn revive_edge(&mut self, edge: &'static str) {
        self.start_edge(edge);
        listening(edge, &address_of(edge).to_string(), 5269);
    }

    /// SIGKILL.
    pub(crate) fn kill_edge(&mut self, edge: &str) {
        self.edges.remove(edge).expect("the edge runs").kill();
    }

    /// The process stops where it is; its kernel goes on to accept connections.
    pub(crate) fn hang_edge(&self, edge: &str) {
        self.edges[edge].signal(Signal::SIGSTOP);
    }

    /// Packets to the edge are lost.
    pub(crate) fn blackhole_edge(&self, edge: &str) {
        self.network.blackhole(edge);
    }

    /// Packets get through again.
    pub(crate) fn reconnect_edge(&self, edge: &str) {
        self.network.reconnect(edge);
    }

    /// The edge answers streams to contoso.test with host-unknown.
    pub(crate) fn forget_domain(&self, edge: &str) {
        assert_eq!(command(address_of(edge), "forget contoso.test"), "done");
    }

    /// The edge shows a certificate of the past.
    pub(crate) fn expire_certificate(&self, edge: &str) {
        self.authority.issue(edge, &["contoso.test"], 2025);
        assert_eq!(command(address_of(edge), "reload"), "done");
    }

    /// A partner that never spoke to contoso.test sends a question there: which edge answered it,
    /// and how long that took.
    pub(crate) fn deliver(&mut self) -> Result<(String, Duration), String> {
        assert!(self.partners < PARTNERS, "every partner has spoken");
        let line = format!("deliver p{}.partner.test contoso.test", self.partners);
        self.partners += 1;
        let begin = now();
        let answer = command(PARTNER.parse().expect("an address"), &line);
        match answer.strip_prefix("delivered ") {
            Some(edge) => Ok((edge.to_owned(), begin.elapsed())),
            None => Err(answer),
        }
    }

    /// The resolver of the partner.
    pub(crate) fn resolver(&self) -> SocketAddr {
        SocketAddr::new(PARTNER.parse().expect("an address"), 53)
    }

    /// Waits until the partner's resolver has let go of what it had cached and says `expected`,
    /// then lets a partner speak first. It has to reach one of the edges that stand first.
    pub(crate) fn partner_delivers(&mut self, expected: &str, since: Instant) {
        let resolver = self.resolver();
        let order = wait_for(&format!("the resolver to say {expected}"), START, || {
            dns::order(resolver, SERVICE).filter(|order| order.to_string() == expected)
        });
        let after = since.elapsed();
        let (edge, took) = self.deliver().expect("a partner delivers");
        assert!(
            order.first().contains(&edge.as_str()),
            "{edge} answered, not the first of {order}"
        );
        // The figure is a benchmark's; this only says that it did not hang on a dead edge.
        assert!(took < Duration::from_secs(5), "delivering took {took:?}");
        say(&format!(
            "lab: {}: {:.1} s after the fault the resolver says {order}; \
             a partner that first speaks reaches {edge} in {:.3} s",
            self.test,
            after.as_secs_f64(),
            took.as_secs_f64(),
        ));
    }
}

/// The address of `edge`.
pub(crate) fn address_of(edge: &str) -> IpAddr {
    let (_, address) = EDGES
        .iter()
        .find(|(name, _)| *name == edge)
        .expect("an edge of the lab");
    address.parse().expect("an address")
}

/// The edges at `addresses`.
pub(crate) fn edges_at(addresses: &BTreeSet<IpAddr>) -> Vec<&'static str> {
    let edges = EDGES.iter().map(|(name, _)| *name);
    edges
        .filter(|name| addresses.contains(&address_of(name)))
        .collect()
}

/// What switchback serves: the order, if it answers.
pub(crate) fn served() -> Option<Order> {
    dns::order(
        SocketAddr::new(SWITCHBACK.parse().expect("an address"), 53),
        SERVICE,
    )
}

fn listening(name: &str, address: &str, port: u16) {
    let at = SocketAddr::new(address.parse().expect("an address"), port);
    wait_for(&format!("{name} to listen at {at}"), START, || {
        TcpStream::connect_timeout(&at, Duration::from_millis(500)).ok()
    });
}

/// One line to the lab's module in a Prosody, one line back.
fn command(server: IpAddr, line: &str) -> String {
    let mut stream = TcpStream::connect((server, 5999)).expect("the module listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(70)))
        .expect("a timeout");
    stream
        .write_all(format!("{line}\n").as_bytes())
        .expect("sent");
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .expect("an answer");
    answer.trim().to_owned()
}

fn own_folder(folder: &Path, host: &str) -> PathBuf {
    let own = folder.join(host);
    fs::create_dir_all(&own).expect("a folder");
    own
}

fn nsd(folder: &Path, host: &str, address: &str, zones: &[(&str, &str)]) -> Daemon {
    let own = own_folder(folder, host);
    let here = own.display();
    let mut config = format!(
        "server:\n ip-address: {address}\n username: \"\"\n chroot: \"\"\n database: \"\"\n \
         zonesdir: \"{here}\"\n pidfile: \"{here}/pid\"\n xfrdfile: \"{here}/xfrd\"\n \
         zonelistfile: \"{here}/zones\"\n xfrdir: \"{here}\"\n server-count: 1\n\
         remote-control:\n control-enable: no\n"
    );
    for (number, (origin, text)) in zones.iter().enumerate() {
        fs::write(own.join(format!("{number}.zone")), text).expect("written");
        config += &format!("zone:\n name: \"{origin}\"\n zonefile: \"{number}.zone\"\n");
    }
    fs::write(own.join("nsd.conf"), config).expect("written");
    let config = own.join("nsd.conf");
    Daemon::start(host, &own, &["nsd", "-d", "-c", &config.to_string_lossy()])
}

/// A resolver that knows nothing but where the root is.
fn unbound(folder: &Path) -> Daemon {
    let own = own_folder(folder, "resolver");
    let here = own.display();
    fs::write(
        own.join("root.hints"),
        ". 3600 NS a.root.\na.root. 3600 A 10.77.0.2\n",
    )
    .expect("written");
    // `test.` is refused by default (RFC 6761 section 6.2); here it is the world.
    let config = format!(
        "server:\n interface: {PARTNER}\n access-control: 10.77.0.0/24 allow\n username: \"\"\n \
         chroot: \"\"\n directory: \"{here}\"\n pidfile: \"\"\n use-syslog: no\n do-ip6: no\n \
         root-hints: \"root.hints\"\n local-zone: \"test.\" nodefault\n \
         module-config: \"iterator\"\n qname-minimisation: yes\n num-threads: 1\n\
         remote-control:\n control-enable: no\n"
    );
    fs::write(own.join("unbound.conf"), config).expect("written");
    let config = own.join("unbound.conf");
    Daemon::start(
        "partner",
        &own,
        &["unbound", "-d", "-p", "-c", &config.to_string_lossy()],
    )
}

/// Prosody for `domains`, on `host` at `address`, showing the certificate `certificate`.
fn prosody(
    folder: &Path,
    host: &str,
    address: &str,
    certificate: &str,
    domains: &[String],
) -> Daemon {
    let own = own_folder(folder, host);
    // It looks for certificates here before it reads which ones to use.
    fs::create_dir_all(own.join("certs")).expect("a folder");
    let here = own.display();
    let lab = folder.display();
    // libunbound has a table of names that do not exist, and `test.` is one (RFC 6761).
    let mut config = format!(
        "run_as_root = true\npidfile = \"{here}/pid\"\ndata_path = \"{here}\"\n\
         plugin_paths = {{ \"{lab}\" }}\ninterfaces = {{ \"{address}\" }}\n\
         modules_enabled = {{ \"posix\", \"tls\", \"saslauth\", \"s2s_bidi\", \"lab\" }}\n\
         modules_disabled = {{ \"c2s\", \"offline\" }}\n\
         s2s_secure_auth = true\nlab_name = \"{host}\"\nstorage = \"memory\"\n\
         unbound = {{ resolvconf = true, options = {{ [\"local-zone:\"] = \"test. transparent\" }} }}\n\
         log = {{ {{ levels = {{ min = \"info\" }}, to = \"console\" }} }}\n\
         ssl = {{ certificate = \"{lab}/{certificate}.pem\", key = \"{lab}/{certificate}.key\", \
         cafile = \"{lab}/ca.pem\", capath = nil }}\n"
    );
    for domain in domains {
        config += &format!("VirtualHost \"{domain}\"\n");
    }
    fs::write(own.join("prosody.cfg.lua"), config).expect("written");
    let config = own.join("prosody.cfg.lua");
    Daemon::start(
        host,
        &own,
        &["prosody", "-F", "--config", &config.to_string_lossy()],
    )
}

fn root_zone() -> String {
    String::from(
        ". 3600 IN SOA a.root. hostmaster.root. 1 3600 600 86400 5\n. 3600 IN NS a.root.\n\
         a.root. 3600 IN A 10.77.0.2\ncontoso.test. 3600 IN NS ns.contoso.test.\n\
         partner.test. 3600 IN NS ns.contoso.test.\nns.contoso.test. 3600 IN A 10.77.0.3\n",
    )
}

/// The zone that an organisation already has, with the three delegations that it adds.
const CONTOSO: &str = "\
$ORIGIN contoso.test.
$TTL 3600
@      SOA ns hostmaster 1 3600 600 86400 5
@      NS  ns
ns     A   10.77.0.3
_tcp   NS  switchback
xmpp   NS  switchback
edges  NS  switchback
switchback A 10.77.0.4
";

fn partner_zone(partners: &[String]) -> String {
    let mut zone = String::from(
        "$ORIGIN partner.test.\n$TTL 3600\n@ SOA ns.contoso.test. hostmaster 1 3600 600 86400 5\n\
         @ NS ns.contoso.test.\nxmpp A 10.77.0.20\n",
    );
    for partner in partners {
        zone += &format!("_xmpp-server._tcp.{partner}. SRV 10 0 5269 xmpp\n");
    }
    zone
}
