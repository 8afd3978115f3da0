//! The durable state: what survives a kill, a damaged file, a second daemon, a full disk.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends by panicking, and the children tell their parents by printing"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use switchback::ids::{Generation, Serial};
use switchback::store::{
    BLOCK, Chronicle, Counters, Exhausted, HistoryLimits, HistoryWrite, OPERATIONS, Opened, Store,
    StoreError, Table, Write,
};
use switchback::time::Wall;

const NOW: Wall = Wall(1_795_473_459_120);

fn put(key: &str, json: &str) -> Write {
    Write::Put {
        table: Table::Services,
        key: key.to_owned(),
        json: json.to_owned(),
    }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, NOW).unwrap().0
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_committed_is_there_after_reopening() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("made/by/us");
    let (store, opened) = Store::open(&dir, NOW).unwrap();
    assert_eq!(opened, Opened::Fresh);
    assert_eq!((mode(&dir), mode(&dir.join("state.redb"))), (0o700, 0o600));
    store.commit(&[put("b", "2"), put("a", "1")]).unwrap();
    store
        .commit(&[
            Write::Delete {
                table: Table::Services,
                key: "b".to_owned(),
            },
            put("c", "3"),
        ])
        .unwrap();
    drop(store);

    let (store, opened) = Store::open(&dir, NOW).unwrap();
    assert_eq!(opened, Opened::Existing);
    let rows = [("a", "1"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(store.scan(Table::Services).unwrap(), rows);
    assert_eq!(store.scan(Table::Meta).unwrap(), []);
}

#[test]
fn the_last_operations_are_kept_only() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let operation = |n: u64| Write::Put {
        table: Table::Operations,
        key: format!("{n:020}"),
        json: n.to_string(),
    };
    store
        .commit(&(0..OPERATIONS + 5).map(operation).collect::<Vec<_>>())
        .unwrap();
    let kept = store.scan(Table::Operations).unwrap();
    assert_eq!(kept.len() as u64, OPERATIONS);
    assert_eq!(kept.first().unwrap().1, "5");
}

fn history(dir: &Path, entries: u64, octets: u64) -> Chronicle {
    let limits = HistoryLimits { entries, octets };
    Chronicle::open(dir, limits, NOW).unwrap().0
}

fn kept(history: &Chronicle) -> Vec<(Wall, String)> {
    let mut kept = Vec::new();
    history
        .read(|at, json| {
            kept.push((at, json.to_owned()));
            true
        })
        .unwrap();
    kept
}

#[test]
fn the_history_keeps_the_newest_entries_within_both_bounds() {
    let temp = tempfile::tempdir().unwrap();
    fs::create_dir_all(temp.path()).unwrap();
    let entry = |n: u64| (Wall(n), format!("\"{n:08}\""));
    let entries = |from: u64, to: u64| (from..to).map(entry).collect::<Vec<_>>();
    let many = history(temp.path(), 100, 1_000_000);
    many.append(&entries(0, 90)).unwrap();
    many.append(&entries(90, 107)).unwrap();
    let newest: Vec<_> = entries(7, 107).into_iter().rev().collect();
    assert_eq!(kept(&many), newest);
    drop(many);
    // Each takes its 10 octets and 32 more.
    let small = history(temp.path(), 1000, 420);
    small.append(&entries(107, 109)).unwrap();
    let newest: Vec<_> = entries(99, 109).into_iter().rev().collect();
    assert_eq!(kept(&small), newest, "what is there counts after a restart");
}

#[test]
fn a_damaged_history_is_set_aside_and_a_closed_one_takes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let first = history(temp.path(), 100, 1000);
    first.append(&[(Wall(1), "1".to_owned())]).unwrap();
    first.close();
    first.append(&[(Wall(2), "2".to_owned())]).unwrap();
    assert_eq!(kept(&first), []);
    let again = history(temp.path(), 100, 1000);
    assert_eq!(kept(&again), [(Wall(1), "1".to_owned())]);
    drop(again);
    fs::write(temp.path().join("history.redb"), b"garbage").unwrap();
    let (fresh, opened) = Chronicle::open(temp.path(), HistoryLimits::default(), NOW).unwrap();
    assert!(matches!(opened, Opened::SetAside(_)));
    assert_eq!(kept(&fresh), []);
}

