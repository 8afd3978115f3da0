//! **IO.** The configuration file and the zone files it names to the domain's own types.
//!
//! | file | what |
//! | --- | --- |
//! | `reader` | TOML to values with places; refuses unknown keys |
//! | `spec`, `spec_alerts`, `spec_transfers` | what may be written |
//! | `alerts`, `confined`, `dnstap`, `kept`, `pools`, `primaries`, `probes`, `rate_limit`, `secondaries`, `server`, `services`, `steps`, `zones` | what it means, with all defaults |
//! | `ahead` | master files, read on all processors |
//! | `names`, `paths`, `duration` | the values that several of them share |
//! | `problem` | errors and warnings, collected until all has been read |
//!
//! Reading never stops at a fault, so that one run tells all of them.

mod ahead;
mod alerts;
mod calls;
mod confined;
mod dnstap;
pub mod duration;
mod kept;
mod names;
mod owned;
mod paths;
mod pools;
mod primaries;
mod probes;
mod problem;
mod rate_limit;
mod reader;
mod secondaries;
mod server;
mod services;
mod spec;
mod spec_alerts;
mod spec_steps;
mod spec_transfers;
mod steps;
mod zones;

pub use confined::Confined;
pub use dnstap::{Dnstap, DnstapTo};
pub use duration::{DurationError, parse as parse_duration, show as show_duration};
pub use problem::{Problem, Problems, Warning};
pub use secondaries::{Following, Secondaries};
pub use zones::{LoadedZone, Source};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::toml::de::DeTable;

use crate::certificate::CertificateFiles;
use crate::courier::Receiver;
use crate::failover::Policy;
use crate::files;
use crate::ids::{PoolName, ServiceName};
use crate::probe::ProbeSpec;
use crate::snapshot::{ServiceRecord, Settings};
use crate::store::HistoryLimits;
use crate::tsig::Keys;
use paths::Base;
use problem::{At, Notes};
use spec::{ListenSpec, ReferenceSpec, Spec};
use zones::{Provenance, Zones};

const STATE_DIR: &str = "/var/lib/switchback";
const CONTROL: &str = "/run/switchback/control.sock";

/// All that the daemon is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where durable state lives. Absolute.
    pub state_dir: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// How answers are given.
    pub settings: Arc<Settings>,
    /// How much is kept of what happens.
    pub history: HistoryLimits,
    /// The zones, with unique origins.
    pub zones: Vec<LoadedZone>,
    /// What concerns the secondaries of all zones.
    pub following: Following,
    /// What messages may be signed with.
    pub keys: Arc<Keys>,
    /// Pools, services, reference targets.
    pub policy: Policy,
    /// The probes of each pool: same order and length as its `detection`, so the place in the
    /// list is the [`crate::ids::ProbeIndex`].
    pub probes: BTreeMap<PoolName, Vec<Arc<ProbeSpec>>>,
    /// What each service owns.
    pub records: BTreeMap<ServiceName, Vec<ServiceRecord>>,
    /// Who is told of what, with unique names.
    pub alerts: Vec<Receiver>,
    /// What the daemon gives up once everything is bound.
    pub confined: Confined,
    /// The files and directories that were read, and are read again by a reload.
    pub reads: BTreeSet<PathBuf>,
    /// Who is shown queries and answers.
    pub dnstap: Option<Dnstap>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// UDP and TCP. Never empty.
    pub dns: Vec<SocketAddr>,
    /// Interfaces whose queries take the short cut, if the kernel has it.
    pub xdp: Vec<String>,
    /// TLS, HTTPS and QUIC, if wanted.
    pub encrypted: Option<ListenEncrypted>,
    /// Metrics over HTTP; empty: nowhere.
    pub metrics: Vec<SocketAddr>,
    /// The control socket. Absolute.
    pub control: PathBuf,
}

/// The encrypted transports. One of the lists at least is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenEncrypted {
    /// DNS over TLS (RFC 7858).
    pub tls: Vec<SocketAddr>,
    /// DNS over HTTPS (RFC 8484).
    pub https: Vec<SocketAddr>,
    /// DNS over QUIC (RFC 9250).
    pub quic: Vec<SocketAddr>,
    /// Certificate chain and private key. Absolute.
    pub files: CertificateFiles,
}

/// What `switchback check` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What `serve` would refuse; and a certificate that has expired, with which it would serve.
    pub errors: Vec<Problem>,
    /// What it would accept, and is probably not wanted.
    pub warnings: Vec<Warning>,
    /// Its pools and services, if there are no errors.
    pub policy: Option<Policy>,
}

impl fmt::Display for Report {
    /// One line each, and a last line that counts them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errors
            .iter()
            .try_for_each(|error| writeln!(f, "{error}"))?;
        self.warnings
            .iter()
            .try_for_each(|warning| writeln!(f, "{warning}"))?;
        write!(
            f,
            "{} errors, {} warnings",
            self.errors.len(),
            self.warnings.len()
        )
    }
}

