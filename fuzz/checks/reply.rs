//! What must hold of any response to one of our questions. An input is a message.

use switchback::inquiry::{Question, Rcode, packet, read};
use switchback::zone::Name;
use switchback::zone::rdata::rtype;

const QUESTIONS: [(&str, u16); 6] = [
    ("contoso.test.", rtype::SOA),
    ("contoso.test.", rtype::NS),
    ("_xmpp-server._tcp.contoso.test.", rtype::SRV),
    ("edge1.contoso.test.", rtype::A),
    ("www.contoso.test.", rtype::A),
    ("ns.child.contoso.test.", rtype::AAAA),
];

/// Panics if what is read of it is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let id = input
        .first_chunk()
        .map_or(0, |octets| u16::from_be_bytes(*octets));
    for (name, rtype) in QUESTIONS {
        let name: Name = name.parse().unwrap();
        let question = Question::to_server(&name, rtype);
        // A query of ours is no response, not even to itself.
        assert!(read(id, &question, &packet(id, &question).unwrap()).is_err());
        assert!(read(id.wrapping_add(1), &question, input).is_err());
        let Ok(reply) = read(id, &question, input) else {
            continue;
        };
        let canonical = reply.canonical(&name);
        let services = reply.services(&name);
        assert!(services.is_sorted());
        assert!(reply.services(&canonical).len() <= reply.answers.len());
        for address in reply.addresses(&canonical) {
            assert!(reply.addresses(&canonical).contains(&address));
        }
        for server in reply.name_servers(&name) {
            let _ = reply.glue(&server);
        }
        if let Some(to) = reply.referral() {
            assert!(reply.answers.is_empty() && reply.rcode == Rcode::NO_ERROR);
            assert!(reply.authority.iter().any(|record| record.owner == *to));
        }
        let ttl = reply.ttl(&name, rtype);
        let has = |record: &switchback::inquiry::Record| {
            record.owner == name && record.data.rtype() == rtype
        };
        assert_eq!(ttl.is_some(), reply.answers.iter().any(has));
        let _ = (reply.serial(&name), reply.alias(&name));
    }
}