#[test]
fn a_second_daemon_is_refused_and_told_who_holds_the_directory() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let error = Store::open(temp.path(), NOW).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    drop(store);
    open(temp.path());
}

#[test]
fn a_damaged_file_is_set_aside_whatever_the_damage() {
    let temp = tempfile::tempdir().unwrap();
    let good = {
        let store = open(temp.path());
        store
            .commit(
                &(0..200)
                    .map(|n| put(&format!("{n:04}"), "1"))
                    .collect::<Vec<_>>(),
            )
            .unwrap();
        drop(store);
        fs::read(temp.path().join("state.redb")).unwrap()
    };
    let mut cut = good.clone();
    cut.truncate(good.len() / 3);
    let mut scribbled = good.clone();
    for byte in scribbled.iter_mut().skip(100).step_by(97) {
        *byte ^= 0x5a;
    }
    let mut no_magic = good.clone();
    no_magic[0] ^= 1;
    let cases: [(&str, Vec<u8>); 5] = [
        ("empty", Vec::new()),
        (
            "text",
            b"not a database at all, but long enough to look at".repeat(200),
        ),
        ("cut", cut),
        ("scribbled", scribbled),
        ("no magic", no_magic),
    ];
    for (name, bytes) in cases {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state.redb"), &bytes).unwrap();
        let (store, opened) =
            Store::open(dir.path(), NOW).unwrap_or_else(|e| panic!("{name}: {e}"));
        let Opened::SetAside(aside) = opened else {
            panic!("{name}: {opened:?}")
        };
        assert_eq!(fs::read(&aside).unwrap().len(), bytes.len(), "{name}");
        assert!(
            aside
                .to_string_lossy()
                .ends_with("state.redb.damaged-2026-11-23T22:37:39.120Z")
        );
        assert_eq!(store.scan(Table::Services).unwrap(), [], "{name}");
        store.commit(&[put("a", "1")]).unwrap();
    }
}

#[test]
fn every_single_changed_byte_is_noticed_or_harmless() {
    let temp = tempfile::tempdir().unwrap();
    let rows: Vec<Write> = (0..50)
        .map(|n| put(&format!("{n:04}"), "\"value\""))
        .collect();
    let store = open(temp.path());
    store.commit(&rows).unwrap();
    let expected = store.scan(Table::Services).unwrap();
    drop(store);
    let good = fs::read(temp.path().join("state.redb")).unwrap();
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    for at in used.iter().step_by(used.len() / 150 + 1) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = good.clone();
        bytes[*at] ^= 0xff;
        fs::write(dir.path().join("state.redb"), &bytes).unwrap();
        match Store::open(dir.path(), NOW) {
            Ok((store, Opened::Existing)) => {
                assert_eq!(store.scan(Table::Services).unwrap(), expected, "byte {at}");
            }
            Ok((_, Opened::SetAside(_))) | Err(StoreError::Engine { .. }) => {}
            other => panic!("byte {at}: {other:?}"),
        }
    }
}

#[test]
fn a_later_format_is_refused_and_left_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let later = Write::Put {
        table: Table::Meta,
        key: "format".to_owned(),
        json: "2".to_owned(),
    };
    store.commit(&[put("a", "1"), later]).unwrap();
    drop(store);
    for _ in 0..2 {
        let error = Store::open(temp.path(), NOW).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 2,
                    known: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(
        fs::read_dir(temp.path()).unwrap().count(),
        2,
        "the file and its lock"
    );
}

#[test]
fn errors_name_the_path_the_cause_and_the_remedy() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let text = Store::open(&file.join("state"), NOW)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("file/state") && text.contains("Not a directory"),
        "{text}"
    );
    assert!(text.contains("state_dir must be a directory"), "{text}");
}

