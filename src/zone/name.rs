//! Domain names in wire format.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::key::{Key, SortKey};

/// A name has at most 255 octets on the wire (RFC 1035 section 2.3.4).
pub(super) const MAX_WIRE: usize = 255;
/// A label has at most 63 octets (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// An absolute domain name: uncompressed wire format, in the spelling it was given. Names
/// compare without regard to ASCII case (RFC 4343), in canonical order (RFC 4034 section 6.1).
#[derive(Clone)]
pub struct Name(Arc<[u8]>);

/// Why some text or octets are not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty, a name has at least the root, write '.' for it")]
    Empty,
    /// Two dots in a row, or a dot in front.
    #[error(
        "the name has an empty label, only the root's is empty (RFC 1035 section 2.3.1), remove \
         the extra dot"
    )]
    EmptyLabel,
    /// A label that is too long.
    #[error("a label is longer than 63 octets (RFC 1035 section 2.3.4), shorten it")]
    LongLabel,
    /// A name that is too long.
    #[error("the name is longer than 255 octets (RFC 1035 section 2.3.4), shorten it")]
    LongName,
    /// A backslash that escapes nothing.
    #[error(
        "a backslash is followed by neither a character nor a number from 000 to 255 (RFC 1035 \
         section 5.1), write '\\\\' for a backslash"
    )]
    BadEscape,
    /// No dot at the end.
    #[error("the name is not absolute, end it with a dot")]
    Relative,
    /// Octets that are not a name in wire format.
    #[error("the octets are not an uncompressed name (RFC 1035 section 3.1)")]
    BadWire,
}

impl Name {
    /// The root.
    #[must_use]
    pub fn root() -> Name {
        Name(Arc::from([0].as_slice()))
    }

    /// The name that stands uncompressed at the start of `octets`, which may go on after it.
    ///
    /// # Errors
    /// [`NameError::BadWire`] if there is none.
    pub fn from_wire(octets: &[u8]) -> Result<Name, NameError> {
        let length = wire_len(octets).ok_or(NameError::BadWire)?;
        Ok(Name(Arc::from(
            octets.get(..length).ok_or(NameError::BadWire)?,
        )))
    }

    /// The octets of the uncompressed name at the start of `octets`.
    #[must_use]
    pub fn wire_prefix(octets: &[u8]) -> Option<&[u8]> {
        octets.get(..wire_len(octets)?)
    }

    /// Reads master file text (RFC 1035 section 5.1): `@` and relative names are completed with
    /// `origin`.
    ///
    /// # Errors
    /// Any but [`NameError::BadWire`]; [`NameError::Relative`] only without an origin.
    pub fn from_text(text: &[u8], origin: Option<&Name>) -> Result<Name, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        write(text, origin.map(Name::wire), &mut wire)?;
        Ok(Name(wire.into()))
    }

    /// The name in wire format, uncompressed, with the root's octet.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels(&self.0)
    }

    /// The name without its first label; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Name> {
        let first = usize::from(*self.0.first()?);
        (first > 0).then(|| Name(Arc::from(self.0.get(1 + first..).unwrap_or(&[0]))))
    }

    /// Whether this is `other` or a name below it.
    #[must_use]
    pub fn is_at_or_below(&self, other: &Name) -> bool {
        is_below(&self.0, &other.0)
    }

    /// What the name is looked up by.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::of_wire(&self.0)
    }

    /// What the name is sorted by.
    #[must_use]
    pub fn sort_key(&self) -> SortKey {
        SortKey::of_wire(&self.0)
    }

    /// The name in lower case.
    #[must_use]
    pub fn to_lower(&self) -> Name {
        // Length octets are at most 63 and so never letters.
        Name(self.0.to_ascii_lowercase().into())
    }
}

/// Appends the name that [`Name::from_text`] reads; after an error `wire` is as it was.
pub(super) fn write(
    text: &[u8],
    origin: Option<&[u8]>,
    wire: &mut Vec<u8>,
) -> Result<(), NameError> {
    let begin = wire.len();
    let written = write_labels(text, origin, wire);
    if written.is_err() {
        wire.truncate(begin);
    }
    written
}

fn write_labels(text: &[u8], origin: Option<&[u8]>, wire: &mut Vec<u8>) -> Result<(), NameError> {
    let begin = wire.len();
    match text {
        b"" => return Err(NameError::Empty),
        b"." => {
            wire.push(0);
            return Ok(());
        }
        b"@" => {
            wire.extend_from_slice(origin.ok_or(NameError::Relative)?);
            return Ok(());
        }
        _ => {}
    }
    let mut start = begin;
    wire.push(0);
    let mut rest = text;
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'.' {
            close_label(wire, start)?;
            start = wire.len();
            wire.push(0);
            continue;
        }
        let octet = if octet == b'\\' {
            let (octet, after) = unescape(rest).ok_or(NameError::BadEscape)?;
            rest = after;
            octet
        } else {
            octet
        };
        wire.push(octet);
        if wire.len() - begin > MAX_WIRE + 1 {
            return Err(NameError::LongName);
        }
    }
    if wire.len() == start + 1 {
        // The last octet is the root's label, already there.
    } else {
        close_label(wire, start)?;
        wire.extend_from_slice(origin.ok_or(NameError::Relative)?);
    }
    if wire.len() - begin > MAX_WIRE {
        return Err(NameError::LongName);
    }
    Ok(())
}

/// Ends the label that began at `start`.
fn close_label(wire: &mut [u8], start: usize) -> Result<(), NameError> {
    let length = wire.len() - start - 1;
    match u8::try_from(length) {
        Ok(0) => Err(NameError::EmptyLabel),
        Ok(short) if length <= MAX_LABEL => {
            if let Some(octet) = wire.get_mut(start) {
                *octet = short;
            }
            Ok(())
        }
        _ => Err(NameError::LongLabel),
    }
}

