use super::*;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

fn timing() -> Timing {
    Timing {
        interval: S,
        tls_interval: 5 * S,
        timeout: S,
        rise: 2,
        fall: 2,
        deep: false,
        hold: false,
    }
}

fn at(ms: u32) -> Mono {
    Mono(MS * ms)
}

/// Plays a server against a schedule: `answer(begun)` says how long a look takes and what it
/// sees. Returns (begun, ended, occasion, full) of all looks that ended by `until`.
fn play(
    schedule: &mut Schedule,
    until: Mono,
    answer: impl Fn(Mono) -> (Duration, Verdict),
) -> Vec<(Mono, Mono, Occasion, bool)> {
    let mut now = Mono::default();
    let mut pending: Vec<(Mono, Mono, Start, Verdict)> = Vec::new();
    let mut done = Vec::new();
    loop {
        pending.sort_by_key(|look| look.1);
        while pending.first().is_some_and(|look| look.1 <= now) {
            let (begun, ended, start, verdict) = pending.remove(0);
            schedule.handle_ended(start, begun, ended, Some(&verdict));
            done.push((begun, ended, start.occasion, start.full));
        }
        while let Some(start) = schedule.poll_start(now) {
            schedule.handle_begun(start, now);
            let (took, verdict) = answer(now);
            pending.push((now, now + took, start, verdict));
        }
        let ends = pending.iter().map(|look| look.1).min();
        let next = [ends, schedule.poll_timeout()].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= until) else {
            return done;
        };
        assert!(next >= now, "time does not go back");
        assert!(pending.len() <= 5);
        now = next;
    }
}

fn good(_: Mono) -> (Duration, Verdict) {
    (MS, Verdict::Good)
}

#[test]
fn good_looks_follow_the_grid() {
    let mut schedule = Schedule::new(timing(), at(0), 0x8000);
    let looks = play(&mut schedule, at(3_600), good);
    let begun: Vec<_> = looks.iter().map(|look| look.0).collect();
    assert_eq!(begun, [at(500), at(1500), at(2500), at(3500)]);
}

#[test]
fn a_blackholed_host_gives_its_second_finding_within_two_and_a_half_seconds() {
    for fault in (0..1000).step_by(50) {
        let fault = at(10_000 + fault);
        let mut schedule = Schedule::new(timing(), at(0), 0);
        let looks = play(&mut schedule, at(15_000), |begun| {
            if begun >= fault {
                (S, Verdict::Filtered)
            } else {
                good(begun)
            }
        });
        let mut bad = looks.iter().filter(|look| look.0 >= fault);
        let (_first, second) = (bad.next().unwrap(), bad.next().unwrap());
        assert_eq!(second.2, Occasion::Second);
        let took = second.1.since(fault);
        assert!(took >= S * 3 / 2 && took <= S * 5 / 2, "{took:?}");
    }
}

#[test]
fn a_refusal_is_looked_at_again_after_half_a_timeout_and_then_at_the_interval() {
    let mut schedule = Schedule::new(timing(), at(0), 0);
    let looks = play(&mut schedule, at(3_100), |begun| {
        if begun >= at(900) {
            (MS, Verdict::Refused)
        } else {
            good(begun)
        }
    });
    let begun: Vec<_> = looks.iter().map(|look| look.0).collect();
    assert_eq!(begun, [at(0), at(1000), at(1500), at(2000), at(3000)]);
}

#[test]
fn a_new_fault_behind_an_old_one_gets_its_second_look() {
    let mut schedule = Schedule::new(timing(), at(0), 0);
    let looks = play(&mut schedule, at(7_000), |begun| {
        if begun >= at(4_900) {
            (S, Verdict::Filtered)
        } else {
            (MS, Verdict::CertificateExpired)
        }
    });
    assert!(
        looks
            .iter()
            .any(|look| look.0 == at(5_500) && look.2 == Occasion::Second)
    );
}

#[test]
fn a_look_that_outlasts_the_interval_is_followed_at_its_end() {
    let slow = Timing {
        timeout: 2 * S,
        fall: 1,
        ..timing()
    };
    let mut schedule = Schedule::new(slow, at(0), 0);
    let looks = play(&mut schedule, at(6_500), |_| (S * 3 / 2, Verdict::Hung));
    let regular: Vec<_> = looks
        .iter()
        .filter(|look| look.2 == Occasion::Regular)
        .map(|look| look.0)
        .collect();
    assert_eq!(regular, [at(0), at(1500), at(3000), at(4500)]);
}

