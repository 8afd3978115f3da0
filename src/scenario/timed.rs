//! What stands behind a time.

use std::time::Duration;

use super::model::{Expectation, Happening, Looks, Place, Scenario, Targets};
use super::terms::LAYERS;
use super::words::{Fault, Word, Words, span};
use crate::failover::{By, Handling, Order, Override, Subject, Which};
use crate::health::Verdict;
use crate::ids::{Endpoint, OperationId, PoolName, ServerName, ServiceName};
use crate::time::Wall;

/// So many looks are in one run at the most.
const LOOKS_MAX: u64 = 100_000_000;

/// Reads what happens `at` this time. The order of a service, a pool or a server that the
/// scenario does not have is a fault; what the engine refuses is not.
pub(super) fn happening(
    words: &mut Words,
    scenario: &Scenario,
    at: Duration,
) -> Result<Happening, Fault> {
    let keyword = words.need("what happens")?;
    Ok(match keyword.text.as_str() {
        "see" => see(words, scenario)?,
        "uplink" => {
            let answer =
                words.one_of("the state of an uplink", &[("up", true), ("down", false)])?;
            let targets = if words.has("ipv4") {
                Targets::V4
            } else if words.has("ipv6") {
                Targets::V6
            } else {
                Targets::All
            };
            Happening::Reference { targets, answer }
        }
        "reference" => {
            let word = words.need("a reference target")?;
            let target = word.text.parse().ok();
            let target = target.filter(|target| scenario.policy.references.contains(target));
            let Some(target) = target else {
                let message = format!("'{}' is not one of 'references'", word.text);
                return Err(words.fault(&word, message));
            };
            let known = [("answers", true), ("silent", false)];
            Happening::Reference {
                targets: Targets::One(target),
                answer: words.one_of("what a target does", &known)?,
            }
        }
        "secondaries" => Happening::Secondaries {
            follow: words.one_of("what secondaries do", &[("follow", true), ("lag", false)])?,
        },
        "order" => Happening::Order(order(words, scenario, at)?),
        "store" => Happening::Store {
            works: words.one_of("what a store does", &[("works", true), ("fails", false)])?,
        },
        "stop" => Happening::Stop,
        "start" => Happening::Start,
        "end" => Happening::End,
        "expect" => Happening::Expect(expectation(words, scenario)?),
        other => {
            let message = format!(
                "'{other}' is nothing that happens, write see, order, uplink, reference, secondaries, \
                 store, stop, start, expect or end"
            );
            return Err(words.fault(&keyword, message));
        }
    })
}

fn see(words: &mut Words, scenario: &Scenario) -> Result<Happening, Fault> {
    let place = place(words, scenario)?;
    let probe = if words.has("probe") {
        let number = words.number("the place of a probe in its pool", 1, 1000)?;
        u16::try_from(number - 1).ok()
    } else {
        None
    };
    let depth = if words.has("depth") {
        Some(words.one_of("a depth", &LAYERS)?)
    } else {
        None
    };
    let verdict = if words.has("nothing") {
        None
    } else {
        Some(verdict(words)?)
    };
    let looks = if words.has("looks") {
        Some(looks(words)?)
    } else {
        None
    };
    Ok(Happening::See {
        place,
        probe,
        depth,
        verdict,
        looks,
    })
}

fn place(words: &mut Words, scenario: &Scenario) -> Result<Place, Fault> {
    let word = words.need("a pool or a server")?;
    let pool = PoolName::from(word.text.as_str());
    if scenario.policy.pools.contains_key(&pool) {
        return Ok(Place::Pool(pool));
    }
    let name = ServerName::from(word.text.as_str());
    let mut servers = scenario
        .policy
        .pools
        .values()
        .flat_map(|pool| &pool.servers);
    let Some(server) = servers.find(|server| server.name == name) else {
        let message = format!(
            "'{}' is neither a pool nor a server of this scenario",
            word.text
        );
        return Err(words.fault(&word, message));
    };
    let is_address = |text: &str| text.parse().ok();
    match words.try_next(is_address) {
        None => Ok(Place::Server(name)),
        Some(address) if server.addresses.contains(&address) => Ok(Place::Endpoint(Endpoint {
            server: name,
            address,
        })),
        Some(address) => Err(words.fault(&word, format!("'{name}' has no address {address}"))),
    }
}

