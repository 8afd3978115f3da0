//! What names are looked up and sorted by.

use super::index;
use super::name::{MAX_WIRE, is_below};

/// The sorted form has two octets at most for each octet of the name.
const MAX_SORTED: usize = 2 * MAX_WIRE;
/// A name has at most so many labels beside the root's.
pub(super) const MAX_LABELS: usize = MAX_WIRE / 2;
/// Names are put into lower case in steps of so many octets, and have room for whole ones.
const STEP: usize = 16;
const ROOM: usize = MAX_WIRE.next_multiple_of(STEP);

/// A name as it is looked up: its wire format in lower case, and its hash. It lives on the stack,
/// for every query makes one.
#[derive(Clone, Debug)]
pub struct Key {
    wire: [u8; ROOM],
    /// 0 for the key of nothing.
    length: usize,
    labels: usize,
    hash: u64,
}

impl Key {
    /// The key of a name in wire format. Octets that are no name give the key of what of them
    /// is.
    #[must_use]
    #[inline]
    pub fn of_wire(wire: &[u8]) -> Key {
        let mut key = Key {
            wire: [0; ROOM],
            length: 0,
            labels: 0,
            hash: 0,
        };
        key.read(wire);
        key
    }

    /// Makes the key of nothing that of a name: in its place, for a key is dear to copy.
    fn read(&mut self, wire: &[u8]) {
        let (labels, end) = extent(wire);
        if let (Some(room), Some(labels)) = (self.wire.get_mut(..end), wire.get(..end)) {
            room.copy_from_slice(labels);
        }
        // Length octets are at most 63 and so never letters. What is behind the name is zero: whole
        // steps may go past its end.
        let steps = self.wire.as_chunks_mut::<STEP>().0.iter_mut();
        for step in steps.take(end.div_ceil(STEP)) {
            step.make_ascii_lowercase();
        }
        self.labels = labels;
        // The root's octet is there: the array was of zeros.
        self.length = end + 1;
        self.hash = index::hash(self.wire());
    }

    /// The key of nothing: even the root has a wire format of one octet.
    fn of_nothing() -> Key {
        Key {
            wire: [0; ROOM],
            length: 0,
            labels: 0,
            hash: index::hash(&[]),
        }
    }

    /// The name in wire format, in lower case.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.wire.get(..self.length).unwrap_or(&[])
    }

    /// How many labels it has, without the root's.
    #[must_use]
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The ancestor of so many labels, in wire format and lower case; the name itself if it has
    /// no more.
    #[must_use]
    pub fn suffix(&self, labels: usize) -> &[u8] {
        let mut rest = self.wire();
        for _ in labels..self.labels {
            let length = rest.first().map_or(0, |length| usize::from(*length));
            rest = rest.get(1 + length..).unwrap_or(&[]);
        }
        rest
    }

    /// [`Key::suffix`] and its hash.
    #[must_use]
    pub fn suffix_and_hash(&self, labels: usize) -> (&[u8], u64) {
        if labels >= self.labels {
            return (self.wire(), self.hash);
        }
        let suffix = self.suffix(labels);
        (suffix, index::hash(suffix))
    }

    /// The hash of the name.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether the name is at or below `other`, a name in wire format.
    #[must_use]
    pub fn is_at_or_below(&self, other: &[u8]) -> bool {
        is_below(self.wire(), other)
    }

    /// The key of the name that has the last `labels` labels of this one, with one more label in
    /// front: `*` makes the source of synthesis of RFC 4592 section 2.2.1. A name that is too
    /// long by that has no key, and gets one that no name has.
    #[must_use]
    pub fn child_of_suffix(&self, labels: usize, label: &[u8]) -> Key {
        let above = self.suffix(labels);
        let mut wire = [0; MAX_WIRE];
        let end = 1 + label.len() + above.len();
        match (wire.get_mut(..end), u8::try_from(label.len())) {
            (Some(room), Ok(length)) => {
                let (first, rest) = room.split_at_mut(1);
                let (here, rest) = rest.split_at_mut(label.len());
                first.fill(length);
                here.copy_from_slice(label);
                rest.copy_from_slice(above);
                Key::of_wire(room)
            }
            _ => Key::of_nothing(),
        }
    }
}

/// A name in a form that sorts.
///
/// It has the labels from the right, in lower case, each ended by a zero octet, with the octets 0
/// and 1 inside labels written as `1 1` and `1 2`. Compared octet by octet it gives the canonical
/// order of names (RFC 4034 section 6.1), and a name is at or below another if its form begins
/// with the other's.
#[derive(Clone)]
pub struct SortKey {
    sorted: [u8; MAX_SORTED],
    length: usize,
}

impl SortKey {
    /// The form of a name in wire format. Octets that are no name give the form of what of them
    /// is.
    #[must_use]
    pub fn of_wire(wire: &[u8]) -> SortKey {
        let mut key = SortKey {
            sorted: [0; MAX_SORTED],
            length: 0,
        };
        for start in LabelStarts::of(wire).iter().rev() {
            key.push_label(label_at(wire, start));
        }
        key
    }

    /// The octets that sort.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.sorted.get(..self.length).unwrap_or(&[])
    }

    fn push_label(&mut self, label: &[u8]) {
        for &octet in label {
            match octet {
                0 => self.push(&[1, 1]),
                1 => self.push(&[1, 2]),
                other => self.push(&[other.to_ascii_lowercase()]),
            }
        }
        self.push(&[0]);
    }

    fn push(&mut self, octets: &[u8]) {
        // A name within 255 octets always fits; anything longer was no name.
        let room = self.length..self.length + octets.len();
        if let Some(room) = self.sorted.get_mut(room) {
            room.copy_from_slice(octets);
            self.length += octets.len();
        }
    }
}

