//! A line to words with places; times and durations as scenarios write them.

use std::fmt;
use std::time::Duration;

use crate::time::Wall;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// One word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    /// The character that it begins at, from 1.
    pub(super) column: usize,
    /// Whether it stood in quotation marks: then it is no keyword.
    pub(super) quoted: bool,
}

/// The words of one line, taken one by one.
pub(super) struct Words {
    line: usize,
    words: Vec<Word>,
    next: usize,
    /// Where a word that is missing would begin.
    end: usize,
}

impl Words {
    /// Splits a line. A `#` at the beginning of a word begins a comment.
    pub(super) fn of(line: usize, text: &str) -> Result<Words, Fault> {
        let mut words = Vec::new();
        let mut chars = (1..).zip(text.chars()).peekable();
        let mut end = 1;
        while let Some((column, c)) = chars.next() {
            if c.is_whitespace() {
                continue;
            }
            if c == '#' {
                break;
            }
            let mut word = Word {
                text: String::new(),
                column,
                quoted: c == '"',
            };
            let whole = if word.quoted {
                quoted(&mut chars, &mut word.text)
            } else {
                word.text.push(c);
                while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace()) {
                    word.text.push(c);
                }
                true
            };
            if !whole {
                return Err(Fault {
                    line,
                    column,
                    message: "this text has no end, close it with a quotation mark".to_owned(),
                });
            }
            end = chars
                .peek()
                .map_or_else(|| text.chars().count() + 1, |(column, _)| *column);
            words.push(word);
        }
        Ok(Words {
            line,
            words,
            next: 0,
            end: end + 1,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The line's number.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The next word, if there is one.
    pub(super) fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.next).cloned();
        self.next += usize::from(word.is_some());
        word
    }

    /// The next word, which must be there: `what` says what it is.
    pub(super) fn need(&mut self, what: &str) -> Result<Word, Fault> {
        self.next().ok_or_else(|| Fault {
            line: self.line,
            column: self.end,
            message: format!("here {what} is missing, add it"),
        })
    }

    /// Takes the next word if it is this keyword.
    pub(super) fn has(&mut self, keyword: &str) -> bool {
        let there = self
            .words
            .get(self.next)
            .is_some_and(|word| !word.quoted && word.text == keyword);
        self.next += usize::from(there);
        there
    }

    /// Takes the next word, which must be this keyword.
    pub(super) fn expect(&mut self, keyword: &str) -> Result<(), Fault> {
        if self.has(keyword) {
            return Ok(());
        }
        let found = self.need(&format!("the word '{keyword}'"))?;
        Err(self.fault(
            &found,
            format!("'{}' stands where '{keyword}' belongs", found.text),
        ))
    }

    /// Takes what can be read from the next word, if it can be read from it.
    pub(super) fn try_next<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let found = read(&self.words.get(self.next)?.text)?;
        self.next += 1;
        Some(found)
    }

    /// A duration, which must be there.
    pub(super) fn duration(&mut self, what: &str) -> Result<Duration, Fault> {
        let word = self.need(what)?;
        span(&word.text).ok_or_else(|| self.fault(&word, no_duration(&word.text)))
    }

    /// A number, which must be there, up to `most`.
    pub(super) fn number(&mut self, what: &str, least: u64, most: u64) -> Result<u64, Fault> {
        let word = self.need(what)?;
        let number: Option<u64> = word.text.parse().ok();
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                let message = format!("'{}' is not {what}, write {least} to {most}", word.text);
                self.fault(&word, message)
            })
    }

    /// One of `known`, which must be there.
    pub(super) fn one_of<T: Copy>(&mut self, what: &str, known: &[(&str, T)]) -> Result<T, Fault> {
        let word = self.need(what)?;
        known
            .iter()
            .find(|(name, _)| *name == word.text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "'{}' is not {what}, write {}",
                    word.text,
                    names.join(" or ")
                );
                self.fault(&word, message)
            })
    }

    /// The line must end here.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        match self.next() {
            None => Ok(()),
            Some(word) => {
                let message = format!("'{}' is more than this line can say, remove it", word.text);
                Err(self.fault(&word, message))
            }
        }
    }

    /// A fault at `word`.
    pub(super) fn fault(&self, word: &Word, message: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            column: word.column,
            message: message.into(),
        }
    }

    /// A fault at the beginning of the line.
    pub(super) fn fault_here(&self, message: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            column: self.words.first().map_or(1, |word| word.column),
            message: message.into(),
        }
    }
}