/// The octet that `\` stands for with what follows it, and what follows that.
pub(super) fn unescape(rest: &[u8]) -> Option<(u8, &[u8])> {
    match rest {
        [
            a @ b'0'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            after @ ..,
        ] => {
            let value = [a, b, c]
                .iter()
                .fold(0u16, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
            Some((u8::try_from(value).ok()?, after))
        }
        [b'0'..=b'9', ..] | [] => None,
        [other, after @ ..] => Some((*other, after)),
    }
}

/// The length of the uncompressed name at the start of `octets`, with the root's octet.
pub(crate) fn wire_len(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let label = usize::from(*octets.get(at)?);
        if label > MAX_LABEL {
            return None;
        }
        at += 1 + label;
        if at > MAX_WIRE || at > octets.len() {
            return None;
        }
        if label == 0 {
            return Some(at);
        }
    }
}

/// Whether two names in wire format are the same. Nearly all names are kept in lower case, in which
/// most are asked for: octets that are equal take no look at each.
pub(crate) fn is_same(wire: &[u8], other: &[u8]) -> bool {
    wire == other || wire.eq_ignore_ascii_case(other)
}

/// Whether the name `wire` is `other` or a name below it.
pub(crate) fn is_below(wire: &[u8], other: &[u8]) -> bool {
    let Some(end) = wire.len().checked_sub(other.len()) else {
        return false;
    };
    let mut at = 0;
    while at < end {
        // What is left of the name begins at a label.
        at += 1 + wire.get(at).map_or(0, |length| usize::from(*length));
    }
    let rest = wire.get(at..).unwrap_or(&[]);
    // Length octets are at most 63 and so never letters.
    at == end && is_same(rest, other)
}

/// The labels of a name in wire format, from the left, without the root's.
pub(crate) fn labels(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (&length, after) = rest.split_first()?;
        let label = after.get(..usize::from(length))?;
        rest = after.get(usize::from(length)..)?;
        (length > 0).then_some(label)
    })
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        // Length octets are at most 63 and so never letters.
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0.iter() {
            state.write_u8(octet.to_ascii_lowercase());
        }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.sort_key().as_slice().cmp(other.sort_key().as_slice())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Reads an absolute name with the escapes of RFC 1035 section 5.1.
    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::from_text(text.as_bytes(), None)
    }
}

/// Master file text of one label.
fn escape(label: &[u8]) -> Cow<'_, str> {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_*/+".contains(octet);
    if let (true, Ok(text)) = (label.iter().all(plain), std::str::from_utf8(label)) {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    for &octet in label {
        match octet {
            b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                text.push('\\');
                text.push(char::from(octet));
            }
            0x21..=0x7e => text.push(char::from(octet)),
            _ => text.push_str(&format!("\\{octet:03}")),
        }
    }
    Cow::Owned(text)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return f.pad(".");
        }
        let mut text = String::new();
        for label in self.labels() {
            text.push_str(&escape(label));
            text.push('.');
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn the_canonical_order_is_that_of_rfc_4034() {
        // The example of RFC 4034 section 6.1.
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{pair:?}");
        }
        assert!(name("a\\000.example.") > name("a.example."));
        assert!(name("a\\000.example.") < name("a\\001.example."));
        assert!(name("a\\001.example.") < name("a\\002.example."));
    }

    #[test]
    fn names_compare_without_case_and_keep_theirs() {
        assert_eq!(name("Edge1.Contoso.TEST."), name("edge1.contoso.test."));
        assert_eq!(name("Edge1.test.").to_string(), "Edge1.test.");
        assert_eq!(name("Edge1.test.").to_lower().to_string(), "edge1.test.");
    }

    #[test]
    fn escapes_go_out_as_they_came_in() {
        for text in [
            ".",
            "a\\.b.c.",
            "\\000\\255.x.",
            "a\\ b.".replace(' ', "032").as_str(),
        ] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("\\097b.").to_string(), "ab.");
        let long = format!("{}.", "a".repeat(64));
        for (text, error) in [
            ("", NameError::Empty),
            ("a..b.", NameError::EmptyLabel),
            (".a.", NameError::EmptyLabel),
            ("a", NameError::Relative),
            ("@", NameError::Relative),
            ("a\\", NameError::BadEscape),
            ("a\\256.", NameError::BadEscape),
            ("a\\12.", NameError::BadEscape),
            (&long, NameError::LongLabel),
            (&"a.".repeat(128), NameError::LongName),
        ] {
            assert_eq!(text.parse::<Name>().unwrap_err(), error, "{text}");
        }
        assert_eq!(name(&"a.".repeat(127)).wire().len(), 255);
    }

    #[test]
    fn below_means_whole_labels() {
        assert!(name("a.b.test.").is_at_or_below(&name("B.test.")));
        assert!(name("b.test.").is_at_or_below(&name("b.test.")));
        assert!(!name("ab.test.").is_at_or_below(&name("b.test.")));
        assert!(name("b.test.").is_at_or_below(&Name::root()));
        assert_eq!(name("a.b.").parent(), Some(name("b.")));
        assert_eq!(Name::root().parent(), None);
        assert_eq!(name("a.b.").labels().count(), 2);
    }

    #[test]
    fn wire_format_must_end_inside_its_octets() {
        assert_eq!(Name::from_wire(b"\x01a\x00rest").unwrap(), name("a."));
        for bad in [&b""[..], b"\x01", b"\x01a", b"\xc0\x0c", b"\x40"] {
            assert_eq!(Name::from_wire(bad), Err(NameError::BadWire));
        }
    }
}