/// How many labels a name in wire format has, or what of it is a name, and where its root's octet
/// stands.
fn extent(wire: &[u8]) -> (usize, usize) {
    let (mut labels, mut end) = (0, 0);
    while let Some(&length) = wire.get(end) {
        let next = end + 1 + usize::from(length);
        // The root's octet follows at `next`, so a name's labels end before its last octet.
        if length == 0 || next > wire.len() || next >= MAX_WIRE {
            break;
        }
        labels += 1;
        end = next;
    }
    (labels, end)
}

/// Where the labels of a name begin, from the left, without the root's.
#[derive(Clone, Debug)]
pub(super) struct LabelStarts {
    starts: [u8; MAX_LABELS + 1],
    count: usize,
    end: usize,
}

impl LabelStarts {
    /// Those of a name in wire format, or of what of it is a name.
    pub(super) fn of(wire: &[u8]) -> LabelStarts {
        let (count, end) = extent(wire);
        let mut starts = [0; MAX_LABELS + 1];
        let mut at = 0;
        for start in starts.iter_mut().take(count) {
            *start = u8::try_from(at).unwrap_or(0);
            at += 1 + wire.get(at).map_or(0, |length| usize::from(*length));
        }
        LabelStarts { starts, count, end }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = usize> {
        let starts = self.starts.get(..self.count).unwrap_or(&[]);
        starts.iter().map(|start| usize::from(*start))
    }

    /// How many labels there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Where the ancestor of `labels` labels begins; the name itself if it has no more.
    pub(super) fn suffix(&self, labels: usize) -> usize {
        match self.count.checked_sub(labels) {
            _ if labels == 0 => self.end,
            Some(left_out) => self
                .starts
                .get(left_out)
                .map_or(self.end, |at| usize::from(*at)),
            None => 0,
        }
    }
}

fn label_at(wire: &[u8], start: usize) -> &[u8] {
    let length = wire.get(start).map_or(0, |length| usize::from(*length));
    wire.get(start + 1..start + 1 + length).unwrap_or(&[])
}

/// How many octets of the sorted form `key` name an ancestor that `other` shares: the deepest
/// common ancestor.
pub(super) fn common_ancestor(key: &[u8], other: &[u8]) -> usize {
    let same = key.iter().zip(other).take_while(|(a, b)| a == b).count();
    // There is a zero octet at label ends and nowhere else.
    key.iter()
        .take(same)
        .rposition(|octet| *octet == 0)
        .map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Name;

    fn key(text: &str) -> Key {
        text.parse::<Name>().unwrap().key()
    }

    fn sorted(text: &str) -> SortKey {
        text.parse::<Name>().unwrap().sort_key()
    }

    #[test]
    fn a_key_is_the_name_in_lower_case_and_counts_its_labels() {
        let key = key("A.b\\000.Test.");
        assert_eq!(key.wire(), b"\x01a\x02b\0\x04test\0");
        assert_eq!(key.labels(), 3);
        assert_eq!(key.suffix(1), b"\x04test\0");
        assert_eq!(key.suffix(0), b"\0");
        assert_eq!(key.suffix(9), key.wire());
        assert!(key.is_at_or_below(b"\x04TEST\0") && !key.is_at_or_below(b"\x01b\0"));
        assert_eq!(Key::of_wire(&[0]).wire(), [0]);
        assert_eq!(sorted("A.b\\000.Test.").as_slice(), b"test\0b\x01\x01\0a\0");
        assert_eq!(SortKey::of_wire(&[0]).as_slice(), b"");
    }

    #[test]
    fn the_source_of_synthesis_stands_right_below_the_encloser() {
        let name = key("x.y.b.test.");
        let source = name.child_of_suffix(2, b"*");
        assert_eq!(source.wire(), key("*.b.test.").wire());
        assert_eq!(source.hash(), key("*.B.test.").hash());
        assert_eq!(name.child_of_suffix(0, b"*").wire(), key("*.").wire());
    }

    #[test]
    fn the_longest_names_have_keys_of_their_own() {
        let long = "a.".repeat(127);
        let name: Name = long.parse().unwrap();
        assert_eq!(name.key().wire(), name.wire());
        assert_eq!(name.key().labels(), 127);
        assert_eq!(name.sort_key().as_slice().len(), 254);
        // One label more does not fit.
        let longer = name.key().child_of_suffix(127, b"*");
        assert_eq!(longer.wire(), b"");
    }

    #[test]
    fn octets_that_are_no_name_have_the_key_of_what_of_them_is() {
        for (octets, wire) in [
            (&b""[..], &b"\0"[..]),
            (b"\x01", b"\0"),
            (b"\x01a", b"\x01a\0"),
            (b"\x01a\x05b", b"\x01a\0"),
        ] {
            assert_eq!(Key::of_wire(octets).wire(), wire);
        }
    }

    #[test]
    fn ancestors_are_whole_labels() {
        let name = sorted("ab.c.test.");
        let at = |other: &str| common_ancestor(name.as_slice(), sorted(other).as_slice());
        assert_eq!(at("a.c.test."), sorted("c.test.").as_slice().len());
        assert_eq!(at("c.test."), sorted("c.test.").as_slice().len());
        assert_eq!(at("cc.test."), sorted("test.").as_slice().len());
        assert_eq!(at("tes."), 0);
    }
}
