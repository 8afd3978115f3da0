//! **Pure.** Master file text to an immutable zone.
//!
//! [`parse()`] reads RFC 1035 text and gives a [`ZoneFile`], or every error that it has, each with
//! file, line and column. What comes out is in three layers: a [`Name`] orders names
//! canonically, a [`Tree`] is a sorted table of owners with wire-format RDATA in which every
//! question takes logarithmic time, and a [`Zone`] is a tree with an apex.
//!
//! Invariants of a [`Tree`]: every name between an owner and the apex is a node, so an empty
//! non-terminal is found like any other name; every node knows the topmost cut or DNAME at or
//! above it, so a referral takes no walk.

mod check;
mod error;
mod message;
mod name;
mod parse;
pub mod rdata;
mod record;
mod scan;
mod tree;
#[allow(
    clippy::module_inception,
    reason = "the type that the module is named for"
)]
mod zone;

pub use error::{Position, ZoneError};
pub use message::skip_name;
pub use name::{Key, Name, NameError};
pub use parse::{ZoneFile, parse};
pub use tree::{Found, Node, Record, Records, Rrset, Tree, TreeTooLarge};
pub use zone::Zone;

pub(crate) use name::wire_len;
pub(crate) use tree::pack;

#[cfg(test)]
mod tests;