/// The rest of a text in quotation marks. Says whether it ended.
fn quoted(chars: &mut impl Iterator<Item = (usize, char)>, text: &mut String) -> bool {
    while let Some((_, c)) = chars.next() {
        match c {
            '"' => return true,
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, other)) => text.push(other),
                None => return false,
            },
            other => text.push(other),
        }
    }
    false
}

/// `text` as a word that reads as the same text.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// A name as a word: in quotation marks only if it needs them.
pub(super) fn name(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        quote(text)
    }
}

fn no_duration(text: &str) -> String {
    format!("'{text}' is no duration, write for example 90s, 1m30s or 2h13m7.120s")
}

/// The longest that anything takes.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A duration: numbers with units, the largest first, the last with a fraction or without.
/// `1h2m3.250s`, `90s`, `250ms`. At most 366 days.
#[must_use]
pub fn span(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("ms", 1),
        ("m", 60_000),
        ("s", 1000),
    ];
    let (mut rest, mut total_ms, mut below) = (text, 0_u64, u64::MAX);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let whole: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let mut thousandths = 0;
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.find(|c: char| !c.is_ascii_digit())?;
            if !(1..=3).contains(&digits) {
                return None;
            }
            thousandths = format!("{:0<3}", &after[..digits]).parse().ok()?;
            rest = &after[digits..];
        }
        let (unit, unit_ms) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        let fractional = thousandths > 0;
        if *unit_ms >= below || fractional && *unit != "s" {
            return None;
        }
        rest = &rest[unit.len()..];
        below = *unit_ms;
        total_ms = whole
            .checked_mul(*unit_ms)?
            .checked_add(thousandths)?
            .checked_add(total_ms)?;
    }
    let total = Duration::from_millis(total_ms);
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

/// A duration as [`span`] reads it.
#[must_use]
pub fn show_span(span: Duration) -> String {
    let ms = span.as_millis();
    let (d, h, m) = (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60);
    let (s, ms) = (ms / 1000 % 60, ms % 1000);
    let mut text = String::new();
    for (number, unit) in [(d, "d"), (h, "h"), (m, "m")] {
        if number > 0 {
            text += &format!("{number}{unit}");
        }
    }
    if ms > 0 {
        text += &format!("{s}.{ms:03}s");
    } else if s > 0 || text.is_empty() {
        text += &format!("{s}s");
    }
    text
}

/// A point in time, absolute or after `start`.
pub(super) fn time(text: &str, start: Wall) -> Option<Duration> {
    if let Some(after) = span(text) {
        return Some(after);
    }
    let at = Wall::parse(text)?;
    let after = at.since(start);
    (at >= start && after <= LONGEST).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_they_are_shown() {
        for text in [
            "0s",
            "1s",
            "0.250s",
            "1m30s",
            "2h13m7.120s",
            "1d",
            "1h",
            "365d23h",
        ] {
            assert_eq!(show_span(span(text).unwrap()), text);
        }
        assert_eq!(span("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(span("1.5s"), Some(Duration::from_millis(1500)));
        for wrong in [
            "", "1", "s", "1s1m", "1.5m", "1.s", "1.2345s", "-1s", "400d", "ä", "1s ",
        ] {
            assert_eq!(span(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn words_know_their_columns_and_comments_are_none() {
        let mut words = Words::of(3, r#"  see "a \"b\\"  x # y"#).unwrap();
        let first = words.next().unwrap();
        assert_eq!((first.text.as_str(), first.column), ("see", 3));
        let second = words.next().unwrap();
        assert_eq!((second.text.as_str(), second.column), ("a \"b\\", 7));
        assert_eq!(words.next().unwrap().column, 18);
        assert_eq!(words.need("a word").unwrap_err().column, 20);
        assert!(Words::of(1, r#"see "x"#).is_err());
        assert_eq!(quote("a\"\\\n"), r#""a\"\\\n""#);
    }
}
