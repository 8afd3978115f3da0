//! What it costs to watch a thousand servers, each looked at every second with `xmpp`.
//!
//! `cargo bench --bench probe_cost [-- SECONDS [hold]]`. The servers are one listener in a child
//! process, reached under a thousand addresses of 127.1.0.0/16, so that only the prober's own
//! time is counted. Bounds: 15 % of one core, 50 MiB.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use switchback::clock;
use switchback::health::Verdict;
use switchback::ids::{Endpoint, ProbeIndex};
use switchback::probe::{Assignment, Kind, ProbeSpec, Prober, Roots};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SERVERS: u16 = 1000;
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
    let seconds = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(20);
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
    runtime.block_on(measure(
        line.trim().parse()?,
        Duration::from_secs(seconds),
        hold,
    ))
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

async fn measure(port: u16, time: Duration, hold: bool) -> Outcome {
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
    let prober = Prober::start(assignments, sender)?;
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
    let took_ms = clock::mono().since(begun).as_millis();
    let cpu = u128::from(cpu_ms()? - cpu_before) * 1000 / took_ms;
    println!(
        "{SERVERS} servers, hold = {hold}: {good} good and {bad} bad looks in {took_ms} ms, \
         {}.{} % of one core, {} at rest, {} at most, {} observations dropped",
        cpu / 10,
        cpu % 10,
        memory("VmRSS")?,
        memory("VmHWM")?,
        prober.dropped(),
    );
    prober.stop().await;
    Ok(())
}

/// User and system time of this process (`proc_pid_stat(5)`, fields 14 and 15, ticks of 10 ms).
fn cpu_ms() -> Result<u64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no stat")?;
    let mut ticks = 0;
    for field in after_name.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(ticks * 10)
}

fn memory(key: &str) -> Result<String, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(key));
    Ok(line
        .ok_or("no such line")?
        .split_whitespace()
        .skip(1)
        .collect::<Vec<_>>()
        .join(" "))
}
