//! What a response is, as far as it matters to who gets too many of them.

/// The kinds of responses that are counted apart: a network through which names are guessed (many
/// NXDOMAIN) still gets its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// There are records in the answer section.
    Answer,
    /// The name is there, the type is not (RFC 2308 section 2.2).
    NoData,
    /// The name is not there.
    NxDomain,
    /// Others have it.
    Referral,
    /// All else: errors, and what is said to operations that are no queries.
    Error,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Class; 5] = [
        Class::Answer,
        Class::NoData,
        Class::NxDomain,
        Class::Referral,
        Class::Error,
    ];

    /// The place in [`Class::ALL`].
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What `status` and the log call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Class::Answer => "answer",
            Class::NoData => "nodata",
            Class::NxDomain => "nxdomain",
            Class::Referral => "referral",
            Class::Error => "error",
        }
    }

    /// The class of a response, by its header (RFC 1035 section 4.1.1).
    #[must_use]
    pub fn of(response: &[u8]) -> Class {
        let Some([_, _, flags, more, _, _, a0, a1, n0, n1, ..]) = response.first_chunk::<12>()
        else {
            return Class::Error;
        };
        let (is_query, has_authority) = (flags & 0x78 == 0, flags & 0x04 != 0);
        match more & 0x0f {
            0 | 3 if !is_query => Class::Error,
            3 => Class::NxDomain,
            0 if (*a0, *a1) != (0, 0) => Class::Answer,
            0 if has_authority => Class::NoData,
            0 if (*n0, *n1) != (0, 0) => Class::Referral,
            _ => Class::Error,
        }
    }
}
