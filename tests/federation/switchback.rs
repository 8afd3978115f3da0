//! switchback itself on its host, with a configuration as an operator would write it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::dns::{Watch, addresses};
use crate::lab::{ADDRESS, Lab, SERVICE, SWITCHBACK, edges_at, served};
use crate::namespaces::Daemon;
use crate::patience::{until, wait_for};

/// All pools up.
pub(crate) const ALL_UP: &str = "10 edge1a edge1b / 20 edge2 / 30 edge3";
/// All pools up, where the first has one server.
pub(crate) const ALL_UP_OF_THREE: &str = "10 edge1a / 20 edge2 / 30 edge3";
/// From the start to the first answer: the first round of looks, with time to spare.
const START: Duration = Duration::from_secs(20);
/// From a fault to the answer that follows from it, with time to spare.
const DETECTION: Duration = Duration::from_secs(20);

/// What differs between tests.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// The runbook: the procedure's seven steps in the order of the document, or none.
    pub(crate) hooks: bool,
    /// `failback` of the service, as TOML.
    pub(crate) failback: &'static str,
    /// The first pool has one server, not two.
    pub(crate) one_server: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            hooks: false,
            failback: "\"manual\"",
            one_server: false,
        }
    }
}

/// A running `switchback serve`, watched from its first answer.
pub(crate) struct Switchback {
    daemon: Daemon,
    watch: Watch,
}

