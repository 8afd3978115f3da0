//! **Pure.** Master file text to an immutable zone.
//!
//! [`parse()`] reads RFC 1035 text and gives a [`ZoneFile`], or every error that it has, each with
//! file, line and column. What comes out is in three layers: a [`Name`] orders names
//! canonically, a [`Tree`] is a sorted table of owners with wire-format RDATA in which a name is
//! found by one hash and no question takes more than logarithmic time, and a [`Zone`] is a tree
//! with an apex.
//!
//! Invariants of a [`Tree`]: every name between an owner and the apex is a node, so an empty
//! non-terminal is found like any other name; every node knows the topmost cut or DNAME at or
//! above it, so a referral takes no walk.

mod build;
mod check;
mod draft;
mod error;
mod form;
mod index;
mod key;
mod message;
mod name;
mod parse;
mod places;
mod positions;
pub mod rdata;
mod received;
mod record;
mod review;
mod rrset;
mod scan;
mod svcb;
mod text;
mod tree;
mod wire;
#[allow(
    clippy::module_inception,
    reason = "the type that the module is named for"
)]
mod zone;

pub use error::{Position, ZoneError};
pub use index::{Index, Seen};
pub use key::{Key, SortKey};
pub use message::skip_name;
pub use name::{Name, NameError};
pub use parse::{ZoneFile, parse};
pub use positions::Positions;
pub use received::{Fault, Received, RecordRef};
pub use rrset::{Records, Rrset};
pub use tree::{Found, Node, Record, Tree, TreeTooLarge};
pub use zone::{Absence, Zone};

pub(crate) use name::{is_below, is_same, wire_len};
pub(crate) use rrset::pack;

#[cfg(test)]
mod tests;
