//! What looks see, and when they are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::model::{Looks, Place, Scenario};
use crate::chronicle::Watched;
use crate::health::{Layer, Observation, Verdict};
use crate::ids::{Endpoint, PoolName, ProbeIndex};
use crate::time::Mono;

/// Everything that is looked at, and the looks that are due.
pub(super) struct Sights {
    sights: Vec<(PoolName, Watched, Sight)>,
    index: BTreeMap<Watched, usize>,
    due: BTreeSet<(Mono, usize)>,
}

struct Sight {
    /// How deep the probe looks when it looks deepest.
    full: Layer,
    /// From look to look, when nobody says when they were taken.
    pace: Duration,
    verdict: Option<Verdict>,
    plan: Plan,
    next: Option<Mono>,
    /// When the latest look was taken.
    taken: Option<Mono>,
    /// Those of the same probe that go deeper: one of them stands in for a look of this depth.
    deeper: Option<usize>,
}

enum Plan {
    /// At the pace of the probe.
    Every(Duration),
    /// As they were taken; so many have been.
    Listed {
        begun: Mono,
        looks: Looks,
        done: u64,
    },
}

impl Sights {
    /// Everything is well, and looked at from `now` on, at the pace of each probe.
    pub(super) fn new(scenario: &Scenario, now: Mono) -> Sights {
        let mut sights = Sights {
            sights: Vec::new(),
            index: BTreeMap::new(),
            due: BTreeSet::new(),
        };
        for (pool_name, pool) in &scenario.policy.pools {
            let paces = scenario.paces.get(pool_name).map_or(&[][..], Vec::as_slice);
            for endpoint in pool.endpoints() {
                for (index, detection) in (0u16..).zip(&pool.detection) {
                    let pace = paces.get(usize::from(index));
                    let interval = pace.map_or(Duration::from_secs(1), |pace| pace.interval);
                    let deep = pace.and_then(|pace| pace.deep);
                    let mut watched = Watched {
                        endpoint: endpoint.clone(),
                        probe: ProbeIndex(index),
                        depth: detection.depth,
                    };
                    let every = deep.map_or(interval, |deep| on_the_grid(deep, interval));
                    let full = detection.depth;
                    let deeper = sights.add(pool_name, watched.clone(), full, every, now);
                    if deep.is_some() {
                        watched.depth = Layer::Speech;
                        let at = sights.add(pool_name, watched, full, interval, now);
                        if let Some((_, _, sight)) = sights.sights.get_mut(at) {
                            sight.deeper = Some(deeper).filter(|deeper| *deeper != at);
                        }
                    }
                }
            }
        }
        sights
    }

    fn add(
        &mut self,
        pool: &PoolName,
        watched: Watched,
        full: Layer,
        every: Duration,
        now: Mono,
    ) -> usize {
        if let Some(at) = self.index.get(&watched) {
            return *at;
        }
        let at = self.sights.len();
        self.due.insert((now, at));
        self.index.insert(watched.clone(), at);
        let sight = Sight {
            full,
            pace: every,
            verdict: Some(Verdict::Good),
            plan: Plan::Every(every),
            next: Some(now),
            taken: None,
            deeper: None,
        };
        self.sights.push((pool.clone(), watched, sight));
        at
    }

