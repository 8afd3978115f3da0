//! The version of a zone that we hold: what changes make of it, and what services take from it.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::error::TransferError;
use super::stream::Change;
use crate::ids::{Serial, ServerName, ServiceName};
use crate::zone::rdata::{canonical, rtype, type_name};
use crate::zone::{Name, Node, Received, Record, RecordRef, SortKey, Zone};

/// What services and servers own in a zone, by name and type, and who does.
pub type Owned = BTreeMap<(Name, u16), Owner>;

/// Who owns a name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A service: without its records the zone is not served.
    Service(ServiceName),
    /// An edge server, whose addresses we know.
    Server(ServerName),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Service(name) => write!(f, "service '{name}'"),
            Owner::Server(name) => write!(f, "server '{name}'"),
        }
    }
}

/// One version of a zone, in two parts that together are what the primary sent.
#[derive(Clone, Debug)]
pub struct Held {
    /// What is served of it, under its own serial.
    pub zone: Arc<Zone>,
    /// Records that are not served, because a service or a server owns their name and type, or
    /// their name while they are a CNAME.
    pub aside: Vec<Record>,
}

impl Held {
    /// The zone of `received`, with what is `owned` set aside.
    ///
    /// # Errors
    /// [`TransferError::NoZone`], [`TransferError::HandedOff`].
    pub fn new(received: Received, owned: &Owned) -> Result<Held, TransferError> {
        let held = Held {
            zone: Arc::new(received.into_zone().map_err(no_zone)?),
            aside: Vec::new(),
        };
        held.laid_under(owned)
    }

    /// The primary's serial.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.zone.file_serial()
    }

    /// All that the primary sent: what is served, in canonical order, then what is set aside.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'_>> {
        let served = self.zone.tree().nodes().flat_map(records_of);
        served.chain(self.aside.iter().map(RecordRef::from))
    }

    /// The records of the version that `changes` lead to.
    ///
    /// # Errors
    /// A record is to go that is not there; or there are too many.
    pub fn changed(&self, changes: Vec<Change>) -> Result<Received, TransferError> {
        let mut touched = Touched::default();
        let mut soa = None;
        for change in changes {
            for record in change.gone {
                let rrset = self.touch(&mut touched, &record);
                let data = canonical(record.rtype, &record.rdata);
                let at = rrset
                    .iter()
                    .position(|old| canonical(old.rtype, &old.rdata) == data);
                let at = at.ok_or_else(|| TransferError::NotThere {
                    from: change.from,
                    owner: record.owner.clone(),
                    kind: type_name(record.rtype),
                })?;
                rrset.swap_remove(at);
            }
            for record in change.come {
                self.touch(&mut touched, &record).push(record);
            }
            soa = Some(change.soa);
        }
        if let Some(soa) = soa {
            let here = touched.entry(soa.owner.sort_key().as_slice().into());
            here.or_default().insert(rtype::SOA, vec![soa]);
        }
        self.merged(touched)
    }

    /// What is held with the `touched` RRsets in place of those of before. All stands in canonical
    /// order but for what was set aside, so that a small change of a large zone sorts nothing.
    fn merged(&self, touched: Touched) -> Result<Received, TransferError> {
        let mut received = Received::new(self.zone.origin());
        let mut changes = touched.iter().peekable();
        for node in self.zone.tree().nodes() {
            let key = SortKey::of_wire(node.owner());
            while let Some((_, rrsets)) =
                changes.next_if(|(changed, _)| ***changed < *key.as_slice())
            {
                add_all(
                    &mut received,
                    rrsets.values().flatten().map(RecordRef::from),
                )?;
            }
            let here = changes.next_if(|(changed, _)| ***changed == *key.as_slice());
            let Some((_, rrsets)) = here else {
                add_all(&mut received, records_of(node))?;
                continue;
            };
            let stays = records_of(node).filter(|record| !rrsets.contains_key(&record.rtype));
            add_all(&mut received, stays)?;
            add_all(
                &mut received,
                rrsets.values().flatten().map(RecordRef::from),
            )?;
        }
        for (_, rrsets) in changes {
            add_all(
                &mut received,
                rrsets.values().flatten().map(RecordRef::from),
            )?;
        }
        let is_touched = |record: &&Record| {
            let here = touched.get(record.owner.sort_key().as_slice());
            here.is_some_and(|rrsets| rrsets.contains_key(&record.rtype))
        };
        let aside = self.aside.iter().filter(|record| !is_touched(record));
        add_all(&mut received, aside.map(RecordRef::from))?;
        Ok(received)
    }

    /// The RRset that `record` belongs to, as the changes so far have left it.
    fn touch<'t>(&self, touched: &'t mut Touched, record: &Record) -> &'t mut Vec<Record> {
        let key = record.owner.sort_key();
        let here = touched.entry(key.as_slice().into()).or_default();
        here.entry(record.rtype).or_insert_with(|| {
            let node = self.zone.tree().get(&record.owner.key());
            let served = node.into_iter().flat_map(records_of);
            let served = served
                .filter(|old| old.rtype == record.rtype)
                .map(|old| Record {
                    owner: record.owner.clone(),
                    rtype: old.rtype,
                    ttl: old.ttl,
                    rdata: old.rdata.to_vec(),
                });
            let aside = self
                .aside
                .iter()
                .filter(|aside| aside.rtype == record.rtype && aside.owner == record.owner);
            served.chain(aside.cloned()).collect()
        })
    }

    /// The same version, parted by what is `owned` now. The zone is shared if nothing moves.
    ///
    /// # Errors
    /// [`TransferError::HandedOff`]; and [`TransferError::NoZone`], which a version that was held
    /// before does not give.
    pub fn laid_under(&self, owned: &Owned) -> Result<Held, TransferError> {
        let mut wanted: HashSet<(Name, u16)> = HashSet::new();
        for ((name, rtype), owner) in owned {
            if self.is_handed_off(name) {
                match owner {
                    Owner::Service(service) => {
                        return Err(TransferError::HandedOff {
                            owner: name.clone(),
                            service: service.clone(),
                        });
                    }
                    // The addresses there are glue: the child's to say.
                    Owner::Server(_) => continue,
                }
            }
            wanted.insert((name.clone(), *rtype));
            wanted.insert((name.clone(), rtype::CNAME));
        }
        let is_wanted = |record: &Record| wanted.contains(&(record.owner.clone(), record.rtype));
        let tree = self.zone.tree();
        let goes = wanted.iter().any(|(name, rtype)| {
            let node = tree.get(&name.key());
            node.is_some_and(|node| node.rrset(*rtype).is_some())
        });
        if !goes && self.aside.iter().all(is_wanted) {
            return Ok(self.clone());
        }
        let (mut kept, mut aside) = (Received::new(self.zone.origin()), Vec::new());
        for record in self.records() {
            let owner = Name::from_wire(record.owner).map_err(|_| TOO_MUCH)?;
            let key = (owner, record.rtype);
            if wanted.contains(&key) {
                aside.push(Record {
                    owner: key.0,
                    rtype: record.rtype,
                    ttl: record.ttl,
                    rdata: record.rdata.to_vec(),
                });
            } else {
                kept.add(record).map_err(|_| TOO_MUCH)?;
            }
        }
        Ok(Held {
            zone: Arc::new(kept.into_zone().map_err(no_zone)?),
            aside,
        })
    }

    fn is_handed_off(&self, name: &Name) -> bool {
        let found = self.zone.tree().find(&name.key());
        found.node.and_then(|node| node.boundary()).is_some()
    }

    /// What the primary sent and is not served, a sentence each, in order.
    #[must_use]
    pub fn replaced(&self, owned: &Owned) -> Vec<String> {
        let mut sets: BTreeMap<(Name, u16), usize> = BTreeMap::new();
        for record in &self.aside {
            *sets
                .entry((record.owner.clone(), record.rtype))
                .or_default() += 1;
        }
        let said = sets.keys().map(|(name, rtype)| {
            let owner = owned.get(&(name.clone(), *rtype));
            let of_name = || {
                let owners = owned.iter().filter(|((owned, _), _)| owned == name);
                owners.map(|(_, who)| who).next()
            };
            let who = owner.or_else(of_name).map(ToString::to_string);
            let who = who.as_deref().unwrap_or("a service");
            format!(
                "'{name} {}' of the primary is not served, {who} owns it, remove it at the primary",
                type_name(*rtype)
            )
        });
        said.collect()
    }
}