/// Reads the configuration at `path` and the zone files it names.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load(path: &Path) -> Result<(Config, Vec<Warning>), Problems> {
    match files::read_text(path, files::SMALL) {
        Ok(text) => read(path, &text),
        Err(error) => Err(unread(path, &error)),
    }
}

fn unread(path: &Path, error: &std::io::Error) -> Problems {
    let mut notes = Notes::new(&path.display().to_string(), "");
    notes.error(
        0,
        format!("the configuration cannot be read ({error}), correct the path or the file"),
    );
    notes.into_problems()
}

/// Reads `text` as the configuration that stands at `path`, and the zone files it names.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn read(path: &Path, text: &str) -> Result<(Config, Vec<Warning>), Problems> {
    take(path, text, Notes::new(&path.display().to_string(), text))
}

fn take(path: &Path, text: &str, mut notes: Notes) -> Result<(Config, Vec<Warning>), Problems> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    for error in &syntax {
        let at = error.span().map_or(0, |span| span.start);
        notes.error(
            at,
            format!(
                "{}, the file is TOML (toml.io), correct it",
                error.message()
            ),
        );
    }
    if !syntax.is_empty() {
        // What a broken text seems to lack may only be unreadable.
        return Err(notes.into_problems());
    }
    let spec = Spec::read(document.get_ref(), &mut notes);
    let config = model(spec, &Base::of(path), &mut notes);
    let clean = notes.is_clean();
    let problems = notes.into_problems();
    match config.filter(|_| clean) {
        Some(config) => Ok((config, problems.warnings)),
        None => Err(problems),
    }
}

/// All errors and warnings of the configuration at `path`, which may be the standard input. It is
/// stricter than [`load`] where a server had better serve: see [`Report::errors`].
#[must_use]
pub fn check(path: &Path) -> Report {
    let checked = match files::read_text_or_stdin(path, files::SMALL) {
        Ok(text) => {
            let notes = Notes::new(&path.display().to_string(), &text);
            take(path, &text, notes.for_check())
        }
        Err(error) => Err(unread(path, &error)),
    };
    match checked {
        Ok((config, warnings)) => Report {
            errors: Vec::new(),
            warnings,
            policy: Some(config.policy),
        },
        Err(Problems { errors, warnings }) => Report {
            errors,
            warnings,
            policy: None,
        },
    }
}

/// The configuration of a plain authoritative server: zones, and nothing that moves. An origin
/// may lack its final dot.
///
/// # Errors
/// Everything that is wrong with the zones, at once.
pub fn plain(listen: &[SocketAddr], zones: &[(String, PathBuf)]) -> Result<Config, Problems> {
    let mut notes = Notes::new("command line", "");
    let mut loaded = Zones::default();
    for (origin, file) in zones {
        let value = format!("{}.", origin.trim_end_matches('.'));
        if let Some(name) = names::absolute(&At { value, at: 0 }, &mut notes) {
            let of = Provenance {
                group: None,
                secondaries: Secondaries::default(),
                at: 0,
            };
            loaded.load(name, file.clone(), &of, &mut notes);
        }
    }
    if listen.is_empty() {
        notes.error(
            0,
            "no address to listen on, a server needs one, add --listen ADDR:PORT",
        );
    }
    let settings = Settings {
        rate_limit: rate_limit::read(None, &mut notes),
        ..server::read(None, &Base::of(Path::new("")), &mut notes)
    };
    if !notes.is_clean() {
        return Err(notes.into_problems());
    }
    Ok(Config {
        state_dir: STATE_DIR.into(),
        listen: Listen {
            dns: listen.to_vec(),
            xdp: Vec::new(),
            encrypted: None,
            metrics: Vec::new(),
            control: CONTROL.into(),
        },
        settings: Arc::new(settings),
        history: HistoryLimits::default(),
        zones: loaded.loaded,
        following: Following::default(),
        keys: Arc::default(),
        policy: Policy::default(),
        probes: BTreeMap::new(),
        records: BTreeMap::new(),
        alerts: Vec::new(),
        confined: Confined::default(),
        dnstap: None,
        reads: zones
            .iter()
            .map(|(_, file)| file.clone())
            .chain(loaded.included)
            .collect(),
    })
}

