//! Questions to the world: through a resolver, or by ourselves from the root.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;

use super::Lookup;
use crate::inquiry::{Failure, Question, Rcode, Reply};
use crate::zone::Name;
use crate::zone::rdata::rtype;

/// The port of name servers.
const PORT: u16 = 53;
/// Referrals are followed so far; the deepest zone there is needs fewer.
const MOST_REFERRALS: usize = 24;
/// Names of name servers have name servers that have names: so deep.
const DEEPEST: usize = 6;

/// The root servers' IPv4 addresses (IANA "Root Hints", `named.root`), `a` to `m`.
pub const ROOT_HINTS: [IpAddr; 13] = [
    root(198, 41, 0, 4),
    root(170, 247, 170, 2),
    root(192, 33, 4, 12),
    root(199, 7, 91, 13),
    root(192, 203, 230, 10),
    root(192, 5, 5, 241),
    root(192, 112, 36, 4),
    root(198, 97, 190, 53),
    root(192, 36, 148, 17),
    root(192, 58, 128, 30),
    root(193, 0, 14, 129),
    root(199, 7, 83, 42),
    root(202, 12, 27, 33),
];

const fn root(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// Who finds answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// The first of these resolvers that answers.
    Servers(Vec<SocketAddr>),
    /// We ourselves, beginning at these root servers.
    Roots(Vec<IpAddr>),
}

/// Where a name leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// A and AAAA. Empty if there are none.
    pub addresses: Vec<IpAddr>,
    /// Set if the name is an alias, of which these are the addresses.
    pub alias: Option<Name>,
}

/// The zone above a zone, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegator {
    /// Its origin.
    pub origin: Name,
    /// Its name servers.
    pub servers: Vec<Name>,
}

impl Lookup {
    /// The answer to a question, whoever has it; NXDOMAIN is one.
    ///
    /// # Errors
    /// Nobody gives one.
    pub async fn resolve(
        &self,
        resolver: &Resolver,
        name: &Name,
        rtype: u16,
    ) -> Result<Reply, Failure> {
        match resolver {
            Resolver::Servers(servers) => {
                let question = Question::to_resolver(name, rtype);
                self.first_answer(servers, &question).await
            }
            Resolver::Roots(roots) => self.iterate(roots, name, rtype, 0).await,
        }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// Nobody gives them: neither A nor AAAA.
    pub async fn addresses(&self, resolver: &Resolver, name: &Name) -> Result<Addresses, Failure> {
        let (v4, v6) = tokio::join!(
            self.resolve(resolver, name, rtype::A),
            self.resolve(resolver, name, rtype::AAAA)
        );
        let mut found = Addresses::default();
        for reply in [&v4, &v6].into_iter().flatten() {
            let canonical = reply.canonical(name);
            found.addresses.extend(reply.addresses(&canonical));
            if canonical != *name {
                found.alias = Some(canonical);
            }
        }
        match (v4, v6) {
            (Err(failure), Err(_)) => Err(failure),
            (Err(failure), _) | (_, Err(failure)) if found.addresses.is_empty() => Err(failure),
            _ => Ok(found),
        }
    }

    /// The zone that delegates `zone`: the nearest name above it that has name servers.
    ///
    /// # Errors
    /// Not even the root has.
    pub async fn delegator(&self, resolver: &Resolver, zone: &Name) -> Result<Delegator, Failure> {
        let mut failure = Failure::DeadEnd(zone.clone());
        let mut above = zone.parent();
        while let Some(origin) = above {
            match self.resolve(resolver, &origin, rtype::NS).await {
                Ok(reply) => {
                    let mut servers = reply.name_servers(&origin);
                    let is_answer = reply.answers.iter().any(|it| it.owner == origin);
                    servers.retain(|_| is_answer);
                    if !servers.is_empty() {
                        return Ok(Delegator { origin, servers });
                    }
                }
                Err(why) => failure = why,
            }
            above = origin.parent();
        }
        Err(failure)
    }

    /// What the first of `servers` says that has an answer.
    async fn first_answer(
        &self,
        servers: &[SocketAddr],
        question: &Question,
    ) -> Result<Reply, Failure> {
        let mut failure = Failure::NotAsked("there is nobody to ask".into());
        let mut refused = None;
        for server in servers {
            match self.ask(*server, question).await {
                Ok(said) if is_answer(&said.reply) => return Ok(said.reply),
                Ok(said) => refused = Some(said.reply),
                Err(why) => failure = why,
            }
        }
        refused.ok_or(failure)
    }

    /// RFC 1034 section 5.3.3, with nothing remembered: what a cache hides is to be seen.
    fn iterate<'l>(
        &'l self,
        roots: &'l [IpAddr],
        name: &'l Name,
        rtype: u16,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send + 'l>> {
        Box::pin(async move {
            let mut zone = Name::root();
            let mut servers: Vec<SocketAddr> = at_port(roots);
            let question = Question::to_server(name, rtype);
            for _ in 0..MOST_REFERRALS {
                let reply = self.first_answer(&servers, &question).await?;
                let deeper = reply.referral().filter(|to| {
                    **to != zone && to.is_at_or_below(&zone) && name.is_at_or_below(to)
                });
                let Some(deeper) = deeper.cloned() else {
                    return self.complete(roots, name, rtype, reply, depth).await;
                };
                servers = self.servers_of(roots, &deeper, &reply, depth).await?;
                zone = deeper;
            }
            Err(Failure::DeadEnd(zone))
        })
    }

