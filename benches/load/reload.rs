//! A changed zone is reloaded while dnsperf asks.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::clock;

use super::servers::{Running, SERVERS};
use super::zones::{Zones, address, write_one};

/// dnsperf asks so long; the reload comes in the middle of it.
const SECONDS: u64 = 15;

/// Reloads once. Prints how long it took and what was lost; says whether nothing was.
pub(crate) fn measure(zones: &Zones, names: usize, rate: usize) -> bool {
    let ours = &SERVERS[0];
    let running = ours.start(zones);
    if !running.wait(zones) {
        println!("FAULT: switchback does not get ready");
        return false;
    }
    let before = running.memory();
    let load = load(&running, zones, rate);

    let origin = &zones.origins[0];
    let (name, _) = &zones.sample[0];
    write_one(&zones.directory, origin, names, 2);
    let begun = clock::mono();
    let asked = Command::new(env!("CARGO_BIN_EXE_switchback"))
        .arg("reload")
        .arg("--control")
        .arg(running.folder.path().join("control.sock"))
        .stdout(Stdio::null())
        .status();
    let accepted = asked.is_ok_and(|status| status.success());
    let is_new = || running.address(name) == Some(address(0, 2));
    while accepted && !is_new() && clock::mono().since(begun) < Duration::from_secs(120) {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let took = clock::mono().since(begun);
    let changed = is_new();
    let after = running.memory();
    write_one(&zones.directory, origin, names, 1);

    let lost = load.map_or(0, |load| report(load, &running));
    println!(
        "from the command to the changed answer {:.2} s; PSS {} KiB before, {} after, peak {}",
        took.as_secs_f64(),
        before.pss,
        after.pss,
        after.peak
    );
    if !changed {
        println!("FAULT: the changed zone is not served");
    }
    if lost > 0 {
        println!("FAULT: dnsperf lost {lost} queries");
    }
    changed && lost == 0
}

/// dnsperf with all names of the sample; its report lies in the server's folder.
fn load(running: &Running, zones: &Zones, rate: usize) -> Option<Child> {
    let questions = running.folder.path().join("questions");
    let lines = zones.sample.iter().map(|(name, _)| format!("{name} A\n"));
    fs::write(&questions, lines.collect::<String>()).unwrap();
    let started = Command::new("dnsperf")
        .args(["-s", "127.0.0.1", "-c", "8", "-T", "1"])
        .args(["-p", &running.port.to_string(), "-l", &SECONDS.to_string()])
        .args(["-Q", &rate.to_string(), "-d"])
        .arg(&questions)
        .stdout(File::create(running.folder.path().join("report")).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let started = started.inspect_err(|error| println!("left out: the load (dnsperf: {error})"));
    started.ok()
}

/// Prints what dnsperf says; gives how many queries it lost.
fn report(mut load: Child, running: &Running) -> u64 {
    load.wait().unwrap();
    let text = fs::read_to_string(running.folder.path().join("report")).unwrap();
    let told = ["Queries sent:", "Queries lost:", "Average Latency"];
    let mut lost = None;
    for line in text
        .lines()
        .filter(|line| told.iter().any(|it| line.contains(it)))
    {
        println!("{}", line.trim());
        if line.contains("Queries lost:") {
            let number = line.split_whitespace().nth(2);
            lost = number.and_then(|word| word.parse().ok());
        }
    }
    // A report without the number is no proof that nothing was lost.
    lost.unwrap_or(u64::MAX)
}
