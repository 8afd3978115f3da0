//! What it costs to watch a thousand servers, each looked at every second with `xmpp`.
//!
//! `cargo bench --bench probe_cost [-- SECONDS [hold]]`. The servers are one listener in a child
//! process, reached under a thousand addresses of 127.1.0.0/16, so that only the prober's own
//! time is counted. Bounds: 15 % of one core, 50 MiB.
//!
//! Most of it is the kernel's: over loopback a client pays for the packets of both ends. So the
//! floor is measured first, in the same minute on the same machine: the same look as five
//! blocking system calls of one thread. What the prober adds to it is the ratio.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use switchback::clock;
use switchback::health::Verdict;
use switchback::ids::{Endpoint, ProbeIndex};
use switchback::probe::{Assignment, Kind, ProbeSpec, Prober, Roots};
use switchback::programs::Hands;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SERVERS: u16 = 1000;
/// Of one core.
const BOUND_PER_MILLE: u128 = 150;
const BOUND_KIB: u64 = 50 * 1024;
const ANSWER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'><stream:features>\
    <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if words.iter().any(|word| word == "--servers") {
        return runtime.block_on(serve());
    }
    // Only `cargo bench` says --bench; `cargo test --all-targets` gets a short round.
    let is_bench = words.iter().any(|word| word == "--bench");
    let seconds = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(if is_bench { 20 } else { 1 });
    let hold = words.iter().any(|word| word == "hold");
    let mut servers = Servers(
        Command::new(std::env::current_exe()?)
            .arg("--servers")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let output = servers.0.stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let (port, time) = (line.trim().parse()?, Duration::from_secs(seconds));
    let floor = floor(port, time)?;
    println!("floor: {floor}");
    let prober = runtime.block_on(measure(port, time, hold))?;
    let ratio = prober.ns_a_look() * 100 / floor.ns_a_look().max(1);
    println!(
        "prober: {prober}: {}.{:02} floors",
        ratio / 100,
        ratio % 100
    );
    let verdict = |kept: bool| if kept { "kept" } else { "MISSED" };
    let (cpu, memory_kib) = (prober.per_mille(), kib("VmHWM")?);
    println!(
        "bounds: {}.{} of 15 % of one core: {}; {memory_kib} of {BOUND_KIB} KiB at most: {}",
        cpu / 10,
        cpu % 10,
        verdict(cpu < BOUND_PER_MILLE),
        verdict(memory_kib <= BOUND_KIB),
    );
    Ok(())
}

/// What some looks took of the processor.
struct Cost {
    looks: u64,
    time: Duration,
    /// Milliseconds in user mode and in the kernel.
    cpu_ms: [u64; 2],
}

impl Cost {
    /// Of one core.
    fn per_mille(&self) -> u128 {
        u128::from(self.cpu_ms[0] + self.cpu_ms[1]) * 1000 / self.time.as_millis().max(1)
    }

    fn ns_a_look(&self) -> u64 {
        (self.cpu_ms[0] + self.cpu_ms[1]) * 1_000_000 / self.looks.max(1)
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [user, system] = self.cpu_ms;
        let share = self.per_mille();
        write!(
            f,
            "{} looks in {} ms, {}.{} % of one core, {} µs a look ({} user, {} system)",
            self.looks,
            self.time.as_millis(),
            share / 10,
            share % 10,
            self.ns_a_look() / 1000,
            user * 1000 / self.looks.max(1),
            system * 1000 / self.looks.max(1),
        )
    }
}

