//! What a swap costs that touches one of many zones.

use std::sync::Arc;
use std::time::Duration;

use switchback::clock;
use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{ServiceRecord, ServiceSpec, Snapshot, SnapshotSpec};
use switchback::zone::{Zone, parse};

use super::zones::Zones;

/// So many swaps; the median counts.
const SWAPS: u32 = 11;

/// Builds the snapshot of the first generation, then others that move one zone's service.
pub(crate) fn measure(zones: &Zones) {
    let mut include = |path: &str| Err(format!("no includes here: {path}"));
    let loaded: Vec<Arc<Zone>> = zones
        .origins
        .iter()
        .map(|origin| {
            let text = std::fs::read(zones.file(origin)).unwrap();
            let origin = format!("{origin}.").parse().unwrap();
            parse("zone", &text, &origin, &mut include).unwrap().zone
        })
        .collect();
    let begun = clock::mono();
    let mut snapshot = Snapshot::build(&spec(&loaded, 1)).unwrap();
    let first = clock::mono().since(begun);
    let mut all: Vec<Duration> = (2..2 + SWAPS)
        .map(|number| {
            let begun = clock::mono();
            let changed = [("xmpp".into(), publication(number))].into();
            let mut serials: Vec<Serial> = snapshot.zones().map(|zone| zone.serial()).collect();
            serials[0] = Serial(number);
            let next = snapshot.moved(Generation(number.into()), &changed, serials);
            snapshot = next.unwrap();
            clock::mono().since(begun)
        })
        .collect();
    all.sort();
    let median = all[all.len() / 2];
    println!("first snapshot {first:.1?}, one that touches one zone {median:.1?}");
}

/// One server, whose weight is the number.
fn publication(number: u32) -> Publication {
    Publication {
        ranking: Ranking {
            pools: vec![RankedPool {
                pool: "one".into(),
                servers: vec![RankedServer {
                    server: "edge.elsewhere.example.".into(),
                    addresses: vec![[192, 0, 2, 1].into()],
                    weight: u16::try_from(number).unwrap(),
                }],
            }],
        },
        ttl: Duration::from_secs(5),
    }
}

/// A service in the first zone, whose serial is the number.
fn spec(zones: &[Arc<Zone>], number: u32) -> SnapshotSpec {
    let origin = zones[0].origin();
    let zones = zones.iter().enumerate();
    SnapshotSpec {
        generation: Generation(number.into()),
        settings: Arc::default(),
        zones: zones
            .map(|(at, zone)| (Arc::clone(zone), Serial(if at == 0 { number } else { 1 })))
            .collect(),
        services: vec![ServiceSpec {
            name: "xmpp".into(),
            records: vec![ServiceRecord::Srv {
                owner: format!("_xmpp-server._tcp.{origin}").parse().unwrap(),
                port: 5269,
            }],
            publication: publication(number),
            negative_ttl: Duration::from_secs(5),
        }],
        servers: Vec::new(),
    }
}
