//! A small zone with one service over two pools, whose every record tells its generation, and
//! questions about it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use switchback::answer::compile;
use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{
    CookieSecret, Cookies, RateLimit, ServiceRecord, ServiceSpec, Settings, ShortText, Snapshot,
    SnapshotSpec,
};
use switchback::zone;

/// The owner of the service's SRV records.
pub(crate) const SRV: &str = "_xmpp-server._tcp.contoso.test.";
/// The zone.
pub(crate) const ZONE: &str = "contoso.test.";

/// Its master file.
pub(crate) const TEXT: &str = "\
$TTL 300
@      SOA  ns1 hostmaster 1 7200 3600 1209600 300
       NS   ns1
ns1    A    127.0.0.1
www    A    192.0.2.80
       TXT  \"one\" \"two\"
alias  CNAME www
far    TYPE65280 \\# 3 010203
*.wild A    192.0.2.81
";

/// The snapshot number `generation`: the zone's serial and the weight of the SRV records are the
/// generation, each edge's address ends in it, and the pools change places with each.
pub(crate) fn snapshot(generation: u16) -> Arc<Snapshot> {
    snapshot_of(TEXT, generation)
}

/// The same of another master file.
pub(crate) fn snapshot_of(text: &str, generation: u16) -> Arc<Snapshot> {
    let mut snapshot = built(text, generation);
    compile(&mut snapshot);
    Arc::new(snapshot)
}

/// The snapshot number `generation` as it is before it is compiled.
#[allow(
    dead_code,
    reason = "not every test that includes this file asks for it"
)]
pub(crate) fn uncompiled(generation: u16) -> Arc<Snapshot> {
    Arc::new(built(TEXT, generation))
}

/// The snapshot number 1 with a limit of responses.
#[allow(
    dead_code,
    reason = "not every test that includes this file asks for it"
)]
pub(crate) fn limited(rate_limit: RateLimit) -> Arc<Snapshot> {
    let settings = Settings {
        rate_limit: Some(rate_limit),
        ..settings()
    };
    let mut snapshot = built_with(TEXT, 1, settings);
    compile(&mut snapshot);
    Arc::new(snapshot)
}

fn built(text: &str, generation: u16) -> Snapshot {
    built_with(text, generation, settings())
}

fn built_with(text: &str, generation: u16, settings: Settings) -> Snapshot {
    let origin = zone::Name::from_text(ZONE.as_bytes(), None).unwrap();
    let file = zone::parse("contoso.test.zone", text.as_bytes(), &origin, &mut |_| {
        Err("nothing is included".to_owned())
    });
    let file = file.unwrap();
    let [high, low] = generation.to_be_bytes();
    let pool = |number: u8| RankedPool {
        pool: format!("edgepool{number}").as_str().into(),
        servers: vec![RankedServer {
            server: format!("edge{number}.contoso.test.").as_str().into(),
            addresses: vec![IpAddr::from([10, number, high, low])],
            weight: generation,
        }],
    };
    let pools = match generation % 2 {
        0 => vec![pool(1), pool(2)],
        _ => vec![pool(2), pool(1)],
    };
    let spec = SnapshotSpec {
        generation: Generation(generation.into()),
        settings: Arc::new(settings),
        zones: vec![(file.zone, Serial(generation.into()))],
        services: vec![ServiceSpec {
            name: "xmpp-federation".into(),
            records: vec![ServiceRecord::Srv {
                owner: zone::Name::from_text(SRV.as_bytes(), None).unwrap(),
                port: 5269,
            }],
            publication: Publication {
                ranking: Ranking { pools },
                ttl: Duration::from_secs(5),
            },
            negative_ttl: Duration::from_secs(5),
        }],
        servers: Vec::new(),
    };
    Snapshot::build(&spec).unwrap()
}

/// A server that says who it is.
fn settings() -> Settings {
    Settings {
        id: ShortText::new("ams1"),
        cookies: Some(Cookies {
            active: CookieSecret([7; 16]),
            others: Vec::new(),
            required: false,
        }),
        ..Settings::default()
    }
}

/// A query, in octets.
pub(crate) fn query(id: u16, name: &str, rtype: RecordType, edns_version: Option<u8>) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    if let Some(version) = edns_version {
        let mut edns = Edns::new();
        edns.set_version(version).set_max_payload(1232);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

/// The generation that an answer to an SRV query for [`SRV`] speaks of.
///
/// # Errors
/// What in the message speaks of another generation, or is missing.
pub(crate) fn generation_of_srv(message: &Message) -> Result<u16, String> {
    let mut generations = Vec::new();
    let mut targets = Vec::new();
    for record in &message.answers {
        if let RData::SRV(srv) = &record.data {
            generations.push(srv.weight);
            targets.push((srv.priority, srv.target.to_ascii()));
        }
    }
    let mut addresses = 0;
    for record in &message.additionals {
        if let RData::A(address) = &record.data {
            let [_, _, high, low] = address.octets();
            generations.push(u16::from_be_bytes([high, low]));
            addresses += 1;
        }
    }
    targets.sort();
    let first = match generations.first() {
        Some(first) => *first,
        None => return Err("no SRV record".to_owned()),
    };
    let expected = ["edge1.contoso.test.", "edge2.contoso.test."];
    let mut order: Vec<&str> = targets.iter().map(|(_, target)| target.as_str()).collect();
    if first % 2 == 1 {
        order.reverse();
    }
    if addresses != 2 || order != expected || generations.iter().any(|other| *other != first) {
        return Err(format!(
            "mixed: generations {generations:?}, targets {targets:?}"
        ));
    }
    Ok(first)
}

/// The serial of an answer to an SOA query.
pub(crate) fn serial_of_soa(message: &Message) -> Option<u32> {
    let record = message.answers.first()?;
    if let RData::SOA(soa) = &record.data {
        return Some(soa.serial);
    }
    None
}
