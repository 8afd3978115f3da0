//! Who answers what, from one moment to the next: for drills.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinSet;

use super::{Survey, in_order};
use crate::clock;
use crate::ids::PoolName;
use crate::inquiry::{Failure, Question};
use crate::lookup::Resolver;
use crate::time::Mono;
use crate::verify::Expected;
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// What a witness is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rank {
    /// The daemon itself.
    Daemon,
    /// A name server of a zone.
    Server,
    /// A resolver.
    Resolver,
}

impl Rank {
    /// How often it is asked: a swap is to be seen, and a resolver of others is not to be flooded.
    fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Rank::Daemon => 20,
            Rank::Server => 100,
            Rank::Resolver => 250,
        })
    }
}

/// One who is asked again and again.
#[derive(Clone, Debug)]
pub struct Witness {
    /// What it is.
    pub rank: Rank,
    /// As people write it: `ns1.contoso.test. 192.0.2.1`.
    pub name: String,
    at: SocketAddr,
    question: Question,
}

/// A watch under way; it ends with the value.
#[derive(Debug)]
pub struct Watching {
    seen: Arc<[OnceLock<Mono>]>,
    _tasks: JoinSet<()>,
}

impl Watching {
    /// When each witness first said it, in the order in which they were given.
    #[must_use]
    pub fn seen(&self) -> Vec<Option<Mono>> {
        self.seen.iter().map(|seen| seen.get().copied()).collect()
    }
}

impl Survey {
    /// The daemon at one of its addresses, every name server of every zone that has a set of the
    /// service, and every resolver.
    pub async fn witnesses(&self, expected: &Expected, daemon: &[SocketAddr]) -> Vec<Witness> {
        let mut witnesses = Vec::new();
        let questions = questions(expected);
        let Some((_, first)) = questions.first() else {
            return witnesses;
        };
        if let Some(at) = daemon.first() {
            witnesses.push(Witness {
                rank: Rank::Daemon,
                name: format!("the daemon {at}"),
                at: *at,
                question: first.clone(),
            });
        }
        let resolvers = self.resolvers.iter().filter_map(|resolver| match resolver {
            Resolver::Servers(servers) => servers.first().copied(),
            Resolver::Roots(_) => None,
        });
        let resolvers: Vec<Witness> = resolvers
            .map(|at| Witness {
                rank: Rank::Resolver,
                name: format!("resolver {at}"),
                at,
                question: Question::to_resolver(&first.name, first.rtype),
            })
            .collect();
        let asking = questions.into_iter().map(|(origin, question)| {
            let survey = self.clone();
            async move { (survey.zone(origin, Vec::new()).await, question) }
        });
        for (zone, question) in in_order(asking.collect::<Vec<_>>()).await {
            for server in &zone.servers {
                witnesses.extend(server.addresses.iter().map(|it| Witness {
                    rank: Rank::Server,
                    name: format!("{} {} {}", zone.origin, server.name, it.address.ip()),
                    at: it.address,
                    question: question.clone(),
                }));
            }
        }
        witnesses.extend(resolvers);
        witnesses
    }

    /// Which pool a witness says is the active one; `None` if that cannot be told from its answer.
    ///
    /// # Errors
    /// It says nothing.
    pub async fn hear(
        &self,
        expected: &Expected,
        witness: &Witness,
    ) -> Result<Option<PoolName>, Failure> {
        let said = self.lookup.ask(witness.at, &witness.question).await?;
        let name = &witness.question.name;
        Ok(expected.first_pool(&said.reply, name, witness.question.rtype))
    }

    /// What each witness says now, as [`Survey::hear`].
    pub async fn hear_all(
        &self,
        expected: &Arc<Expected>,
        witnesses: &[Witness],
    ) -> Vec<Result<Option<PoolName>, Failure>> {
        let asking = witnesses.iter().cloned().map(|witness| {
            let (survey, expected) = (self.clone(), Arc::clone(expected));
            async move { survey.hear(&expected, &witness).await }
        });
        in_order(asking.collect::<Vec<_>>()).await
    }

    /// Asks every witness until it says that `pool` is the active one. Call it on a runtime.
    #[must_use]
    pub fn watch(
        &self,
        expected: &Arc<Expected>,
        witnesses: &[Witness],
        pool: &PoolName,
    ) -> Watching {
        let seen: Arc<[OnceLock<Mono>]> = witnesses.iter().map(|_| OnceLock::new()).collect();
        let mut tasks = JoinSet::new();
        for (place, witness) in witnesses.iter().cloned().enumerate() {
            let (survey, expected) = (self.clone(), Arc::clone(expected));
            let (pool, seen) = (pool.clone(), Arc::clone(&seen));
            tasks.spawn(async move {
                loop {
                    let said = survey.hear(&expected, &witness).await;
                    if said.is_ok_and(|said| said.as_ref() == Some(&pool)) {
                        if let Some(seen) = seen.get(place) {
                            // Nobody else writes here.
                            let _ = seen.set(clock::mono());
                        }
                        return;
                    }
                    tokio::time::sleep(witness.rank.pause()).await;
                }
            });
        }
        Watching {
            seen,
            _tasks: tasks,
        }
    }
}

/// Each zone that has a set of the service, with a question that its answer tells the order by: an
/// SRV set where there is one.
fn questions(expected: &Expected) -> Vec<(Name, Question)> {
    let mut sets = super::sets(expected);
    sets.sort_by_key(|(zone, _, kind)| (zone.clone(), *kind != rtype::SRV));
    sets.dedup_by(|later, earlier| later.0 == earlier.0);
    let question = |(zone, owner, rtype): (Name, Name, u16)| {
        let question = Question::to_server(&owner, rtype);
        (zone, question)
    };
    sets.into_iter().map(question).collect()
}