fn verdict(words: &mut Words) -> Result<Verdict, Fault> {
    let word = words.need("what the looks see")?;
    let simple = [
        Verdict::Good,
        Verdict::Refused,
        Verdict::Filtered,
        Verdict::Unreachable,
        Verdict::NoRoute,
        Verdict::Closed,
        Verdict::Hung,
        Verdict::HostUnknown,
        Verdict::NoStarttls,
        Verdict::CertificateExpired,
    ];
    if let Some(verdict) = simple.iter().find(|verdict| verdict.word() == word.text) {
        return Ok(verdict.clone());
    }
    let detailed: [fn(String) -> Verdict; 7] = [
        Verdict::NotMade,
        Verdict::StreamError,
        Verdict::NotXmpp,
        Verdict::TlsFailed,
        Verdict::CertificateName,
        Verdict::CertificateUntrusted,
        Verdict::ExecFailed,
    ];
    let Some(with) = detailed
        .iter()
        .find(|with| with(String::new()).word() == word.text)
    else {
        let mut known: Vec<&str> = simple.iter().map(Verdict::word).collect();
        known.extend(detailed.iter().map(|with| with(String::new()).word()));
        let message = format!(
            "'{}' is no verdict, write nothing or {}",
            word.text,
            known.join(", ")
        );
        return Err(words.fault(&word, message));
    };
    let detail = if words.has("because") {
        words.need("what was said")?.text
    } else {
        String::new()
    };
    Ok(with(detail))
}

fn looks(words: &mut Words) -> Result<Looks, Fault> {
    let count = words.number("a number of looks", 1, LOOKS_MAX)?;
    let plus = |text: &str| text.strip_prefix('+').and_then(span);
    let (mut first, mut last) = (Vec::new(), Duration::ZERO);
    if words.has("at") {
        while let Some(after) = words.try_next(plus) {
            first.push(after);
        }
    }
    if words.has("last") {
        let word = words.need("the time of the last look after the first")?;
        last = plus(&word.text).ok_or_else(|| {
            words.fault(
                &word,
                format!("'{}' is no time after the first, write +17.2s", word.text),
            )
        })?;
    }
    let last = last.max(first.last().copied().unwrap_or_default());
    let listed = u64::try_from(first.len()).unwrap_or(u64::MAX);
    if !first.is_sorted() || listed >= count {
        return Err(words
            .fault_here("the times of the first looks go forward, and are fewer than the looks"));
    }
    Ok(Looks { count, first, last })
}

fn order(words: &mut Words, scenario: &Scenario, at: Duration) -> Result<Order, Fault> {
    let verb = words.need("an order")?;
    let mut service = None;
    let (mut target, mut server) = (None, None);
    match verb.text.as_str() {
        "failover" => {
            service = Some(service_name(words, scenario)?);
            if words.has("to") {
                target = Some(words.need("a pool")?);
            }
        }
        "failback" | "unpin" | "freeze" | "thaw" | "retry" | "abort" | "resume" => {
            service = Some(service_name(words, scenario)?);
        }
        "skip" => {
            service = Some(service_name(words, scenario)?);
            target = Some(words.need("a step")?);
            server = words
                .has("on")
                .then(|| words.need("a server"))
                .transpose()?;
        }
        "pin" | "readmit" => {
            service = Some(service_name(words, scenario)?);
            target = Some(words.need("a pool")?);
        }
        "drain" | "undrain" => target = Some(words.need("a pool or a server")?),
        "approve" | "reject" => target = Some(words.need("a service or an operation")?),
        other => {
            let message = format!(
                "'{other}' is no order, write failover, failback, drain, undrain, pin, unpin, \
                 freeze, thaw, approve, reject, readmit, retry, skip, abort or resume"
            );
            return Err(words.fault(&verb, message));
        }
    }
    let mut by = By {
        author: "somebody".to_owned(),
        reason: String::new(),
    };
    let (mut lasts, mut force, mut hurry) = (None, false, false);
    loop {
        if words.has("by") {
            by.author = words.need("who orders it")?.text;
        } else if words.has("reason") {
            by.reason = words.need("why")?.text;
        } else if words.has("for") {
            lasts = Some(words.duration("for how long")?);
        } else if words.has("force") {
            force = true;
        } else if words.has("now") {
            hurry = true;
        } else {
            break;
        }
    }
    if let (Some(service), Some(how)) = (&service, handling(&verb, target.as_ref(), server)) {
        let service = service.clone();
        return Ok(Order::Handle { service, how, by });
    }
    let now = scenario.start + at;
    let expires = lasts.map(|lasts| now + lasts);
    let said = Said {
        by,
        now,
        expires,
        force,
        hurry,
    };
    said.order(words, scenario, &verb, service, target)
}

/// What is said of an operation, if that is what the order is.
fn handling(verb: &Word, step: Option<&Word>, server: Option<Word>) -> Option<Handling> {
    match (verb.text.as_str(), step) {
        ("retry", _) => Some(Handling::Retry),
        ("abort", _) => Some(Handling::Abort),
        ("resume", _) => Some(Handling::Resume),
        ("skip", Some(step)) => Some(Handling::Skip {
            step: step.text.clone(),
            server: server.map(|server| server.text.as_str().into()),
        }),
        _ => None,
    }
}

struct Said {
    by: By,
    now: Wall,
    expires: Option<Wall>,
    force: bool,
    hurry: bool,
}