/// The meaning of a specification; `None` only where an error was noted.
fn model(spec: Spec, base: &Base, notes: &mut Notes) -> Option<Config> {
    let Spec {
        state_dir,
        listen,
        server,
        dnstap,
        rate_limit,
        history,
        keys,
        zones,
        probe,
        pools,
        services,
        reference,
        secondaries: following,
        alerts,
        sandbox,
    } = spec;
    let or = |value: Option<At<String>>, default: &str| {
        value.unwrap_or_else(|| At {
            value: default.to_owned(),
            at: 0,
        })
    };
    let state_dir = base.writable_directory(&or(state_dir, STATE_DIR), notes);
    let listen = listen.and_then(|listen| listen_of(listen, base, notes));
    let settings = Settings {
        rate_limit: rate_limit::read(rate_limit, notes),
        ..server::read(server, base, notes)
    };
    let history = kept::read(history, notes);
    if zones.is_empty() {
        notes.error(
            0,
            "the configuration has no [[zone]], records are served inside zones, add one",
        );
    }
    let keys = secondaries::keys(&keys, base, notes);
    let zones = zones::read(&zones, &keys, base, notes);
    let pools = pools::read(&pools, probe.as_ref(), base, notes);
    let services = services::read(&services, &pools, &zones, base, notes);
    zones.check_ownership(&pools, &services, notes);
    let following = secondaries::following(following, notes);
    let dnstap = dnstap::read(dnstap, base, notes);
    let alerts = alerts::read(&alerts, base, notes);
    let confined = confined::read(sandbox, notes);
    let references = reference.map_or_else(Vec::new, |table| references(table, notes));
    Some(Config {
        state_dir,
        listen: listen?,
        settings: Arc::new(settings),
        history,
        zones: zones.loaded,
        following,
        keys: Arc::clone(keys.keys()),
        policy: Policy {
            pools: pools.pools,
            services: services.services,
            references,
        },
        probes: pools.probes,
        records: services.records.into_iter().map(bare).collect(),
        alerts,
        confined,
        reads: base.reads().union(&zones.included).cloned().collect(),
        dnstap,
    })
}

/// The records of a service without their places.
fn bare(
    (name, records): (ServiceName, Vec<At<ServiceRecord>>),
) -> (ServiceName, Vec<ServiceRecord>) {
    let records = records.into_iter().map(|record| record.value);
    (name, records.collect())
}

fn listen_of(spec: At<ListenSpec>, base: &Base, notes: &mut Notes) -> Option<Listen> {
    let ListenSpec {
        dns,
        xdp,
        tls,
        https,
        quic,
        certificate,
        key,
        metrics,
        control,
    } = spec.value;
    let control = control.unwrap_or_else(|| At {
        value: CONTROL.to_owned(),
        at: spec.at,
    });
    let control = base.socket(&control, notes);
    let lists = [tls, https, quic];
    for list in lists.iter().flatten().filter(|list| list.value.is_empty()) {
        notes.error(
            list.at,
            "the list is empty, a transport listens somewhere, add an address or remove the key",
        );
    }
    let anywhere = lists.iter().any(Option::is_some);
    let [tls, https, quic] = lists.map(addresses);
    let encrypted = match (anywhere, certificate, key) {
        (false, None, None) => None,
        (true, Some(certificate), Some(key)) => Some(ListenEncrypted {
            tls,
            https,
            quic,
            files: base.pair(&certificate, &key, notes),
        }),
        (true, _, _) => {
            notes.error(spec.at, "[listen] lacks 'certificate' or 'key', TLS, HTTPS and QUIC need both, add what is missing");
            None
        }
        (false, _, _) => {
            notes.error(spec.at, "[listen] has a 'certificate' or a 'key' and nothing that uses them, add 'tls', 'https' or 'quic', or remove them");
            None
        }
    };
    let dns = dns?;
    if dns.value.is_empty() {
        notes.error(
            dns.at,
            "'dns' is empty, a server listens somewhere, add an address",
        );
    }
    let dns = addresses(Some(dns));
    Some(Listen {
        dns,
        xdp: interfaces(xdp, notes),
        encrypted,
        metrics: addresses(metrics),
        control,
    })
}

/// Names of interfaces, as the kernel takes them (`IFNAMSIZ`).
fn interfaces(list: Option<At<spec::List<String>>>, notes: &mut Notes) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list.map_or_else(Vec::new, |list| list.value) {
        let text = &name.value;
        let is_name = (1..=15).contains(&text.len())
            && !text.contains(|letter: char| {
                letter == '/' || letter == ':' || !letter.is_ascii_graphic()
            });
        if !is_name {
            notes.error(
                name.at,
                format!("'{text}' is no name of an interface, these have 1 to 15 letters without '/' and ':', take one that `ip link` shows"),
            );
        } else if names.contains(text) {
            notes.error(
                name.at,
                format!("'{text}' stands here twice, an interface is attached once, remove one"),
            );
        } else {
            names.push(name.value);
        }
    }
    names
}

fn addresses(list: Option<At<spec::List<SocketAddr>>>) -> Vec<SocketAddr> {
    let list = list.map_or_else(Vec::new, |list| list.value);
    list.into_iter().map(|address| address.value).collect()
}

fn references(spec: At<ReferenceSpec>, notes: &mut Notes) -> Vec<SocketAddr> {
    let ReferenceSpec { targets } = spec.value;
    let Some(targets) = targets else {
        return Vec::new();
    };
    let all: Vec<SocketAddr> = targets.value.iter().map(|target| target.value).collect();
    for v4 in [true, false] {
        let mut family: Vec<_> = all.iter().filter(|target| target.is_ipv4() == v4).collect();
        family.sort();
        family.dedup();
        if family.len() == 1 {
            let family = if v4 { "IPv4" } else { "IPv6" };
            notes.error(targets.at, format!("one {family} target only, our uplink is judged by at least two of a family, add another or remove it"));
        }
    }
    all
}