/// Runs one test of this program, which does nothing unless it is called so, as a child.
fn child_doing(test: &str, dir: &Path, wrapper: &[&str]) -> Child {
    let exe = std::env::current_exe().unwrap();
    let mut words: Vec<String> = wrapper.iter().map(|word| (*word).to_owned()).collect();
    words.push(exe.to_string_lossy().into_owned());
    Command::new(&words[0])
        .args(&words[1..])
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env("STORE_DIR", dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn dir_of_parent() -> Option<std::path::PathBuf> {
    std::env::var_os("STORE_DIR").map(Into::into)
}

/// The number after `word` in a line of the child. (The test harness prints to the same lines.)
fn number_after(word: &str, line: &str) -> Option<u64> {
    let at = line.rfind(word)?;
    line[at + word.len()..].trim().parse().ok()
}

#[test]
fn child_writes_until_it_is_killed() {
    let Some(dir) = dir_of_parent() else { return };
    let store = open(&dir);
    for n in 0u64.. {
        let both = [put("x", &n.to_string()), put("y", &n.to_string())];
        store.commit(&both).unwrap();
        println!("committed {n}");
    }
}

#[test]
fn a_kill_between_any_two_writes_loses_nothing_that_was_promised() {
    let temp = tempfile::tempdir().unwrap();
    for round in 0..6u64 {
        let mut child = child_doing("child_writes_until_it_is_killed", temp.path(), &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut promised = None;
        for line in lines.by_ref().map_while(Result::ok) {
            promised = number_after("committed ", &line).or(promised);
            if promised >= Some(3 + 17 * round) {
                child.kill().unwrap();
                break;
            }
        }
        for line in lines.map_while(Result::ok) {
            promised = number_after("committed ", &line).or(promised);
        }
        child.wait().unwrap();

        let (store, opened) = Store::open(temp.path(), NOW).unwrap();
        assert_eq!(opened, Opened::Existing);
        let rows = store.scan(Table::Services).unwrap();
        assert_eq!(rows[0].1, rows[1].1, "half of a transaction");
        assert!(
            Some(rows[0].1.parse().unwrap()) >= promised,
            "{rows:?} {promised:?}"
        );
    }
}

#[test]
fn child_fills_its_disk() {
    let Some(dir) = dir_of_parent() else { return };
    let store = open(&dir);
    let mut kept = 0;
    let error = loop {
        let large = put(&format!("{kept:06}"), &"x".repeat(100_000));
        match store.commit(&[large]) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1000, "no limit in effect");
    };
    let text = error.to_string();
    assert!(
        text.contains("state.redb: cannot write the state"),
        "{text}"
    );
    assert!(text.contains("raise the limit"), "{text}");
    // All that was promised is there, and what makes room is taken at once.
    assert_eq!(store.scan(Table::Services).unwrap().len(), kept);
    let delete = |n| Write::Delete {
        table: Table::Services,
        key: format!("{n:06}"),
    };
    store
        .commit(&(0..kept).map(delete).collect::<Vec<_>>())
        .unwrap();
    store.commit(&[put("a", "1")]).unwrap();
    assert_eq!(store.scan(Table::Services).unwrap().len(), 1);
    println!("recovered {kept}");
}

#[test]
fn after_a_full_disk_the_store_goes_on_without_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    // A limit on the size of files stands in for a full disk; the signal that goes with it is
    // ignored, so that the write fails instead.
    let limited = [
        "sh",
        "-c",
        "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"",
    ];
    let child = child_doing("child_fills_its_disk", temp.path(), &limited);
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && printed.contains("recovered"),
        "{printed}"
    );
}

fn reserve(counters: &mut Counters, store: &Store, floor: Serial) {
    let group = counters.group("contoso");
    let reservation = counters.reserve([(group, floor)]);
    store.commit(&reservation.writes()).unwrap();
    counters.confirm(reservation);
}

#[test]
fn counters_never_go_back_over_random_restarts() {
    let temp = tempfile::tempdir().unwrap();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut last, mut generation) = (None::<Serial>, Generation(0));
    let mut floor = Serial(4_294_967_000);
    for _ in 0..40 {
        let store = open(temp.path());
        // The clock is anywhere.
        let mut counters = Counters::open(&store, Wall(random(4_000_000_000_000))).unwrap();
        let group = counters.group("contoso");
        for _ in 0..random(300) {
            if random(50) == 0 {
                floor = floor.plus(u32::try_from(random(100_000)).unwrap());
            }
            reserve(&mut counters, &store, floor);
            let serial = counters.next_serial(group, floor).unwrap();
            assert!(
                last.is_none_or(|last| serial.is_newer_than(last)),
                "{serial} {last:?}"
            );
            assert!(!floor.is_newer_than(serial));
            last = Some(serial);
            let next = counters.next_generation().unwrap();
            assert!(next > generation);
            generation = next;
        }
        if random(2) == 0 {
            store.commit(&counters.into_last_writes()).unwrap();
        }
    }
}

