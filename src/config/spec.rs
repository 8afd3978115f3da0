//! What may be written in a configuration, as it is written: no defaults, no meaning, only
//! shapes and places. `model` gives it meaning, and destructures these structs exhaustively,
//! so that a key which is read and then forgotten does not build.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::de::DeTable;

use super::confined::SandboxTable;
use super::dnstap::DnstapTable;
use super::problem::{At, Notes};
use super::rate_limit::RateLimitTable;
use super::reader::{Fields, FromToml, Item, one_of, wrong_type};
use super::spec_alerts::AlertSpec;
use super::spec_steps::StepSpec;
use super::spec_transfers::{KeySpec, PermitSpec, PrimarySpec, SecondariesTable, TargetSpec};
use crate::failover::{Mode, OnHalt, Standby};
use crate::probe::Kind;

/// A list of values with places.
pub(super) type List<T> = Vec<At<T>>;
/// Free words for hooks, with places.
pub(super) type Vars = List<(String, String)>;

/// The whole file.
pub(super) struct Spec {
    pub(super) state_dir: Option<At<String>>,
    pub(super) listen: Option<At<ListenSpec>>,
    pub(super) server: Option<At<ServerTable>>,
    pub(super) dnstap: Option<At<DnstapTable>>,
    pub(super) rate_limit: Option<At<RateLimitTable>>,
    pub(super) history: Option<At<HistoryTable>>,
    pub(super) keys: List<KeySpec>,
    pub(super) zones: List<ZoneSpec>,
    pub(super) probe: Option<At<ProbeTable>>,
    pub(super) pools: List<PoolSpec>,
    pub(super) services: List<ServiceSpec>,
    pub(super) reference: Option<At<ReferenceSpec>>,
    pub(super) secondaries: Option<At<SecondariesTable>>,
    pub(super) alerts: List<AlertSpec>,
    pub(super) sandbox: Option<At<SandboxTable>>,
}

/// `[listen]`.
pub(super) struct ListenSpec {
    pub(super) dns: Option<At<List<SocketAddr>>>,
    pub(super) xdp: Option<At<List<String>>>,
    pub(super) tls: Option<At<List<SocketAddr>>>,
    pub(super) https: Option<At<List<SocketAddr>>>,
    pub(super) quic: Option<At<List<SocketAddr>>>,
    pub(super) certificate: Option<At<String>>,
    pub(super) key: Option<At<String>>,
    pub(super) metrics: Option<At<List<SocketAddr>>>,
    pub(super) control: Option<At<String>>,
}

/// `[server]`.
#[derive(Default)]
pub(super) struct ServerTable {
    pub(super) version: Option<At<String>>,
    pub(super) hostname: Option<At<String>>,
    pub(super) id: Option<At<String>>,
    pub(super) udp_payload: Option<At<u16>>,
    pub(super) cookies: Option<At<CookieWord>>,
    pub(super) cookie_secrets: Option<At<List<String>>>,
    pub(super) cookie_secret_file: Option<At<String>>,
}

/// `[history]`.
#[derive(Default)]
pub(super) struct HistoryTable {
    pub(super) entries: Option<At<u32>>,
    pub(super) megabytes: Option<At<u32>>,
}

/// What is done with cookies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CookieWord {
    Off,
    Answer,
    Require,
}

/// `[[zone]]`.
pub(super) struct ZoneSpec {
    pub(super) origin: Option<At<String>>,
    pub(super) file: Option<At<String>>,
    pub(super) group: Option<At<String>>,
    pub(super) directory: Option<At<String>>,
    pub(super) primary: Option<At<List<PrimarySpec>>>,
    pub(super) transfer: Option<At<List<PermitSpec>>>,
    pub(super) notify: Option<At<List<TargetSpec>>>,
}

/// `[probe]` and `[[pool.probe]]`.
#[derive(Default)]
pub(super) struct ProbeTable {
    pub(super) kind: Option<At<Kind>>,
    pub(super) port: Option<At<u16>>,
    pub(super) domain: Option<At<Domains>>,
    pub(super) from: Option<At<String>>,
    pub(super) interval: Option<At<Duration>>,
    pub(super) tls_interval: Option<At<Duration>>,
    pub(super) timeout: Option<At<Duration>>,
    pub(super) rise: Option<At<u32>>,
    pub(super) fall: Option<At<u32>>,
    pub(super) hold: Option<At<bool>>,
    pub(super) ca_file: Option<At<String>>,
    pub(super) command: Option<At<List<String>>>,
}

/// One domain or several.
#[derive(Clone)]
pub(super) struct Domains(pub(super) List<String>);