impl Switchback {
    /// Writes the configuration and starts; returns when it serves all pools in their order.
    pub(crate) fn start(lab: &Lab, setup: Setup) -> Switchback {
        let folder = lab.folder();
        for origin in [
            "_tcp.contoso.test.",
            "xmpp.contoso.test.",
            "edges.contoso.test.",
        ] {
            let zone = format!(
                "$ORIGIN {origin}\n$TTL 3600\n@ SOA switchback.contoso.test. \
                 hostmaster.contoso.test. 1 3600 600 86400 5\n@ NS switchback.contoso.test.\n"
            );
            fs::write(folder.join(format!("{origin}zone")), zone).expect("written");
        }
        let hook = folder.join("hooks/note");
        fs::create_dir_all(folder.join("hooks")).expect("a folder");
        fs::write(&hook, hook_script(lab)).expect("written");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("executable");
        fs::write(folder.join("switchback.toml"), config(lab, setup)).expect("written");
        let daemon = serve(lab);
        let server = (
            SWITCHBACK.parse::<std::net::IpAddr>().expect("an address"),
            53,
        )
            .into();
        let watch = Watch::begin(server, SERVICE);
        let switchback = Switchback { daemon, watch };
        switchback.comes_to(
            if setup.one_server {
                ALL_UP_OF_THREE
            } else {
                ALL_UP
            },
            START,
        );
        switchback
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts again what was killed, on the state that it left.
    pub(crate) fn start_again(&mut self, lab: &Lab) {
        self.daemon = serve(lab);
    }

    /// Waits until it serves `expected`, and the address beside it agrees.
    pub(crate) fn serves(&self, expected: &str) {
        self.comes_to(expected, DETECTION);
    }

    fn comes_to(&self, expected: &str, bound: Duration) {
        let mut last = None;
        let order = until(bound, || {
            assert!(self.daemon.runs(), "switchback has ended");
            last = served();
            // What the test sees, the history must have seen too.
            let noted = self.watch.seen().pop().map(|(_, order)| order);
            let order = last.clone().filter(|_| noted == last);
            order.filter(|order| order.to_string() == expected)
        });
        let Some(order) = order else {
            panic!(
                "switchback serves {:?}, not {expected}",
                last.map(|order| order.to_string())
            );
        };
        let server = (
            SWITCHBACK.parse::<std::net::IpAddr>().expect("an address"),
            53,
        )
            .into();
        let at = addresses(server, ADDRESS);
        assert_eq!(
            edges_at(&at),
            order.first(),
            "{ADDRESS} is not at the active pool"
        );
    }

    /// Each order that was served since the start, as text.
    pub(crate) fn history(&self) -> Vec<String> {
        self.watch
            .seen()
            .iter()
            .map(|(_, order)| order.to_string())
            .collect()
    }

    /// How often another pool came to stand first.
    pub(crate) fn moves(&self) -> usize {
        let pool = |order: &crate::dns::Order| {
            order
                .first()
                .first()
                .map(|edge| edge.trim_end_matches(['a', 'b']).to_owned())
        };
        let firsts: Vec<_> = self
            .watch
            .seen()
            .iter()
            .map(|(_, order)| pool(order))
            .collect();
        firsts.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// Nothing was served but these, whatever their order.
    pub(crate) fn served_only(&self, allowed: &[&str]) {
        for order in self.history() {
            assert!(
                order == ALL_UP || allowed.contains(&order.as_str()),
                "served {order}, which the truth table does not say; all: {:#?}",
                self.history()
            );
        }
    }

    /// What the hooks wrote, a line each: `begin stop edge2`, `end stop edge2`.
    pub(crate) fn journal(lab: &Lab) -> Vec<String> {
        let text = fs::read_to_string(lab.folder().join("journal")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for a line of the journal.
    pub(crate) fn journal_has(lab: &Lab, line: &str) {
        wait_for(&format!("the hook to write {line:?}"), DETECTION, || {
            Self::journal(lab)
                .iter()
                .any(|written| written == line)
                .then_some(())
        });
    }
}

fn serve(lab: &Lab) -> Daemon {
    let config = lab.folder().join("switchback.toml");
    let program = env!("CARGO_BIN_EXE_switchback");
    Daemon::start(
        "switchback",
        lab.folder(),
        &[program, "serve", "--config", &config.to_string_lossy()],
    )
}

fn config(lab: &Lab, setup: Setup) -> String {
    let folder = lab.folder().display();
    let second = match setup.one_server {
        true => "",
        false => r#"{ name = "edge1b.edges.contoso.test.", addresses = ["10.77.0.12"] },"#,
    };
    let mut config = format!(
        r#"
state_dir = "{folder}/state"
[listen]
dns     = ["{SWITCHBACK}:53"]
control = "{folder}/control.sock"
[rate_limit]
# What looks for a change asks far more often than any resolver.
allow = ["10.77.0.0/16"]
[[zone]]
origin = "_tcp.contoso.test."
file   = "_tcp.contoso.test.zone"
[[zone]]
origin = "xmpp.contoso.test."
file   = "xmpp.contoso.test.zone"
[[zone]]
origin = "edges.contoso.test."
file   = "edges.contoso.test.zone"
[probe]
kind         = "xmpp-tls"
port         = 5269
domain       = "contoso.test"
interval     = "1s"
tls_interval = "1s"
timeout      = "1s"
rise         = 2
fall         = 2
ca_file      = "ca.pem"
[[pool]]
name    = "edgepool1"
servers = [
  {{ name = "edge1a.edges.contoso.test.", addresses = ["10.77.0.11"] }},
  {second}
]
[[pool]]
name    = "edgepool2"
servers = [ {{ name = "edge2.edges.contoso.test.", addresses = ["10.77.0.13"] }} ]
[[pool]]
name    = "edgepool3"
servers = [ {{ name = "edge3.edges.contoso.test.", addresses = ["10.77.0.14"] }} ]
[[service]]
name     = "xmpp-federation"
pools    = ["edgepool1", "edgepool2", "edgepool3"]
records  = [
  {{ srv = "_xmpp-server._tcp.contoso.test.", port = 5269 }},
  {{ address = "xmpp.contoso.test." }},
]
ttl      = {{ min = "1s", max = "2s" }}
failover = {{ after = "0s", cap_per_hour = 1000 }}
failback = {failback}
"#,
        failback = setup.failback
    );
    if setup.hooks {
        config += RUNBOOK;
    }
    config
}

/// The procedure, in the order of the document.
const RUNBOOK: &str = r#"
[[service.step]]
name        = "stop services"
run         = ["hooks/note", "stop"]
each        = "server"
timeout     = "20s"
after_crash = "retry"
[[service.step]]
name        = "route"
run         = ["hooks/note", "route"]
timeout     = "20s"
after_crash = "retry"
[[service.step]]
publish = true
[[service.step]]
verify  = "path"
timeout = "10s"
[[service.step]]
name        = "start services"
run         = ["hooks/note", "start"]
each        = "server"
timeout     = "20s"
after_crash = "retry"
[[service.step]]
verify  = "healthy"
timeout = "20s"
"#;

/// Writes down that it began and that it ended; in between the route waits for the file `gate`, and
/// each waits until the test has done what it is for, if the test does that (the file `real`).
fn hook_script(lab: &Lab) -> String {
    let folder = lab.folder().display();
    format!(
        "#!/bin/sh\n\
         PATH=/usr/bin:/bin\n\
         server=${{SWITCHBACK_SERVER:-$SWITCHBACK_TO_POOL}}\n\
         server=${{server%%.*}}\n\
         echo \"begin $1 $server\" >> {folder}/journal\n\
         [ \"$1\" != route ] || while [ ! -e {folder}/gate ]; do sleep 0.05; done\n\
         [ ! -e {folder}/real ] || while [ ! -e {folder}/did-$1-$server ]; do sleep 0.05; done\n\
         echo \"end $1 $server\" >> {folder}/journal\n"
    )
}
