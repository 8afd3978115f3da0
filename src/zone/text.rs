//! The words of a record's data to octets, field by field as [`super::form`] says.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER_PERMISSIVE};

use super::form::{Field, Form, form_of};
use super::name::{self, unescape};
use super::rdata::type_name;
use super::record::{RecordError, duration, type_of};
use super::scan::Token;
use super::{places, svcb};

/// Appends the RDATA of a record of type `rtype` to `out`: what the words from `first` on say.
/// Relative names are completed with `origin`.
pub(super) fn read(
    rtype: u16,
    tokens: &[Token<'_>],
    first: usize,
    origin: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    let Some(form) = form_of(rtype) else {
        let message = format!(
            "{} data has no text form here, write it as generic data: \\# LENGTH HEX (RFC 3597 \
             section 5)",
            type_name(rtype)
        );
        return Err(RecordError::new(first, message));
    };
    let mut words = Words {
        tokens,
        first,
        at: first,
        origin,
        begin: out.len(),
        out,
        rtype,
        form,
    };
    for (label, field) in form.fields {
        words.field(label, *field)?;
    }
    match words.peek() {
        Some(token) => Err(words.fault(
            words.at,
            format!("'{}' is one word too many", shown(token)),
            "remove it",
        )),
        None => Ok(()),
    }
}

/// What is left of a record's words.
pub(super) struct Words<'w, 't> {
    tokens: &'w [Token<'t>],
    first: usize,
    at: usize,
    origin: &'w [u8],
    /// Where the record's data begins in `out`.
    begin: usize,
    pub(super) out: &'w mut Vec<u8>,
    rtype: u16,
    form: Form,
}