/// `[[pool]]`.
pub(super) struct PoolSpec {
    pub(super) name: Option<At<String>>,
    pub(super) servers: Option<At<List<ServerSpec>>>,
    pub(super) min_healthy: Option<At<u32>>,
    pub(super) standby: Option<At<Standby>>,
    pub(super) vars: Option<At<VarsSpec>>,
    pub(super) probes: List<ProbeTable>,
}

/// One server of a pool.
pub(super) struct ServerSpec {
    pub(super) name: Option<At<String>>,
    pub(super) addresses: Option<At<List<IpAddr>>>,
    pub(super) weight: Option<At<u16>>,
    pub(super) vars: Option<At<VarsSpec>>,
}

/// `vars = { site = "Site1" }`.
pub(super) struct VarsSpec(pub(super) Vars);

/// `[[service]]`.
pub(super) struct ServiceSpec {
    pub(super) name: Option<At<String>>,
    pub(super) pools: Option<At<List<String>>>,
    pub(super) records: Option<At<List<RecordSpec>>>,
    pub(super) ttl: Option<At<TtlSpec>>,
    pub(super) failover: Option<At<FailoverSpec>>,
    pub(super) failback: Option<At<FailbackSpec>>,
    pub(super) on_halt: Option<At<OnHalt>>,
    pub(super) mode: Option<At<Mode>>,
    pub(super) remind_every: Option<At<Duration>>,
    pub(super) steps: List<StepSpec>,
}

/// One entry of `records`.
pub(super) struct RecordSpec {
    pub(super) srv: Option<At<String>>,
    pub(super) address: Option<At<String>>,
    pub(super) group: Option<At<String>>,
    pub(super) port: Option<At<u16>>,
}

/// `ttl = { min, max }`.
pub(super) struct TtlSpec {
    pub(super) min: Option<At<Duration>>,
    pub(super) max: Option<At<Duration>>,
}

/// `failover = { after, cap_per_hour, settle }`.
pub(super) struct FailoverSpec {
    pub(super) after: Option<At<Duration>>,
    pub(super) cap_per_hour: Option<At<u32>>,
    pub(super) settle: Option<At<Duration>>,
}

/// `failback = { after }` or `"manual"`.
pub(super) enum FailbackSpec {
    After(At<Duration>),
    Manual,
}

/// `[reference]`.
pub(super) struct ReferenceSpec {
    pub(super) targets: Option<At<List<SocketAddr>>>,
}

impl Spec {
    /// Reads the document; what cannot be read is noted and left out.
    pub(super) fn read(document: &DeTable<'_>, notes: &mut Notes) -> Spec {
        let mut fields = Fields::of_table(document, 0, "the configuration", notes);
        let spec = Spec {
            state_dir: fields.get("state_dir"),
            listen: fields.need("listen"),
            server: fields.get("server"),
            dnstap: fields.get("dnstap"),
            rate_limit: fields.get("rate_limit"),
            history: fields.get("history"),
            keys: list(&mut fields, "key"),
            zones: list(&mut fields, "zone"),
            probe: fields.get("probe"),
            pools: list(&mut fields, "pool"),
            services: list(&mut fields, "service"),
            reference: fields.get("reference"),
            secondaries: fields.get("secondaries"),
            alerts: list(&mut fields, "alert"),
            sandbox: fields.get("sandbox"),
        };
        fields.finish();
        spec
    }
}

fn list<T: FromToml>(fields: &mut Fields<'_, '_>, key: &'static str) -> List<T> {
    fields.get(key).map_or_else(Vec::new, |list| list.value)
}

