//! **Pure.** Points in time, handed in by whoever has a clock.
//!
//! [`Mono`] orders events within one run of the program and measures durations; it never
//! goes back and means nothing to another process. [`Wall`] is what is written to disk and
//! shown to people: it may jump. Decisions use [`Mono`]; deadlines that outlive the process
//! are kept as [`Wall`].

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on this process's monotonic clock: the time since the process started its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub Duration);

impl Mono {
    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Mono) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, by: Duration) -> Mono {
        Mono(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, by: Duration) -> Mono {
        Mono(self.0.saturating_sub(by))
    }
}

/// A point on the calendar: milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(pub u64);

impl Wall {
    /// The time from `earlier` to `self`, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Reads a time in UTC as [`Wall`] is shown: `2026-11-23T22:37:39.120Z`, or without the
    /// fraction. `None` if it is none, or before 1970 or after 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Wall> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let (whole, fraction) = match time.split_once('.') {
            Some((whole, fraction)) => (whole, fraction),
            None => (time, "0"),
        };
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
        let fits = (1..=12).contains(&month) && day >= 1 && day <= days_of_month(year, month);
        if year < 1970 || !fits || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let is_fraction = (1..=3).contains(&fraction.len())
            && fraction.bytes().all(|digit| digit.is_ascii_digit());
        let ms: u64 = is_fraction.then(|| format!("{fraction:0<3}").parse().ok())??;
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Wall(seconds * 1000 + ms))
    }

    /// Whole seconds since 1970, as DNS serials and signatures count them.
    #[must_use]
    pub fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, by: Duration) -> Wall {
        Wall(
            self.0
                .saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Display for Wall {
    /// RFC 3339 in UTC with milliseconds: `2026-11-23T22:37:39.120Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (year, month, day) = civil_from_days(days);
        let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{:03}Z",
            ms % 1000
        )
    }
}

/// Days since 1970-01-01 as (year, month, day) of the Gregorian calendar
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Numbers of so many digits with `between` between them.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut found = [0; 3];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let plain = part.bytes().all(|digit| digit.is_ascii_digit());
        *number = plain.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(found)
}

fn days_of_month(year: u64, month: u64) -> u64 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The inverse of [`civil_from_days`] (same source, `days_from_civil`), from 1970 on.
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let mp = (month + 9) % 12;
    let day_of_year = (153 * mp + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Both clocks, read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// What durations are measured by.
    pub mono: Mono,
    /// What is written down and shown.
    pub wall: Wall,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_reads_as_rfc_3339() {
        assert_eq!(Wall(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Wall(951_827_696_789).to_string(),
            "2000-02-29T12:34:56.789Z"
        );
        assert_eq!(
            Wall(1_795_473_459_120).to_string(),
            "2026-11-23T22:37:39.120Z"
        );
    }

    #[test]
    fn wall_time_is_read_as_it_is_shown() {
        for ms in [0, 951_827_696_789, 1_795_473_459_120, 4_102_444_799_999] {
            assert_eq!(Wall::parse(&Wall(ms).to_string()), Some(Wall(ms)));
        }
        assert_eq!(Wall::parse("1970-01-02T00:00:00Z"), Some(Wall(86_400_000)));
        for wrong in [
            "",
            "2026-11-23",
            "2026-11-23T22:37:39",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T22:37:39.1234Z",
            "2026-11-23T22:37:39.Z",
            "+026-11-23T22:37:39Z",
            "2026-11-23T22:37:39.12äZ",
        ] {
            assert_eq!(Wall::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn durations_never_go_below_zero() {
        assert_eq!(
            Mono(Duration::from_secs(1)).since(Mono(Duration::from_secs(2))),
            Duration::ZERO
        );
        assert_eq!(Wall(1).since(Wall(2)), Duration::ZERO);
    }
}
