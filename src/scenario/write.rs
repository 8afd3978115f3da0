//! A scenario to text, that reads as the same scenario.

use std::fmt::Write as _;
use std::time::Duration;

use super::model::{
    Expectation, Happening, HookLine, Looks, Place, START, Scenario, Standing, Targets, Timed,
};
use super::terms::LAYERS;
use super::words::{name, quote, show_span};
use crate::chronicle::Pace;
use crate::failover::{
    Detection, Failback, Handling, HookOutcome, Mode, OnHalt, Order, Override, Pool, Service,
    Standby, Subject,
};
use crate::health::{Layer, Verdict};
use crate::ids::{PoolName, ServiceName};
use crate::runbook::{
    Act, AfterCrash, Command, Condition, Each, OnFailure, Pause, Side, Step, Work,
};
use crate::time::Wall;

/// Writes `scenario`. Times are absolute if it says when it starts, else they count from there.
#[must_use]
pub fn write(scenario: &Scenario) -> String {
    let mut text = String::new();
    if !scenario.title.is_empty() {
        line(&mut text, &format!("scenario {}", quote(&scenario.title)));
    }
    if scenario.start != START {
        line(&mut text, &format!("start {}", scenario.start));
    }
    if !scenario.policy.references.is_empty() {
        let references = scenario.policy.references.iter().map(ToString::to_string);
        let references: Vec<String> = references.collect();
        line(&mut text, &format!("references {}", references.join(" ")));
    }
    for (pool_name, pool) in &scenario.policy.pools {
        let paces = scenario.paces.get(pool_name).map_or(&[][..], Vec::as_slice);
        write_pool(&mut text, pool_name, pool, paces);
    }
    for (service_name, service) in &scenario.policy.services {
        write_service(&mut text, service_name, service);
    }
    if !scenario.standing.is_empty() || !scenario.hooks.is_empty() {
        text.push('\n');
    }
    for (service, standing) in &scenario.standing {
        write_standing(&mut text, service, standing, scenario.start);
    }
    for hook in &scenario.hooks {
        line(&mut text, &hook_line(hook));
    }
    text.push('\n');
    for timed in &scenario.lines {
        let at = if scenario.start == START {
            show_span(timed.at)
        } else {
            (scenario.start + timed.at).to_string()
        };
        line(&mut text, &format!("{at}  {}", happening(timed, scenario)));
    }
    text
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}

fn write_pool(text: &mut String, pool_name: &PoolName, pool: &Pool, paces: &[Pace]) {
    let Pool {
        servers,
        min_healthy,
        standby,
        detection,
        // Words for hooks, which do not run here.
        vars: _,
    } = pool;
    let mut head = format!("\npool {}", name(pool_name.as_str()));
    match standby {
        Standby::Cold => head += " cold",
        Standby::Hot => {}
    }
    if *min_healthy != 1 {
        let _ = write!(head, " min-healthy {min_healthy}");
    }
    line(text, &head);
    for server in servers {
        let mut words = format!("  server {}", name(server.name.as_str()));
        for address in &server.addresses {
            let _ = write!(words, " {address}");
        }
        if server.weight != 50 {
            let _ = write!(words, " weight {}", server.weight);
        }
        line(text, &words);
    }
    let every_second = Pace {
        interval: Duration::from_secs(1),
        deep: None,
    };
    for (index, detection) in detection.iter().enumerate() {
        let pace = paces.get(index).unwrap_or(&every_second);
        let Detection {
            depth,
            rise,
            fall,
            stale_after,
            tls_stale_after,
        } = detection;
        let mut words = format!(
            "  probe depth {} interval {}",
            layer(*depth),
            show_span(pace.interval)
        );
        if let Some(deep) = pace.deep {
            let _ = write!(words, " deep {}", show_span(deep));
        }
        let (stale, deep_stale) = (show_span(*stale_after), show_span(*tls_stale_after));
        let _ = write!(
            words,
            " rise {rise} fall {fall} stale {stale} deep-stale {deep_stale}"
        );
        line(text, &words);
    }
}

fn layer(layer: Layer) -> &'static str {
    LAYERS
        .iter()
        .find(|(_, known)| *known == layer)
        .map_or("tls", |(word, _)| word)
}