impl FromToml for ListenSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[listen]", notes)?;
        let spec = ListenSpec {
            dns: fields.need("dns"),
            xdp: fields.get("xdp"),
            tls: fields.get("tls"),
            https: fields.get("https"),
            quic: fields.get("quic"),
            certificate: fields.get("certificate"),
            key: fields.get("key"),
            metrics: fields.get("metrics"),
            control: fields.get("control"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for ServerTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[server]", notes)?;
        let spec = ServerTable {
            version: fields.get("version"),
            hostname: fields.get("hostname"),
            id: fields.get("id"),
            udp_payload: fields.get("udp_payload"),
            cookies: fields.get("cookies"),
            cookie_secrets: fields.get("cookie_secrets"),
            cookie_secret_file: fields.get("cookie_secret_file"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for HistoryTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[history]", notes)?;
        let spec = HistoryTable {
            entries: fields.get("entries"),
            megabytes: fields.get("megabytes"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for CookieWord {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("off", CookieWord::Off),
            ("answer", CookieWord::Answer),
            ("require", CookieWord::Require),
        ];
        one_of(item, &words, notes)
    }
}

impl FromToml for ZoneSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[[zone]]", notes)?;
        let spec = ZoneSpec {
            origin: fields.get("origin"),
            file: fields.get("file"),
            group: fields.get("group"),
            directory: fields.get("directory"),
            primary: fields.get("primary"),
            transfer: fields.get("transfer"),
            notify: fields.get("notify"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for ProbeTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "a probe", notes)?;
        let spec = ProbeTable {
            kind: fields.get("kind"),
            port: fields.get("port"),
            domain: fields.get("domain"),
            from: fields.get("from"),
            interval: fields.get("interval"),
            tls_interval: fields.get("tls_interval"),
            timeout: fields.get("timeout"),
            rise: fields.get("rise"),
            fall: fields.get("fall"),
            hold: fields.get("hold"),
            ca_file: fields.get("ca_file"),
            command: fields.get("command"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for Domains {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if item.get_ref().is_array() {
            return FromToml::from_toml(item, notes).map(Domains);
        }
        if !item.get_ref().is_str() {
            wrong_type(item, "a domain or a list of domains", notes);
            return None;
        }
        let value = String::from_toml(item, notes)?;
        let at = item.span().start;
        Some(Domains(vec![At { value, at }]))
    }
}

impl FromToml for Kind {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        one_of(item, &Kind::ALL.map(|kind| (kind.word(), kind)), notes)
    }
}

impl FromToml for PoolSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[[pool]]", notes)?;
        let spec = PoolSpec {
            name: fields.need("name"),
            servers: fields.need("servers"),
            min_healthy: fields.get("min_healthy"),
            standby: fields.get("standby"),
            vars: fields.get("vars"),
            probes: list(&mut fields, "probe"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for Standby {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        one_of(
            item,
            &[("hot", Standby::Hot), ("cold", Standby::Cold)],
            notes,
        )
    }
}

impl FromToml for ServerSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "a server", notes)?;
        let spec = ServerSpec {
            name: fields.need("name"),
            addresses: fields.need("addresses"),
            weight: fields.get("weight"),
            vars: fields.get("vars"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for VarsSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let Some(table) = item.get_ref().as_table() else {
            wrong_type(item, "a table of words", notes);
            return None;
        };
        let read = table.iter().filter_map(|(key, value)| {
            let value = String::from_toml(value, notes)?;
            Some(At {
                value: (key.get_ref().clone().into_owned(), value),
                at: key.span().start,
            })
        });
        Some(VarsSpec(read.collect()))
    }
}

impl FromToml for ServiceSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[[service]]", notes)?;
        let spec = ServiceSpec {
            name: fields.need("name"),
            pools: fields.need("pools"),
            records: fields.need("records"),
            ttl: fields.get("ttl"),
            failover: fields.get("failover"),
            failback: fields.get("failback"),
            on_halt: fields.get("on_halt"),
            mode: fields.get("mode"),
            remind_every: fields.get("remind_every"),
            steps: list(&mut fields, "step"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for RecordSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "a record", notes)?;
        let spec = RecordSpec {
            srv: fields.get("srv"),
            address: fields.get("address"),
            group: fields.get("in"),
            port: fields.get("port"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for TtlSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "ttl", notes)?;
        let spec = TtlSpec {
            min: fields.get("min"),
            max: fields.get("max"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for FailoverSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "failover", notes)?;
        let spec = FailoverSpec {
            after: fields.get("after"),
            cap_per_hour: fields.get("cap_per_hour"),
            settle: fields.get("settle"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for FailbackSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if item.get_ref().as_str() == Some("manual") {
            return Some(FailbackSpec::Manual);
        }
        if !item.get_ref().is_table() {
            wrong_type(item, "{ after = \"10m\" } or \"manual\"", notes);
            return None;
        }
        let mut fields = Fields::of(item, "failback", notes)?;
        let after = fields.need("after");
        fields.finish();
        after.map(FailbackSpec::After)
    }
}

impl FromToml for Mode {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        one_of(
            item,
            &[
                ("automatic", Mode::Automatic),
                ("approve", Mode::Approve),
                ("observe", Mode::Observe),
            ],
            notes,
        )
    }
}

impl FromToml for OnHalt {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        one_of(
            item,
            &[("next", OnHalt::Next), ("hold", OnHalt::Hold)],
            notes,
        )
    }
}

impl FromToml for ReferenceSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[reference]", notes)?;
        let spec = ReferenceSpec {
            targets: fields.need("targets"),
        };
        fields.finish();
        Some(spec)
    }
}
