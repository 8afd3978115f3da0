//! The two forms of RDATA that are languages of their own: places on earth and prefixes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::record::RecordError;
use super::text::{Words, decimal};

/// Degrees, minutes and seconds of the equator and of Greenwich, in thousandths of a second.
const MIDDLE: u32 = 1 << 31;
/// The lowest altitude, in centimetres below the sea.
const LOWEST: i64 = 10_000_000;

/// Reads `d [m [s]] N|S d [m [s]] E|W alt [size [horizontal [vertical]]]` (RFC 1876 section 3).
pub(super) fn location(words: &mut Words<'_, '_>) -> Result<(), RecordError> {
    let latitude = angle(words, "latitude", b"N", b"S", 90)?;
    let longitude = angle(words, "longitude", b"E", b"W", 180)?;
    let token = words.next("altitude")?;
    let altitude = centimetres(token.text)
        .and_then(|altitude| u32::try_from(altitude + LOWEST).ok())
        .ok_or_else(|| words.wrong("altitude", "metres from -100000 to 42849672.95"))?;
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        let Some(word) = words.word() else {
            break;
        };
        *size = centimetres(word)
            .and_then(precision)
            .ok_or_else(|| words.wrong("size or precision", "metres up to 90000000"))?;
    }
    words.out.push(0);
    words.out.extend(sizes);
    for number in [latitude, longitude, altitude] {
        words.out.extend(number.to_be_bytes());
    }
    Ok(())
}

fn angle(
    words: &mut Words<'_, '_>,
    label: &str,
    plus: &[u8],
    minus: &[u8],
    most: u32,
) -> Result<u32, RecordError> {
    let rule = "degrees, minutes and seconds, then N or S, E or W";
    let mut total = 0;
    // Degrees, minutes and seconds in thousandths of a second.
    for (unit, limit) in [(3_600_000, most + 1), (60_000, 60), (1000, 60)] {
        let word = words.next(label)?.text;
        if word.eq_ignore_ascii_case(plus) {
            return Ok(MIDDLE + total);
        }
        if word.eq_ignore_ascii_case(minus) {
            return Ok(MIDDLE - total);
        }
        let thousandths = if unit == 1000 {
            fraction(word, 3)
        } else {
            decimal(word).and_then(|number| number.checked_mul(unit))
        };
        total += thousandths
            .filter(|part| *part < limit * unit && total + part <= most * 3_600_000)
            .ok_or_else(|| words.wrong(label, rule))?;
    }
    match words.next(label)?.text {
        word if word.eq_ignore_ascii_case(plus) => Ok(MIDDLE + total),
        word if word.eq_ignore_ascii_case(minus) => Ok(MIDDLE - total),
        _ => Err(words.wrong(label, rule)),
    }
}

/// A decimal fraction with up to so many places behind the point, times ten to their number.
fn fraction(word: &[u8], places: usize) -> Option<u32> {
    let mut parts = word.splitn(2, |octet| *octet == b'.');
    let (whole, behind) = (parts.next()?, parts.next().unwrap_or(&[]));
    let mut digits = whole.to_vec();
    digits.extend_from_slice(behind);
    digits.resize(whole.len() + places, b'0');
    let fits = !whole.is_empty() && behind.len() <= places;
    decimal(&digits).filter(|_| fits)
}

/// Metres with up to two places behind the point, as centimetres.
fn centimetres(word: &[u8]) -> Option<i64> {
    let word = word
        .strip_suffix(b"m")
        .or(word.strip_suffix(b"M"))
        .unwrap_or(word);
    match word.strip_prefix(b"-") {
        Some(below) => fraction(below, 2).map(|depth| -i64::from(depth)),
        None => fraction(word, 2).map(i64::from),
    }
}

/// Centimetres as a digit and a power of ten, four bits each (RFC 1876 section 2).
fn precision(centimetres: i64) -> Option<u8> {
    let (mut digit, mut power) = (u64::try_from(centimetres).ok()?, 0u8);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    u8::try_from(digit)
        .ok()
        .filter(|_| power <= 9)
        .map(|digit| digit << 4 | power)
}

/// Appends the item that `[!]FAMILY:ADDRESS/LENGTH` is (RFC 3123 section 4).
pub(super) fn prefix(word: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let text = std::str::from_utf8(word).ok()?;
    let (negated, text) = match text.strip_prefix('!') {
        Some(text) => (0x80, text),
        None => (0, text),
    };
    let (family, text) = text.split_once(':')?;
    let (address, length) = text.split_once('/')?;
    let octets = match family {
        "1" => address.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        "2" => address.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
        _ => return None,
    };
    let length = u8::try_from(decimal(length.as_bytes())?).ok()?;
    let bits = |octet: (usize, &u8)| 8 * octet.0 + 8 - octet.1.trailing_zeros() as usize;
    let last = octets.iter().enumerate().rfind(|(_, octet)| **octet != 0);
    let used = last.map_or(0, bits);
    (usize::from(length) <= 8 * octets.len() && used <= usize::from(length)).then_some(())?;
    let kept = octets.get(..used.div_ceil(8))?;
    out.extend([0, u8::from(family == "2") + 1, length]);
    out.push(negated | u8::try_from(kept.len()).ok()?);
    out.extend(kept);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_lose_their_trailing_zeros() {
        let mut out = Vec::new();
        prefix(b"!1:192.168.0.0/16", &mut out).unwrap();
        assert_eq!(out, [0, 1, 16, 0x82, 192, 168]);
        out.clear();
        prefix(b"2:2001:db8::/32", &mut out).unwrap();
        assert_eq!(out, [0, 2, 32, 4, 0x20, 1, 0xd, 0xb8]);
        for bad in [
            "1:192.168.0.1/16",
            "3:1.2.3.4/8",
            "1:1.2.3.4",
            "1:1.2.3.4/33",
        ] {
            assert!(prefix(bad.as_bytes(), &mut out).is_none(), "{bad}");
        }
    }

    #[test]
    fn metres_and_seconds_are_fractions() {
        assert_eq!(fraction(b"24.4", 3), Some(24_400));
        assert_eq!(fraction(b"1.2345", 3), None);
        assert_eq!(fraction(b".5", 3), None);
        assert_eq!(centimetres(b"-2.00m"), Some(-200));
        assert_eq!(precision(100), Some(0x12));
        assert_eq!(precision(1_000_000), Some(0x16));
        assert_eq!(precision(0), Some(0));
    }
}
