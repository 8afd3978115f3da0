//! What the daemon knows at one moment, as a page.

use std::fmt;
use std::time::Duration;

use super::catalogue as c;
use super::moves::{Moves, Visits};
use super::page::{Format, Histogram, Page, float};
use crate::admin::orders::Said;
use crate::admin::status::{
    EndpointStatus, Family, PoolStatus, ServiceStatus, Status, TransferredState, ZoneStatus,
};
use crate::dnstap::Tapped;
use crate::health::{Health, PoolHealth};
use crate::limit::Class;
use crate::server::{
    ByTransport, Count, Counters, LATENCY_BOUNDS, LimitCount, Measured, RCODES, TYPES,
};
use crate::time::Wall;

/// What the probes of one address have seen beside their verdicts.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// The steps of each probe's latest looks.
    pub phases: Vec<Vec<(&'static str, Duration)>>,
    /// When the certificate that it showed last ends.
    pub certificate_ends: Option<Wall>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// What `switchback status` shows.
    pub status: Status,
    /// What operators have said.
    pub overrides: Vec<Said>,
    /// Of the transports.
    pub counters: Counters,
    /// Of the transports too.
    pub measured: ByTransport<Measured>,
    /// Since when the snapshot answers.
    pub swapped: Wall,
    /// Of each address, in the order of the status: pools, servers, addresses.
    pub probed: Vec<Probed>,
    /// Looks that found no room.
    pub looks_dropped: u64,
    /// Of the engine.
    pub moves: Moves,
    /// When the state was last written.
    pub written: Option<Wall>,
    /// Files that are kept, with their sizes.
    pub files: Vec<(&'static str, u64)>,
    /// Of dnstap.
    pub tapped: Tapped,
    /// Entries that the history lost.
    pub history_lost: u64,
    /// Processor time of the process.
    pub processor: Duration,
}

impl Sight {
    /// The page that is scraped.
    ///
    /// # Errors
    /// What the encoder says; text always has room.
    pub fn page(&self, format: Format) -> Result<String, fmt::Error> {
        let mut page = Page::default();
        self.process(&mut page);
        self.dns(&mut page);
        self.limits(&mut page);
        self.zones(&mut page);
        self.edges(&mut page);
        self.services(&mut page);
        self.moves(&mut page);
        self.durable(&mut page);
        let left_out = u64::try_from(page.left_out()).unwrap_or(u64::MAX);
        page.many(&c::LEFT_OUT, &[], left_out);
        page.write(format)
    }

    fn process(&self, page: &mut Page) {
        let status = &self.status;
        page.flag(&c::BUILD, &[&status.version], true);
        page.at(&c::START, &[], Some(status.started));
        page.number(&c::CPU, &[], self.processor.as_secs_f64());
        page.many(&c::ALARMS, &[], length(status.alarms.len()));
        page.many(&c::GENERATION, &[], status.generation.0);
        page.at(&c::SNAPSHOT, &[], Some(self.swapped));
        page.many(&c::ZONES, &[], length(status.zones.len()));
    }

    fn dns(&self, page: &mut Page) {
        for (transport, measured) in self.measured.named() {
            for (name, count) in TYPES.iter().zip(measured.types) {
                page.count(&c::QUERIES, &[transport, name], count);
            }
            for (name, count) in RCODES.iter().zip(measured.rcodes) {
                page.count(&c::RESPONSES, &[transport, name], count);
            }
            page.count(&c::RESPONSE_BYTES, &[transport], measured.octets);
            page.histogram(&c::DURATION, &[transport], latency(measured));
            if transport == "tcp" || transport == "tls" {
                for (kind, count) in ["axfr", "ixfr"].iter().zip(measured.transfers) {
                    page.count(&c::TRANSFERS, &[transport, kind], count);
                }
                let refused = measured.transfers_refused;
                page.count(&c::TRANSFERS_REFUSED, &[transport], refused);
            }
        }
        let Counters {
            udp,
            tcp,
            tls,
            https,
            quic,
            limits: _,
        } = self.counters;
        let counts = ByTransport {
            udp,
            tcp,
            tls,
            https,
            quic,
        };
        for (transport, count) in counts.named() {
            page.count(&c::DROPPED, &[transport], count.dropped);
            page.count(&c::TRUNCATED, &[transport], count.truncated);
            page.count(&c::PANICS, &[transport], count.panics);
            if transport != "udp" {
                connections(page, transport, count);
            }
        }
    }

    fn limits(&self, page: &mut Page) {
        for class in Class::ALL {
            let LimitCount {
                limited,
                slipped,
                dropped,
            } = self.counters.limits_of(class);
            page.count(&c::LIMITED, &[class.word()], limited);
            page.count(&c::LIMIT_SLIPPED, &[class.word()], slipped);
            page.count(&c::LIMIT_DROPPED, &[class.word()], dropped);
        }
        let over = self.status.rate_limit.networks.len();
        page.many(&c::LIMIT_NETWORKS, &[], length(over));
    }

    fn zones(&self, page: &mut Page) {
        for zone in &self.status.zones {
            transferred(page, zone);
            for secondary in &zone.secondaries {
                let address = secondary.address.to_string();
                let labels = [&zone.origin[..], &address];
                let acknowledged = secondary.acknowledged;
                let follows = acknowledged.is_some_and(|it| it.serial == zone.serial);
                page.flag(&c::SECONDARY_FOLLOWS, &labels, follows);
                let at = acknowledged.map(|it| it.at);
                page.at(&c::SECONDARY_ACKNOWLEDGED, &labels, at);
                let told = secondary.told.map_or(0, |told| u64::from(told.attempts));
                page.many(&c::SECONDARY_NOTIFIES, &labels, told);
            }
        }
        let Visits {
            current,
            taken,
            failed,
        } = self.moves.visits;
        for (result, count) in [("current", current), ("taken", taken), ("failed", failed)] {
            page.count(&c::VISITS, &[result], count);
        }
    }

    fn edges(&self, page: &mut Page) {
        let isolated = self.status.isolated.as_ref();
        for (name, family) in [("ipv4", Family::V4), ("ipv6", Family::V6)] {
            let down = isolated.is_some_and(|it| it.families.contains(&family));
            page.flag(&c::UPLINK, &[name], !down);
        }
        page.count(&c::LOOKS_DROPPED, &[], self.looks_dropped);
        let mut probed = self.probed.iter();
        for pool in &self.status.pools {
            for (state, health) in POOL_STATES {
                let labels = [pool.name.as_str(), state];
                page.flag(&c::POOL_HEALTH, &labels, pool.health == health);
            }
            for server in &pool.servers {
                for endpoint in &server.endpoints {
                    let nothing = Probed::default();
                    let probed = probed.next().unwrap_or(&nothing);
                    edge(page, pool, server.name.as_str(), endpoint, probed);
                }
            }
        }
    }

    fn services(&self, page: &mut Page) {
        for service in &self.status.services {
            let ServiceStatus {
                name,
                active,
                preferred,
                ranking,
                ttl_s,
                since,
                operation,
                ..
            } = service;
            let name = name.as_str();
            for ranked in ranking {
                let labels = [name, ranked.pool.as_str()];
                page.flag(&c::ACTIVE, &labels, ranked.pool == *active);
            }
            page.flag(&c::PREFERRED, &[name], active == preferred);
            page.at(&c::ACTIVE_SINCE, &[name], Some(*since));
            page.many(&c::TTL, &[name], *ttl_s);
            page.flag(&c::ATTENTION, &[name], service.needs_a_human());
            let under_way = operation.as_ref().is_some_and(|it| it.ended.is_none());
            page.flag(&c::RUNNING, &[name], under_way);
        }
        for kind in ["drain-pool", "drain-server", "pin", "freeze"] {
            let said = self.overrides.iter().filter(|said| said.what == kind);
            page.many(&c::OVERRIDES, &[kind], length(said.count()));
        }
    }

    fn moves(&self, page: &mut Page) {
        // Those that may come stand there from the start, so that the first is seen as a change.
        for service in &self.status.services {
            for ranked in &service.ranking {
                let key = (service.name.clone(), ranked.pool.clone());
                let labels = [service.name.as_str(), ranked.pool.as_str()];
                let of = |counts: &std::collections::BTreeMap<_, u64>| counts.get(&key).copied();
                page.count(&c::MOVES, &labels, of(&self.moves.moves).unwrap_or(0));
                page.count(&c::BEGUN, &labels, of(&self.moves.begun).unwrap_or(0));
                for result in ["completed", "halted", "needs-human"] {
                    let key = (service.name.clone(), ranked.pool.clone(), result);
                    let count = self.moves.ended.get(&key).copied().unwrap_or(0);
                    let labels = [labels[0], labels[1], result];
                    page.count(&c::ENDED, &labels, count);
                }
            }
        }
        for ((service, step, result), count) in &self.moves.steps {
            page.count(&c::STEPS, &[service.as_str(), step, result], *count);
        }
        for ((service, step), took) in &self.moves.took {
            page.histogram(&c::STEP_TOOK, &[service.as_str(), step], took.clone());
        }
    }

    fn durable(&self, page: &mut Page) {
        let status = &self.status;
        let ends = status.certificate.as_ref().and_then(|it| it.not_after);
        page.at(&c::CERTIFICATE, &[], ends);
        page.flag(&c::STORE_UP, &[], status.store.failed.is_none());
        page.at(&c::STORE_WRITTEN, &[], self.written);
        for (file, size) in &self.files {
            page.many(&c::STORE_BYTES, &[file], *size);
        }
        page.flag(&c::TAP_ON, &[], self.tapped.is_on);
        page.count(&c::TAP_WRITTEN, &[], self.tapped.written);
        page.count(&c::TAP_LOST, &[], self.tapped.lost);
        page.count(&c::HISTORY_LOST, &[], self.history_lost);
        for alert in &status.alerts {
            let name = [&alert.name[..]];
            page.count(&c::ALERTS_SENT, &name, alert.delivered);
            page.count(&c::ALERTS_LEFT_OUT, &name, alert.left_out);
            page.many(&c::ALERTS_WAITING, &name, alert.waiting);
            page.flag(&c::ALERTS_FAILING, &name, alert.failing_since.is_some());
        }
    }
}

const POOL_STATES: [(&str, PoolHealth); 5] = [
    ("up", PoolHealth::Up),
    ("degraded", PoolHealth::Degraded),
    ("partly-up", PoolHealth::PartlyUp),
    ("down", PoolHealth::Down),
    ("unknown", PoolHealth::Unknown),
];
const STATES: [(&str, Health); 4] = [
    ("up", Health::Up),
    ("degraded", Health::Degraded),
    ("down", Health::Down),
    ("unknown", Health::Unknown),
];

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn latency(measured: &Measured) -> Histogram {
    let bounds = LATENCY_BOUNDS.iter().map(Duration::as_secs_f64);
    Histogram {
        sum: float(measured.latency_ns) / 1e9,
        count: measured.latency.iter().sum(),
        buckets: bounds.zip(measured.latency).collect(),
    }
}

fn connections(page: &mut Page, transport: &str, count: &Count) {
    page.many(&c::CONNECTIONS, &[transport], count.connections);
    page.count(&c::EVICTED, &[transport], count.evicted);
    page.count(&c::REFUSED, &[transport], count.refused);
}

fn transferred(page: &mut Page, zone: &ZoneStatus) {
    let Some(transferred) = &zone.transferred else {
        return;
    };
    let origin = [&zone.origin[..]];
    let good = transferred.state == TransferredState::Current;
    page.flag(&c::ZONE_GOOD, &origin, good);
    page.at(&c::ZONE_REFRESHED, &origin, transferred.refreshed);
    page.at(&c::ZONE_EXPIRES, &origin, transferred.expires);
}

fn edge(
    page: &mut Page,
    pool: &PoolStatus,
    server: &str,
    endpoint: &EndpointStatus,
    probed: &Probed,
) {
    let address = endpoint.address.to_string();
    let place = [pool.name.as_str(), server, &address];
    let [pool, server, address] = place;
    for (state, health) in STATES {
        let labels = [pool, server, address, state];
        page.flag(&c::HEALTH, &labels, endpoint.health == health);
    }
    page.at(&c::EDGE_CERTIFICATE, &place, probed.certificate_ends);
    for (number, probe) in endpoint.probes.iter().enumerate() {
        // Two of one kind may differ in their port or domain.
        let name = format!("{}-{}", number + 1, probe.kind);
        let labels = [pool, server, address, &name];
        if let Some(look) = &probe.last {
            page.flag(&c::LOOK_GOOD, &labels, look.verdict == "good");
            page.at(&c::LOOK_AT, &labels, Some(look.at));
            let took = Duration::from_millis(look.took_ms);
            page.number(&c::LOOK_TOOK, &labels, took.as_secs_f64());
        }
        for (phase, took) in probed.phases.get(number).into_iter().flatten() {
            let labels = [pool, server, address, &name, phase];
            page.number(&c::PHASE_TOOK, &labels, took.as_secs_f64());
        }
    }
}
