//! One entry's words to one record. `domain` reads the RDATA; names are completed and TTLs put
//! into seconds before, as `domain` does neither everywhere.

use self::scanner::compose;
use domain::base::iana::Rtype;
use domain::zonefile::inplace::{Entry as DomainEntry, Zonefile};

use super::name::Name;
use super::rdata::{is_well_formed, rtype, type_name};
use super::scan::Token;

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
        let text = String::from_utf8_lossy(token.text);
        if ttl.is_none() && text.starts_with(|first: char| first.is_ascii_digit()) {
            ttl = Some(duration(token.text).map_err(|message| RecordError::new(at, message))?);
        } else if !class && is_class(&text) {
            if !text.eq_ignore_ascii_case("IN") && !text.eq_ignore_ascii_case("CLASS1") {
                return Err(RecordError::new(
                    at,
                    format!("class '{text}', this server serves class IN only, remove the record"),
                ));
            }
            class = true;
        } else {
            let rtype = text.to_ascii_uppercase().parse::<Rtype>().map_err(|_| {
                RecordError::new(
                    at,
                    format!(
                        "'{text}' is no record type, a type is a mnemonic or TYPEnnn (RFC 3597 \
                         section 5), correct it"
                    ),
                )
            })?;
            let rtype = rtype.to_int();
            if rtype == 0 || rtype == rtype::OPT || (128..=255).contains(&rtype) {
                return Err(RecordError::new(
                    at,
                    format!(
                        "'{text}' is a meta type, a zone holds data types only (RFC 6895 section \
                         3.1), remove the record"
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

fn is_class(text: &str) -> bool {
    ["IN", "CH", "HS", "CS", "NONE", "ANY"]
        .iter()
        .any(|class| text.eq_ignore_ascii_case(class))
        || text
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("CLASS"))
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

/// Which words of a type's data are names, and which are times.
fn words_of(rtype: u16) -> (&'static [usize], std::ops::Range<usize>) {
    match rtype {
        rtype::NS
        | rtype::MD
        | rtype::MF
        | rtype::CNAME
        | rtype::MB
        | rtype::MG
        | rtype::MR
        | rtype::PTR
        | rtype::DNAME
        | rtype::NSEC => (&[0], 0..0),
        rtype::MX | rtype::AFSDB | rtype::RT | rtype::KX => (&[1], 0..0),
        // SVCB and HTTPS.
        64 | 65 => (&[1], 0..0),
        rtype::SRV => (&[3], 0..0),
        // NAPTR.
        35 => (&[5], 0..0),
        rtype::RRSIG => (&[7], 0..0),
        rtype::MINFO | rtype::RP => (&[0, 1], 0..0),
        rtype::SOA => (&[0, 1], 3..7),
        _ => (&[], 0..0),
    }
}

/// Reads the data of a record of type `rtype`: the tokens from `first` on.
pub(super) fn rdata(
    rtype: u16,
    tokens: &[Token<'_>],
    first: usize,
    origin: &Name,
) -> Result<Vec<u8>, RecordError> {
    let words = tokens.get(first..).unwrap_or(&[]);
    let unknown = words
        .first()
        .is_some_and(|token| !token.quoted && token.text == b"\\#");
    let (names, times) = if unknown {
        (&[][..], 0..0)
    } else {
        words_of(rtype)
    };
    let mut line = format!(". 0 IN {}", mnemonic(rtype)).into_bytes();
    let mut columns = Vec::with_capacity(words.len());
    for (index, token) in words.iter().enumerate() {
        if !token.glued || index == 0 {
            line.push(b' ');
        }
        columns.push(line.len() + 1);
        let fail = |message: String| RecordError::new(first + index, message);
        if names.contains(&index) && !token.quoted {
            let name = Name::from_text(token.text, Some(origin)).map_err(|error| {
                fail(format!(
                    "'{}': {error}",
                    String::from_utf8_lossy(token.text)
                ))
            })?;
            line.extend_from_slice(name.to_string().as_bytes());
        } else if times.contains(&index) {
            let seconds = duration(token.text).map_err(fail)?;
            line.extend_from_slice(seconds.to_string().as_bytes());
        } else {
            copy(token, &mut line);
        }
    }
    line.push(b'\n');
    let rdata = compose(&line).map_err(|(column, message)| {
        let token = columns.iter().take_while(|start| **start <= column).count();
        let token = if column > line.len() {
            columns.len() + 1
        } else {
            token
        };
        let message = format!(
            "{} data: {message}, the form is that of the type's RFC, correct it",
            type_name(rtype)
        );
        RecordError::new(first + token.saturating_sub(1), message)
    })?;
    if rdata.len() > usize::from(u16::MAX) || !is_well_formed(rtype, &rdata) {
        return Err(RecordError::new(
            first,
            format!(
                "the octets are no {} data, generic data has the form of its type (RFC 3597 \
                 section 5), correct it",
                type_name(rtype)
            ),
        ));
    }
    Ok(rdata)
}

/// The type as `domain`'s scanner reads it.
fn mnemonic(rtype: u16) -> String {
    Rtype::from_int(rtype).to_string()
}

/// Copies a token; octets outside ASCII become escapes, as `domain` reads text as UTF-8.
fn copy(token: &Token<'_>, line: &mut Vec<u8>) {
    if token.quoted {
        line.push(b'"');
    }
    let mut octets = token.text.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' => match octets.next() {
                Some(&escaped @ 0x21..=0x7e) => line.extend_from_slice(&[b'\\', escaped]),
                Some(&escaped) => line.extend_from_slice(format!("\\{escaped:03}").as_bytes()),
                None => {}
            },
            0x21..=0x7e => line.push(octet),
            b' ' if token.quoted => line.push(b' '),
            _ => line.extend_from_slice(format!("\\{octet:03}").as_bytes()),
        }
    }
    if token.quoted {
        line.push(b'"');
    }
}

mod scanner {
    //! The only lines that touch `domain`'s scanner.

    use domain::base::Name as DomainName;
    use domain::base::rdata::ComposeRecordData;

    use super::{DomainEntry, Zonefile};

    /// The RDATA of the one record in `line`, or the column and what is wrong there.
    pub(super) fn compose(line: &[u8]) -> Result<Vec<u8>, (usize, String)> {
        let mut file = Zonefile::from(line);
        file.set_origin(DomainName::root_bytes());
        match file.next_entry() {
            Ok(Some(DomainEntry::Record(record))) => {
                let mut rdata = Vec::new();
                record
                    .data()
                    .compose_rdata(&mut rdata)
                    .map_err(|error| (line.len(), error.to_string()))?;
                Ok(rdata)
            }
            Ok(Some(DomainEntry::Include { .. }) | None) => {
                Err((line.len(), "no record".to_owned()))
            }
            Err(error) => {
                // `line:column: message`; there is no other way to the column.
                let text = error.to_string();
                let mut parts = text.splitn(3, ':');
                let in_line = parts.next() == Some("1");
                let column = parts.next().and_then(|column| column.parse().ok());
                let message = parts.next().map_or(text.as_str(), str::trim).to_owned();
                // Past the line feed, it wanted more words or did not like the last one.
                let column = match column {
                    Some(column) if in_line => column,
                    _ if message.starts_with("unexpected end") => usize::MAX,
                    _ => line.len(),
                };
                Err((column, message))
            }
        }
    }
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
