//! EDNS (RFC 6891): what the OPT record of a query asks for, and the one that goes back.
//!
//! | option | | |
//! | --- | --- | --- |
//! | 3 | NSID (RFC 5001) | to whoever asks, if we have an id |
//! | 10 | COOKIE (RFC 7873) | see `cookie` |
//! | 11 | TCP keepalive (RFC 7828) | to whoever asks, over TCP and TLS |
//! | 12 | padding (RFC 7830) | to whoever pads, where nobody reads along |
//! | 15 | extended error (RFC 8914) | if there is one, and room for it |
//!
//! All others are ignored (RFC 6891 section 6.1.2), the client's subnet (RFC 7871) among them:
//! every client gets the same answer.

use super::cookie::Cookie;
use super::resolve::Rcode;
use crate::zone::rdata::rtype;

const NSID: u16 = 3;
const COOKIE: u16 = 10;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EXTENDED_ERROR: u16 = 15;

/// An OPT record without options.
const BARE: usize = 11;
/// The code and the length of an option.
const HEAD: usize = 4;
/// Padded responses have a multiple of this many octets (RFC 8467 section 4.1).
const BLOCK: usize = 468;

/// What we use of the OPT record of a query (RFC 6891 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'p> {
    /// The client's UDP payload size.
    pub udp_payload: u16,
    /// The version. Of any but 0 the options are not read.
    pub version: u8,
    /// DO: the client wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// It asks who we are.
    pub nsid: bool,
    /// Its cookie: the first one counts (RFC 7873 section 5.2).
    pub cookie: Option<Cookie<'p>>,
    /// It asks how long it may keep the connection.
    pub keepalive: bool,
    /// It pads.
    pub padding: bool,
}

/// The OPT record of a response, but for the error, which the answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opt<'s> {
    /// The greatest UDP payload that we take.
    pub udp_payload: u16,
    /// DO, as asked.
    pub dnssec_ok: bool,
    /// Who we are; at most [`crate::snapshot::ShortText::LONGEST`] octets.
    pub nsid: Option<&'s [u8]>,
    /// The client's cookie and ours.
    pub cookie: Option<[u8; 24]>,
    /// How long the connection is kept without a query, in units of 100 ms.
    pub keepalive: Option<u16>,
    /// Whether the response is padded.
    pub padding: bool,
}

/// What an RCODE alone does not say (IANA "Extended DNS Error Codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtendedError {
    /// 14: it has not been given to us yet.
    NotReady,
    /// 18: known, and not for this client.
    Prohibited,
    /// 20: in no zone of ours.
    NotAuthoritative,
    /// 21: the operation or the class is unknown here.
    NotSupported,
    /// 24: what we have of it has expired.
    InvalidData,
}

impl ExtendedError {
    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            ExtendedError::NotReady => 14,
            ExtendedError::Prohibited => 18,
            ExtendedError::NotAuthoritative => 20,
            ExtendedError::NotSupported => 21,
            ExtendedError::InvalidData => 24,
        }
    }
}

impl<'p> Edns<'p> {
    /// Reads the record's class, TTL and RDATA. False beside it if the RDATA is no row of whole
    /// options, or a COOKIE has a length that none has (RFC 7873 section 5.2.2): that is a format
    /// error, and yet of a client that speaks EDNS.
    pub(super) fn read(class: u16, ttl: [u8; 4], rdata: &'p [u8]) -> (Edns<'p>, bool) {
        let [_, version, flags, _] = ttl;
        let mut edns = Edns {
            udp_payload: class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            nsid: false,
            cookie: None,
            keepalive: false,
            padding: false,
        };
        let well_formed = version != 0 || edns.read_options(rdata).is_some();
        (edns, well_formed)
    }

    fn read_options(&mut self, rdata: &'p [u8]) -> Option<()> {
        let mut rest = rdata;
        while !rest.is_empty() {
            let ([c0, c1, l0, l1], after) = rest.split_first_chunk::<HEAD>()?;
            let length = usize::from(u16::from_be_bytes([*l0, *l1]));
            let (option, after) = after.split_at_checked(length)?;
            rest = after;
            match u16::from_be_bytes([*c0, *c1]) {
                NSID => self.nsid = true,
                COOKIE if self.cookie.is_none() => self.cookie = Some(Cookie::read(option)?),
                // A time in it is the client's slip (RFC 7828 section 3.2.1), and harms nobody.
                KEEPALIVE => self.keepalive = true,
                PADDING => self.padding = true,
                _ => {}
            }
        }
        Some(())
    }
}

impl Opt<'_> {
    /// The octets that the record takes in any case: without an extended error and padding.
    pub(super) fn len(&self) -> usize {
        let nsid = self.nsid.map_or(0, |id| HEAD + id.len());
        let cookie = self.cookie.map_or(0, |cookie| HEAD + cookie.len());
        let keepalive = self.keepalive.map_or(0, |_| HEAD + 2);
        BARE + nsid + cookie + keepalive
    }

    /// Appends the record to a message that may grow to `limit` octets. The error is left out
    /// if it has no room: it is never a reason to cut the response (RFC 8914 section 3).
    pub(super) fn write(
        &self,
        rcode: Rcode,
        error: Option<ExtendedError>,
        limit: usize,
        out: &mut Vec<u8>,
    ) {
        // The upper eight bits of the RCODE travel here.
        let high = u8::try_from(rcode.number() >> 4).unwrap_or(0);
        let flags = if self.dnssec_ok { 0x80 } else { 0 };
        let ([t0, t1], [p0, p1]) = (rtype::OPT.to_be_bytes(), self.udp_payload.to_be_bytes());
        out.extend_from_slice(&[0, t0, t1, p0, p1, high, 0, flags, 0, 0, 0]);
        let start = out.len();
        if let Some(id) = self.nsid {
            option(NSID, id, out);
        }
        if let Some(cookie) = self.cookie {
            option(COOKIE, &cookie, out);
        }
        if let Some(idle) = self.keepalive {
            option(KEEPALIVE, &idle.to_be_bytes(), out);
        }
        if let Some(error) = error.filter(|_| out.len() + HEAD + 2 <= limit) {
            option(EXTENDED_ERROR, &error.number().to_be_bytes(), out);
        }
        if self.padding && out.len() + HEAD <= limit {
            let whole = (out.len() + HEAD).next_multiple_of(BLOCK).min(limit);
            let zeros = whole - out.len() - HEAD;
            head(PADDING, zeros, out);
            out.resize(whole, 0);
        }
        let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
        if let Some(place) = out.get_mut(start - 2..start) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

fn option(code: u16, octets: &[u8], out: &mut Vec<u8>) {
    head(code, octets.len(), out);
    out.extend_from_slice(octets);
}

fn head(code: u16, length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&code.to_be_bytes());
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
}
