//! Values of ours to messages, and back.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{self, RData};
use hickory_proto::serialize::binary::{BinDecodable as _, BinEncodable as _};

use super::{Data, Question, Rcode, Record, Reply, Srv};
use crate::ids::Serial;
use crate::zone::Name;

/// What we take over UDP (RFC 9715).
const PAYLOAD: u16 = 1232;

/// Why octets are no response to a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The name cannot be put into a message.
    #[error("the name cannot be asked for: {0}")]
    Question(String),
    /// It is no message.
    #[error("what it sends is no DNS message: {0}")]
    Malformed(String),
    /// It is a message, about something else.
    #[error("it answers another question than was asked")]
    OtherQuestion,
}

/// The query for `question`.
///
/// # Errors
/// If the name cannot be written, which no name of a zone brings about.
pub fn packet(id: u16, question: &Question) -> Result<Vec<u8>, Unreadable> {
    let failed = |error: &dyn std::fmt::Display| Unreadable::Question(error.to_string());
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = question.recursion;
    let name = rr::Name::from_bytes(question.name.wire()).map_err(|error| failed(&error))?;
    query.add_query(Query::query(name, rr::RecordType::from(question.rtype)));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD).set_version(0);
    query.set_edns(edns);
    query.to_vec().map_err(|error| failed(&error))
}

/// The response to `question` with this `id`. A server that knows no EDNS may leave the question
/// out of a FORMERR (RFC 1035 section 4.1.1 says only that it is copied); nobody else may.
///
/// # Errors
/// It is none.
pub fn read(id: u16, question: &Question, octets: &[u8]) -> Result<Reply, Unreadable> {
    let message =
        Message::from_vec(octets).map_err(|error| Unreadable::Malformed(error.to_string()))?;
    let Message {
        metadata,
        queries,
        answers,
        authorities,
        additionals,
        ..
    } = message;
    if metadata.id != id || metadata.message_type != MessageType::Response {
        return Err(Unreadable::OtherQuestion);
    }
    let rcode = Rcode(u16::from(metadata.response_code));
    match &queries[..] {
        [] if rcode != Rcode::NO_ERROR => {}
        [asked]
            if name_of(asked.name())? == question.name
                && u16::from(asked.query_type()) == question.rtype => {}
        _ => return Err(Unreadable::OtherQuestion),
    }
    Ok(Reply {
        rcode,
        authoritative: metadata.authoritative,
        truncated: metadata.truncation,
        answers: records(&answers)?,
        authority: records(&authorities)?,
        additional: records(&additionals)?,
    })
}

fn records(section: &[rr::Record]) -> Result<Vec<Record>, Unreadable> {
    section.iter().map(record).collect()
}

fn record(record: &rr::Record) -> Result<Record, Unreadable> {
    Ok(Record {
        owner: name_of(&record.name)?,
        ttl: record.ttl,
        data: data(record)?,
    })
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "of all the types there are, these are looked at"
)]
fn data(record: &rr::Record) -> Result<Data, Unreadable> {
    Ok(match &record.data {
        RData::A(address) => Data::A(address.0),
        RData::AAAA(address) => Data::Aaaa(address.0),
        RData::NS(name) => Data::Ns(name_of(&name.0)?),
        RData::CNAME(name) => Data::Cname(name_of(&name.0)?),
        RData::SOA(soa) => Data::Soa(Serial(soa.serial)),
        RData::SRV(srv) => Data::Srv(Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: name_of(&srv.target)?,
        }),
        other => Data::Other(u16::from(other.record_type())),
    })
}

fn name_of(name: &rr::Name) -> Result<Name, Unreadable> {
    let wire = name
        .to_bytes()
        .map_err(|error| Unreadable::Malformed(error.to_string()))?;
    Name::from_wire(&wire).map_err(|error| Unreadable::Malformed(error.to_string()))
}
