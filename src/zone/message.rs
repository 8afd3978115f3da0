//! Names inside a message, which may be compressed (RFC 1035 section 4.1.4).

use super::name::Name;

/// A name has at most 255 octets on the wire (RFC 1035 section 2.3.4).
const MAX_WIRE: usize = 255;

/// What a message of 65,535 octets (RFC 1035 section 4.2.2) leaves to the owner and the data of one
/// record. The rest is for the header, a question without its name, the record's type, class, TTL
/// and length, EDNS with its options, and a signature, which have less than that together.
pub(super) const MOST_OF_RECORD: usize = 65_535 - 1024;

/// Whether a record can be carried in a message, whichever way it is asked for.
pub(super) fn fits(owner: &[u8], rdata: &[u8]) -> bool {
    owner.len() + rdata.len() <= MOST_OF_RECORD
}

/// The offset behind the name at `at`, which is not looked into.
#[must_use]
pub fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0.. => return Some(at + 2),
            64..=0xbf => return None,
        }
    }
}

impl Name {
    /// The name that stands at `at`, and the offset behind it. Pointers only lead backwards, so
    /// reading one ends.
    #[must_use]
    pub fn from_message(message: &[u8], at: usize) -> Option<(Name, usize)> {
        let behind = skip_name(message, at)?;
        let mut wire = Vec::new();
        let mut at = at;
        loop {
            let length = *message.get(at)?;
            match length {
                0 => {
                    wire.push(0);
                    return Some((Name::from_wire(&wire).ok()?, behind));
                }
                1..=63 => {
                    let end = at + 1 + usize::from(length);
                    wire.extend_from_slice(message.get(at..end)?);
                    if wire.len() >= MAX_WIRE {
                        return None;
                    }
                    at = end;
                }
                0xc0.. => {
                    let low = *message.get(at + 1)?;
                    let to = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    if to >= at {
                        return None;
                    }
                    at = to;
                }
                64..=0xbf => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_followed_backwards_only() {
        let message = b"\x01a\x01b\0\x01c\xc0\x02\xc0\x05\xc0\x0b";
        let read = |at| Name::from_message(message, at).map(|(name, end)| (name.to_string(), end));
        assert_eq!(read(0), Some(("a.b.".to_owned(), 5)));
        assert_eq!(read(5), Some(("c.b.".to_owned(), 9)));
        assert_eq!(read(9), Some(("c.b.".to_owned(), 11)));
        assert_eq!(read(11), None, "a pointer to itself");
        assert_eq!(read(12), None, "cut off");
        let long = [&[63; 64][..], &[63; 64], &[63; 64], &[63; 64], &[0]].concat();
        assert_eq!(Name::from_message(&long, 0).map(|_| ()), None);
    }
}
