//! The SRV targets: their addresses, and looks at them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{MOST, Survey, in_order};
use crate::probe::{self, Kind, Look, ProbeSpec, Roots};
use crate::verify::{Expected, SetKind, TargetEvidence, TargetLook, ZoneEvidence};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// So many looks at a time: an edge counts the connections of one partner.
const LOOKS_AT_ONCE: usize = 8;
/// A look takes so long at most, if no probe says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// One look that a partner of the service would take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    port: u16,
    kind: &'static str,
    domain: Option<String>,
}

impl Survey {
    pub(super) async fn targets(
        &self,
        expected: &Expected,
        zones: &[ZoneEvidence],
    ) -> Vec<TargetEvidence> {
        let turns = Arc::new(Semaphore::new(LOOKS_AT_ONCE));
        let asking = named(expected, zones).into_iter().take(MOST).map(|name| {
            let wanted = wanted(expected);
            let specs: Vec<(Wanted, ProbeSpec)> = wanted
                .into_iter()
                .map(|wanted| (wanted.clone(), self.spec(expected, &name, &wanted)))
                .collect();
            let (survey, turns) = (self.clone(), Arc::clone(&turns));
            async move { survey.target(name, specs, turns).await }
        });
        in_order(asking.collect::<Vec<_>>()).await
    }

    async fn target(
        &self,
        name: Name,
        specs: Vec<(Wanted, ProbeSpec)>,
        turns: Arc<Semaphore>,
    ) -> TargetEvidence {
        let (found, alias) = match self.lookup.addresses(self.guide(), &name).await {
            Ok(found) => (Ok(found.addresses), found.alias),
            Err(why) => (Err(why), None),
        };
        let addresses: Vec<_> = found.iter().flatten().copied().take(MOST).collect();
        let looking = addresses.into_iter().flat_map(|address| {
            let turns = &turns;
            specs.iter().map(move |(wanted, spec)| {
                let (turns, wanted, spec) = (Arc::clone(turns), wanted.clone(), spec.clone());
                async move {
                    // The semaphore is never closed.
                    let _turn = turns.acquire().await;
                    look(SocketAddr::new(address, wanted.port), wanted, &spec).await
                }
            })
        });
        let looks = in_order(looking.collect::<Vec<_>>()).await;
        TargetEvidence {
            name,
            found,
            alias,
            looks,
        }
    }

    /// How to look at a target: with the introduction, roots and patience of its pool's probes.
    fn spec(&self, expected: &Expected, target: &Name, wanted: &Wanted) -> ProbeSpec {
        let pool = expected.server(target).map(|(pool, _)| pool);
        let pools = pool.into_iter().chain(&expected.pools);
        let mut looks = pools.flat_map(|pool| &pool.looks);
        let like = looks.find(|look| look.port == wanted.port);
        let timeout = like.map_or(PATIENCE, |like| {
            Duration::from_millis(like.timeout_ms.max(1))
        });
        let configured = like
            .and_then(|like| like.ca_file.as_ref())
            .map(PathBuf::from);
        let roots = self.ca_file.clone().or(configured);
        ProbeSpec {
            kind: Kind::from_word(wanted.kind).unwrap_or(Kind::Tcp),
            port: wanted.port,
            domain: wanted.domain.clone(),
            from: like.and_then(|like| like.from.clone()),
            interval: timeout,
            tls_interval: timeout,
            timeout,
            rise: 1,
            fall: 1,
            hold: false,
            roots: roots.map_or(Roots::System, Roots::File),
            command: None,
        }
    }
}

async fn look(address: SocketAddr, wanted: Wanted, spec: &ProbeSpec) -> TargetLook {
    let looked = probe::look(spec, address, true).await;
    let Wanted { kind, domain, .. } = wanted;
    match looked {
        Ok(Look {
            verdict,
            phases,
            certificate_ends,
            ..
        }) => {
            let took: Duration = phases.iter().map(|phase| phase.took).sum();
            TargetLook {
                address,
                kind,
                domain,
                verdict: Ok(verdict),
                certificate_ends,
                took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            }
        }
        Err(error) => TargetLook {
            address,
            kind,
            domain,
            verdict: Err(error.to_string()),
            certificate_ends: None,
            took_ms: 0,
        },
    }
}

/// Every target that a name server of the zones names, and every server that should be one.
fn named(expected: &Expected, zones: &[ZoneEvidence]) -> BTreeSet<Name> {
    let servers = expected.pools.iter().flat_map(|pool| &pool.servers);
    let mut names: BTreeSet<Name> = servers
        .filter_map(|server| server.name.as_str().parse().ok())
        .collect();
    let addresses = zones
        .iter()
        .flat_map(|zone| &zone.servers)
        .flat_map(|server| &server.addresses);
    for (owner, kind, said) in addresses.flat_map(|address| &address.sets) {
        if let Ok(reply) = said
            && *kind == rtype::SRV
        {
            let targets = reply.services(owner).into_iter();
            names.extend(targets.map(|srv| srv.target.to_lower()));
        }
    }
    names.remove(&Name::root());
    names
}

/// What partners look for, by what the SRV owners promise.
fn wanted(expected: &Expected) -> BTreeSet<Wanted> {
    let mut wanted = BTreeSet::new();
    for set in &expected.sets {
        let (SetKind::Srv { port }, Ok(owner)) = (set.kind, set.owner.parse::<Name>()) else {
            continue;
        };
        let service = owner
            .labels()
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let domain = owner.parent().and_then(|name| name.parent());
        let domain = domain.map(|name| name.to_string().trim_end_matches('.').to_owned());
        let (kind, domain) = match &service[..] {
            b"_xmpp-server" => (Kind::XmppTls, domain),
            // XEP-0368, and SIP federation: TLS from the first octet.
            b"_xmpps-server" | b"_sipfederationtls" => (Kind::Tls, domain),
            _ => (Kind::Tcp, None),
        };
        wanted.insert(Wanted {
            port,
            kind: kind.word(),
            domain,
        });
    }
    wanted
}