fn write_service(text: &mut String, service_name: &ServiceName, service: &Service) {
    let Service {
        pools,
        ttl,
        failover_after,
        cap_per_hour,
        failback,
        on_halt,
        settle,
        runbook,
        mode,
        remind_every,
    } = service;
    line(text, &format!("\nservice {}", name(service_name.as_str())));
    let pools: Vec<String> = pools.iter().map(|pool| name(pool.as_str())).collect();
    line(text, &format!("  pools {}", pools.join(" ")));
    let (min, max) = (show_span(ttl.min), show_span(ttl.max));
    line(text, &format!("  ttl {min} {max}"));
    line(
        text,
        &format!("  failover after {}", show_span(*failover_after)),
    );
    line(text, &format!("  settle {}", show_span(*settle)));
    line(text, &format!("  cap {cap_per_hour}"));
    match failback {
        Failback::After(after) => line(text, &format!("  failback after {}", show_span(*after))),
        Failback::Manual => line(text, "  failback manual"),
    }
    match on_halt {
        OnHalt::Next => line(text, "  on-halt next"),
        OnHalt::Hold => line(text, "  on-halt hold"),
    }
    match mode {
        Mode::Automatic => {}
        Mode::Approve => line(text, "  mode approve"),
        Mode::Observe => line(text, "  mode observe"),
    }
    line(text, &format!("  remind {}", show_span(*remind_every)));
    for step in &runbook.steps {
        line(text, &format!("  step {}", step_words(step)));
    }
}

fn step_words(step: &Step) -> String {
    let Step {
        name: step_name,
        act,
        timeout,
        undo,
        after_crash,
        retries,
        on_failure,
    } = step;
    let mut words = match act {
        Act::Run { work, each, side } => {
            let each = match each {
                Each::Server => " each server",
                Each::ServerInParallel => " each server at-once",
                Each::Operation => "",
            };
            let fence = match side {
                Side::From => " fence",
                Side::To => "",
            };
            format!("{} {}{each}{fence}", quote(step_name), work_words(work))
        }
        Act::Publish => format!("{} publish", quote(step_name)),
        Act::Verify(Condition::Path) => format!("{} verify path", quote(step_name)),
        Act::Verify(Condition::Open) => format!("{} verify open", quote(step_name)),
        Act::Wait(pause) => format!("{} wait {}", quote(step_name), pause_words(*pause)),
        Act::Verify(Condition::Healthy) => format!("{} verify healthy", quote(step_name)),
    };
    let _ = write!(words, " timeout {}", show_span(*timeout));
    if let Some(undo) = undo {
        let _ = write!(words, " undo {}", work_words(undo));
    }
    if retries.count > 0 {
        let pause = show_span(retries.pause);
        let _ = write!(words, " retries {} pause {pause}", retries.count);
    }
    words += match on_failure {
        OnFailure::Undo => "",
        OnFailure::Halt => " on-failure halt",
        OnFailure::Continue => " on-failure continue",
    };
    words
        + match after_crash {
            AfterCrash::Retry => " after-crash retry",
            AfterCrash::Verify => " after-crash verify",
            AfterCrash::Ask => " after-crash ask",
        }
}

fn work_words(work: &Work) -> String {
    match work {
        Work::Run(Command(words)) => format!("run {}", name(words.first().map_or("", |it| it))),
        Work::Call(call) => format!("call {}", name(&call.url)),
    }
}

fn pause_words(pause: Pause) -> String {
    match pause {
        Pause::For(time) => show_span(time),
        Pause::Ttl => "ttl".to_owned(),
        Pause::Secondaries { at_least: None } => "secondaries".to_owned(),
        Pause::Secondaries { at_least: Some(n) } => format!("secondaries {n}"),
    }
}

fn write_standing(text: &mut String, service: &ServiceName, standing: &Standing, start: Wall) {
    let service = name(service.as_str());
    let Standing {
        active,
        suspended,
        out,
        moves,
    } = standing;
    line(text, &format!("active {service} {}", name(active.as_str())));
    if *suspended {
        line(text, &format!("suspended {service}"));
    }
    for pool in out {
        line(text, &format!("out {service} {}", name(pool.as_str())));
    }
    for past in moves {
        let (from, to) = (name(past.from.as_str()), name(past.to.as_str()));
        let ago = show_span(start.since(past.at));
        let returning = if past.returning { " returning" } else { "" };
        line(
            text,
            &format!("moved {service} {from} {to} {ago} ago{returning}"),
        );
    }
}

