//! A pool that many zones share: one order moves them all.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use switchback::clock;

use super::programs::{Process, free_port};
use super::{PATIENCE, first_target, middle, order};

/// What moving so many zones took.
struct Moved {
    times: Vec<Duration>,
    steady_kib: u64,
    peak_kib: u64,
}

/// Prints the time from an order, written to the control socket, to the changed answer in the
/// last of the zones, and what the daemon took of memory, for a few zones and for many.
pub(super) fn compare(few: usize, many: usize, rounds: usize) -> bool {
    println!("\none pool of so many zones: ms from the order to the changed answer of the last");
    println!(
        "{:<12} {:>8} {:>8} {:>8}   {:>10} {:>10}",
        "zones", "median", "least", "most", "steady MiB", "peak"
    );
    let mut medians = Vec::new();
    for count in [few, many] {
        let Some(moved) = move_all(count, rounds) else {
            println!("FAULT: {count} zones do not move");
            return false;
        };
        let (median, least, most) = middle(&moved.times);
        println!(
            "{count:<12} {median:>8.2} {least:>8.2} {most:>8.2}   {:>10} {:>10.2}",
            moved.steady_kib / 1024,
            ratio(moved.peak_kib, moved.steady_kib)
        );
        medians.push(median);
    }
    println!("many / few   {:>8.2}", medians[1] / medians[0]);
    true
}

fn ratio(a: u64, b: u64) -> f64 {
    let whole = |number: u64| f64::from(u32::try_from(number).unwrap());
    whole(a) / whole(b)
}

fn move_all(count: usize, rounds: usize) -> Option<Moved> {
    let folder = tempfile::tempdir().unwrap();
    let zones = folder.path().join("zones");
    fs::create_dir_all(&zones).unwrap();
    for at in 0..count {
        let text = "$TTL 3600\n@ SOA ns1.host.example. host.host.example. 1 7200 900 1209600 300\n\
                    @ NS ns1.host.example.\n@ NS ns2.host.example.\n@ A 192.0.2.1\n";
        fs::write(zones.join(format!("customer{at:06}.test.zone")), text).unwrap();
    }
    let port = free_port();
    let config = folder.path().join("server.conf");
    fs::write(&config, configuration(folder.path(), port)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_switchback"));
    let process = Process::start(program, &["serve", "--config"], &config, folder.path());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let timeout = Some(Duration::from_millis(50));
    socket.set_read_timeout(timeout).unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    let last = format!("_xmpp-server._tcp.customer{:06}.test.", count - 1);
    let begun = clock::mono();
    while first_target(&socket, &last).is_none() {
        if clock::mono().since(begun) > PATIENCE {
            println!("{}", fs::read_to_string(folder.path().join("output")).ok()?);
            return None;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let control = folder.path().join("control.sock");
    let mut moved = Moved {
        times: Vec::new(),
        steady_kib: 0,
        peak_kib: 0,
    };
    for round in 1..=rounds {
        moved.steady_kib = moved.steady_kib.max(memory(process.id(), "VmRSS:"));
        // From here on: what starting took at its peak is another matter.
        fs::write(format!("/proc/{}/clear_refs", process.id()), "5").ok();
        moved.times.push(order(&control, &socket, &last, round)?);
        moved.peak_kib = moved.peak_kib.max(memory(process.id(), "VmHWM:"));
    }
    moved.times.sort();
    Some(moved)
}

/// A line of `/proc/PID/status`, in KiB.
fn memory(process: u32, line: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let value = text.lines().find_map(|text| text.strip_prefix(line));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn configuration(folder: &Path, port: u16) -> String {
    let at = folder.display();
    let mut text = format!(
        "state_dir = \"{at}\"\n[listen]\ndns = [\"127.0.0.1:{port}\"]\ncontrol = \
         \"{at}/control.sock\"\n[[zone]]\ndirectory = \"{at}/zones\"\ngroup = \
         \"customers\"\n[probe]\nkind = \"tcp\"\nport = 5269\n"
    );
    for (pool, last) in [("one", 1), ("two", 2)] {
        let _ = writeln!(
            text,
            "[[pool]]\nname = \"{pool}\"\nservers = [{{ name = \"{pool}.host.example.\", addresses = \
             [\"127.0.0.{last}\"] }}]"
        );
    }
    text.push_str(
        "[[service]]\nname = \"xmpp\"\npools = [\"one\", \"two\"]\nrecords = [{ srv = \
         \"_xmpp-server._tcp\", in = \"customers\", port = 5269 }]\n",
    );
    text
}
