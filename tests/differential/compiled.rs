//! The same questions of the same worlds, compiled and not: octet for octet the same.

use std::sync::Arc;
use std::time::Duration;

use switchback::answer::{Asker, Transport, compile, respond};
use switchback::failover::{Publication, RankedPool, RankedServer, Ranking};
use switchback::ids::{Generation, Serial};
use switchback::snapshot::{ServiceRecord, ServiceSpec, Snapshot, SnapshotSpec};
use switchback::time::Wall;
use switchback::zone::parse;

use super::generate::generate;
use super::questions::{Mode, Question, questions};
use super::random::Random;

const WORLDS: u64 = 400;
const QUESTIONS: usize = 60;

#[test]
fn compiled_answers_are_those_of_the_engine() {
    let mut asked = 0;
    for seed in 0..WORLDS {
        let base = if seed % 8 == 0 { "." } else { "w." };
        let world = generate(seed, base);
        let plain = world.snapshot().unwrap();
        let mut compiled = world.snapshot().unwrap();
        compile(&mut compiled);
        for question in questions(&world, seed, QUESTIONS) {
            let packet = question.packet(7);
            for transport in [Transport::Udp, Transport::Stream, Transport::Encrypted] {
                let [engine, ours] = [&plain, &compiled].map(|of| ask(of, &packet, transport));
                assert_eq!(engine, ours, "world {seed}, {question:?}");
                asked += 1;
            }
        }
    }
    assert!(asked > 10_000, "{asked}");
}

fn ask(snapshot: &Snapshot, packet: &[u8], transport: Transport) -> Vec<u8> {
    let asker = Asker {
        transport,
        client: [127, 0, 0, 1].into(),
        now: Wall(0),
        idle: None,
    };
    let mut out = Vec::new();
    assert!(respond(snapshot, packet, &asker, &mut out), "a response");
    out
}

/// Moves from generation to generation, which keep what they do not move, beside snapshots that
/// are made anew for each. Owners of one set have names of many lengths, and hosts lie everywhere.
#[test]
fn a_move_compiles_all_that_it_moves() {
    let mut random = Random::new(5);
    let mut number = 1;
    let mut moved = services(number, &publication(&mut random), &publication(&mut random));
    compile(&mut moved);
    let mut publications = [publication(&mut random), publication(&mut random)];
    for _ in 0..60 {
        number += 1;
        let which = random.below(2);
        publications[which] = publication(&mut random);
        // The first round sets both, to be where `fresh` is.
        let changed = NAMES.iter().zip(&publications).enumerate();
        let changed = changed.filter(|(at, _)| number == 2 || *at == which);
        let changed = changed.map(|(_, (name, publication))| ((*name).into(), publication.clone()));
        let serials = vec![Serial(number); ZONES.len()];
        let generation = Generation(number.into());
        moved = moved
            .moved(generation, &changed.collect(), serials)
            .unwrap();
        compile(&mut moved);
        let fresh = services(number, &publications[0], &publications[1]);
        for name in OWNERS.iter().chain(HOSTS).chain(ZONES).chain(&OTHERS) {
            for rtype in [1, 6, 15, 28, 33, 255, 999] {
                let question = Question {
                    name: (*name).to_owned(),
                    rtype,
                    mode: Mode::Edns(1232),
                };
                let packet = question.packet(7);
                let [engine, ours] = [&fresh, &moved].map(|of| ask(of, &packet, Transport::Udp));
                assert_eq!(engine, ours, "generation {number}, {question:?}");
            }
        }
    }
}

const NAMES: [&str; 2] = ["one", "two"];
const ZONES: &[&str] = &["a.", "quite-a-long-zone.b.", "sub.a."];
const OWNERS: &[&str] = &[
    "_x._tcp.a.",
    "a.",
    "_a-much-longer-name._tcp.quite-a-long-zone.b.",
    "*.wild.a.",
    "_y.sub.a.",
];
const HOSTS: &[&str] = &[
    "e1.a.",
    "E2.quite-a-long-zone.b.",
    "sub.a.",
    "elsewhere.",
    "static.a.",
];
const OTHERS: [&str; 5] = [
    "made.wild.a.",
    "a-long-made-one.wild.a.",
    "nowhere.a.",
    "x.cut.a.",
    "x.y.sub.a.",
];

fn publication(random: &mut Random) -> Publication {
    let mut pools: Vec<RankedPool> = (0..3u8)
        .map(|pool| RankedPool {
            pool: format!("p{pool}").as_str().into(),
            servers: HOSTS[..4]
                .iter()
                .filter(|_| random.chance(60))
                .map(|host| RankedServer {
                    server: (*host).into(),
                    addresses: vec![[192, 0, 2, pool].into(), [pool.into(); 8].into()],
                    weight: 0,
                })
                .collect(),
        })
        .collect();
    // Never empty: the guard would refuse it.
    pools[0].servers.push(RankedServer {
        server: HOSTS[0].into(),
        addresses: vec![[192, 0, 2, 77].into()],
        weight: 1,
    });
    Publication {
        ranking: Ranking { pools },
        ttl: Duration::from_secs(5 + u64::try_from(random.below(3)).unwrap()),
    }
}

fn services(number: u32, one: &Publication, two: &Publication) -> Snapshot {
    let zone = |origin: &&str| {
        let text = "@ 60 SOA ns h 1 1 1 1 300\n@ 60 NS ns\n@ 60 MX 1 e1\nns 60 A 192.0.2.1\n\
                    static 60 MX 1 e1.a.\nstatic 60 A 192.0.2.9\ncut 60 NS ns.cut\n\
                    ns.cut 60 A 192.0.2.2\n";
        let origin = origin.parse().unwrap();
        let mut include = |_: &str| Err("no includes".to_owned());
        let file = parse("zone", text.as_bytes(), &origin, &mut include).unwrap();
        (file.zone, Serial(number))
    };
    let records = |owners: &[&str], port| -> Vec<ServiceRecord> {
        let record = |owner: &&str| ServiceRecord::Srv {
            owner: owner.parse().unwrap(),
            port,
        };
        owners.iter().map(record).collect()
    };
    let service = |name: &str, records, publication: &Publication| ServiceSpec {
        name: name.into(),
        records,
        publication: publication.clone(),
        negative_ttl: Duration::from_secs(2),
    };
    Snapshot::build(&SnapshotSpec {
        generation: Generation(number.into()),
        settings: Arc::default(),
        zones: ZONES.iter().map(zone).collect(),
        services: vec![
            service(NAMES[0], records(&OWNERS[..4], 5269), one),
            service(NAMES[1], records(&OWNERS[4..], 5061), two),
        ],
        servers: HOSTS[..4]
            .iter()
            .map(|host| ((*host).into(), vec![[192, 0, 2, 200].into()]))
            .collect(),
    })
    .unwrap()
}