impl<'t> Words<'_, 't> {
    fn field(&mut self, label: &str, field: Field) -> Result<(), RecordError> {
        match field {
            Field::Name => self.name(label),
            Field::U8 => self.number(label, 1),
            Field::U16 => self.number(label, 2),
            Field::U32 => self.number(label, 4),
            Field::Gateway => self.gateway(label),
            Field::Texts => self.texts(label),
            Field::Hex => self.encoded(label, field, &|text| HEXUPPER_PERMISSIVE.decode(text).ok()),
            Field::Base64 => self.encoded(label, field, &|text| BASE64.decode(text).ok()),
            Field::Types => self.types(),
            Field::Location => places::location(self),
            Field::Prefixes => self.prefixes(label),
            Field::Identity => self.identity(),
            Field::Relay => self.relay(label),
            Field::Parameters => self.parameters(),
            Field::Time
            | Field::Moment
            | Field::Ipv4
            | Field::Ipv6
            | Field::Text
            | Field::Rest
            | Field::Type
            | Field::Algorithm
            | Field::Scheme
            | Field::Certificate
            | Field::Salt
            | Field::Hash
            | Field::Eui(_)
            | Field::Locator
            | Field::Nsap => {
                let token = self.next(label)?;
                let read = one_word(field, token.text, self.out);
                read.ok_or_else(|| self.wrong(label, rule(field)))
            }
        }
    }

    fn peek(&self) -> Option<Token<'t>> {
        self.tokens.get(self.at).copied()
    }

    /// The next word as it is written, unless there is none.
    pub(super) fn word(&mut self) -> Option<&'t [u8]> {
        let token = self.peek()?;
        self.at += 1;
        Some(token.text)
    }

    /// The next word, which must be there and stand apart from the one before.
    pub(super) fn next(&mut self, label: &str) -> Result<Token<'t>, RecordError> {
        let Some(token) = self.peek() else {
            return Err(self.fault(
                self.tokens.len(),
                format!("the {label} is missing"),
                "add it",
            ));
        };
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let both_quoted = token.quoted && before.is_some_and(|before| before.quoted);
        if token.glued && self.at > self.first && !both_quoted {
            return Err(self.fault(
                self.at,
                format!("'{}' is not parted from the word before it", shown(token)),
                "put a space between",
            ));
        }
        self.at += 1;
        Ok(token)
    }

    /// The last word was not what it should be.
    pub(super) fn wrong(&self, label: &str, rule: &str) -> RecordError {
        let at = self.at.saturating_sub(1);
        let text = self
            .tokens
            .get(at)
            .map_or(String::new(), |token| shown(*token));
        self.fault(
            at,
            format!("'{text}' is no {label}, that is {rule}"),
            "correct it",
        )
    }

    fn fault(&self, at: usize, what: String, remedy: &str) -> RecordError {
        let labels: Vec<&str> = self.form.fields.iter().map(|(label, _)| *label).collect();
        let message = format!(
            "{what}, {} data is: {} (RFC {}), {remedy}",
            type_name(self.rtype),
            labels.join(", "),
            self.form.rfc
        );
        RecordError::new(at, message)
    }

    fn name(&mut self, label: &str) -> Result<(), RecordError> {
        let token = self.next(label)?;
        name::write(token.text, Some(self.origin), self.out).map_err(|error| {
            let what = format!("'{}': {error}", shown(token));
            RecordError::new(self.at - 1, what)
        })
    }

    fn number(&mut self, label: &str, octets: usize) -> Result<(), RecordError> {
        let token = self.next(label)?;
        let number = decimal(token.text).map(u32::to_be_bytes);
        match number
            .as_ref()
            .and_then(|four| four.split_at_checked(4 - octets))
        {
            Some((high, low)) if high.iter().all(|octet| *octet == 0) => {
                self.out.extend_from_slice(low);
                Ok(())
            }
            _ => {
                let most = u32::MAX >> (32 - 8 * octets);
                Err(self.wrong(label, &format!("a number from 0 to {most}")))
            }
        }
    }

    fn texts(&mut self, label: &str) -> Result<(), RecordError> {
        loop {
            let token = self.next(label)?;
            let read = one_word(Field::Text, token.text, self.out);
            read.ok_or_else(|| self.wrong(label, rule(Field::Text)))?;
            if self.peek().is_none() {
                return Ok(());
            }
        }
    }

    /// All further words, decoded as one.
    fn encoded(
        &mut self,
        label: &str,
        field: Field,
        decode: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<(), RecordError> {
        let mut all = self.next(label)?.text.to_vec();
        let begin = self.at;
        while self.peek().is_some() {
            all.extend_from_slice(self.next(label)?.text);
        }
        match decode(&all) {
            Some(octets) => {
                self.out.extend_from_slice(&octets);
                Ok(())
            }
            None => {
                self.at = begin;
                Err(self.wrong(label, rule(field)))
            }
        }
    }

    fn prefixes(&mut self, label: &str) -> Result<(), RecordError> {
        while self.peek().is_some() {
            let token = self.next(label)?;
            let read = places::prefix(token.text, self.out);
            read.ok_or_else(|| self.wrong(label, rule(Field::Prefixes)))?;
        }
        Ok(())
    }

    fn types(&mut self) -> Result<(), RecordError> {
        let mut types = Vec::new();
        while self.peek().is_some() {
            let token = self.next("type")?;
            match type_of(token.text) {
                Some(rtype) => types.push(rtype),
                None => return Err(self.wrong("type", rule(Field::Type))),
            }
        }
        bitmap(types, self.out);
        Ok(())
    }

    fn gateway(&mut self, label: &str) -> Result<(), RecordError> {
        let kind = self.out.get(self.begin + 1).map_or(0, |kind| kind & 0x7f);
        match kind {
            0 => {
                let token = self.next(label)?;
                let none = (token.text == b".").then_some(());
                none.ok_or_else(|| self.wrong(label, rule(Field::Gateway)))
            }
            1 => self.field(label, Field::Ipv4),
            2 => self.field(label, Field::Ipv6),
            3 => self.name(label),
            _ => {
                self.next(label)?;
                Err(self.wrong(label, rule(Field::Gateway)))
            }
        }
    }

    /// RFC 8777 section 4.2: the discovery bit and the relay's type share an octet.
    fn relay(&mut self, label: &str) -> Result<(), RecordError> {
        let discovery = match self.next(label)?.text {
            b"0" => 0,
            b"1" => 0x80,
            _ => return Err(self.wrong(label, rule(Field::Relay))),
        };
        let kind = decimal(self.next(label)?.text).and_then(|kind| u8::try_from(kind).ok());
        match kind.filter(|kind| *kind < 0x80) {
            Some(kind) => {
                self.out.push(discovery | kind);
                Ok(())
            }
            None => Err(self.wrong(label, rule(Field::Relay))),
        }
    }

    /// RFC 8005 section 6: algorithm, tag, key, servers. On the wire, lengths come first.
    fn identity(&mut self) -> Result<(), RecordError> {
        let algorithm = decimal(self.next("algorithm")?.text).and_then(|it| u8::try_from(it).ok());
        let algorithm = algorithm.ok_or_else(|| self.wrong("algorithm", "a number up to 255"))?;
        let tag = HEXUPPER_PERMISSIVE.decode(self.next("tag")?.text).ok();
        let tag = tag.ok_or_else(|| self.wrong("tag", rule(Field::Hex)))?;
        let tag_length = u8::try_from(tag.len());
        let tag_length = tag_length.map_err(|_| self.wrong("tag", "255 octets at most"))?;
        let key = BASE64.decode(self.next("key")?.text).ok();
        let key = key.ok_or_else(|| self.wrong("key", rule(Field::Base64)))?;
        let key_length = u16::try_from(key.len());
        let key_length = key_length.map_err(|_| self.wrong("key", "65,535 octets at most"))?;
        self.out.extend_from_slice(&[tag_length, algorithm]);
        self.out.extend_from_slice(&key_length.to_be_bytes());
        self.out.extend_from_slice(&tag);
        self.out.extend_from_slice(&key);
        while self.peek().is_some() {
            self.name("server")?;
        }
        Ok(())
    }

    fn parameters(&mut self) -> Result<(), RecordError> {
        let words = self.tokens.get(self.at..).unwrap_or(&[]);
        let octets = svcb::parameters(words).map_err(|(index, message)| {
            let what = format!("parameters of a service: {message}");
            self.fault(self.at + index, what, "correct it")
        })?;
        self.out.extend_from_slice(&octets);
        self.at = self.tokens.len();
        Ok(())
    }
}

