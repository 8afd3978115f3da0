use super::*;

/// A zone, its clock, and what it did last.
struct Bench {
    secondary: Secondary,
    now: Now,
}

fn timers() -> Timers {
    Timers::bounded(100, 10, 1000)
}

fn failed(why: &str) -> Event {
    Event::Visited(Outcome::Failed {
        why: why.to_owned(),
        wants_whole: false,
    })
}

fn took(serial: u32) -> Event {
    Event::Visited(Outcome::Took {
        serial: Serial(serial),
        timers: timers(),
    })
}

fn current() -> Event {
    Event::Visited(Outcome::Current)
}

impl Bench {
    fn new(primaries: usize, held: Option<Memory>) -> Bench {
        let now = Now {
            mono: Mono(Duration::from_secs(50)),
            wall: Wall(5_000_000),
        };
        // The root: no spread.
        let held = held.map(|memory| (memory, timers()));
        let secondary = Secondary::new(now, primaries, &[0], held);
        Bench { secondary, now }
    }

    fn happens(&mut self, event: Event) -> Vec<String> {
        self.secondary.handle(self.now, event);
        std::iter::from_fn(|| self.secondary.poll_action())
            .map(|action| show(&action))
            .collect()
    }

    fn after(&mut self, seconds: u64, event: Event) -> Vec<String> {
        self.pass(Duration::from_secs(seconds));
        self.happens(event)
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
    }

    /// Jumps to when it wants to be called, and says how far that was.
    fn next(&mut self) -> (u64, Vec<String>) {
        let at = self.secondary.poll_timeout().unwrap();
        let far = at.since(self.now.mono);
        self.pass(far);
        (
            far.as_millis().try_into().unwrap(),
            self.happens(Event::TimePassed),
        )
    }
}

fn show(action: &Action) -> String {
    match action {
        Action::Visit { primary, whole } => {
            format!("visit {primary}{}", if *whole { " whole" } else { "" })
        }
        Action::Expire => "expire".to_owned(),
        Action::Revive => "revive".to_owned(),
        Action::Remember(memory) => {
            let good_for = memory.expires.since(memory.refreshed).as_secs();
            format!("remember {} {good_for}", memory.serial)
        }
        Action::Tell(Told::Took { primary, serial }) => format!("took {serial} from {primary}"),
        Action::Tell(Told::Trouble { primary, why }) => format!("trouble with {primary}: {why}"),
        Action::Tell(Told::Reached { primary }) => format!("reached {primary}"),
        Action::Tell(Told::Expired { .. }) => "says expired".to_owned(),
    }
}

#[test]
fn a_zone_without_data_is_asked_for_at_once_and_then_ever_less_often() {
    let mut bench = Bench::new(2, None);
    assert_eq!(bench.next(), (0, vec!["visit 0".to_owned()]));
    assert_eq!(bench.happens(failed("a")), ["trouble with 0: a", "visit 1"]);
    assert_eq!(bench.happens(failed("b")), ["trouble with 1: b"]);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let (pause, actions) = bench.next();
        pauses.push(pause / 1000);
        assert_eq!(actions, ["visit 0"]);
        // The same trouble again is no news.
        assert_eq!(bench.happens(failed("a")), ["visit 1"]);
        assert_eq!(bench.happens(failed("b")), [""; 0]);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
    assert_eq!(bench.next().1, ["visit 0"]);
    assert_eq!(bench.happens(failed("a")), ["visit 1"]);
    assert_eq!(
        bench.happens(took(7)),
        ["took 7 from 1", "remember 7 1000", "reached 1"]
    );
    assert!(bench.secondary.is_good());
}

#[test]
fn a_good_answer_begins_refresh_and_expire_anew_and_is_asked_first_next() {
    let mut bench = Bench::new(2, None);
    bench.next();
    bench.happens(failed("a"));
    bench.happens(took(7));
    for _ in 0..3 {
        assert_eq!(bench.next(), (100_000, vec!["visit 1".to_owned()]));
        assert_eq!(bench.happens(current()), ["remember 7 1000"]);
    }
    // One round fails, the retry does not.
    assert_eq!(bench.next(), (100_000, vec!["visit 1".to_owned()]));
    bench.happens(failed("b"));
    assert_eq!(bench.happens(failed("c")), ["trouble with 0: c"]);
    assert_eq!(bench.next(), (10_000, vec!["visit 1".to_owned()]));
    assert_eq!(bench.happens(current()), ["remember 7 1000", "reached 1"]);
    assert_eq!(bench.next().0, 100_000);
}

