//! The version of a zone that we hold: what changes make of it, and what services take from it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::error::TransferError;
use super::stream::Change;
use crate::ids::{Serial, ServerName, ServiceName};
use crate::zone::rdata::{canonical, rtype, type_name};
use crate::zone::{Name, Record, Zone};

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
    /// The zone of `records`, with what is `owned` set aside.
    ///
    /// # Errors
    /// [`TransferError::NoZone`].
    pub fn new(origin: &Name, records: Vec<Record>, owned: &Owned) -> Result<Held, TransferError> {
        let zone = Zone::from_records(origin, records).map_err(no_zone)?;
        let held = Held {
            zone: Arc::new(zone),
            aside: Vec::new(),
        };
        held.laid_under(owned)
    }

    /// The primary's serial.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.zone.file_serial()
    }

    /// All that the primary sent.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let nodes = self.zone.tree().nodes().flat_map(|node| {
            let owner = Name::from_wire(node.owner()).ok();
            owner.into_iter().flat_map(move |owner| {
                node.rrsets().flat_map(move |rrset| {
                    let owner = owner.clone();
                    rrset.records().map(move |rdata| Record {
                        owner: owner.clone(),
                        rtype: rrset.rtype,
                        ttl: rrset.ttl,
                        rdata: rdata.to_vec(),
                    })
                })
            })
        });
        nodes.chain(self.aside.iter().cloned())
    }

    /// The records of the version that `changes` lead to.
    ///
    /// # Errors
    /// A record is to go that is not there.
    pub fn changed(&self, changes: Vec<Change>) -> Result<Vec<Record>, TransferError> {
        let mut touched: HashMap<(Name, u16), Vec<Record>> = HashMap::new();
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
            touched.insert((soa.owner.clone(), rtype::SOA), vec![soa]);
        }
        let is_touched = |record: &Record| {
            // Hashing a name costs a copy of a pointer, and a change touches few.
            touched.contains_key(&(record.owner.clone(), record.rtype))
        };
        let mut records: Vec<Record> = self.records().filter(|old| !is_touched(old)).collect();
        records.extend(touched.into_values().flatten());
        Ok(records)
    }

    /// The RRset that `record` belongs to, as the changes so far have left it.
    fn touch<'t>(
        &self,
        touched: &'t mut HashMap<(Name, u16), Vec<Record>>,
        record: &Record,
    ) -> &'t mut Vec<Record> {
        let key = (record.owner.clone(), record.rtype);
        touched.entry(key).or_insert_with(|| {
            let node = self.zone.tree().get(&record.owner.key());
            let rrset = node.and_then(|node| node.rrset(record.rtype));
            let served = rrset.into_iter().flat_map(|rrset| {
                rrset.records().map(move |rdata| Record {
                    owner: record.owner.clone(),
                    rtype: rrset.rtype,
                    ttl: rrset.ttl,
                    rdata: rdata.to_vec(),
                })
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
        let (aside, records) = self.records().partition(is_wanted);
        let zone = Zone::from_records(self.zone.origin(), records).map_err(no_zone)?;
        Ok(Held {
            zone: Arc::new(zone),
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
    fn addresses(records: impl Iterator<Item = Record>) -> Vec<String> {
        let of_a = records.filter(|record| record.rtype == rtype::A);
        let mut shown: Vec<String> = of_a
            .map(|record| format!("{} {}", record.owner, record.rdata[3]))
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
        let next = Held::new(held.zone.origin(), records, &Owned::new()).unwrap();
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
        let next = Held::new(held.zone.origin(), records, &owned).unwrap();
        assert_eq!(addresses(next.aside.iter().cloned()), ["a.z. 7"]);
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