/// Appends what a field of one word means; `None` if it means nothing.
fn one_word(field: Field, word: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let ascii = || std::str::from_utf8(word).ok();
    match field {
        Field::Ipv4 => out.extend(ascii()?.parse::<Ipv4Addr>().ok()?.octets()),
        Field::Ipv6 => out.extend(ascii()?.parse::<Ipv6Addr>().ok()?.octets()),
        Field::Time => out.extend(duration(word).ok()?.to_be_bytes()),
        Field::Moment => out.extend(moment(word)?.to_be_bytes()),
        Field::Type => out.extend(type_of(word)?.to_be_bytes()),
        Field::Algorithm => out.push(mnemonic(ALGORITHMS, word)?),
        Field::Scheme => out.push(mnemonic(SCHEMES, word)?),
        Field::Certificate => out.extend(certificate(word)?.to_be_bytes()),
        Field::Text => with_length(out, |out| unescape_all(word, out))?,
        Field::Rest => unescape_all(word, out)?,
        Field::Salt if word == b"-" => out.push(0),
        Field::Salt => with_length(out, |out| hex(word, out))?,
        Field::Hash => with_length(out, |out| {
            out.extend(BASE32HEX_NOPAD.decode(&word.to_ascii_uppercase()).ok()?);
            Some(())
        })?,
        Field::Eui(count) => {
            let mut pairs = word.split(|octet| *octet == b'-');
            for _ in 0..count {
                hex(pairs.next().filter(|pair| pair.len() == 2)?, out)?;
            }
            pairs.next().is_none().then_some(())?;
        }
        Field::Locator => {
            let mut groups = ascii()?.split(':');
            for _ in 0..4 {
                let group = groups
                    .next()
                    .filter(|group| (1..=4).contains(&group.len()))?;
                out.extend(u16::from_str_radix(group, 16).ok()?.to_be_bytes());
            }
            groups.next().is_none().then_some(())?;
        }
        Field::Nsap => {
            let digits = word.strip_prefix(b"0x").or(word.strip_prefix(b"0X"))?;
            let digits: Vec<u8> = digits.iter().copied().filter(|c| *c != b'.').collect();
            hex(&digits, out)?;
        }
        Field::Name
        | Field::U8
        | Field::U16
        | Field::U32
        | Field::Texts
        | Field::Hex
        | Field::Base64
        | Field::Types
        | Field::Relay
        | Field::Gateway
        | Field::Location
        | Field::Prefixes
        | Field::Identity
        | Field::Parameters => return None,
    }
    Some(())
}