#[test]
fn a_zone_expires_when_no_primary_is_reached_and_comes_back_with_the_first_answer() {
    let mut bench = Bench::new(1, None);
    bench.next();
    bench.happens(took(7));
    let mut since = 0;
    let (mut rounds, mut expired) = (Vec::new(), false);
    while !expired {
        let (far, actions) = bench.next();
        since += far;
        expired = actions.contains(&"expire".to_owned());
        if actions.contains(&"visit 0".to_owned()) {
            rounds.push(since / 1000);
            bench.happens(failed("gone"));
        }
    }
    assert_eq!(since, 1_000_000);
    // 10 s, 20, 40, 80, and no less often than `refresh`.
    assert_eq!(rounds[..6], [100, 110, 130, 170, 250, 350]);
    assert!(!bench.secondary.is_good());
    // The same version makes it good again.
    while bench.secondary.next_round().is_some() {
        bench.next();
    }
    assert_eq!(
        bench.happens(current()),
        ["revive", "remember 7 1000", "reached 0"]
    );
    assert!(bench.secondary.is_good());
}

#[test]
fn a_newer_version_needs_no_revival() {
    let memory = Memory {
        serial: Serial(7),
        refreshed: Wall(1_000_000),
        expires: Wall(4_000_000),
    };
    let mut bench = Bench::new(1, Some(memory));
    assert_eq!(bench.next().1, ["says expired", "visit 0"]);
    assert_eq!(bench.happens(took(8)), ["took 8 from 0", "remember 8 1000"]);
}

#[test]
fn a_restart_goes_on_with_the_deadline_and_asks_at_once() {
    let memory = |expires| Memory {
        serial: Serial(7),
        refreshed: Wall(4_900_000),
        expires: Wall(expires),
    };
    // 300 s are left of 1,000.
    let mut bench = Bench::new(1, Some(memory(5_300_000)));
    assert!(bench.secondary.is_good());
    assert_eq!(bench.next(), (0, vec!["visit 0".to_owned()]));
    assert_eq!(
        bench
            .secondary
            .poll_timeout()
            .unwrap()
            .since(bench.now.mono)
            .as_secs(),
        300
    );
    // A clock that was set back does not make it good for longer than its SOA says.
    let bench = Bench::new(1, Some(memory(900_000_000)));
    let mut secondary = bench.secondary.clone();
    secondary.handle(bench.now, Event::TimePassed);
    assert_eq!(
        secondary
            .poll_timeout()
            .unwrap()
            .since(bench.now.mono)
            .as_secs(),
        1000
    );
    let bench = Bench::new(1, Some(memory(4_000_000)));
    assert!(!bench.secondary.is_good());
}

#[test]
fn notify_begins_a_round_with_the_primary_that_sent_it() {
    let mut bench = Bench::new(2, None);
    bench.next();
    bench.happens(took(7));
    let notified = |serial: Option<u32>| Event::Notified {
        primary: 1,
        serial: serial.map(Serial),
    };
    // What we have is no news, and a primary that we do not have neither.
    for stale in [notified(Some(7)), notified(Some(6))] {
        assert_eq!(bench.after(10, stale), [""; 0]);
    }
    let stranger = Event::Notified {
        primary: 2,
        serial: None,
    };
    assert_eq!(bench.happens(stranger), [""; 0]);
    assert_eq!(bench.happens(notified(Some(8))), ["visit 1"]);
    // A flood during a visit and after it is one more visit, after a pause.
    for _ in 0..1000 {
        assert_eq!(bench.happens(notified(None)), [""; 0]);
    }
    assert_eq!(bench.happens(took(8)), ["took 8 from 1", "remember 8 1000"]);
    for _ in 0..1000 {
        assert_eq!(bench.happens(notified(None)), [""; 0]);
    }
    assert_eq!(bench.next(), (500, vec!["visit 1".to_owned()]));
    assert_eq!(bench.happens(current()), ["remember 8 1000"]);
    assert_eq!(bench.next().0, 100_000);
}

#[test]
fn changes_that_do_not_fit_are_followed_by_the_whole_zone_once() {
    let mut bench = Bench::new(2, None);
    bench.next();
    bench.happens(took(7));
    bench.next();
    let misfit = || {
        Event::Visited(Outcome::Failed {
            why: "misfit".to_owned(),
            wants_whole: true,
        })
    };
    assert_eq!(
        bench.happens(misfit()),
        ["trouble with 0: misfit", "visit 0 whole"]
    );
    assert_eq!(bench.happens(misfit()), ["visit 1"]);
    assert_eq!(
        bench.happens(misfit()),
        ["trouble with 1: misfit", "visit 1 whole"]
    );
    assert_eq!(bench.happens(took(8))[0], "took 8 from 1");
}

#[test]
fn many_zones_do_not_ask_in_step() {
    let next = |origin: &[u8]| {
        let now = Now::default();
        let mut secondary = Secondary::new(now, 1, origin, None);
        secondary.handle(now, Event::TimePassed);
        secondary.handle(now, took(1));
        secondary.next_round().unwrap().0.as_secs()
    };
    assert_eq!([next(&[0]), next(&[1]), next(&[9])], [100, 99, 91]);
}
