//! The query log: a line for each query, its words divided by blanks.

use std::io::Write;

use crate::server::{Carrier, Exchange};
use crate::zone::rdata::type_name;
use crate::zone::{Name, skip_name};

const HEADER: usize = 12;

/// Appends a line: time, client, transport, name, type, RCODE as in the header, octets of the
/// response. `-` stands for what there is not.
pub(super) fn write(exchange: &Exchange<'_>, out: &mut Vec<u8>) -> u64 {
    let Exchange {
        carrier,
        at,
        client,
        query,
        response,
    } = exchange;
    let carrier = match carrier {
        Carrier::Udp => "udp",
        Carrier::Tcp => "tcp",
        Carrier::Tls => "tls",
        Carrier::Https => "https",
        Carrier::Quic => "quic",
    };
    let (name, rtype) = question(query).unwrap_or_else(|| ("-".to_owned(), "-".to_owned()));
    let rcode = response.and_then(|it| it.get(3)).map(|it| it & 0x0f);
    let rcode = rcode.map_or("-".to_owned(), |rcode| rcode.to_string());
    let octets = response.map_or(0, <[u8]>::len);
    // A vector takes all that is written.
    let _ = writeln!(
        out,
        "{at} {client} {carrier} {name} {rtype} {rcode} {octets}"
    );
    1
}

/// The name and the type as master files have them, so that no octet of a stranger's breaks a line.
fn question(query: &[u8]) -> Option<(String, String)> {
    let end = skip_name(query, HEADER)?;
    let name = Name::from_wire(query.get(HEADER..end)?).ok()?;
    let rtype = u16::from_be_bytes(*query.get(end..)?.first_chunk()?);
    Some((name.to_string(), type_name(rtype)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Wall;

    #[test]
    fn no_octet_of_a_name_breaks_a_line() {
        let query = [
            &[0; 4][..],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[4, b'a', b'\n', b' ', 0xff, 0, 0x12, 0x67, 0, 1],
        ]
        .concat();
        let exchange = Exchange {
            carrier: Carrier::Tls,
            at: Wall(0),
            client: [192, 0, 2, 1].into(),
            query: &query,
            response: Some(&[0, 0, 0, 3]),
        };
        let mut out = Vec::new();
        write(&exchange, &mut out);
        let line = String::from_utf8(out).unwrap();
        assert_eq!(
            line,
            "1970-01-01T00:00:00.000Z 192.0.2.1 tls a\\010\\032\\255. TYPE4711 3 4\n"
        );
    }
}
