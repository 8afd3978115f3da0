//! **Pure.** What DNS servers are asked from outside, and what they say.
//!
//! The messages are read and written by `hickory-proto`, as in the demo and the tests: what our own
//! writer gets wrong, our own reader might get wrong in the same way and find well. What comes out
//! is values of ours, with the few types of data that a partner of a service looks at.

mod message;
#[cfg(test)]
mod tests;

pub use message::{Unreadable, packet, read};

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ids::Serial;
use crate::zone::Name;
use crate::zone::rdata::{rtype, type_name};

/// Aliases are followed so far.
const LONGEST_CHAIN: usize = 16;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type, by number.
    pub rtype: u16,
    /// RD: whether a resolver is to find the answer; a server of the zone has it.
    pub recursion: bool,
}

impl Question {
    /// A question to a server of the zone.
    #[must_use]
    pub fn to_server(name: &Name, rtype: u16) -> Question {
        Question {
            name: name.clone(),
            rtype,
            recursion: false,
        }
    }

    /// A question to a resolver.
    #[must_use]
    pub fn to_resolver(name: &Name, rtype: u16) -> Question {
        Question {
            name: name.clone(),
            rtype,
            recursion: true,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, type_name(self.rtype))
    }
}

/// A response, as far as it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// How it ended, all 12 bits (RFC 6891 section 6.1.3).
    pub rcode: Rcode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section, without OPT.
    pub additional: Vec<Record>,
}

/// A response code, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rcode(pub u16);

impl Rcode {
    /// NOERROR.
    pub const NO_ERROR: Rcode = Rcode(0);
    /// NXDOMAIN.
    pub const NX_DOMAIN: Rcode = Rcode(3);
}

impl fmt::Display for Rcode {
    /// The mnemonic of the registry (IANA "DNS RCODEs").
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            9 => "NOTAUTH",
            16 => "BADVERS",
            23 => "BADCOOKIE",
            other => return write!(f, "RCODE{other}"),
        };
        f.pad(word)
    }
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub owner: Name,
    /// In seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// The data that a partner looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A.
    A(Ipv4Addr),
    /// AAAA.
    Aaaa(Ipv6Addr),
    /// NS.
    Ns(Name),
    /// CNAME.
    Cname(Name),
    /// SOA.
    Soa(Serial),
    /// SRV.
    Srv(Srv),
    /// Another type, by number.
    Other(u16),
}

/// An SRV record (RFC 2782). They sort as a partner that ignores weights tries them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Srv {
    /// The lowest is tried first.
    pub priority: u16,
    /// How often among equals.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// The host.
    pub target: Name,
}

impl Reply {
    /// The addresses of `name` in the answer section.
    #[must_use]
    pub fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        addresses(&self.answers, name)
    }

    /// The addresses of `name` in the additional section: glue.
    #[must_use]
    pub fn glue(&self, name: &Name) -> Vec<IpAddr> {
        addresses(&self.additional, name)
    }

    /// The SRV records of `name`, in order.
    #[must_use]
    pub fn services(&self, name: &Name) -> Vec<Srv> {
        let of_name = self.answers.iter().filter(|record| record.owner == *name);
        let mut found: Vec<Srv> = of_name
            .filter_map(|record| record.data.srv().cloned())
            .collect();
        found.sort();
        found
    }

    /// The name servers that stand at `name`, in the answer section or as a referral.
    #[must_use]
    pub fn name_servers(&self, name: &Name) -> Vec<Name> {
        let sections = self.answers.iter().chain(&self.authority);
        let mut found: Vec<Name> = sections
            .filter(|record| record.owner == *name)
            .filter_map(|record| Some(record.data.name_server()?.to_lower()))
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// Where the authority section refers to: the owner of its NS records, if no answer is given.
    #[must_use]
    pub fn referral(&self) -> Option<&Name> {
        let is_ns = |record: &&Record| matches!(record.data, Data::Ns(_));
        let refers = self.answers.is_empty() && self.rcode == Rcode::NO_ERROR;
        let first = self.authority.iter().find(is_ns).filter(|_| refers)?;
        Some(&first.owner)
    }

    /// The serial of `name`'s SOA in the answer section.
    #[must_use]
    pub fn serial(&self, name: &Name) -> Option<Serial> {
        let mut of_name = self.answers.iter().filter(|record| record.owner == *name);
        of_name.find_map(|record| record.data.serial())
    }

    /// What `name` is an alias of.
    #[must_use]
    pub fn alias(&self, name: &Name) -> Option<&Name> {
        let mut of_name = self.answers.iter().filter(|record| record.owner == *name);
        of_name.find_map(|record| record.data.alias())
    }

    /// The name that `name` is at last an alias of; itself if it is none.
    #[must_use]
    pub fn canonical(&self, name: &Name) -> Name {
        let mut at = name.clone();
        for _ in 0..LONGEST_CHAIN {
            match self.alias(&at) {
                Some(target) => at = target.clone(),
                None => break,
            }
        }
        at
    }

    /// The least TTL of the records of `rtype` at `name`.
    #[must_use]
    pub fn ttl(&self, name: &Name, rtype: u16) -> Option<u32> {
        let of = |record: &&Record| record.owner == *name && record.data.rtype() == rtype;
        let found = self.answers.iter().filter(of);
        found.map(|record| record.ttl).min()
    }
}

