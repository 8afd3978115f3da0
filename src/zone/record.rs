//! One entry's words to one record.

use data_encoding::HEXUPPER_PERMISSIVE;
use domain::base::iana::Rtype;

use super::name::Name;
use super::rdata::{rtype, type_name};
use super::scan::Token;
use super::text;
use super::wire::is_well_formed;

/// What is wrong, and at which token; one past the last for the end of the entry.
pub(super) struct RecordError {
    pub(super) token: usize,
    pub(super) message: String,
}

impl RecordError {
    pub(super) fn new(token: usize, message: impl Into<String>) -> RecordError {
        RecordError {
            token,
            message: message.into(),
        }
    }
}

/// TTL, class and type of a record, and where its RDATA begins.
pub(super) struct Head {
    pub(super) ttl: Option<u32>,
    pub(super) rtype: u16,
    pub(super) rdata_at: usize,
}

/// Reads `[TTL] [class] type` or `[class] [TTL] type` from token `at` on.
pub(super) fn head(tokens: &[Token<'_>], mut at: usize) -> Result<Head, RecordError> {
    let (mut ttl, mut class) = (None, false);
    loop {
        let Some(token) = tokens.get(at).filter(|token| !token.quoted) else {
            return Err(RecordError::new(
                at,
                "a type is missing, a record has an owner, a type and data (RFC 1035 section \
                 5.1), add the type",
            ));
        };
        let text = || String::from_utf8_lossy(token.text);
        if ttl.is_none() && token.text.first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(duration(token.text).map_err(|message| RecordError::new(at, message))?);
        } else if !class && is_class(token.text) {
            if !is_class_in(token.text) {
                return Err(RecordError::new(
                    at,
                    format!(
                        "class '{}', this server serves class IN only, remove the record",
                        text()
                    ),
                ));
            }
            class = true;
        } else {
            let rtype = type_of(token.text).ok_or_else(|| {
                RecordError::new(
                    at,
                    format!(
                        "'{}' is no record type, a type is a mnemonic or TYPEnnn (RFC 3597 \
                         section 5), correct it",
                        text()
                    ),
                )
            })?;
            if rtype == 0 || rtype == rtype::OPT || (128..=255).contains(&rtype) {
                return Err(RecordError::new(
                    at,
                    format!(
                        "'{}' is a meta type, a zone holds data types only (RFC 6895 section \
                         3.1), remove the record",
                        text()
                    ),
                ));
            }
            return Ok(Head {
                ttl,
                rtype,
                rdata_at: at + 1,
            });
        }
        at += 1;
    }
}

fn is_class_in(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"IN") || word.eq_ignore_ascii_case(b"CLASS1")
}

fn is_class(word: &[u8]) -> bool {
    let is = |class: &str| word.eq_ignore_ascii_case(class.as_bytes());
    let numbered = |start: &[u8]| start.eq_ignore_ascii_case(b"CLASS");
    ["IN", "CH", "HS", "CS", "NONE", "ANY"].into_iter().any(is)
        || word.get(..5).is_some_and(numbered)
}

/// The type with this mnemonic, or TYPEnnn.
pub(super) fn type_of(word: &[u8]) -> Option<u16> {
    // What most records are, without asking for memory.
    const USUAL: &[(&str, u16)] = &[
        ("A", rtype::A),
        ("AAAA", rtype::AAAA),
        ("NS", rtype::NS),
        ("MX", rtype::MX),
        ("TXT", rtype::TXT),
        ("SRV", rtype::SRV),
        ("CNAME", rtype::CNAME),
        ("PTR", rtype::PTR),
        ("DS", rtype::DS),
        ("RRSIG", rtype::RRSIG),
        ("NSEC", rtype::NSEC),
        ("NSEC3", rtype::NSEC3),
    ];
    let usual = USUAL
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    if let Some((_, rtype)) = usual {
        return Some(*rtype);
    }
    let text = std::str::from_utf8(word).ok()?.to_ascii_uppercase();
    text.parse::<Rtype>().ok().map(Rtype::to_int)
}

