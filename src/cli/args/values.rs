//! Values of arguments that have a form of their own.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::when;
use crate::config::duration;
use crate::failover::Failback;
use crate::scenario;
use crate::time::Wall;

/// `ORIGIN=FILE`.
pub(super) fn zone(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((origin, file)) if !origin.is_empty() && !file.is_empty() => {
            Ok((origin.to_owned(), file.into()))
        }
        Some(_) | None => {
            Err("a zone is ORIGIN=FILE, as in contoso.test.=contoso.test.zone".into())
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`.
pub(super) fn at_port_53(text: &str) -> Result<SocketAddr, String> {
    let address = text
        .parse::<IpAddr>()
        .map(|address| SocketAddr::new(address, 53));
    address.or_else(|_| text.parse()).map_err(|_| {
        format!("{text:?} is no address: write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53")
    })
}

/// A time as the configuration writes it, from 1 ms to an hour: `500ms`, `2s`, `1m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let rule = || format!("{text:?} is no time from 1ms to 1h: write 500ms, 2s or 1m");
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text
        .strip_suffix(unit)
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(rule)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(rule()),
    };
    match number.checked_mul(unit_ms) {
        Some(ms @ 1..=3_600_000) => Ok(Duration::from_millis(ms)),
        Some(_) | None => Err(rule()),
    }
}

/// How long an override lasts, from a second to a year: `90s`, `30m`, `2h`, `3d`.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(period) if period >= Duration::from_secs(1) => Ok(period),
        Ok(_) => Err(format!("{text} is shorter than a second")),
        Err(error) => Err(error.to_string()),
    }
}

/// A point in the past: see [`when::since`].
pub(super) fn since(text: &str) -> Result<Wall, String> {
    when::since(text)
}

/// A duration as scenarios write it, from nothing to a day: `0s`, `1m30s`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let day = Duration::from_secs(86_400);
    scenario::span(text)
        .filter(|span| *span <= day)
        .ok_or_else(|| format!("{text:?} is no time from 0s to 1d: write 30s or 1m30s"))
}

/// When to fail back.
pub(super) fn failback(text: &str) -> Result<Failback, String> {
    match text {
        "manual" => Ok(Failback::Manual),
        text => span(text).map(Failback::After),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_a_bound() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        for wrong in [
            "2",
            "s",
            "0s",
            "2h",
            "99999999999999999999s",
            "-1s",
            "2 s",
            "",
        ] {
            assert!(time(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_resolver_may_lack_its_port() {
        let shown = |text| at_port_53(text).map(|address| address.to_string());
        assert_eq!(shown("192.0.2.1").as_deref(), Ok("192.0.2.1:53"));
        assert_eq!(shown("2001:db8::1").as_deref(), Ok("[2001:db8::1]:53"));
        assert_eq!(
            shown("[2001:db8::1]:5353").as_deref(),
            Ok("[2001:db8::1]:5353")
        );
        assert!(shown("resolver.contoso.com").is_err());
    }

    #[test]
    fn a_period_is_from_a_second_to_a_year() {
        assert_eq!(period("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(period("365d"), Ok(Duration::from_secs(365 * 86_400)));
        for wrong in ["2", "0s", "500ms", "366d", "soon", ""] {
            assert!(period(wrong).is_err(), "{wrong:?}");
        }
    }
}
