//! Durations as operators write them: `"500ms"`, `"1s"`, `"10m"`, `"2h"`, `"1d"`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// It is not a number with a unit.
    #[error("'{0}' is not a duration, it is a whole number and one of ms, s, m, h, d, write '10s'")]
    Form(String),
    /// It is longer than a year.
    #[error("'{0}' is longer than 365 days, the longest duration there is, write less")]
    TooLong(String),
}

const DAY: u64 = 86_400_000;

/// Reads a whole number with a unit.
///
/// # Errors
/// When the text has another form, or is longer than 365 days.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let form = || DurationError::Form(text.to_owned());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits).ok_or_else(form)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY,
        _ => return Err(form()),
    };
    if number.is_empty() {
        return Err(form());
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_ms))
        .filter(|ms| *ms <= 365 * DAY)
        .map(Duration::from_millis)
        .ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

/// A duration as [`parse`] reads it, in the largest unit that is exact.
#[must_use]
pub fn show(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    match units
        .iter()
        .find(|(size, _)| ms > 0 && ms.is_multiple_of(*size))
    {
        Some((size, unit)) => format!("{}{unit}", ms / size),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_shown() {
        for text in ["0s", "1ms", "500ms", "1s", "90s", "10m", "2h", "1d", "365d"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(show(parse("60s").unwrap()), "1m");
    }

    #[test]
    fn what_has_no_unit_or_no_number_is_refused() {
        for text in ["", "1", "s", "1 s", "-1s", "1.5s", "1S", "ü", "1w"] {
            assert_eq!(parse(text), Err(DurationError::Form(text.to_owned())));
        }
        let long = "99999999999999999999d";
        assert_eq!(parse(long), Err(DurationError::TooLong(long.to_owned())));
    }
}
