//! What services and servers own in each zone.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use crate::secondary::{Owned, Owner};
use crate::snapshot::ServiceRecord;
use crate::zone::Name;
use crate::zone::rdata::rtype;

impl Config {
    /// What services and servers own, by the origin of the deepest zone that it lies in.
    #[must_use]
    pub fn owned(&self) -> BTreeMap<Name, Owned> {
        let origins: BTreeSet<&Name> = self.zones.iter().map(|zone| zone.zone.origin()).collect();
        let mut all: BTreeMap<Name, Owned> = BTreeMap::new();
        let mut own = |name: &Name, types: &[u16], owner: &Owner| {
            let above = std::iter::successors(Some(name.clone()), Name::parent);
            let Some(origin) = above.into_iter().find(|above| origins.contains(above)) else {
                return;
            };
            let owned = all.entry(origin).or_default();
            for rtype in types {
                owned.insert((name.clone(), *rtype), owner.clone());
            }
        };
        for server in self.policy.pools.values().flat_map(|pool| &pool.servers) {
            if let Ok(name) = server.name.as_str().parse() {
                let owner = Owner::Server(server.name.clone());
                own(&name, &[rtype::A, rtype::AAAA], &owner);
            }
        }
        for (service, records) in &self.records {
            let by = Owner::Service(service.clone());
            for record in records {
                match record {
                    ServiceRecord::Srv { owner, .. } => own(owner, &[rtype::SRV], &by),
                    ServiceRecord::Address { owner } => {
                        own(owner, &[rtype::A, rtype::AAAA], &by);
                    }
                }
            }
        }
        all
    }
}
