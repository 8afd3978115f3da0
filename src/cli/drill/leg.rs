//! One move, ordered and watched.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Exercise;
use super::report::{Leg, Saw, Step};
use crate::admin::status::{OperationStatus, ServiceStatus};
use crate::admin::text::tame;
use crate::admin::{Answer, Request};
use crate::cli::ask::{ask, other_answer};
use crate::cli::output::{CommandError, Out};
use crate::clock;
use crate::ids::{OperationId, PoolName};
use crate::survey::{Rank, Watching};
use crate::time::Mono;

/// The daemon is asked so often.
const EVERY: Duration = Duration::from_millis(50);
/// An operation that was ordered begins within this, or waits for something that a drill does not
/// wait for.
const BEGIN_MAX: Duration = Duration::from_secs(60);
/// A daemon that is restarted answers again within this time.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How a leg ended.
pub(super) enum Ended {
    /// The service is where it was sent.
    Arrived,
    /// It is not: the runbook halted, or never began.
    Stands,
    /// The daemon refused.
    Refused(String),
    /// Somebody wants no more of it.
    Interrupted,
}

/// What is known of a leg under way.
struct Course {
    ordered: Mono,
    began: Option<Mono>,
    over: Option<Mono>,
    operation: Option<OperationId>,
    last: Option<ServiceStatus>,
    /// Of which witnesses a line was written.
    told: Vec<bool>,
}

