//! `switchback drill`: there and back, with witnesses.
//!
//! Reading order: `may` (what speaks against it), `leg` (one move, watched), `report` (what is
//! told of it).

mod leg;
mod may;
mod report;

use std::io::{BufRead, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::args::Drill;
use super::ask::{ask, other_answer, write_json};
use super::output::{CommandError, Out, complain};
use super::{Exit, order, verify, wiring};
use crate::admin::status::{ServiceStatus, Transport};
use crate::admin::text::{self, Paint, tame};
use crate::admin::{Answer, Request};
use crate::ids::{PoolName, ServiceName};
use crate::lookup::Patience;
use crate::survey::{Survey, Witness};
use crate::verify::Expected;
use leg::Ended;
use report::{Baseline, Leg, Report};

/// A question of a drill is soon asked again: one attempt, so that a lost packet costs a second.
const BRISK: Patience = Patience {
    udp: Duration::from_secs(1),
    attempts: 1,
    tcp: Duration::from_secs(2),
};
/// Beyond the longest TTL.
const MARGIN: Duration = Duration::from_secs(30);

/// One drill under way.
struct Exercise<'a> {
    arguments: &'a Drill,
    service: ServiceName,
    runtime: Runtime,
    survey: Survey,
    expected: Arc<Expected>,
    witnesses: Vec<Witness>,
    patience: Duration,
    /// Whether somebody wants it to end.
    interrupted: Arc<AtomicBool>,
}

pub(super) fn run(arguments: &Drill, out: &mut Out) -> Result<Exit, CommandError> {
    let exercise = Exercise::prepare(arguments)?;
    let now = exercise.status()?;
    let from = now.active.clone();
    let to = exercise.target(&now)?;
    let baseline = exercise.baseline();
    let mut against = may::obstacles(&now, &to);
    against.extend(may::dissent(&baseline, &from));
    if arguments.shadow {
        return exercise.shadow(&now, &to, baseline, against, out);
    }
    if !arguments.by.json {
        exercise.announce(&from, &to, &baseline, &against, out)?;
    }
    if !against.is_empty() && !arguments.force {
        let why = format!(
            "not begun, nothing has changed: {}; put that right, or use --force",
            against.join("; ")
        );
        complain(&CommandError::Refused(why));
        return Ok(Exit::Refused);
    }
    if !arguments.yes && !confirmed(out)? {
        let why = "not confirmed, nothing has changed (--yes begins without asking)";
        complain(&CommandError::Refused(why.to_owned()));
        return Ok(Exit::Refused);
    }
    exercise.heed_interrupts()?;
    exercise.there_and_back(&now, &to, baseline, &against, out)
}