/// Seconds, with or without the units w, d, h, m and s: `3600`, `1h30m`. The greatest TTL is
/// 2³¹-1 (RFC 2181 section 8).
pub(super) fn duration(text: &[u8]) -> Result<u32, String> {
    let wrong = || {
        format!(
            "'{}' is no time, a time is seconds or numbers with the units w, d, h, m, s and at \
             most 2147483647 seconds (RFC 2181 section 8), write for example 1h30m",
            String::from_utf8_lossy(text)
        )
    };
    let (mut total, mut number) = (0u64, None::<u64>);
    for octet in text {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                let digit = u64::from(digit - b'0');
                number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return Err(wrong()),
        };
        let counted = number.take().ok_or_else(wrong)?;
        total = total.saturating_add(counted.saturating_mul(unit));
    }
    if text.is_empty() {
        return Err(wrong());
    }
    total = total.saturating_add(number.unwrap_or(0));
    u32::try_from(total)
        .ok()
        .filter(|seconds| *seconds < 1 << 31)
        .ok_or_else(wrong)
}

/// Appends the data of a record of type `rtype` to `out`: the tokens from `first` on.
pub(super) fn rdata(
    rtype: u16,
    tokens: &[Token<'_>],
    first: usize,
    origin: &Name,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    let begin = out.len();
    let is_generic = |token: &&Token<'_>| !token.quoted && token.text == b"\\#";
    match tokens.get(first).filter(is_generic) {
        Some(_) => generic(rtype, tokens, first, out)?,
        None => text::read(rtype, tokens, first, origin.wire(), out)?,
    }
    if out.len() - begin > usize::from(u16::MAX) {
        return Err(RecordError::new(
            first,
            format!(
                "{} data of {} octets, a record holds at most 65535 (RFC 1035 section 3.2.1), \
                 shorten it",
                type_name(rtype),
                out.len() - begin
            ),
        ));
    }
    Ok(())
}

/// Reads `\# LENGTH HEX…` (RFC 3597 section 5).
fn generic(
    rtype: u16,
    tokens: &[Token<'_>],
    first: usize,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    let fault = |at: usize, what: String| {
        let rule = "generic data is \\#, the number of octets and these in hexadecimal (RFC 3597 \
                    section 5)";
        RecordError::new(at, format!("{what}, {rule}, correct it"))
    };
    let length = tokens.get(first + 1).map(|token| text::decimal(token.text));
    let Some(length) = length.flatten() else {
        return Err(fault(first + 1, "no number of octets".to_owned()));
    };
    let begin = out.len();
    for (at, token) in tokens.iter().enumerate().skip(first + 2) {
        let octets = HEXUPPER_PERMISSIVE.decode(token.text);
        out.extend(octets.map_err(|_| {
            let text = String::from_utf8_lossy(token.text);
            fault(
                at,
                format!("'{text}' is not in pairs of hexadecimal digits"),
            )
        })?);
    }
    let data = out.get(begin..).unwrap_or(&[]);
    if data.len() != length as usize {
        let what = format!("{} octets where {length} are announced", data.len());
        return Err(fault(first, what));
    }
    if !is_well_formed(rtype, data) {
        return Err(RecordError::new(
            first,
            format!(
                "the octets are no {} data, generic data has the form of its type (RFC 3597 \
                 section 5), correct it",
                type_name(rtype)
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("3600", 3600),
            ("1h30m", 5400),
            ("1W2D", 777_600),
            ("1h30", 3630),
            ("0", 0),
            ("2147483647", 2_147_483_647),
        ] {
            assert_eq!(duration(text.as_bytes()), Ok(seconds), "{text}");
        }
        for text in ["", "h", "1x", "2147483648", "99999999999999999999w", "-1"] {
            assert!(duration(text.as_bytes()).is_err(), "{text}");
        }
    }
}
