//! One server, one workload, once.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

use crate::generator::{Load, Question, SOCKETS, ask, real};
use crate::servers::{Running, Server};
use crate::workloads::Workload;

/// So many queries are under way at a time.
pub(crate) const OUTSTANDING: usize = 100;
/// So many questions of a workload are examined before it.
const EXAMINED: usize = 50;
/// For one answer, when nothing else is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// What dnsperf counts its time in.
const DNSPERF_SECONDS: &str = "1";

/// A server at work.
pub(crate) struct Contestant {
    pub(crate) server: &'static Server,
    pub(crate) running: Running,
}

/// What a server is asked in a workload, and what its first answer is like.
pub(crate) struct Examined {
    questions: Vec<Question>,

    pub(crate) octets: usize,
    /// Records of the additional section, without OPT.
    pub(crate) additional: usize,
}

/// The figures of one turn.
pub(crate) struct Sample {
    /// Microseconds for each answered query.
    pub(crate) cpu: f64,
    pub(crate) per_second: f64,
    pub(crate) lost: u64,
    /// Latencies in microseconds.
    pub(crate) median: f64,
    pub(crate) p99: f64,
    pub(crate) fault: Option<String>,
    pub(crate) dnsperf: Option<Dnsperf>,
}

/// What dnsperf says.
pub(crate) struct Dnsperf {
    pub(crate) per_second: f64,
    pub(crate) lost: u64,
    /// Microseconds, the mean.
    pub(crate) latency: f64,
}

/// Looks at what a server answers, closer than there is time for later.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn examine(contestant: &Contestant, workload: &Workload) -> Result<Examined, String> {
    let Contestant { server, running } = contestant;
    let cookie = match (workload.cookie, server.is_floor()) {
        (false, _) => None,
        (true, true) => Some(vec![0; 24]),
        (true, false) => Some(cookie_of(running, workload)?),
    };
    let questions = workload.questions(cookie.as_deref());
    let (mut octets, mut additional) = (0, 0);
    let examined = if server.is_floor() { 1 } else { EXAMINED };
    for (number, question) in questions.iter().take(examined).enumerate() {
        let answer = running.ask(&question.wire, PATIENCE).ok_or("no answer")?;
        let message = Message::from_vec(&answer).map_err(|error| error.to_string())?;
        if number == 0 {
            (octets, additional) = (answer.len(), message.additionals.len());
        }
        if server.is_floor() {
            break;
        }
        let found = (message.metadata.response_code.low(), message.answers.len());
        if found != (question.rcode, usize::from(question.answers)) {
            return Err(format!("question {number}: rcode and records {found:?}"));
        }
        if message.metadata.authoritative != workload.authoritative {
            return Err(format!("question {number}: the AA bit is wrong"));
        }
        // A negative answer comes with the SOA, a referral with its NS records.
        if question.answers == 0 && message.authorities.is_empty() {
            return Err(format!("question {number}: an empty authority section"));
        }
        if workload.cookie && cookie_in(&message).is_none() {
            return Err(format!("question {number}: no cookie in the answer"));
        }
    }
    Ok(Examined {
        questions,

        octets,
        additional,
    })
}

/// The cookie that this server gives to 127.0.0.1, with the client's part before it.
fn cookie_of(running: &Running, workload: &Workload) -> Result<Vec<u8>, String> {
    let client = *b"switchbk";
    let first = workload.questions(Some(&client)).remove(0);
    let answer = running.ask(&first.wire, PATIENCE).ok_or("no answer")?;
    let message = Message::from_vec(&answer).map_err(|error| error.to_string())?;
    cookie_in(&message).ok_or_else(|| "it gives no cookie".to_owned())
}

/// A whole cookie, the client's part and the server's (RFC 7873 section 4).
fn cookie_in(message: &Message) -> Option<Vec<u8>> {
    let edns = message.edns.as_ref()?;
    let EdnsOption::Unknown(_, octets) = edns.options().get(EdnsCode::Cookie)? else {
        return None;
    };
    (16..=40).contains(&octets.len()).then(|| octets.clone())
}

/// Asks for some time, and measures what that costs the server.
pub(crate) fn sample(
    contestant: &Contestant,
    workload: &Workload,
    examined: &Examined,
    lasts: Duration,
) -> Sample {
    let Contestant { server, running } = contestant;
    let load = Load {
        server: running.address,
        questions: &examined.questions,
        outstanding: OUTSTANDING,
        lasts,
        checked: !server.is_floor(),
    };
    let before = running.cpu();
    let outcome = ask(&load);
    let cpu = running.cpu().saturating_sub(before);
    Sample {
        cpu: cpu.as_secs_f64() * 1e6 / real(outcome.answered.max(1)),
        per_second: outcome.per_second(),
        lost: outcome.lost,
        median: outcome.percentile(500),
        p99: outcome.percentile(990),
        fault: match (outcome.answered, outcome.fault) {
            (0, _) => Some("it answers nothing".to_owned()),
            (_, fault) => fault.map(|fault| format!("{} wrong, as {fault}", outcome.wrong)),
        },
        dnsperf: workload
            .dnsperf
            .then(|| dnsperf(running, workload))
            .flatten(),
    }
}

/// Lets dnsperf ask the same. `None` if it is not installed, or says nothing.
fn dnsperf(running: &Running, workload: &Workload) -> Option<Dnsperf> {
    let file = tempfile::NamedTempFile::new().ok()?;
    fs::write(file.path(), workload.lines()).ok()?;
    let said = Command::new("dnsperf")
        .args(["-s", "127.0.0.1", "-p", &running.address.port().to_string()])
        .args(["-l", DNSPERF_SECONDS, "-T", "1", "-e"])
        .args(["-c", &SOCKETS.to_string(), "-q", &OUTSTANDING.to_string()])
        .arg("-d")
        .arg(file.path())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let number = |label: &str| {
        let after = said.split_once(label)?.1;
        after.split_whitespace().next()?.parse::<f64>().ok()
    };
    let lost = said.split_once("Queries lost:")?.1;
    Some(Dnsperf {
        per_second: number("Queries per second:")?,
        lost: lost.split_whitespace().next()?.parse().ok()?,
        latency: number("Average Latency (s):")? * 1e6,
    })
}