/// One look a millisecond, without anything that makes it a probe: no deadline, no schedule, no
/// second look beside the first, nobody who is told.
fn floor(port: u16, time: Duration) -> Result<Cost, Box<dyn std::error::Error>> {
    const HEADER: &[u8] = b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
        xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
        to='contoso.test' xml:lang='en' version='1.0'>";
    let (begun, before) = (clock::mono(), cpu_ms()?);
    let (mut looks, mut at) = (0, begun);
    let mut buffer = [0; 2048];
    while at < begun + time {
        std::thread::sleep(at.since(clock::mono()));
        let [high, low] = u16::try_from(looks % u64::from(SERVERS))?.to_be_bytes();
        let to = SocketAddr::from((Ipv4Addr::new(127, 1, high, low), port));
        let mut stream = TcpStream::connect(to)?;
        stream.write_all(HEADER)?;
        if stream.read(&mut buffer)? != ANSWER.len() {
            return Err("another answer".into());
        }
        looks += 1;
        at = at + Duration::from_millis(1);
    }
    Ok(Cost {
        looks,
        time: clock::mono().since(begun),
        cpu_ms: since(before)?,
    })
}

struct Servers(Child);

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn serve() -> Outcome {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("0.0.0.0:0".parse()?)?;
    let listener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut buffer = [0u8; 1024];
            if stream.read(&mut buffer).await.is_ok() && stream.write_all(ANSWER).await.is_ok() {
                let _ = stream.read(&mut buffer).await;
            }
        });
    }
}

async fn measure(
    port: u16,
    time: Duration,
    hold: bool,
) -> Result<Cost, Box<dyn std::error::Error>> {
    let spec = Arc::new(ProbeSpec {
        kind: Kind::Xmpp,
        port,
        domain: Some("contoso.test".to_owned()),
        from: None,
        interval: Duration::from_secs(1),
        tls_interval: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 2,
        hold,
        roots: Roots::System,
        command: None,
    });
    let assignments = (0..SERVERS)
        .map(|server| {
            let [high, low] = server.to_be_bytes();
            Assignment {
                endpoint: Endpoint {
                    server: format!("edge{server}.contoso.test.").as_str().into(),
                    address: IpAddr::V4(Ipv4Addr::new(127, 1, high, low)),
                },
                probe: ProbeIndex(0),
                spec: Arc::clone(&spec),
            }
        })
        .collect();
    let (sender, mut observations) = tokio::sync::mpsc::channel(4096);
    let prober = Prober::start(assignments, sender, Hands::default())?;
    let warm = clock::mono() + Duration::from_secs(3);
    while clock::mono() < warm {
        observations.recv().await.ok_or("the prober ended")?;
    }
    let (begun, cpu_before) = (clock::mono(), cpu_ms()?);
    let (mut good, mut bad) = (0u64, 0u64);
    while clock::mono() < begun + time {
        let seen = observations.recv().await.ok_or("the prober ended")?;
        if seen.verdict == Verdict::Good {
            good += 1;
        } else {
            bad += 1;
        }
    }
    let cost = Cost {
        looks: good + bad,
        time: clock::mono().since(begun),
        cpu_ms: since(cpu_before)?,
    };
    println!(
        "{SERVERS} servers, hold = {hold}: {good} good and {bad} bad looks, {} KiB at \
         rest, {} KiB at most, {} observations dropped",
        kib("VmRSS")?,
        kib("VmHWM")?,
        prober.dropped(),
    );
    prober.stop().await;
    Ok(cost)
}

/// User and system time of this process (`proc_pid_stat(5)`, fields 14 and 15, ticks of 10 ms).
fn cpu_ms() -> Result<[u64; 2], Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no stat")?;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ms = || -> Result<u64, Box<dyn std::error::Error>> {
        Ok(fields.next().ok_or("no such field")?.parse::<u64>()? * 10)
    };
    Ok([ms()?, ms()?])
}

fn since(before: [u64; 2]) -> Result<[u64; 2], Box<dyn std::error::Error>> {
    let now = cpu_ms()?;
    Ok([now[0] - before[0], now[1] - before[1]])
}

/// A size of this process (`proc_pid_status(5)`), in KiB.
fn kib(key: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key));
    let size = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(size.ok_or("no such line")?.parse()?)
}