    /// From now on looks at this place see this.
    pub(super) fn see(
        &mut self,
        now: Mono,
        scenario: &Scenario,
        place: &Place,
        (probe, depth): (Option<u16>, Option<Layer>),
        verdict: Option<&Verdict>,
        looks: Option<&Looks>,
    ) {
        let endpoints: BTreeMap<Endpoint, &PoolName> = scenario
            .endpoints(place)
            .map(|(pool, endpoint)| (endpoint, pool))
            .collect();
        if let Some(depth) = depth {
            // A depth at which nothing looks at its pace: it is seen as the line says.
            for (endpoint, pool) in &endpoints {
                let Some(configured) = scenario.policy.pools.get(*pool) else {
                    continue;
                };
                for (index, detection) in (0u16..).zip(&configured.detection) {
                    if probe.is_none_or(|probe| probe == index) {
                        let watched = Watched {
                            endpoint: endpoint.clone(),
                            probe: ProbeIndex(index),
                            depth,
                        };
                        let interval = Duration::from_secs(1);
                        self.add(pool, watched, detection.depth, interval, now);
                    }
                }
            }
        }
        for (at, (_, watched, sight)) in self.sights.iter_mut().enumerate() {
            let meant = endpoints.contains_key(&watched.endpoint)
                && probe.is_none_or(|probe| probe == watched.probe.0)
                && depth.is_none_or(|depth| depth == watched.depth);
            if !meant {
                continue;
            }
            if let Some(next) = sight.next.take() {
                self.due.remove(&(next, at));
            }
            sight.change(now, verdict, looks);
            if let Some(next) = sight.next {
                self.due.insert((next, at));
            }
        }
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next look that is due at `now`.
    pub(super) fn look(&mut self, now: Mono) -> Option<Observation> {
        let (at, index) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        let deeper = self.sights.get(index)?.2.deeper;
        let stands_in = deeper.and_then(|deeper| self.sights.get(deeper));
        let stands_in = stands_in.is_some_and(|(_, _, deep)| {
            deep.taken == Some(now) && matches!(deep.plan, Plan::Every(_))
        });
        let (_, watched, sight) = self.sights.get_mut(index)?;
        let is_paced = matches!(sight.plan, Plan::Every(_));
        sight.next = sight.plan.after(now);
        sight.taken = Some(now);
        if let Some(next) = sight.next {
            self.due.insert((next, index));
        }
        if stands_in && is_paced {
            return None;
        }
        let verdict = sight.seen(watched.depth)?;
        Some(observation(watched, now, verdict))
    }

    /// A look at the full depth of each probe, now, because somebody asks.
    pub(super) fn look_now(&self, endpoint: &Endpoint, now: Mono) -> Vec<Observation> {
        let asked = self.sights.iter().filter(|(_, watched, sight)| {
            watched.endpoint == *endpoint && watched.depth == sight.full
        });
        asked
            .filter_map(|(_, watched, sight)| {
                Some(observation(watched, now, sight.seen(watched.depth)?))
            })
            .collect()
    }

    /// Whether a pool serves, as far as anybody could see: so many servers as it needs are good
    /// at one address at least, however deep one looks.
    pub(super) fn serves(&self, scenario: &Scenario, name: &PoolName) -> bool {
        let Some(pool) = scenario.policy.pools.get(name) else {
            return false;
        };
        let mut good: BTreeMap<&Endpoint, bool> = BTreeMap::new();
        for (_, watched, sight) in self.sights.iter().filter(|(of, ..)| of == name) {
            let is_good = sight.verdict.as_ref().is_none_or(|it| *it == Verdict::Good);
            *good.entry(&watched.endpoint).or_insert(true) &= is_good;
        }
        let serving = pool.servers.iter().filter(|server| {
            good.iter()
                .any(|(endpoint, good)| endpoint.server == server.name && *good)
        });
        serving.count() >= pool.min_healthy
    }
}

impl Sight {
    fn change(&mut self, now: Mono, verdict: Option<&Verdict>, looks: Option<&Looks>) {
        self.verdict = verdict.cloned();
        match (verdict, looks) {
            (None, _) => self.next = None,
            (Some(_), None) => {
                self.plan = Plan::Every(self.pace);
                self.next = Some(now);
            }
            (Some(_), Some(looks)) => {
                self.plan = Plan::Listed {
                    begun: now,
                    looks: looks.clone(),
                    done: 0,
                };
                self.next = Some(now);
            }
        }
    }

    /// What a look of this depth sees: not what lies deeper.
    fn seen(&self, depth: Layer) -> Option<Verdict> {
        let verdict = self.verdict.clone()?;
        match verdict.fault() {
            Some((layer, _)) if layer > depth => Some(Verdict::Good),
            Some(_) | None => Some(verdict),
        }
    }
}

impl Plan {
    /// When the look after the one at `now` is taken.
    fn after(&mut self, now: Mono) -> Option<Mono> {
        match self {
            Plan::Every(interval) => Some(now + *interval),
            Plan::Listed { begun, looks, done } => {
                *done += 1;
                if *done >= looks.count {
                    return None;
                }
                let listed = u64::try_from(looks.first.len()).unwrap_or(u64::MAX);
                if *done <= listed {
                    let at = looks.first.get(usize::try_from(*done - 1).ok()?)?;
                    return Some((*begun + *at).max(now));
                }
                // The others spread evenly between the last that is listed and the last of all.
                let known = looks.first.last().copied().unwrap_or_default();
                let rest = looks.last.saturating_sub(known).as_millis();
                let (at, of) = (*done - listed, looks.count - 1 - listed);
                let after = rest * u128::from(at) / u128::from(of.max(1));
                let after = Duration::from_millis(u64::try_from(after).unwrap_or(u64::MAX));
                Some((*begun + known + after).max(now))
            }
        }
    }
}

/// Deep looks are taken when a look is due: the next such time after `deep`.
fn on_the_grid(deep: Duration, interval: Duration) -> Duration {
    let times = deep.as_millis().div_ceil(interval.as_millis().max(1));
    interval * u32::try_from(times).unwrap_or(u32::MAX)
}

fn observation(watched: &Watched, now: Mono, verdict: Verdict) -> Observation {
    Observation {
        endpoint: watched.endpoint.clone(),
        probe: watched.probe,
        begun: now,
        ended: now,
        verdict,
        depth: watched.depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_taken_as_they_were_and_the_rest_evenly() {
        let ms = Duration::from_millis;
        let begun = Mono(ms(5000));
        let mut plan = Plan::Listed {
            begun,
            looks: Looks {
                count: 6,
                first: vec![ms(4), ms(1000)],
                last: ms(4000),
            },
            done: 0,
        };
        let mut at = begun;
        let mut taken = Vec::new();
        while let Some(next) = plan.after(at) {
            at = next;
            taken.push(at.since(begun).as_millis());
        }
        assert_eq!(taken, [4, 1000, 2000, 3000, 4000]);
    }
}