/// RRsets by the key of their owner and by type.
type Touched = BTreeMap<Box<[u8]>, BTreeMap<u16, Vec<Record>>>;

/// A tree, and so what becomes of one, has less than 4 GiB.
const TOO_MUCH: TransferError = TransferError::TooLarge {
    limit: 4 << 30,
    unit: "octets",
};

fn records_of(node: Node<'_>) -> impl Iterator<Item = RecordRef<'_>> {
    node.rrsets().flat_map(move |rrset| {
        rrset.records().map(move |rdata| RecordRef {
            owner: node.owner(),
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            rdata,
        })
    })
}

fn add_all<'r>(
    received: &mut Received,
    mut records: impl Iterator<Item = RecordRef<'r>>,
) -> Result<(), TransferError> {
    records
        .try_for_each(|record| received.add(record))
        .map_err(|_| TOO_MUCH)
}

fn no_zone(faults: Vec<crate::zone::Fault>) -> TransferError {
    TransferError::NoZone { faults }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::parse;

    fn held(text: &str, owned: &Owned) -> Held {
        let text = format!("$TTL 60\n@ SOA ns h 1 1 1 1 300\n@ NS ns.elsewhere.\n{text}");
        let origin = "z.".parse().unwrap();
        let mut include = |_: &str| Err("none".to_owned());
        let file = parse("z", text.as_bytes(), &origin, &mut include).unwrap();
        let held = Held {
            zone: file.zone,
            aside: Vec::new(),
        };
        held.laid_under(owned).unwrap()
    }

    fn record(owner: &str, last: u8) -> Record {
        Record {
            owner: owner.parse().unwrap(),
            rtype: rtype::A,
            ttl: 60,
            rdata: vec![192, 0, 2, last],
        }
    }

    fn soa(serial: u8) -> Record {
        let mut rdata = b"\0\0\0\0\0".to_vec();
        rdata.push(serial);
        rdata.extend_from_slice(&[0; 16]);
        Record {
            owner: "z.".parse().unwrap(),
            rtype: rtype::SOA,
            ttl: 60,
            rdata,
        }
    }

    fn change(from: u32, gone: &[(&str, u8)], come: &[(&str, u8)]) -> Change {
        let list = |of: &[(&str, u8)]| {
            of.iter()
                .map(|(owner, last)| record(owner, *last))
                .collect()
        };
        Change {
            from: Serial(from),
            soa: soa(u8::try_from(from + 1).unwrap()),
            gone: list(gone),
            come: list(come),
        }
    }

    /// All A records as `owner last`, sorted.
    fn addresses<'r>(records: impl Iterator<Item = RecordRef<'r>>) -> Vec<String> {
        let of_a = records.filter(|record| record.rtype == rtype::A);
        let mut shown: Vec<String> = of_a
            .map(|record| {
                let owner = Name::from_wire(record.owner).unwrap();
                format!("{owner} {}", record.rdata[3])
            })
            .collect();
        shown.sort();
        shown
    }

    fn owns(names: &[(&str, u16)]) -> Owned {
        let owned = names.iter().map(|(name, rtype)| {
            (
                (name.parse().unwrap(), *rtype),
                Owner::Service("xmpp".into()),
            )
        });
        owned.collect()
    }

    #[test]
    fn changes_follow_one_another() {
        let held = held(
            "a A 192.0.2.1\nb A 192.0.2.2\nb A 192.0.2.3\n",
            &Owned::new(),
        );
        let changes = vec![
            change(1, &[("A.z.", 1), ("b.z.", 2)], &[("c.z.", 4)]),
            change(2, &[("c.z.", 4)], &[("a.z.", 9)]),
        ];
        let records = held.changed(changes).unwrap();
        let next = Held::new(records, &Owned::new()).unwrap();
        assert_eq!(next.serial(), Serial(3));
        assert_eq!(addresses(next.records()), ["a.z. 9", "b.z. 3"]);
        // What was held is as it was.
        assert_eq!(addresses(held.records()), ["a.z. 1", "b.z. 2", "b.z. 3"]);
    }

    #[test]
    fn what_is_not_there_cannot_go() {
        let held = held("a A 192.0.2.1\n", &Owned::new());
        for gone in [("a.z.", 2), ("b.z.", 1)] {
            let error = held.changed(vec![change(1, &[gone], &[])]).unwrap_err();
            assert!(error.asks_for_the_whole(), "{error}");
        }
    }

    #[test]
    fn what_a_service_owns_is_set_aside_and_comes_back_when_it_lets_go() {
        let text =
            "a A 192.0.2.1\nb CNAME a\nc A 192.0.2.3\ncut NS ns.elsewhere.\ne.cut A 192.0.2.4\n";
        let mut owned = owns(&[("a.z.", rtype::A), ("b.z.", rtype::SRV)]);
        let edge = ("e.cut.z.".parse().unwrap(), rtype::A);
        owned.insert(edge, Owner::Server("e.cut.z.".into()));
        let held = held(text, &owned);
        assert_eq!(
            held.replaced(&owned),
            [
                "'a.z. A' of the primary is not served, service 'xmpp' owns it, remove it at the primary",
                "'b.z. CNAME' of the primary is not served, service 'xmpp' owns it, remove it at the primary",
            ]
        );
        let node = |held: &Held, name: &str| {
            let key = name.parse::<Name>().unwrap().key();
            held.zone.tree().get(&key).is_some()
        };
        assert!(!node(&held, "a.z.") && !node(&held, "b.z.") && node(&held, "e.cut.z."));
        // All of it is still there for the next change and for the disk.
        assert_eq!(
            addresses(held.records()),
            ["a.z. 1", "c.z. 3", "e.cut.z. 4"]
        );
        let records = held
            .changed(vec![change(1, &[("a.z.", 1)], &[("a.z.", 7)])])
            .unwrap();
        let next = Held::new(records, &owned).unwrap();
        assert_eq!(
            addresses(next.aside.iter().map(RecordRef::from)),
            ["a.z. 7"]
        );
        let free = next.laid_under(&Owned::new()).unwrap();
        assert!(free.aside.is_empty() && node(&free, "a.z.") && node(&free, "b.z."));
        let same = free.laid_under(&Owned::new()).unwrap();
        assert!(Arc::ptr_eq(&free.zone, &same.zone));
    }

    #[test]
    fn a_service_below_a_cut_keeps_the_version_out() {
        let held = held("_tcp NS ns.elsewhere.\n", &Owned::new());
        let error = held
            .laid_under(&owns(&[("_x._tcp.z.", rtype::SRV)]))
            .unwrap_err();
        assert!(
            error.to_string().contains("'_x._tcp.z.' of service 'xmpp'"),
            "{error}"
        );
    }
}
