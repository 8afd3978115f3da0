//! From TOML to values with places. Nothing stops at the first fault: what cannot be read is
//! noted and left out, and reading goes on.
//!
//! serde stops at the first error of a document, so the tables are walked here instead, over
//! the parser's own spanned tree. Every key is asked for by name; [`Fields::finish`] refuses
//! those that nobody asked for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::problem::{At, Notes};

/// A value of a document, with its place.
pub(super) type Item<'d> = Spanned<DeValue<'d>>;

/// What can be read from a TOML value.
pub(super) trait FromToml: Sized {
    /// Reads it, or notes why not.
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self>;
}

/// The keys of one table, asked for one by one.
pub(super) struct Fields<'d, 'n> {
    table: &'d DeTable<'d>,
    /// What the table is, for messages: `[[pool]]`.
    what: &'static str,
    at: usize,
    asked: Vec<&'static str>,
    notes: &'n mut Notes,
}

impl<'d, 'n> Fields<'d, 'n> {
    /// The fields of a table that has been parsed.
    pub(super) fn of_table(
        table: &'d DeTable<'d>,
        at: usize,
        what: &'static str,
        notes: &'n mut Notes,
    ) -> Self {
        Fields {
            table,
            what,
            at,
            asked: Vec::new(),
            notes,
        }
    }

    /// The fields of `item`, if it is a table.
    pub(super) fn of(item: &'d Item<'d>, what: &'static str, notes: &'n mut Notes) -> Option<Self> {
        match item.get_ref().as_table() {
            Some(table) => Some(Self::of_table(table, item.span().start, what, notes)),
            None => {
                wrong_type(item, "a table", notes);
                None
            }
        }
    }

    /// The value of a key that may be left out.
    pub(super) fn get<T: FromToml>(&mut self, key: &'static str) -> Option<At<T>> {
        self.asked.push(key);
        let item = self.table.get(key)?;
        let value = T::from_toml(item, self.notes)?;
        Some(At {
            value,
            at: item.span().start,
        })
    }

    /// The value of a key that must be there.
    pub(super) fn need<T: FromToml>(&mut self, key: &'static str) -> Option<At<T>> {
        if !self.has(key) {
            let message = format!("{} has no '{key}', which it needs, add it", self.what);
            self.notes.error(self.at, message);
        }
        self.get(key)
    }

    /// Whether the key is there, readable or not.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let remedy = match nearest(name, &self.asked) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("it is none of {}, remove it", self.asked.join(", ")),
            };
            let message = format!("'{name}' is not a key of {}, {remedy}", self.what);
            self.notes.error(key.span().start, message);
        }
    }
}

/// Notes that `item` is not what was wanted.
pub(super) fn wrong_type(item: &Item<'_>, want: &str, notes: &mut Notes) {
    let found = item.get_ref().type_str();
    let article = if found.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    notes.error(
        item.span().start,
        format!("{article} {found} stands here, {want} is needed"),
    );
}

/// One of several words, each with its meaning.
pub(super) fn one_of<T: Copy>(
    item: &Item<'_>,
    words: &[(&str, T)],
    notes: &mut Notes,
) -> Option<T> {
    let text = String::from_toml(item, notes)?;
    if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
        return Some(*meaning);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let remedy = match nearest(&text, &known) {
        Some(near) => format!(", did you mean '{near}'?"),
        None => String::new(),
    };
    notes.error(
        item.span().start,
        format!("'{text}' is none of {}{remedy}", known.join(", ")),
    );
    None
}

/// The word that a mistyped one most likely stands for.
fn nearest<'w>(typed: &str, words: &[&'w str]) -> Option<&'w str> {
    let far = typed.chars().count().max(3) / 3 + 1;
    words
        .iter()
        .map(|word| (distance(typed, word), *word))
        .filter(|(distance, _)| *distance <= far)
        .min()
        .map(|(_, word)| word)
}

/// Levenshtein's distance; keys are short, so the plain table will do.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let cost = (diagonal + usize::from(from != *to))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            left = cost;
            *cell = cost;
        }
    }
    row.last().copied().unwrap_or_default()
}

impl FromToml for String {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        match item.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                wrong_type(item, "a string", notes);
                None
            }
        }
    }
}

impl FromToml for bool {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let value = item.get_ref().as_bool();
        if value.is_none() {
            wrong_type(item, "true or false", notes);
        }
        value
    }
}

/// An integer up to `max`, or a note.
fn integer(item: &Item<'_>, max: u64, notes: &mut Notes) -> Option<u64> {
    let Some(written) = item.get_ref().as_integer() else {
        wrong_type(item, "a number", notes);
        return None;
    };
    match u64::from_str_radix(written.as_str(), written.radix()) {
        Ok(value) if value <= max => Some(value),
        Ok(_) | Err(_) => {
            let message = format!("'{written}' is out of range, write 0 to {max}");
            notes.error(item.span().start, message);
            None
        }
    }
}

impl FromToml for u16 {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        integer(item, u16::MAX.into(), notes).and_then(|value| value.try_into().ok())
    }
}

impl FromToml for u32 {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        integer(item, u32::MAX.into(), notes).and_then(|value| value.try_into().ok())
    }
}

impl FromToml for Duration {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let Some(text) = item.get_ref().as_str() else {
            wrong_type(item, "a duration such as '500ms', '10s' or '2h'", notes);
            return None;
        };
        duration::parse(text)
            .map_err(|error| notes.error(item.span().start, error.to_string()))
            .ok()
    }
}

impl FromToml for IpAddr {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let text = String::from_toml(item, notes)?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!(
                "'{text}' is not an address, write an IPv4 or IPv6 address without brackets or port"
            );
            notes.error(item.span().start, message);
        }
        address
    }
}

impl FromToml for SocketAddr {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let text = String::from_toml(item, notes)?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!(
                "'{text}' is not an address with a port, write 192.0.2.1:53 or [2001:db8::1]:53"
            );
            notes.error(item.span().start, message);
        }
        address
    }
}

impl<T: FromToml> FromToml for Vec<At<T>> {
    /// The elements that can be read; the others are noted.
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let Some(array) = item.get_ref().as_array() else {
            wrong_type(item, "a list", notes);
            return None;
        };
        let read: Vec<At<T>> = array
            .iter()
            .filter_map(|element| {
                let value = T::from_toml(element, notes)?;
                Some(At {
                    value,
                    at: element.span().start,
                })
            })
            .collect();
        // A list of nothing but faults is no empty list: that would be told as another fault.
        (!read.is_empty() || array.is_empty()).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_and_a_far_one_is_not() {
        let words = ["interval", "timeout", "tls_interval"];
        assert_eq!(nearest("intervall", &words), Some("interval"));
        assert_eq!(nearest("timout", &words), Some("timeout"));
        assert_eq!(nearest("colour", &words), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