impl Data {
    fn address(&self) -> Option<IpAddr> {
        if let Data::A(address) = self {
            return Some(IpAddr::V4(*address));
        }
        if let Data::Aaaa(address) = self {
            return Some(IpAddr::V6(*address));
        }
        None
    }

    fn name_server(&self) -> Option<&Name> {
        if let Data::Ns(name) = self {
            Some(name)
        } else {
            None
        }
    }

    fn alias(&self) -> Option<&Name> {
        if let Data::Cname(name) = self {
            Some(name)
        } else {
            None
        }
    }

    fn serial(&self) -> Option<Serial> {
        if let Data::Soa(serial) = self {
            Some(*serial)
        } else {
            None
        }
    }

    fn srv(&self) -> Option<&Srv> {
        if let Data::Srv(srv) = self {
            Some(srv)
        } else {
            None
        }
    }

    /// The type's number.
    #[must_use]
    pub fn rtype(&self) -> u16 {
        match self {
            Data::A(_) => rtype::A,
            Data::Aaaa(_) => rtype::AAAA,
            Data::Ns(_) => rtype::NS,
            Data::Cname(_) => rtype::CNAME,
            Data::Soa(_) => rtype::SOA,
            Data::Srv(_) => rtype::SRV,
            Data::Other(rtype) => *rtype,
        }
    }
}

fn addresses(records: &[Record], name: &Name) -> Vec<IpAddr> {
    let of_name = records.iter().filter(|record| record.owner == *name);
    let mut found: Vec<IpAddr> = of_name.filter_map(|record| record.data.address()).collect();
    found.sort();
    found.dedup();
    found
}

/// Why a question got no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing came back in time.
    #[error("no answer over {way} within {waited_ms} ms")]
    NoAnswer {
        /// How it was asked.
        way: Way,
        /// All attempts together.
        waited_ms: u64,
    },
    /// The host says that nothing listens there.
    #[error("nothing listens at port {port} over {way}")]
    Closed {
        /// How it was asked.
        way: Way,
        /// The port.
        port: u16,
    },
    /// A router, or the last network, says that the host cannot be reached.
    #[error("the network has no way to it over {0}")]
    Unreachable(Way),
    /// The connection ended before the response did.
    #[error("it closed the connection before it answered")]
    CutOff,
    /// What came back is no response to it.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// This machine could not ask: it says nothing about the server.
    #[error("it could not be asked from here: {0}")]
    NotAsked(String),
    /// Its name servers lead nowhere.
    #[error("no name server of {0} gives an answer or leads further")]
    DeadEnd(Name),
}

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// UDP.
    Udp,
    /// TCP (RFC 7766).
    Tcp,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Udp => "UDP",
            Way::Tcp => "TCP",
        })
    }
}