#[test]
fn most_swaps_write_no_counter_and_an_orderly_end_costs_no_numbers() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let mut counters = Counters::open(&store, NOW).unwrap();
    let floor = Serial(2_026_112_301);
    let mut reservations = 0;
    let group = counters.group("contoso");
    for n in 0..1000 {
        let reservation = counters.reserve([(group, floor)]);
        assert_eq!(
            reservation.is_urgent(),
            n == 0,
            "only the first swap waits for the disk"
        );
        if !reservation.is_empty() {
            reservations += 1;
            store.commit(&reservation.writes()).unwrap();
            counters.confirm(reservation);
        }
        assert_eq!(counters.next_serial(group, floor), Ok(floor.plus(n)));
        counters.next_generation().unwrap();
    }
    assert!(reservations <= 5, "{reservations}");
    store.commit(&counters.into_last_writes()).unwrap();
    let mut counters = Counters::open(&store, NOW).unwrap();
    let group = counters.group("contoso");
    reserve(&mut counters, &store, floor);
    assert_eq!(counters.next_serial(group, floor), Ok(floor.plus(1000)));
}

#[test]
fn when_the_store_fails_the_rest_of_the_block_is_handed_out() {
    let temp = tempfile::tempdir().unwrap();
    let store = open(temp.path());
    let mut counters = Counters::open(&store, NOW).unwrap();
    let group = counters.group("contoso");
    let nothing = counters.next_serial(group, Serial(1)).unwrap_err();
    assert!(matches!(nothing, Exhausted::Serial { .. }), "{nothing}");
    reserve(&mut counters, &store, Serial(1));
    let mut handed_out = 0;
    while counters.next_serial(group, Serial(1)).is_ok() {
        counters.next_generation().unwrap();
        handed_out += 1;
    }
    assert_eq!(handed_out, BLOCK);
    assert_eq!(counters.next_generation(), Err(Exhausted::Generation));
    reserve(&mut counters, &store, Serial(1));
    assert!(counters.next_serial(group, Serial(1)).is_ok());
}

#[test]
fn the_histories_of_zones_are_kept_apart_and_as_long_as_wanted() {
    let temp = tempfile::tempdir().unwrap();
    let history = |zone: &str, write| Write::History {
        zone: zone.to_owned(),
        write,
    };
    let append = |zone, octet, keep| {
        let difference = vec![octet];
        history(zone, HistoryWrite::Append { difference, keep })
    };
    let store = open(temp.path());
    assert!(store.histories().unwrap().is_empty());
    // One zone's name is the beginning of the other's.
    let mut writes: Vec<Write> = (0..10).map(|octet| append("a.", octet, 3)).collect();
    writes.push(append("a.test.", 77, 3));
    writes.push(history("a.", HistoryWrite::Checkpoint(b"then".to_vec())));
    writes.push(history("b.", HistoryWrite::Checkpoint(b"gone".to_vec())));
    store.commit(&writes).unwrap();
    store
        .commit(&[history("b.", HistoryWrite::Forget)])
        .unwrap();
    drop(store);

    let store = open(temp.path());
    let zones = store.histories().unwrap();
    assert_eq!(zones.len(), 2);
    assert_eq!(zones["a."].differences, [vec![7], vec![8], vec![9]]);
    assert_eq!(zones["a."].checkpoint.as_deref(), Some(&b"then"[..]));
    assert_eq!(zones["a.test."].differences, [vec![77]]);
    store
        .commit(&[history("a.", HistoryWrite::Forget), append("a.", 1, 9)])
        .unwrap();
    assert_eq!(store.histories().unwrap()["a."].differences, [vec![1]]);
}
