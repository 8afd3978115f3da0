#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use super::*;

fn at(milliseconds: u64) -> Ticks {
    Ticks::at(Duration::from_millis(milliseconds))
}

/// How many of `count` responses at one time are within the limit.
fn within(bucket: &mut Bucket, now: Ticks, rate: Rate, count: usize) -> usize {
    let mut within = 0;
    for _ in 0..count {
        let (next, spent) = bucket.spend(now, rate);
        *bucket = next;
        within += usize::from(spent == Spent::Within);
    }
    within
}

#[test]
fn a_network_gets_its_rate_at_once_and_then_as_time_goes_on() {
    for per_second in [1, 7, 200, 1000, 50_000] {
        let (rate, count) = (Rate::per_second(per_second), per_second as usize);
        let mut bucket = Bucket::of(u64::MAX, at(0));
        let first = within(&mut bucket, at(5000), rate, 3 * count);
        assert_eq!(first, count);
        assert_eq!(within(&mut bucket, at(5000), rate, 1), 0);
        // Two seconds under full pressure, whether looked at often or seldom.
        let mut more = 0;
        for step in 1..=100 {
            more += within(&mut bucket, at(5000 + 20 * step), rate, 3 * count);
        }
        // A price is a whole number of ticks.
        let expected = 2 * count;
        assert!(
            (expected - expected / 40 - 1..=expected + expected / 40).contains(&more),
            "{per_second}: {more}"
        );
        assert!(bucket.is_of(Bucket::of(u64::MAX, at(0))));
        // And after a pause all of it again, no more.
        let again = within(&mut bucket, at(60_000), rate, 5 * count);
        assert_eq!(again, count);
    }
}

#[test]
fn whoever_asks_steadily_below_the_limit_never_meets_it() {
    let rate = Rate::per_second(100);
    let mut bucket = Bucket::default();
    for turn in 0..10_000 {
        assert_eq!(within(&mut bucket, at(11 * turn), rate, 1), 1, "{turn}");
    }
}

#[test]
fn the_beginning_of_a_limit_is_told_once() {
    let rate = Rate::per_second(10);
    let mut bucket = Bucket::default();
    let mut spend = |now| {
        let (next, spent) = bucket.spend(at(now), rate);
        bucket = next;
        (spent, bucket.is_limited(at(now)))
    };
    for _ in 0..10 {
        assert_eq!(spend(1000), (Spent::Within, false));
    }
    assert_eq!(spend(1000), (Spent::OverNow, true));
    assert_eq!(spend(1010), (Spent::Over, true));
    // One fits in between: it is limited all the same.
    assert_eq!(spend(1150), (Spent::Within, true));
    assert_eq!(spend(1150), (Spent::Over, true));
    // When the half is paid it is over.
    assert_eq!(spend(1800), (Spent::Within, false));
}

#[test]
fn what_was_paid_long_ago_is_no_debt_when_the_ticks_come_around() {
    let rate = Rate::per_second(1);
    // 2⁴⁰ ticks.
    let round = Duration::from_secs(1 << 20);
    for begin in [0, 1, (1 << 20) - 1, 3 << 20] {
        let begin = Duration::from_secs(begin);
        let mut bucket = Bucket::of(7 << 60, Ticks::at(begin));
        assert_eq!(within(&mut bucket, Ticks::at(begin), rate, 3), 1);
        let later = Ticks::at(begin + round - Duration::from_secs(10));
        assert_eq!(bucket.debt(later), 0);
        assert!(!bucket.is_limited(later));
        assert_eq!(within(&mut bucket, later, rate, 3), 1);
    }
    // A clock that went back for some reason costs nobody his answers.
    let mut bucket = Bucket::default();
    within(&mut bucket, at(90_000), rate, 3);
    assert_eq!(within(&mut bucket, at(30_000), rate, 3), 1);
}

#[test]
fn newcomers_take_the_place_of_whoever_owes_least_and_never_of_the_limited() {
    let (rate, now) = (Rate::per_second(10), at(7000));
    let of = |number: u64| Bucket::of(number << 50, now);
    let mut set = [Bucket::default(); WAYS];
    // Seven that are limited, and one place for a hundred who ask once.
    for victim in 1..WAYS {
        let place = choose(&set, of(victim as u64), now);
        let mut bucket = of(victim as u64);
        within(&mut bucket, now, rate, 20);
        set[place] = bucket;
    }
    for passer in 100..200 {
        let place = choose(&set, of(passer), now);
        set[place] = of(passer).spend(now, rate).0;
    }
    for victim in 1..WAYS {
        let found = set[choose(&set, of(victim as u64), now)];
        assert!(found.is_of(of(victim as u64)) && found.is_limited(now));
    }
    assert!(set.iter().any(|bucket| bucket.is_of(of(199))));
}

#[test]
fn one_of_so_many_slips() {
    let slips = |slip| (0..600).filter(|n| over(slip, *n) == Over::Slip).count();
    assert_eq!([slips(0), slips(1), slips(2), slips(3)], [0, 600, 300, 200]);
}

#[test]
fn classes_are_read_off_the_header() {
    let class = |flags: [u8; 2], answers: u8, authority: u8| {
        let [one, two] = flags;
        Class::of(&[0, 0, one, two, 0, 1, 0, answers, 0, authority, 0, 0])
    };
    assert_eq!(class([0x84, 0], 1, 0), Class::Answer);
    assert_eq!(class([0x84, 0], 0, 1), Class::NoData);
    assert_eq!(class([0x84, 3], 0, 1), Class::NxDomain);
    assert_eq!(class([0x84, 3], 1, 1), Class::NxDomain);
    assert_eq!(class([0x80, 0], 0, 2), Class::Referral);
    // The way to a stream and nothing else; REFUSED; the answer to a NOTIFY.
    assert_eq!(class([0x82, 0], 0, 0), Class::Error);
    assert_eq!(class([0x80, 5], 0, 0), Class::Error);
    assert_eq!(class([0xa4, 0], 0, 0), Class::Error);
    assert_eq!(Class::of(b"short"), Class::Error);
    for (at, class) in Class::ALL.iter().enumerate() {
        assert_eq!(usize::from(class.number()), at);
    }
}