#[test]
fn certificates_are_looked_at_first_then_by_their_own_interval_and_after_a_fault_always() {
    let deep = Timing {
        deep: true,
        ..timing()
    };
    let full_at = |looks: &[(Mono, Mono, Occasion, bool)]| -> Vec<u128> {
        looks
            .iter()
            .filter(|look| look.3 && look.2 == Occasion::Regular)
            .map(|look| look.0.0.as_millis() / 1000)
            .collect()
    };
    let looks = play(&mut Schedule::new(deep, at(0), 0), at(12_500), good);
    assert_eq!(full_at(&looks), [0, 1, 6, 11]);
    let looks = play(&mut Schedule::new(deep, at(0), 0), at(12_500), |begun| {
        if (at(5_500)..at(8_500)).contains(&begun) {
            (MS, Verdict::CertificateExpired)
        } else {
            good(begun)
        }
    });
    assert_eq!(full_at(&looks), [0, 1, 6, 7, 8, 9, 10]);
}

#[test]
fn a_broken_stream_is_confirmed_back_to_back_until_fall() {
    let hold = Timing {
        hold: true,
        fall: 3,
        ..timing()
    };
    let mut schedule = Schedule::new(hold, at(0), 0);
    play(&mut schedule, at(100), good);
    assert!(schedule.wants_stream(at(100)));
    schedule.handle_held(at(100));
    schedule.handle_lost(at(300), Loss::Broken);
    for _ in 0..3 {
        let start = schedule.poll_start(at(300)).unwrap();
        assert_eq!((start.occasion, start.full), (Occasion::Confirming, false));
        assert_eq!(schedule.poll_start(at(300)), None);
        schedule.handle_ended(start, at(300), at(300), Some(&Verdict::Refused));
    }
    assert_eq!(schedule.poll_start(at(300)), None);
}

#[test]
fn one_good_confirming_look_is_enough() {
    let hold = Timing {
        hold: true,
        ..timing()
    };
    let mut schedule = Schedule::new(hold, at(0), 0);
    play(&mut schedule, at(100), good);
    schedule.handle_held(at(100));
    schedule.handle_lost(at(300), Loss::Broken);
    let start = schedule.poll_start(at(300)).unwrap();
    schedule.handle_ended(start, at(300), at(301), Some(&Verdict::Good));
    assert_eq!(schedule.poll_start(at(301)), None);
}

#[test]
fn a_server_that_cuts_idle_streams_is_held_less_and_less() {
    let hold = Timing {
        hold: true,
        ..timing()
    };
    let mut schedule = Schedule::new(hold, at(0), 0);
    play(&mut schedule, at(100), good);
    let (mut now, mut times) = (at(100), 0);
    while now < at(120_000) {
        if schedule.wants_stream(now) {
            schedule.handle_held(now);
            schedule.handle_lost(now, Loss::Clean);
            times += 1;
        }
        now = now + 100 * MS;
    }
    assert!((5..=9).contains(&times), "{times}");
}

#[test]
fn a_held_stream_is_renewed_before_servers_close_it() {
    let hold = Timing {
        interval: 60 * S,
        hold: true,
        ..timing()
    };
    let mut schedule = Schedule::new(hold, at(0), 0);
    play(&mut schedule, at(100), good);
    schedule.handle_held(at(100));
    assert_eq!(schedule.poll_timeout(), Some(at(25_100)));
    let start = schedule.poll_start(at(25_100)).unwrap();
    assert_eq!((start.occasion, start.full), (Occasion::Renewal, false));
}

#[test]
fn discarded_looks_count_for_nothing_and_a_late_timer_begins_a_new_grid() {
    let mut schedule = Schedule::new(timing(), at(0), 0);
    let start = schedule.poll_start(at(0)).unwrap();
    schedule.handle_begun(start, at(0));
    schedule.handle_ended(start, at(0), at(60_250), None);
    assert!(schedule.bad_run.is_none());
    let start = schedule.poll_start(at(60_250)).unwrap();
    assert_eq!(start.occasion, Occasion::Regular);
    assert_eq!(schedule.planned, at(61_250));
}

#[test]
fn wishes_are_full_looks_and_do_not_pile_up() {
    let mut schedule = Schedule::new(timing(), at(0), 0xffff);
    schedule.handle_asked();
    schedule.handle_asked();
    let start = schedule.poll_start(at(0)).unwrap();
    assert_eq!((start.occasion, start.full), (Occasion::Asked, true));
    schedule.handle_asked();
    assert_eq!(schedule.poll_start(at(0)), None);
    schedule.handle_ended(start, at(0), at(1), Some(&Verdict::Good));
    assert_eq!(schedule.poll_start(at(1)), Some(start));
}

#[test]
fn a_server_that_crashed_is_held_again_as_soon_as_it_speaks() {
    let hold = Timing {
        hold: true,
        ..timing()
    };
    let mut schedule = Schedule::new(hold, at(0), 0);
    for crash in 1..=6 {
        let now = at(crash * 10_000);
        schedule.handle_held(now);
        schedule.handle_lost(now, Loss::Broken);
        let start = schedule.poll_start(now).unwrap();
        assert_eq!(start.occasion, Occasion::Confirming);
        schedule.handle_ended(start, now, now, Some(&Verdict::Refused));
        assert!(schedule.wants_stream(now), "after crash {crash}");
    }
}