impl Exercise<'_> {
    /// Orders a move and watches it until everybody has seen it, or patience ends.
    pub(super) fn leg(
        &self,
        request: &Request,
        from: &PoolName,
        to: &PoolName,
        out: &mut Out,
    ) -> Result<(Leg, Ended), CommandError> {
        let watching = {
            let _on_it = self.runtime.enter();
            self.survey.watch(&self.expected, &self.witnesses, to)
        };
        let at = clock::wall();
        let mut course = Course {
            ordered: clock::mono(),
            began: None,
            over: None,
            operation: None,
            last: None,
            told: vec![false; self.witnesses.len()],
        };
        self.say(out, &format!("ordered: from {from} to {to}"))?;
        let ended = match ask(&self.arguments.by.daemon, request) {
            Ok(Answer::Ordered(ordered)) => {
                let mut moving = ordered.moving.iter();
                let ours = moving.find(|moving| moving.service == self.service);
                course.operation = ours.and_then(|moving| moving.operation);
                course.began = course.operation.map(|_| clock::mono());
                self.follow(&mut course, &watching, to, out)?
            }
            Ok(_) => return Err(other_answer()),
            Err(CommandError::Refused(why)) => Ended::Refused(why),
            Err(error) => return Err(error),
        };
        Ok((self.record(at, from, to, &course, &watching), ended))
    }

    fn follow(
        &self,
        course: &mut Course,
        watching: &Watching,
        to: &PoolName,
        out: &mut Out,
    ) -> Result<Ended, CommandError> {
        let mut heard = clock::mono();
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                return Ok(Ended::Interrupted);
            }
            match self.status() {
                Ok(now) => {
                    heard = clock::mono();
                    course.hear(now);
                }
                Err(error) if clock::mono().since(heard) > SILENCE_MAX => return Err(error),
                Err(_) => {}
            }
            self.tell_of_witnesses(course, watching, to, out)?;
            let now = clock::mono();
            let arrived = course.last.as_ref().is_some_and(|last| last.active == *to);
            match course.over {
                Some(_) if !arrived => return Ok(Ended::Stands),
                Some(_) if course.told.iter().all(|told| *told) => return Ok(Ended::Arrived),
                Some(over) if now.since(over) > self.patience => return Ok(Ended::Arrived),
                None if course.began.is_none() && now.since(course.ordered) > BEGIN_MAX => {
                    return Ok(Ended::Stands);
                }
                Some(_) | None => {}
            }
            std::thread::park_timeout(EVERY);
        }
    }

    fn tell_of_witnesses(
        &self,
        course: &mut Course,
        watching: &Watching,
        to: &PoolName,
        out: &mut Out,
    ) -> Result<(), CommandError> {
        let all = self.witnesses.iter().zip(watching.seen());
        for ((witness, seen), told) in all.zip(&mut course.told) {
            if let (Some(seen), false) = (seen, *told) {
                *told = true;
                let after = seen.since(course.ordered).as_secs_f64();
                self.say(out, &format!("{after:>8.3} s  {} says {to}", witness.name))?;
            }
        }
        Ok(())
    }

    fn say(&self, out: &mut Out, line: &str) -> Result<(), CommandError> {
        if !self.arguments.by.json {
            writeln!(out, "  {}", tame(line))?;
            out.flush()?;
        }
        Ok(())
    }

    fn record(
        &self,
        at: crate::time::Wall,
        from: &PoolName,
        to: &PoolName,
        course: &Course,
        watching: &Watching,
    ) -> Leg {
        let after = |then: Option<Mono>| {
            let took = then?.since(course.ordered).as_millis();
            Some(u64::try_from(took).unwrap_or(u64::MAX))
        };
        let all = self.witnesses.iter().zip(watching.seen());
        let saw: Vec<Saw> = all
            .map(|(witness, seen)| Saw {
                rank: witness.rank,
                name: witness.name.clone(),
                after_ms: after(seen),
            })
            .collect();
        let resolvers = saw.iter().filter(|it| it.rank == Rank::Resolver);
        let resolvers: Vec<Option<u64>> = resolvers.map(|it| it.after_ms).collect();
        let all_resolvers: Option<Vec<u64>> = resolvers.iter().copied().collect();
        let last = course.last.as_ref();
        let operation = last.and_then(|last| course.ours(last));
        Leg {
            from: from.clone(),
            to: to.clone(),
            ordered_at: at,
            operation: course.operation,
            state: operation.map_or_else(String::new, |it| it.state.clone()),
            arrived: last.is_some_and(|last| last.active == *to),
            because: last.map_or_else(String::new, because),
            decision_ms: after(course.began),
            swap_ms: saw
                .iter()
                .find(|it| it.rank == Rank::Daemon)
                .and_then(|it| it.after_ms),
            over_ms: after(course.over),
            first_resolver_ms: resolvers.iter().flatten().min().copied(),
            last_resolver_ms: all_resolvers.and_then(|all| all.into_iter().max()),
            steps: operation.map_or_else(Vec::new, steps),
            witnesses: saw,
        }
    }
}

impl Course {
    fn hear(&mut self, now: ServiceStatus) {
        let under_way = now.operation.as_ref().filter(|it| it.ended.is_none());
        if let (Some(operation), None) = (under_way, self.operation) {
            self.operation = Some(operation.id);
        }
        if self.operation.is_some() && self.began.is_none() {
            self.began = Some(clock::mono());
        }
        let ended = under_way.is_none() && self.began.is_some();
        if ended && self.over.is_none() {
            self.over = Some(clock::mono());
        }
        self.last = Some(now);
    }

    fn ours<'s>(&self, last: &'s ServiceStatus) -> Option<&'s OperationStatus> {
        let shown = last.operation.as_ref();
        shown.filter(|operation| Some(operation.id) == self.operation)
    }
}

/// Why a service stands where it stands.
fn because(last: &ServiceStatus) -> String {
    match &last.halted {
        Some(halt) => halt.because.clone(),
        None => last.because.clone(),
    }
}

fn steps(operation: &OperationStatus) -> Vec<Step> {
    let steps = operation.steps.iter().map(|task| Step {
        name: task.name.clone(),
        server: task.server.clone(),
        state: task.state,
        attempt: task.attempt,
        took_ms: task.took_ms,
    });
    steps.collect()
}
