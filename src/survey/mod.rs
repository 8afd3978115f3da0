//! **IO.** Looks at a service from outside, for [`verify`](crate::verify) to judge.
//!
//! | file | what |
//! | --- | --- |
//! | `expect` | what should be seen, from the configuration and what is published of it |
//! | `zone` | the parent of a zone, and each of its name servers |
//! | `edge` | the SRV targets: their addresses, and looks at them |
//! | `watch` | who answers what, again and again: for drills |
//!
//! Invariants: every question and look has a deadline; what is asked is bounded by what the
//! configuration names and by [`MOST`]; nothing is changed anywhere.

mod edge;
mod expect;
mod watch;
mod zone;

pub use expect::expect;
pub use watch::{Rank, Watching, Witness};

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::task::JoinSet;

use crate::clock;
use crate::inquiry::{Failure, Reply};
use crate::lookup::{Lookup, Patience, Resolver};
use crate::verify::{Evidence, Expected, ResolverEvidence, SetKind};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// So many questions are under way at a time.
const QUESTIONS_AT_ONCE: usize = 32;
/// So many name servers of a zone, addresses of a name server, and targets are looked at: more are
/// no service of anybody's, and what strangers publish must not make this work for ever.
pub const MOST: usize = 64;

/// How to look.
#[derive(Clone, Debug)]
pub struct Survey {
    lookup: Lookup,
    /// The first finds the way; all are asked what they say. Never empty.
    resolvers: Vec<Resolver>,
    /// Where certificates must lead, if the configuration's word does not count.
    ca_file: Option<PathBuf>,
}

impl Survey {
    /// A survey by these resolvers, or from the root if there are none.
    #[must_use]
    pub fn new(resolvers: Vec<Resolver>, patience: Patience, ca_file: Option<PathBuf>) -> Survey {
        let resolvers = if resolvers.is_empty() {
            vec![Resolver::Roots(crate::lookup::ROOT_HINTS.to_vec())]
        } else {
            resolvers
        };
        Survey {
            lookup: Lookup::new(patience, QUESTIONS_AT_ONCE),
            resolvers,
            ca_file,
        }
    }

    /// Asks everything about `expected`.
    pub async fn look(&self, expected: &Expected) -> Evidence {
        let now = clock::wall();
        let sets = sets(expected);
        let zones = expected.zones.iter().filter_map(|zone| {
            let origin: Name = zone.origin.parse().ok()?;
            let survey = self.clone();
            let sets = sets.iter().filter(|(zone, ..)| *zone == origin).cloned();
            let sets: Vec<_> = sets.map(|(_, owner, rtype)| (owner, rtype)).collect();
            Some(async move { survey.zone(origin, sets).await })
        });
        let resolvers = self.resolvers.iter().map(|resolver| {
            let (survey, resolver) = (self.clone(), resolver.clone());
            let sets: Vec<_> = sets
                .iter()
                .map(|(_, owner, rtype)| (owner.clone(), *rtype))
                .collect();
            async move { survey.resolver(resolver, sets).await }
        });
        let (zones, resolvers) = tokio::join!(in_order(zones), in_order(resolvers));
        let targets = self.targets(expected, &zones).await;
        Evidence {
            now,
            zones,
            resolvers,
            targets,
        }
    }

    async fn resolver(&self, resolver: Resolver, sets: Vec<(Name, u16)>) -> ResolverEvidence {
        let mut said = Vec::new();
        for (owner, rtype) in sets {
            let reply = self.lookup.resolve(&resolver, &owner, rtype).await;
            said.push((owner, rtype, reply));
        }
        ResolverEvidence {
            resolver: shown(&resolver),
            sets: said,
        }
    }

    /// The resolver that finds the way.
    fn guide(&self) -> &Resolver {
        const ROOT: &Resolver = &Resolver::Roots(Vec::new());
        self.resolvers.first().unwrap_or(ROOT)
    }
}

/// A resolver as people write it.
fn shown(resolver: &Resolver) -> String {
    match resolver {
        Resolver::Servers(servers) => {
            let servers: Vec<String> = servers.iter().map(SocketAddr::to_string).collect();
            servers.join(", ")
        }
        Resolver::Roots(_) => "none, from the root".to_owned(),
    }
}

/// Zone, owner and type of everything that the service publishes.
fn sets(expected: &Expected) -> Vec<(Name, Name, u16)> {
    let mut sets = Vec::new();
    let families: Vec<u16> = {
        let addresses = expected.active_addresses();
        let of = |v4: bool| addresses.iter().any(|address| address.is_ipv4() == v4);
        let families = [(of(true), rtype::A), (of(false), rtype::AAAA)];
        families.iter().filter(|it| it.0).map(|it| it.1).collect()
    };
    for set in &expected.sets {
        let (Ok(zone), Ok(owner)) = (set.zone.parse::<Name>(), set.owner.parse::<Name>()) else {
            continue;
        };
        match set.kind {
            SetKind::Srv { .. } => sets.push((zone, owner, rtype::SRV)),
            SetKind::Address => {
                for family in &families {
                    sets.push((zone.clone(), owner.clone(), *family));
                }
            }
        }
    }
    sets
}

/// The results of `futures`, which run at the same time, in their order.
async fn in_order<T, F>(futures: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    for (place, future) in futures.into_iter().enumerate() {
        running.spawn(async move { (place, future.await) });
    }
    let mut done = Vec::new();
    while let Some(ended) = running.join_next().await {
        // None of them is cancelled, and one that panics has nothing to say.
        done.extend(ended);
    }
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A reply without the time that it took.
fn reply(said: Result<crate::lookup::Said, Failure>) -> Result<Reply, Failure> {
    said.map(|said| said.reply)
}