fn hook_line(hook: &HookLine) -> String {
    let HookLine {
        step,
        server,
        undo,
        outcome,
        after,
    } = hook;
    let mut words = format!("hook {}", quote(step));
    if *undo {
        words += " undo";
    }
    if let Some(server) = server {
        let _ = write!(words, " on {}", name(server.as_str()));
    }
    let _ = match outcome {
        HookOutcome::Done => write!(words, " done"),
        HookOutcome::Exit(code) => write!(words, " exit {code}"),
        HookOutcome::Signal(signal) => write!(words, " signal {signal}"),
        HookOutcome::TimedOut => write!(words, " timeout"),
        HookOutcome::Refused(why) => write!(words, " refused {}", quote(why)),
        HookOutcome::NotStarted(why) => write!(words, " not-started {}", quote(why)),
        HookOutcome::Lost(why) => write!(words, " lost {}", quote(why)),
    };
    format!("{words} after {}", show_span(*after))
}

fn happening(timed: &Timed, scenario: &Scenario) -> String {
    match &timed.what {
        Happening::See {
            place,
            probe,
            depth,
            verdict,
            looks,
        } => see(place, *probe, *depth, verdict.as_ref(), looks.as_ref()),
        Happening::Reference { targets, answer } => {
            let word = if *answer { "up" } else { "down" };
            match targets {
                Targets::All => format!("uplink {word}"),
                Targets::V4 => format!("uplink {word} ipv4"),
                Targets::V6 => format!("uplink {word} ipv6"),
                Targets::One(target) if *answer => format!("reference {target} answers"),
                Targets::One(target) => format!("reference {target} silent"),
            }
        }
        Happening::Secondaries { follow: true } => "secondaries follow".to_owned(),
        Happening::Secondaries { follow: false } => "secondaries lag".to_owned(),
        Happening::Order(order) => order_words(order, scenario.start + timed.at),
        Happening::Store { works: true } => "store works".to_owned(),
        Happening::Store { works: false } => "store fails".to_owned(),
        Happening::Stop => "stop".to_owned(),
        Happening::Start => "start".to_owned(),
        Happening::Expect(expectation) => format!("expect {}", expectation_words(expectation)),
        Happening::End => "end".to_owned(),
    }
}

fn see(
    place: &Place,
    probe: Option<u16>,
    depth: Option<Layer>,
    verdict: Option<&Verdict>,
    looks: Option<&Looks>,
) -> String {
    let mut words = String::from("see ");
    words += &match place {
        Place::Pool(pool) => name(pool.as_str()),
        Place::Server(server) => name(server.as_str()),
        Place::Endpoint(endpoint) => {
            format!("{} {}", name(endpoint.server.as_str()), endpoint.address)
        }
    };
    if let Some(probe) = probe {
        let _ = write!(words, " probe {}", u32::from(probe) + 1);
    }
    if let Some(depth) = depth {
        let _ = write!(words, " depth {}", layer(depth));
    }
    let _ = match verdict {
        None => write!(words, " nothing"),
        Some(verdict) => write!(words, " {}", verdict.word()),
    };
    if let Some(detail) = verdict
        .and_then(Verdict::detail)
        .filter(|it| !it.is_empty())
    {
        let _ = write!(words, " because {}", quote(detail));
    }
    let Some(Looks { count, first, last }) = looks else {
        return words;
    };
    let _ = write!(words, " looks {count}");
    if !first.is_empty() {
        words += " at";
    }
    for after in first {
        let _ = write!(words, " +{}", show_span(*after));
    }
    if first.last().copied().unwrap_or_default() < *last {
        let _ = write!(words, " last +{}", show_span(*last));
    }
    words
}

/// An override as an order says it.
fn said_words(said: &Override) -> String {
    match (&said.subject, &said.pool) {
        (Subject::DrainPool(pool), _) => format!("drain {}", name(pool.as_str())),
        (Subject::DrainServer(server), _) => format!("drain {}", name(server.as_str())),
        (Subject::Pin(service), Some(pool)) => {
            format!("pin {} {}", name(service.as_str()), name(pool.as_str()))
        }
        (Subject::Pin(service), None) => format!("pin {} \"\"", name(service.as_str())),
        (Subject::Freeze(service), _) => format!("freeze {}", name(service.as_str())),
    }
}