/// What a word must be to be this field.
fn rule(field: Field) -> &'static str {
    match field {
        Field::Name => "a domain name",
        Field::U8 | Field::U16 | Field::U32 => "a number",
        Field::Time => "seconds, or numbers with the units w, d, h, m, s",
        Field::Moment => "a time as YYYYMMDDHHmmSS, or seconds",
        Field::Ipv4 => "an IPv4 address: four numbers up to 255",
        Field::Ipv6 => "an IPv6 address",
        Field::Text | Field::Texts => "255 octets at most",
        Field::Rest => "text, with escapes as in RFC 1035 section 5.1",
        Field::Hex => "pairs of hexadecimal digits",
        Field::Base64 => "base 64 with its padding (RFC 4648 section 4)",
        Field::Type | Field::Types => "the mnemonic of a type or TYPEnnn (RFC 3597 section 5)",
        Field::Algorithm => "a number up to 255 or a mnemonic like ECDSAP256SHA256",
        Field::Scheme => "a number up to 255 or NOTIFY",
        Field::Certificate => "a number up to 65535 or a mnemonic like PKIX",
        Field::Salt => "pairs of hexadecimal digits, or '-' for none",
        Field::Hash => "base 32 with the extended hex alphabet and without padding",
        Field::Eui(_) => "pairs of hexadecimal digits parted by '-'",
        Field::Locator => "four hexadecimal numbers of up to four digits parted by ':'",
        Field::Nsap => "'0x' and pairs of hexadecimal digits",
        Field::Relay => "0 or 1, then a number up to 127",
        Field::Gateway => "as its type says: '.' for 0, IPv4 for 1, IPv6 for 2, a name for 3",
        Field::Location => "degrees N or S, degrees E or W, metres of altitude",
        Field::Prefixes => "[!]FAMILY:ADDRESS/LENGTH, family 1 or 2, no bits beyond the length",
        Field::Identity => "algorithm, tag, key and servers",
        Field::Parameters => "key=value pairs",
    }
}

/// A word as it is shown in messages.
fn shown(token: Token<'_>) -> String {
    String::from_utf8_lossy(token.text).into_owned()
}

/// A number in decimal digits and nothing else.
pub(super) fn decimal(word: &[u8]) -> Option<u32> {
    let digits = word.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(word)
        .ok()
        .filter(|_| digits)?
        .parse()
        .ok()
}

fn hex(word: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend(HEXUPPER_PERMISSIVE.decode(word).ok()?);
    Some(())
}

/// Appends a word without its escapes.
fn unescape_all(word: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = word;
    while let Some((&octet, after)) = rest.split_first() {
        let (octet, after) = match octet {
            b'\\' => unescape(after)?,
            plain => (plain, after),
        };
        out.push(octet);
        rest = after;
    }
    Some(())
}

/// Puts the number of octets that `write` appends in front of them.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let at = out.len();
    out.push(0);
    write(out)?;
    let length = u8::try_from(out.len() - at - 1).ok()?;
    *out.get_mut(at)? = length;
    Some(())
}

/// IANA "DSYNC: Location of Synchronization Endpoints".
const SCHEMES: &[(&str, u8)] = &[("NOTIFY", 1)];

/// IANA "DNS Security Algorithm Numbers".
const ALGORITHMS: &[(&str, u8)] = &[
    ("DELETE", 0),
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// RFC 4398 section 2.1.
const CERTIFICATES: &[(&str, u8)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// A number up to 255, or the one that the table has for the word.
fn mnemonic(table: &[(&str, u8)], word: &[u8]) -> Option<u8> {
    let named = table
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
    match named {
        Some((_, number)) => Some(*number),
        None => u8::try_from(decimal(word)?).ok(),
    }
}

fn certificate(word: &[u8]) -> Option<u16> {
    match mnemonic(CERTIFICATES, word) {
        Some(number) => Some(u16::from(number)),
        None => u16::try_from(decimal(word)?).ok(),
    }
}

/// `YYYYMMDDHHmmSS` or seconds, modulo 2³² (RFC 4034 section 3.1.5).
fn moment(word: &[u8]) -> Option<u32> {
    if word.len() != 14 {
        return decimal(word);
    }
    let number = |from: usize, to: usize| word.get(from..to).and_then(decimal).map(u64::from);
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let in_month = *months.get(before)?;
    let fits = (1..=in_month).contains(&day) && hour < 24 && minute < 60 && second < 60;
    (fits && year >= 1970).then_some(())?;
    let days_of = |year: u64| if leap(year) { 366 } else { 365 };
    let days: u64 =
        (1970..year).map(days_of).sum::<u64>() + months.iter().take(before).sum::<u64>() + day - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    u32::try_from(seconds & u64::from(u32::MAX)).ok()
}

/// Appends the bitmap of these types (RFC 4034 section 4.1.2).
fn bitmap(mut types: Vec<u16>, out: &mut Vec<u8>) {
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0u8; 32];
        let mut length = 0u8;
        let mut number = 0;
        for rtype in window {
            let [high, low] = rtype.to_be_bytes();
            number = high;
            if let Some(octet) = bits.get_mut(usize::from(low / 8)) {
                *octet |= 0x80 >> (low % 8);
            }
            length = low / 8 + 1;
        }
        out.extend([number, length]);
        out.extend(bits.iter().take(usize::from(length)));
    }
}