impl<'a> Exercise<'a> {
    fn prepare(arguments: &'a Drill) -> Result<Exercise<'a>, CommandError> {
        let runtime = wiring::runtime()?;
        let survey = wiring::survey(&arguments.resolvers, None, BRISK)?;
        let service = ServiceName::from(arguments.service.as_str());
        let daemon = &arguments.by.daemon;
        let expected = verify::expected(daemon, &service)?;
        if !expected.published {
            return Err(CommandError::Failed(
                "no daemon answers here: a drill is ordered of the daemon, so run it on its machine, \
                 or name its socket with --control"
                    .to_owned(),
            ));
        }
        let Answer::Status(status) = ask(daemon, &Request::Status)? else {
            return Err(other_answer());
        };
        let dns = status
            .listening
            .iter()
            .filter(|it| it.transport == Transport::Dns);
        let dns: Vec<SocketAddr> = dns.map(|it| reachable(it.address)).collect();
        let witnesses = runtime.block_on(survey.witnesses(&expected, &dns));
        let longest = Duration::from_secs(expected.ttl_max_s) + MARGIN;
        Ok(Exercise {
            patience: arguments.patience.unwrap_or(longest),
            arguments,
            service,
            runtime,
            survey,
            expected: Arc::new(expected),
            witnesses,
            interrupted: Arc::new(AtomicBool::new(false)),
        })
    }

    /// From now on ctrl-C ends the watching and not the process. Before, nothing has been ordered.
    fn heed_interrupts(&self) -> Result<(), CommandError> {
        let _on_it = self.runtime.enter();
        let told = wiring::told_to_end()?;
        let flag = Arc::clone(&self.interrupted);
        self.runtime.spawn(async move {
            told.await;
            flag.store(true, Ordering::Relaxed);
        });
        Ok(())
    }

    fn status(&self) -> Result<ServiceStatus, CommandError> {
        let request = Request::Service {
            service: self.service.clone(),
        };
        let Answer::Service(service) = ask(&self.arguments.by.daemon, &request)? else {
            return Err(other_answer());
        };
        Ok(*service)
    }

    /// The pool to move to.
    fn target(&self, now: &ServiceStatus) -> Result<PoolName, CommandError> {
        let pools = now.ranking.iter().map(|ranked| &ranked.pool);
        let mut others = pools.filter(|pool| **pool != now.active);
        let wanted = self.arguments.to.as_deref();
        let found = match wanted {
            Some(wanted) => others.find(|pool| pool.as_str() == wanted),
            None => others.next(),
        };
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> = now.ranking.iter().map(|it| it.pool.as_str()).collect();
            CommandError::Failed(format!(
                "{} is active for {}, and there is no other pool {}to move to; its pools are: {}",
                now.active,
                self.service,
                wanted.map(|pool| format!("{pool} ")).unwrap_or_default(),
                known.join(", ")
            ))
        })
    }

    /// What everybody says before.
    fn baseline(&self) -> Vec<Baseline> {
        let heard = self.survey.hear_all(&self.expected, &self.witnesses);
        let heard = self.runtime.block_on(heard);
        let all = self.witnesses.iter().zip(heard);
        all.map(|(witness, said)| Baseline {
            rank: witness.rank,
            name: witness.name.clone(),
            says: said.as_ref().ok().cloned().flatten(),
            silent: said.err().map(|why| why.to_string()),
        })
        .collect()
    }

    fn announce(
        &self,
        from: &PoolName,
        to: &PoolName,
        baseline: &[Baseline],
        against: &[String],
        out: &mut Out,
    ) -> Result<(), CommandError> {
        let paint = out.paint();
        let what = if self.arguments.shadow {
            "shadow drill, nothing is ordered"
        } else {
            "drill"
        };
        let title = format!("{}: {what}: from {from} to {to} and back", self.service);
        writeln!(out, "{}", paint.head(&title))?;
        for one in baseline {
            writeln!(out, "  {}", one.line(paint))?;
        }
        for why in against {
            writeln!(out, "  {} {}", paint.loud("against it:"), tame(why))?;
        }
        if against.is_empty() {
            writeln!(out, "  {}", paint.good("nothing speaks against it"))?;
        }
        out.flush()?;
        Ok(())
    }

    /// The move there, and the move back.
    fn orders(&self, before: &ServiceStatus, to: &PoolName) -> [Request; 2] {
        let by = || order::claim(&self.arguments.by, Some(&self.arguments.reason));
        let (service, force) = (&self.service, self.arguments.force);
        // A drill is about the move itself: it does not wait for caches first.
        let failover = |to: &PoolName| Request::Failover {
            service: service.clone(),
            to: Some(to.clone()),
            force,
            now: true,
            if_generation: None,
            by: by(),
        };
        // A failback also lets automatic failback go on, which the failover held back.
        let back = if before.active == before.preferred {
            Request::Failback {
                service: service.clone(),
                force,
                now: true,
                by: by(),
            }
        } else {
            failover(&before.active)
        };
        [failover(to), back]
    }

    /// All but the orders: what they would do, both ways.
    fn shadow(
        &self,
        now: &ServiceStatus,
        to: &PoolName,
        baseline: Vec<Baseline>,
        mut against: Vec<String>,
        out: &mut Out,
    ) -> Result<Exit, CommandError> {
        let orders = Vec::from(self.orders(now, to));
        let plans = match order::plans(&self.arguments.by.daemon, orders) {
            Ok(plans) => plans,
            Err(CommandError::Refused(why)) => {
                against.push(why);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        // What the way back says again stands in the way once.
        for why in plans.iter().flat_map(|plan| &plan.in_the_way) {
            if !against.contains(why) {
                against.push(why.clone());
            }
        }
        if self.arguments.by.json {
            let mut report = self.report(&now.active, to, baseline, &against, Vec::new());
            report.plans = plans;
            write_json(&report, out)?;
        } else {
            self.announce(&now.active, to, &baseline, &against, out)?;
            for plan in &plans {
                write!(out, "\n{}", text::plan(plan, out.paint()))?;
            }
        }
        Ok(if against.is_empty() {
            Exit::Well
        } else {
            Exit::NotWell
        })
    }

    fn there_and_back(
        &self,
        before: &ServiceStatus,
        to: &PoolName,
        baseline: Vec<Baseline>,
        against: &[String],
        out: &mut Out,
    ) -> Result<Exit, CommandError> {
        let from = &before.active;
        let [there, back] = self.orders(before, to);
        let mut legs = Vec::new();
        for (request, from, to) in [(&there, from, to), (&back, to, from)] {
            let is_back = !legs.is_empty();
            // A move that never began may begin yet: the way back is ordered all the same.
            let has_begun = legs.iter().all(|leg: &Leg| leg.operation.is_some());
            if is_back && has_begun && self.status()?.active == *to {
                break;
            }
            let (leg, ended) = self.leg(request, from, to, out)?;
            legs.push(leg);
            match ended {
                Ended::Arrived | Ended::Stands => {}
                Ended::Refused(why) => {
                    complain(&CommandError::Refused(why));
                    if !is_back {
                        return Ok(Exit::Refused);
                    }
                }
                Ended::Interrupted => {
                    self.how_to_go_on(&before.active, &before.preferred, out)?;
                    return Ok(Exit::NotWell);
                }
            }
        }
        let after = self.status()?;
        let home = after.active == before.active;
        let well = home && legs.len() == 2 && legs.iter().all(Leg::is_well);
        let report = self.report(&before.active, to, baseline, against, legs);
        if self.arguments.by.json {
            write_json(&report, out)?;
        } else {
            report.write(out)?;
        }
        if !home {
            self.how_to_go_on(&before.active, &before.preferred, out)?;
        }
        Ok(if well { Exit::Well } else { Exit::NotWell })
    }

    fn report(
        &self,
        from: &PoolName,
        to: &PoolName,
        baseline: Vec<Baseline>,
        against: &[String],
        legs: Vec<Leg>,
    ) -> Report {
        Report {
            service: self.service.clone(),
            shadow: self.arguments.shadow,
            from: from.clone(),
            to: to.clone(),
            against: against.to_vec(),
            before: baseline,
            plans: Vec::new(),
            legs,
        }
    }

    /// Where the service stands, and how it comes back.
    fn how_to_go_on(
        &self,
        home: &PoolName,
        preferred: &PoolName,
        out: &mut Out,
    ) -> Result<(), CommandError> {
        let service = &self.service;
        let command = if home == preferred {
            format!("switchback failback {service}")
        } else {
            format!("switchback failover {service} --to {home} --reason 'back after a drill'")
        };
        let mut lines = Vec::new();
        match self.status() {
            Ok(now) => {
                let under_way = now.operation.as_ref().filter(|it| it.ended.is_none());
                lines.push(match under_way {
                    Some(operation) => format!(
                        "{service}: {} is active; {} from {} to {} is {}, and goes on without this command",
                        now.active, operation.id, operation.from, operation.to, operation.state
                    ),
                    None => format!("{service}: {} is active, nothing is under way", now.active),
                });
                if now.active != *home || under_way.is_some() {
                    lines.push(format!("it was at {home}; to bring it back: {command}"));
                }
            }
            Err(error) => {
                lines.push(format!("where {service} stands is not known: {error}"));
                lines.push(format!("it was at {home}; to bring it back: {command}"));
            }
        }
        if self.arguments.by.json {
            // Standard output is for the one object.
            for line in lines {
                complain(&CommandError::Failed(line));
            }
            return Ok(());
        }
        let paint: Paint = out.paint();
        for line in lines {
            writeln!(out, "{}", paint.loud(&tame(&line)))?;
        }
        out.flush()?;
        Ok(())
    }
}

/// An address to ask, for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let at = |ip| SocketAddr::new(ip, address.port());
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => at(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => at(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

fn confirmed(out: &mut Out) -> Result<bool, CommandError> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    write!(out, "begin? [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    Ok(read.is_ok() && matches!(line.trim(), "y" | "yes"))
}