    /// Follows the alias that an answer ends at, if another zone has its end.
    async fn complete(
        &self,
        roots: &[IpAddr],
        name: &Name,
        rtype: u16,
        mut reply: Reply,
        depth: usize,
    ) -> Result<Reply, Failure> {
        let canonical = reply.canonical(name);
        let has_end =
            |it: &crate::inquiry::Record| it.owner == canonical && it.data.rtype() == rtype;
        let is_open = canonical != *name && !reply.answers.iter().any(has_end);
        if rtype == rtype::CNAME || !is_open || depth >= DEEPEST {
            return Ok(reply);
        }
        let rest = self.iterate(roots, &canonical, rtype, depth + 1).await?;
        reply.rcode = rest.rcode;
        reply.answers.extend(rest.answers);
        Ok(reply)
    }

    /// Where the servers of a referral are: by its glue, or else by their names.
    async fn servers_of(
        &self,
        roots: &[IpAddr],
        zone: &Name,
        referral: &Reply,
        depth: usize,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let names = referral.name_servers(zone);
        let glue = names.iter().flat_map(|name| referral.glue(name));
        let glue: Vec<IpAddr> = glue.collect();
        if !glue.is_empty() {
            return Ok(at_port(&glue));
        }
        // A name below the zone cannot be found without the zone.
        let outside = names.iter().filter(|name| !name.is_at_or_below(zone));
        for name in outside.take(if depth < DEEPEST { 4 } else { 0 }) {
            let found = self.iterate(roots, name, rtype::A, depth + 1).await;
            let found = found.map(|reply| reply.addresses(&reply.canonical(name)));
            if let Ok(addresses) = found
                && !addresses.is_empty()
            {
                return Ok(at_port(&addresses));
            }
        }
        Err(Failure::DeadEnd(zone.clone()))
    }
}

/// Whether somebody knows: an error of the server is no answer.
fn is_answer(reply: &Reply) -> bool {
    matches!(reply.rcode, Rcode::NO_ERROR | Rcode::NX_DOMAIN)
}

fn at_port(addresses: &[IpAddr]) -> Vec<SocketAddr> {
    let with_port = |address: &IpAddr| SocketAddr::new(*address, PORT);
    addresses.iter().map(with_port).collect()
}