/// What is said to take an override back.
fn taken_back_words(subject: &Subject) -> String {
    match subject {
        Subject::DrainPool(pool) => format!("undrain {}", name(pool.as_str())),
        Subject::DrainServer(server) => format!("undrain {}", name(server.as_str())),
        Subject::Pin(service) => format!("unpin {}", name(service.as_str())),
        Subject::Freeze(service) => format!("thaw {}", name(service.as_str())),
    }
}

/// What is said of an operation, as a scenario says it.
fn handling_words(service: &ServiceName, how: &Handling) -> String {
    let service = name(service.as_str());
    match how {
        Handling::Retry => format!("retry {service}"),
        Handling::Abort => format!("abort {service}"),
        Handling::Resume => format!("resume {service}"),
        Handling::Skip { step, server: None } => format!("skip {service} {}", quote(step)),
        Handling::Skip {
            step,
            server: Some(server),
        } => format!(
            "skip {service} {} on {}",
            quote(step),
            name(server.as_str())
        ),
    }
}

/// An order as a scenario says it, given `now`.
fn order_words(order: &Order, now: Wall) -> String {
    let mut words = String::from("order ");
    let mut hurry = false;
    let (by, force, expires) = match order {
        Order::Set { said, force } => {
            hurry = said.now;
            words += &said_words(said);
            let by = crate::failover::By {
                author: said.author.clone(),
                reason: said.reason.clone(),
            };
            (by, *force, said.expires)
        }
        Order::Clear { subject, by } => {
            words += &taken_back_words(subject);
            (by.clone(), false, None)
        }
        Order::Failover {
            service,
            to,
            by,
            force,
            now,
        } => {
            hurry = *now;
            let _ = write!(words, "failover {}", name(service.as_str()));
            if let Some(to) = to {
                let _ = write!(words, " to {}", name(to.as_str()));
            }
            (by.clone(), *force, None)
        }
        Order::Failback {
            service,
            by,
            force,
            now,
        } => {
            hurry = *now;
            let _ = write!(words, "failback {}", name(service.as_str()));
            (by.clone(), *force, None)
        }
        Order::Approve { which, by } => {
            let _ = write!(words, "approve {}", name(&which.to_string()));
            (by.clone(), false, None)
        }
        Order::Reject { which, by } => {
            let _ = write!(words, "reject {}", name(&which.to_string()));
            (by.clone(), false, None)
        }
        Order::Handle { service, how, by } => {
            words += &handling_words(service, how);
            (by.clone(), false, None)
        }
        Order::Readmit { service, pool, by } => {
            let (service, pool) = (name(service.as_str()), name(pool.as_str()));
            let _ = write!(words, "readmit {service} {pool}");
            (by.clone(), false, None)
        }
    };
    let _ = write!(words, " by {}", name(&by.author));
    if !by.reason.is_empty() {
        let _ = write!(words, " reason {}", quote(&by.reason));
    }
    if let Some(expires) = expires {
        let _ = write!(words, " for {}", show_span(expires.since(now)));
    }
    words + if force { " force" } else { "" } + if hurry { " now" } else { "" }
}

fn expectation_words(expectation: &Expectation) -> String {
    let pools = |pools: &[PoolName]| {
        let names: Vec<String> = pools.iter().map(|pool| name(pool.as_str())).collect();
        names.join(" ")
    };
    match expectation {
        Expectation::Active(service, pool) => {
            format!("{} active {}", name(service.as_str()), name(pool.as_str()))
        }
        Expectation::Order(service, order) => {
            format!("{} order {}", name(service.as_str()), pools(order))
        }
        Expectation::Ttl(service, ttl) => {
            format!("{} ttl {}", name(service.as_str()), show_span(*ttl))
        }
        Expectation::Because(service, why) => {
            format!("{} because {}", name(service.as_str()), quote(why))
        }
        Expectation::Moves(service, count) => format!("{} moves {count}", name(service.as_str())),
        Expectation::Move(service, to, within) => format!(
            "{} moves to {} within {}",
            name(service.as_str()),
            name(to.as_str()),
            show_span(*within)
        ),
        Expectation::Refused(why) => format!("refused {}", quote(why)),
        Expectation::Taken => "taken".to_owned(),
        Expectation::Hooks(ran) => {
            let ran: Vec<String> = ran.iter().map(|step| quote(step)).collect();
            format!("hooks {}", ran.join(" "))
        }
    }
}
