//! Colours, columns and durations.

use std::time::Duration;

use crate::health::{Health, PoolHealth};

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// For a terminal.
    Colours,
    /// For files, pipes and `NO_COLOR`.
    Plain,
}

impl Paint {
    fn wrap(self, sgr: &str, text: &str) -> String {
        match self {
            Paint::Colours => format!("\x1b[{sgr}m{text}\x1b[0m"),
            Paint::Plain => text.to_owned(),
        }
    }

    /// What somebody should look at now.
    #[must_use]
    pub fn loud(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// As it should be.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// Between the two.
    #[must_use]
    pub fn odd(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// Words that stand at the head of something.
    #[must_use]
    pub fn head(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// Words that explain others.
    #[must_use]
    pub fn quiet(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// The word for the health of an endpoint or a server, padded to `width` and coloured.
    #[must_use]
    pub fn health(self, health: Health, width: usize) -> String {
        let word = format!("{health:<width$}");
        match health {
            Health::Up => self.good(&word),
            Health::Down => self.loud(&word),
            Health::Degraded | Health::Unknown => self.odd(&word),
        }
    }

    /// The word for the health of a pool, padded to `width` and coloured.
    #[must_use]
    pub fn pool_health(self, health: PoolHealth, width: usize) -> String {
        let word = format!("{health:<width$}");
        match health {
            PoolHealth::Up => self.good(&word),
            PoolHealth::Down => self.loud(&word),
            PoolHealth::Degraded | PoolHealth::PartlyUp | PoolHealth::Unknown => self.odd(&word),
        }
    }
}

/// Text from outside (what a server or a hook said) made fit for a terminal: control
/// characters, which could move the cursor or hide words, are shown as `·`.
#[must_use]
pub fn tame(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}

/// The width of the widest of `texts`, in characters.
pub(super) fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.chars().count()).max().unwrap_or(0)
}

/// A duration in its two largest units: `340ms`, `7m12s`, `3d4h`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (large, small) = match seconds {
        0 => return format!("{}ms", duration.as_millis()),
        1..60 => return format!("{seconds}s"),
        60..3_600 => ((seconds / 60, "m"), (seconds % 60, "s")),
        3_600..86_400 => ((seconds / 3_600, "h"), (seconds / 60 % 60, "m")),
        _ => ((seconds / 86_400, "d"), (seconds / 3_600 % 24, "h")),
    };
    if small.0 == 0 {
        format!("{}{}", large.0, large.1)
    } else {
        format!("{}{}{}{}", large.0, large.1, small.0, small.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!(shown(340), "340ms");
        assert_eq!(shown(59_999), "59s");
        assert_eq!(shown(432_000), "7m12s");
        assert_eq!(shown(3_600_000), "1h");
        assert_eq!(shown(273_600_000), "3d4h");
    }

    #[test]
    fn text_from_outside_moves_no_cursor() {
        assert_eq!(tame("a\x1b[2Jb\nc"), "a·[2Jb·c");
    }
}
