//! The parent of a zone, and each of its name servers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::{MOST, Survey, in_order, reply};
use crate::inquiry::{Failure, Question, Rcode, Reply, Way};
use crate::lookup::Delegator;
use crate::verify::{
    AddressEvidence, Delegation, NameserverEvidence, Parent, ParentEvidence, ZoneEvidence,
};
use crate::zone::Name;
use crate::zone::rdata::rtype;

const PORT: u16 = 53;

impl Survey {
    pub(super) async fn zone(&self, origin: Name, sets: Vec<(Name, u16)>) -> ZoneEvidence {
        let parent = match self.lookup.delegator(self.guide(), &origin).await {
            Ok(delegator) => Ok(self.parent(&origin, delegator).await),
            Err(why) => Err(why),
        };
        let said = parent.as_ref().map_or(&[][..], |parent| &parent.servers);
        let said: Vec<&Delegation> = said.iter().filter_map(|it| it.said.as_ref().ok()).collect();
        let delegated: BTreeSet<Name> = said
            .iter()
            .flat_map(|it| it.servers.iter().cloned())
            .collect();
        let mut glue: BTreeMap<Name, BTreeSet<IpAddr>> = BTreeMap::new();
        for (name, addresses) in said.iter().flat_map(|it| &it.glue) {
            glue.entry(name.clone()).or_default().extend(addresses);
        }
        let found = self.found(delegated.iter().cloned()).await;
        let at = found
            .iter()
            .flat_map(|(name, found)| asked_at(name, found, &glue));
        let listed = self.listed(&origin, at.collect()).await;
        let others = listed.iter().filter(|name| !delegated.contains(*name));
        let mut found = found;
        found.extend(self.found(others.cloned()).await);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let servers = found.into_iter().map(|(name, found)| {
            let addresses = asked_at(&name, &found, &glue);
            let is_glued = found.as_ref().map_or(true, Vec::is_empty) && !addresses.is_empty();
            let found = match is_glued {
                true => Ok(addresses.iter().map(SocketAddr::ip).collect()),
                false => found,
            };
            let (delegated, listed) = (delegated.contains(&name), listed.contains(&name));
            let (survey, origin, sets) = (self.clone(), origin.clone(), sets.clone());
            async move {
                let asking = addresses.into_iter().map(|address| {
                    let (survey, origin, sets) = (survey.clone(), origin.clone(), sets.clone());
                    async move { survey.address(address, &origin, &sets).await }
                });
                NameserverEvidence {
                    addresses: in_order(asking).await,
                    name,
                    delegated,
                    listed,
                    found,
                }
            }
        });
        let servers = in_order(servers.collect::<Vec<_>>()).await;
        ZoneEvidence {
            origin,
            parent,
            servers,
        }
    }

    /// What each server of the parent says.
    async fn parent(&self, origin: &Name, delegator: Delegator) -> Parent {
        let servers = self.found(delegator.servers).await;
        let places = servers.into_iter().flat_map(|(server, found)| {
            let addresses = found.unwrap_or_default().into_iter().take(MOST);
            addresses.map(move |address| (server.clone(), SocketAddr::new(address, PORT)))
        });
        let asking = places.map(|(server, address)| {
            let (survey, origin) = (self.clone(), origin.clone());
            async move {
                let question = Question::to_server(&origin, rtype::NS);
                let said = reply(survey.lookup.ask(address, &question).await);
                ParentEvidence {
                    server,
                    address,
                    said: said.map(|reply| delegation(&origin, &reply)),
                }
            }
        });
        let servers = in_order(asking.collect::<Vec<_>>()).await;
        Parent {
            origin: delegator.origin,
            servers,
        }
    }

    /// The addresses of names, as a partner finds them.
    async fn found(
        &self,
        names: impl IntoIterator<Item = Name>,
    ) -> Vec<(Name, Result<Vec<IpAddr>, Failure>)> {
        let asking = names.into_iter().take(MOST).map(|name| {
            let survey = self.clone();
            async move {
                let found = survey.lookup.addresses(survey.guide(), &name).await;
                (name, found.map(|found| found.addresses))
            }
        });
        in_order(asking.collect::<Vec<_>>()).await
    }

    /// The name servers that the zone itself names.
    async fn listed(&self, origin: &Name, at: Vec<SocketAddr>) -> BTreeSet<Name> {
        let question = Question::to_server(origin, rtype::NS);
        let asking = at.into_iter().map(|address| {
            let (survey, question) = (self.clone(), question.clone());
            async move { survey.lookup.ask(address, &question).await }
        });
        let said = in_order(asking.collect::<Vec<_>>()).await;
        let replies = said.into_iter().flatten().map(|said| said.reply);
        let own = replies.filter(|reply| reply.authoritative);
        own.flat_map(|reply| reply.name_servers(origin)).collect()
    }

    async fn address(
        &self,
        address: SocketAddr,
        origin: &Name,
        sets: &[(Name, u16)],
    ) -> AddressEvidence {
        let soa = Question::to_server(origin, rtype::SOA);
        let (udp, tcp) = tokio::join!(
            self.lookup.exchange(address, &soa, Way::Udp),
            self.lookup.exchange(address, &soa, Way::Tcp)
        );
        let (udp, tcp) = (reply(udp), reply(tcp));
        let mut evidence = AddressEvidence {
            address,
            udp,
            tcp,
            sets: Vec::new(),
            between: Vec::new(),
        };
        if evidence.udp.is_err() && evidence.tcp.is_err() {
            return evidence;
        }
        let is_silent = evidence.udp.is_err();
        let mut between = BTreeSet::new();
        for (owner, rtype) in sets {
            let question = Question::to_server(owner, *rtype);
            // Over the way that it answers.
            let said = match is_silent {
                true => self.lookup.exchange(address, &question, Way::Tcp).await,
                false => self.lookup.ask(address, &question).await,
            };
            evidence.sets.push((owner.clone(), *rtype, reply(said)));
            let mut above = owner.parent();
            while let Some(name) = above.filter(|name| name != origin) {
                above = name.parent();
                if !name.is_at_or_below(origin) || !between.insert(name) {
                    break;
                }
            }
        }
        for name in between {
            let question = Question::to_server(&name, rtype::A);
            let said = match is_silent {
                true => self.lookup.exchange(address, &question, Way::Tcp).await,
                false => self.lookup.ask(address, &question).await,
            };
            evidence.between.push((name, reply(said)));
        }
        evidence
    }
}

/// Where a name server is asked: wherever partners may look for it.
fn asked_at(
    name: &Name,
    found: &Result<Vec<IpAddr>, Failure>,
    glue: &BTreeMap<Name, BTreeSet<IpAddr>>,
) -> Vec<SocketAddr> {
    let mut addresses: BTreeSet<IpAddr> = found.iter().flatten().copied().collect();
    addresses.extend(glue.get(name).into_iter().flatten());
    let addresses = addresses.into_iter().take(MOST);
    addresses
        .map(|address| SocketAddr::new(address, PORT))
        .collect()
}

/// What a response of the parent's server says of the zone.
fn delegation(origin: &Name, reply: &Reply) -> Delegation {
    let servers = reply.name_servers(origin);
    let glue = servers.iter().filter_map(|name| {
        let addresses = reply.glue(name);
        (!addresses.is_empty()).then(|| (name.clone(), addresses))
    });
    Delegation {
        glue: glue.collect(),
        authoritative: reply.authoritative && reply.answers.iter().any(|it| it.owner == *origin),
        otherwise: (reply.rcode != Rcode::NO_ERROR).then(|| reply.rcode.to_string()),
        servers,
    }
}
