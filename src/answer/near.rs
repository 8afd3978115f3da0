//! What the queries of a batch will look at, brought near before the first of them is answered.
//!
//! In a zone that is larger than the processor's caches a lookup waits for memory again and again:
//! for the slot of the index that the hash of the name chooses, for the node that stands there, and
//! the same for the compiled answer. Queries that are answered one after another wait one after
//! another. But a processor waits for dozens of places at once, if there is little else between the looks
//! at them. So all slots are touched, then all nodes, and so on, and the answers find them near.
//!
//! Nothing depends on it but time: what cannot be read here is skipped, and read where it is
//! answered.

use std::hint::black_box;

use super::query::QUESTION;
use crate::snapshot::{Asked, ServedZone, Snapshot};
use crate::zone::{Key, Name, Node};

/// So many queries are looked at ahead; more of them would push each other out of the nearest cache.
const AHEAD: usize = 64;

/// Where the answer to one query will look.
#[derive(Clone, Copy)]
struct Ahead<'s> {
    zone: ServedZone<'s>,
    /// Of the name.
    hash: u64,
    node: Option<Node<'s>>,
    /// What a compiled answer is kept by, if there may be one.
    asked: Option<Asked>,
}

/// Brings near what the answers to `packets` will need.
pub fn bring_near<'p>(snapshot: &Snapshot, packets: impl Iterator<Item = &'p [u8]>) {
    if !snapshot.has_large_zones() {
        return;
    }
    let mut ahead: [Option<Ahead<'_>>; AHEAD] = [None; AHEAD];
    for (place, packet) in ahead.iter_mut().zip(packets) {
        *place = Ahead::of(snapshot, packet);
    }
    for it in ahead.iter().flatten() {
        it.zone.touch_slot(it.hash);
    }
    for it in ahead.iter_mut().flatten() {
        it.node = it.zone.touch_node(it.hash);
    }
    let bodies = || {
        let may_have = ahead.iter().flatten();
        may_have.filter_map(|it| Some((it.zone, it.node?, it.asked?)))
    };
    for (zone, node, asked) in bodies() {
        zone.touch_body_slot(&node, asked);
    }
    for (zone, node, asked) in bodies() {
        // Its head, and its end: in between the processor looks ahead by itself.
        black_box(
            zone.body(&node, asked)
                .and_then(|body| body.octets.last().copied()),
        );
    }
}

impl<'s> Ahead<'s> {
    /// `None` if it cannot be read, or will be looked for where all is near.
    fn of(snapshot: &'s Snapshot, packet: &[u8]) -> Option<Ahead<'s>> {
        let question = packet.get(QUESTION..)?;
        let name = Name::wire_prefix(question)?;
        let qtype = question.get(name.len()..)?.first_chunk()?;
        let key = Key::of_wire(name);
        let zone = snapshot.zone_of(&key)?;
        zone.is_large().then(|| Ahead {
            zone,
            hash: key.hash(),
            node: None,
            asked: Asked::of(u16::from_be_bytes(*qtype)),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::answer::compile;
    use crate::ids::{Generation, Serial};
    use crate::snapshot::SnapshotSpec;
    use crate::zone::parse;

    fn large() -> Snapshot {
        let mut text = "$TTL 60\n@ SOA a a 1 2 3 4 5\n@ NS h0\n".to_owned();
        for at in 0..20_000 {
            writeln!(text, "h{at} A 192.0.2.1\n_s.h{at} SRV 1 0 5269 h{at}").unwrap();
        }
        let origin: Name = "z.".parse().unwrap();
        let mut include = |path: &str| Err(format!("no includes here: {path}"));
        let zone = parse("z", text.as_bytes(), &origin, &mut include).unwrap();
        let mut snapshot = Snapshot::build(&SnapshotSpec {
            generation: Generation(1),
            settings: std::sync::Arc::default(),
            zones: vec![(zone.zone, Serial(1))],
            services: Vec::new(),
            servers: Vec::new(),
        })
        .unwrap();
        compile(&mut snapshot);
        snapshot
    }

    fn query(name: &str, rtype: u8) -> Vec<u8> {
        let name: Name = name.parse().unwrap();
        let header = [0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&header[..], name.wire(), &[0, rtype, 0, 1]].concat()
    }

    #[test]
    fn what_is_touched_is_what_the_answer_will_need_and_nothing_is_too_odd_to_be_skipped() {
        let snapshot = large();
        let packet = query("_S.h7.z.", 33);
        let ahead = Ahead::of(&snapshot, &packet).unwrap();
        let node = ahead.zone.touch_node(ahead.hash).unwrap();
        assert_eq!(node.owner(), b"\x02_s\x02h7\x01z\0");
        assert!(ahead.zone.body(&node, ahead.asked.unwrap()).is_some());
        assert!(Ahead::of(&snapshot, &query("elsewhere.", 33)).is_none());
        let nowhere = Ahead::of(&snapshot, &query("nowhere.z.", 1)).unwrap();
        assert!(nowhere.zone.touch_node(nowhere.hash).is_none());
        // Cut anywhere, and more of them than are looked at.
        bring_near(&snapshot, (0..=packet.len()).map(|end| &packet[..end]));
        bring_near(&snapshot, (0..200).map(|_| packet.as_slice()));
    }
}
