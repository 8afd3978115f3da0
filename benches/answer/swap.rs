//! What a swap costs that moves a service of many zones.

use std::sync::Arc;
use std::time::Duration;

use switchback::answer::compile;
use switchback::clock;
use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{ServiceRecord, ServiceSpec, Snapshot, SnapshotSpec};
use switchback::zone::{Name, Zone, parse};

/// Builds a snapshot of `count` zones, each with an SRV set of one service and all with one
/// serial; then others in which the pools have changed places.
pub(crate) fn measure(count: usize, rounds: usize) {
    let mut include = |path: &str| Err(format!("no includes here: {path}"));
    let zones: Vec<Arc<Zone>> = (0..count)
        .map(|at| {
            let origin: Name = format!("customer{at:06}.test.").parse().unwrap();
            let text = "$TTL 3600\n@ SOA ns1.host.example. host.host.example. 1 2 3 4 300\n\
                        @ NS ns1.host.example.\n@ A 192.0.2.1\n";
            parse("zone", text.as_bytes(), &origin, &mut include)
                .unwrap()
                .zone
        })
        .collect();
    let begun = clock::mono();
    let mut snapshot = Snapshot::build(&spec(&zones, 1)).unwrap();
    compile(&mut snapshot);
    let first = clock::mono().since(begun);
    let mut all: Vec<Duration> = (0..rounds)
        .map(|round| {
            let number = u32::try_from(round).unwrap() + 2;
            let changed = [("xmpp".into(), publication(number))].into();
            let begun = clock::mono();
            let serials = vec![Serial(number); count];
            let next = snapshot.moved(Generation(number.into()), &changed, serials);
            snapshot = next.unwrap();
            compile(&mut snapshot);
            clock::mono().since(begun)
        })
        .collect();
    all.sort();
    println!(
        "{count:>7} zones: first snapshot {first:.2?}, one that moves the service {:.2?}",
        all[all.len() / 2]
    );
}

/// The pools change places with each number.
fn publication(number: u32) -> Publication {
    let pool = |number: u8| RankedPool {
        pool: format!("pool{number}").as_str().into(),
        servers: vec![RankedServer {
            server: format!("edge{number}.host.example.").as_str().into(),
            addresses: vec![[192, 0, 2, number].into()],
            weight: 0,
        }],
    };
    let pools = match number % 2 {
        0 => vec![pool(1), pool(2)],
        _ => vec![pool(2), pool(1)],
    };
    Publication {
        ranking: Ranking { pools },
        ttl: Duration::from_secs(5),
    }
}

fn spec(zones: &[Arc<Zone>], number: u32) -> SnapshotSpec {
    let records = zones.iter().map(|zone| ServiceRecord::Srv {
        owner: format!("_xmpp-server._tcp.{}", zone.origin())
            .parse()
            .unwrap(),
        port: 5269,
    });
    SnapshotSpec {
        generation: Generation(number.into()),
        settings: Arc::default(),
        zones: zones
            .iter()
            .map(|zone| (Arc::clone(zone), Serial(number)))
            .collect(),
        services: vec![ServiceSpec {
            name: "xmpp".into(),
            records: records.collect(),
            publication: publication(number),
            negative_ttl: Duration::from_secs(5),
        }],
        servers: Vec::new(),
    }
}
