//! What reflectors are looked for with: every kind of answer, with and without EDNS, and what is no
//! query.

/// Eight of all that an answer grows by, chains of aliases, a wildcard and a delegation.
pub(crate) const ZONE: &str = "\
$ORIGIN amp.
$TTL 60
@ SOA ns0 h 1 3600 900 604800 60
@ NS ns0
@ NS ns1
@ NS ns2
@ NS ns3
@ MX 10 e0
@ MX 10 e1
@ MX 10 e2
@ TXT \"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt 1\"
@ TXT \"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt 2\"
@ TXT \"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt 3\"
@ TXT \"tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt 4\"
_s._tcp SRV 10 5 5269 e0
_s._tcp SRV 10 5 5269 e1
_s._tcp SRV 10 5 5269 e2
_s._tcp SRV 10 5 5269 e3
_s._tcp SRV 10 5 5269 e4
_s._tcp SRV 10 5 5269 e5
_s._tcp SRV 10 5 5269 e6
_s._tcp SRV 10 5 5269 e7
e0 A 192.0.2.10
e0 AAAA 2001:db8::10
e1 A 192.0.2.11
e1 AAAA 2001:db8::11
e2 A 192.0.2.12
e3 A 192.0.2.13
e4 A 192.0.2.14
e5 A 192.0.2.15
e6 A 192.0.2.16
e7 A 192.0.2.17
ns0 A 192.0.2.1
ns1 A 192.0.2.2
ns2 A 192.0.2.3
ns3 A 192.0.2.4
sub NS ns.sub
sub NS ns2.sub
ns.sub A 192.0.2.5
ns2.sub AAAA 2001:db8::5
c1 CNAME c2
c2 CNAME c3
c3 CNAME e0
grow DNAME below.grow
*.wild TXT \"wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww\"
";

const QUESTIONS: [(&str, u16); 22] = [
    ("_s._tcp.amp", 33),
    ("amp", 255),
    ("amp", 48),
    ("amp", 46),
    ("amp", 2),
    ("amp", 6),
    ("amp", 15),
    ("amp", 16),
    ("amp", 252),
    ("amp", 251),
    ("_s._tcp.amp", 255),
    ("_s._tcp.amp", 1),
    ("e0.amp", 28),
    ("x.sub.amp", 1),
    ("sub.amp", 255),
    ("nowhere.amp", 1),
    ("x.y.wild.amp", 16),
    ("x.y.wild.amp", 255),
    ("c1.amp", 1),
    ("x.grow.amp", 1),
    ("elsewhere", 255),
    ("", 2),
];

/// Every one of them, twice.
pub(crate) fn shapes() -> Vec<Vec<u8>> {
    let mut shapes = Vec::new();
    for _ in 0..2 {
        for (name, rtype) in QUESTIONS {
            shapes.push(query(name, rtype, 0, None));
            shapes.push(query(name, rtype, 0, Some((1232, &[]))));
            shapes.push(query(name, rtype, 0, Some((4096, &[0, 3, 0, 0]))));
            let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
            shapes.push(query(name, rtype, 0, Some((1232, &cookie))));
        }
        // NOTIFY, UPDATE, and an operation that there is not.
        for opcode in [4, 5, 9] {
            shapes.push(query("amp", 6, opcode << 3, Some((1232, &[]))));
        }
        // A response; two questions; half a question; no question; a version of EDNS to come.
        shapes.push(query("amp", 6, 0x80, None));
        let whole = query("amp", 6, 0, None);
        let mut two = whole.clone();
        two[5] = 2;
        two.extend_from_slice(&whole[12..]);
        shapes.push(two);
        shapes.push(whole[..15].to_vec());
        let mut none = whole[..12].to_vec();
        none[5] = 0;
        shapes.push(none);
        let mut later = query("amp", 6, 0, Some((1232, &[])));
        let version = later.len() - 5;
        later[version] = 7;
        shapes.push(later);
        shapes.push(b"GET / HTTP/1.0\r\n\r\n".to_vec());
    }
    shapes
}

/// A message with these flags, and with an OPT of this size and these options, DO set.
fn query(name: &str, rtype: u16, flags: u8, edns: Option<(u16, &[u8])>) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, flags, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(u8::try_from(label.len()).unwrap());
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend(rtype.to_be_bytes());
    packet.extend([0, 1]);
    if let Some((size, options)) = edns {
        packet[11] = 1;
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0, 0, 0x80, 0]);
        packet.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        packet.extend_from_slice(options);
    }
    packet
}
