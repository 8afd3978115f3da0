//! Whether octets are RDATA of their type, field by field as [`super::form`] says.

use super::form::{Field, form_of};
use super::name::wire_len;

/// Whether `rdata` has the form that its type asks for. A type that is not known may have any.
#[must_use]
pub fn is_well_formed(rtype: u16, rdata: &[u8]) -> bool {
    let Some(form) = form_of(rtype) else {
        return true;
    };
    let mut rest = Some(rdata);
    for (_, field) in form.fields {
        rest = rest.and_then(|rest| after(*field, rdata, rest));
    }
    rest.is_some_and(<[u8]>::is_empty)
}

/// What follows the field that stands first in `rest`; `None` if that is no such field.
fn after<'r>(field: Field, rdata: &[u8], rest: &'r [u8]) -> Option<&'r [u8]> {
    match field {
        Field::Name => rest.get(wire_len(rest)?..),
        Field::U8 | Field::Algorithm | Field::Scheme | Field::Relay => rest.get(1..),
        Field::U16 | Field::Type | Field::Certificate => rest.get(2..),
        Field::U32 | Field::Time | Field::Moment | Field::Ipv4 => rest.get(4..),
        Field::Ipv6 => rest.get(16..),
        Field::Locator => rest.get(8..),
        Field::Eui(count) => rest.get(usize::from(count)..),
        Field::Text | Field::Salt => string(rest),
        Field::Hash => string(rest).filter(|_| rest.first() != Some(&0)),
        Field::Texts => {
            let mut rest = string(rest)?;
            while !rest.is_empty() {
                rest = string(rest)?;
            }
            Some(rest)
        }
        Field::Hex | Field::Base64 | Field::Nsap => (!rest.is_empty()).then_some(&[]),
        Field::Rest => Some(&[]),
        Field::Types => types(rest),
        Field::Gateway => match rdata.get(1)? & 0x7f {
            0 => Some(rest),
            1 => rest.get(4..),
            2 => rest.get(16..),
            3 => rest.get(wire_len(rest)?..),
            _ => None,
        },
        Field::Location => location(rest),
        Field::Prefixes => prefixes(rest),
        Field::Identity => identity(rest),
        Field::Parameters => parameters(rest),
    }
}

/// A length in one octet, and so many octets.
fn string(rest: &[u8]) -> Option<&[u8]> {
    let (length, rest) = rest.split_first()?;
    rest.get(usize::from(*length)..)
}

/// RFC 4034 section 4.1.2: windows ascend, and none ends with a zero octet.
fn types(mut rest: &[u8]) -> Option<&[u8]> {
    let mut next = 0;
    while let Some((window, after)) = rest.split_first() {
        let (length, after) = after.split_first()?;
        let (bits, after) = after.split_at_checked(usize::from(*length))?;
        let is_sound = u16::from(*window) >= next && bits.len() <= 32;
        if !is_sound || bits.last().is_none_or(|octet| *octet == 0) {
            return None;
        }
        next = u16::from(*window) + 1;
        rest = after;
    }
    Some(rest)
}

/// RFC 1876 section 2: version 0; sizes are digits with powers of ten, each up to 9.
fn location(rest: &[u8]) -> Option<&[u8]> {
    let (all, rest) = rest.split_at_checked(16)?;
    let (version, sizes) = all.split_first()?;
    let mut sizes = sizes.iter().take(3);
    let are_sizes = sizes.all(|size| size >> 4 <= 9 && size & 0xf <= 9);
    (*version == 0 && are_sizes).then_some(rest)
}

/// RFC 3123 section 4: no address ends with a zero octet.
fn prefixes(mut rest: &[u8]) -> Option<&[u8]> {
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let [high, family, length, octets] = *head;
        let (address, after) = after.split_at_checked(usize::from(octets & 0x7f))?;
        let (bits, most) = match (high, family) {
            (0, 1) => (32, 4),
            (0, 2) => (128, 16),
            _ => (u8::MAX, 127),
        };
        if length > bits || address.len() > most || address.last() == Some(&0) {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// RFC 8005 section 5: three lengths, tag, key, names.
fn identity(rest: &[u8]) -> Option<&[u8]> {
    let (head, rest) = rest.split_first_chunk::<4>()?;
    let [tag, _, high, low] = *head;
    let fixed = usize::from(tag) + usize::from(u16::from_be_bytes([high, low]));
    let mut rest = rest.get(fixed..)?;
    while !rest.is_empty() {
        rest = rest.get(wire_len(rest)?..)?;
    }
    (tag > 0).then_some(rest)
}

/// RFC 9460 section 2.2: keys ascend; those that it defines have values of their form.
fn parameters(mut rest: &[u8]) -> Option<&[u8]> {
    let mut next = 0;
    while !rest.is_empty() {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let [key0, key1, length0, length1] = *head;
        let key = u32::from(u16::from_be_bytes([key0, key1]));
        let length = usize::from(u16::from_be_bytes([length0, length1]));
        let (value, after) = after.split_at_checked(length)?;
        let is_sound = match key {
            // mandatory: other keys, ascending.
            0 => {
                let keys = value.chunks_exact(2);
                let whole = keys.remainder().is_empty() && !value.is_empty();
                whole && keys.clone().all(|key| key != [0, 0]) && keys.is_sorted_by(|a, b| a < b)
            }
            // alpn: identifiers, none of them empty.
            1 => identifiers(value),
            // no-default-alpn.
            2 => value.is_empty(),
            // port.
            3 => value.len() == 2,
            // ipv4hint, ipv6hint.
            4 => !value.is_empty() && value.len() % 4 == 0,
            6 => !value.is_empty() && value.len() % 16 == 0,
            _ => true,
        };
        if key < next || !is_sound {
            return None;
        }
        next = key + 1;
        rest = after;
    }
    Some(rest)
}

fn identifiers(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(length) = rest.first() {
        match string(rest) {
            Some(after) if *length > 0 => rest = after,
            _ => return false,
        }
    }
    !value.is_empty()
}
