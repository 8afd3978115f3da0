//! Times as the reader lives in them: the zone of `TZ`, or of the system.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use crate::clock;
use crate::scenario;
use crate::time::Wall;

/// `2026-11-24 04:13:07.120+01:00`.
pub(super) fn local(at: Wall) -> String {
    match zoned(at) {
        Some(zoned) => zoned.strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string(),
        None => at.to_string(),
    }
}

/// A time in the past: so long ago, a time of the day, a date and a time, or one in UTC.
pub(super) fn since(text: &str) -> Result<Wall, String> {
    read(text, clock::wall(), &TimeZone::system()).ok_or_else(|| {
        format!(
            "{text:?} is no time in the past: write 2h, 1d12h, 03:00, '2026-11-24 03:00' or \
             2026-11-24T02:00:00Z"
        )
    })
}

fn zoned(at: Wall) -> Option<ZonedDateTime> {
    let ms = i64::try_from(at.0).ok()?;
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(at.to_zoned_datetime(TimeZone::system()))
}

fn read(text: &str, now: Wall, zone: &TimeZone) -> Option<Wall> {
    if let Some(ago) = scenario::span(text) {
        let ago = u64::try_from(ago.as_millis()).ok()?;
        return Some(Wall(now.0.saturating_sub(ago)));
    }
    if let Some(at) = Wall::parse(text) {
        return Some(at);
    }
    let wall = |zoned: ZonedDateTime| {
        Some(Wall(
            u64::try_from(zoned.timestamp().as_millisecond()).ok()?,
        ))
    };
    if let Ok(at) = text.parse::<DateTime>() {
        return wall(at.to_zoned_datetime(zone.clone()).ok()?);
    }
    // The latest such time that has been.
    let time: Time = text.parse().ok()?;
    let today = Timestamp::from_millisecond(i64::try_from(now.0).ok()?)
        .ok()?
        .to_zoned_datetime(zone.clone());
    let at = wall(
        today
            .date()
            .to_datetime(time)
            .to_zoned_datetime(zone.clone())
            .ok()?,
    )?;
    if at <= now {
        return Some(at);
    }
    let yesterday = today.date().yesterday().ok()?;
    wall(
        yesterday
            .to_datetime(time)
            .to_zoned_datetime(zone.clone())
            .ok()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_the_day_is_the_latest_that_has_been() {
        let now = Wall::parse("2026-11-25T03:30:00Z").unwrap();
        let utc = TimeZone::UTC;
        let at = |text: &str| read(text, now, &utc).map(|at| at.to_string());
        assert_eq!(at("03:00").as_deref(), Some("2026-11-25T03:00:00.000Z"));
        assert_eq!(at("04:00").as_deref(), Some("2026-11-24T04:00:00.000Z"));
        assert_eq!(at("1d12h").as_deref(), Some("2026-11-23T15:30:00.000Z"));
        assert_eq!(
            at("2026-11-24 04:00").as_deref(),
            Some("2026-11-24T04:00:00.000Z")
        );
        assert_eq!(
            at("2026-11-24T04:00:00Z").as_deref(),
            Some("2026-11-24T04:00:00.000Z")
        );
        assert_eq!(at("soon"), None);
        assert_eq!(at("25:00"), None);
    }
}