impl Said {
    fn order(
        self,
        words: &Words,
        scenario: &Scenario,
        verb: &Word,
        service: Option<ServiceName>,
        target: Option<Word>,
    ) -> Result<Order, Fault> {
        let pool = target
            .as_ref()
            .map(|word| PoolName::from(word.text.as_str()));
        let (by, force, now) = (self.by.clone(), self.force, self.hurry);
        Ok(match (verb.text.as_str(), service, pool) {
            ("failover", Some(service), to) => Order::Failover {
                service,
                to,
                by,
                force,
                now,
            },
            ("failback", Some(service), _) => Order::Failback {
                service,
                by,
                force,
                now,
            },
            ("approve", _, Some(what)) => Order::Approve {
                which: which(what.as_str(), scenario),
                by,
            },
            ("reject", _, Some(what)) => Order::Reject {
                which: which(what.as_str(), scenario),
                by,
            },
            ("readmit", Some(service), Some(pool)) => Order::Readmit { service, pool, by },
            ("pin", Some(service), pool) => self.set(Subject::Pin(service), pool),
            ("freeze", Some(service), _) => self.set(Subject::Freeze(service), None),
            ("unpin", Some(service), _) => Order::Clear {
                subject: Subject::Pin(service),
                by,
            },
            ("thaw", Some(service), _) => Order::Clear {
                subject: Subject::Freeze(service),
                by,
            },
            (verb, _, Some(pool)) => {
                let drained = if scenario.policy.pools.contains_key(&pool) {
                    Subject::DrainPool(pool)
                } else {
                    Subject::DrainServer(ServerName::from(pool.as_str()))
                };
                if verb == "undrain" {
                    Order::Clear {
                        subject: drained,
                        by,
                    }
                } else {
                    self.set(drained, None)
                }
            }
            _ => return Err(words.fault(verb, "this order is not complete")),
        })
    }

    fn set(self, subject: Subject, pool: Option<PoolName>) -> Order {
        Order::Set {
            said: Override {
                subject,
                pool,
                author: self.by.author,
                reason: self.by.reason,
                since: self.now,
                expires: self.expires,
                now: self.hurry,
            },
            force: self.force,
        }
    }
}

/// A service, else the number of an operation.
fn which(what: &str, scenario: &Scenario) -> Which {
    let service = ServiceName::from(what);
    let number = what.strip_prefix("op-").and_then(|id| id.parse().ok());
    match number {
        Some(id) if !scenario.policy.services.contains_key(&service) => {
            Which::Operation(OperationId(id))
        }
        Some(_) | None => Which::Service(service),
    }
}

fn service_name(words: &mut Words, scenario: &Scenario) -> Result<ServiceName, Fault> {
    let word = words.need("a service")?;
    let name = ServiceName::from(word.text.as_str());
    if scenario.policy.services.contains_key(&name) {
        return Ok(name);
    }
    Err(words.fault(
        &word,
        format!("there is no service '{name}' in this scenario"),
    ))
}

fn pool_of(
    words: &mut Words,
    scenario: &Scenario,
    service: &ServiceName,
) -> Result<PoolName, Fault> {
    let word = words.need("a pool")?;
    let name = PoolName::from(word.text.as_str());
    let known = scenario.policy.services.get(service);
    if known.is_some_and(|known| known.pools.contains(&name)) {
        return Ok(name);
    }
    Err(words.fault(&word, format!("service '{service}' has no pool '{name}'")))
}

fn expectation(words: &mut Words, scenario: &Scenario) -> Result<Expectation, Fault> {
    if words.has("refused") {
        return Ok(Expectation::Refused(
            words.need("the beginning of the refusal")?.text,
        ));
    }
    if words.has("taken") {
        return Ok(Expectation::Taken);
    }
    if words.has("hooks") {
        let mut ran = Vec::new();
        while let Some(word) = words.next() {
            ran.push(word.text);
        }
        return Ok(Expectation::Hooks(ran));
    }
    let service = service_name(words, scenario)?;
    let what = words.need("what is expected of it")?;
    Ok(match what.text.as_str() {
        "active" => Expectation::Active(service.clone(), pool_of(words, scenario, &service)?),
        "order" => {
            let pools = scenario
                .policy
                .services
                .get(&service)
                .map_or(0, |known| known.pools.len());
            let order: Result<Vec<PoolName>, Fault> = (0..pools)
                .map(|_| pool_of(words, scenario, &service))
                .collect();
            Expectation::Order(service, order?)
        }
        "ttl" => Expectation::Ttl(service, words.duration("a TTL")?),
        "because" => Expectation::Because(service, words.need("the reason")?.text),
        "moves" if words.has("to") => {
            let to = pool_of(words, scenario, &service)?;
            let within = if words.has("within") {
                words.duration("how long before or after")?
            } else {
                Duration::ZERO
            };
            Expectation::Move(service, to, within)
        }
        "moves" => {
            let count = words.number("a number of moves", 0, 1_000_000)?;
            Expectation::Moves(service, usize::try_from(count).unwrap_or(usize::MAX))
        }
        other => {
            let message = format!(
                "'{other}' cannot be expected, write active, order, ttl, because, moves, moves to"
            );
            return Err(words.fault(&what, message));
        }
    })
}
