//! `[dnstap]`: who is shown queries and answers.

use std::path::PathBuf;

use super::paths::Base;
use super::problem::{At, Notes, within};
use super::reader::{Fields, FromToml, Item};

const MEGABYTES: std::ops::RangeInclusive<u32> = 1..=100_000;
const MEGABYTE: u64 = 1_000_000;
/// What a file holds if the configuration does not say.
const DEFAULT_MEGABYTES: u32 = 100;

/// `[dnstap]` as it is written.
pub(super) struct DnstapTable {
    socket: Option<At<String>>,
    file: Option<At<String>>,
    queries: Option<At<String>>,
    megabytes: Option<At<u32>>,
    on: Option<At<bool>>,
}

/// What is shown where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnstap {
    /// Where.
    pub to: DnstapTo,
    /// Whether from the start.
    pub on: bool,
}

/// Where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnstapTo {
    /// To a program that listens there. Absolute.
    Socket(PathBuf),
    /// Into a file, as frames, up to so many octets. Absolute.
    File(PathBuf, u64),
    /// Into a file, a line for each query, up to so many octets. Absolute.
    Queries(PathBuf, u64),
}

impl FromToml for DnstapTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[dnstap]", notes)?;
        let spec = DnstapTable {
            socket: fields.get("socket"),
            file: fields.get("file"),
            queries: fields.get("queries"),
            megabytes: fields.get("megabytes"),
            on: fields.get("on"),
        };
        fields.finish();
        Some(spec)
    }
}

/// The meaning of the table; what is wrong with it is noted.
pub(super) fn read(
    spec: Option<At<DnstapTable>>,
    base: &Base,
    notes: &mut Notes,
) -> Option<Dnstap> {
    let At { value, at } = spec?;
    let DnstapTable {
        socket,
        file,
        queries,
        megabytes,
        on,
    } = value;
    let most = within("megabytes", megabytes, MEGABYTES, notes).unwrap_or(DEFAULT_MEGABYTES);
    let most = u64::from(most) * MEGABYTE;
    let to = match (socket, file, queries) {
        (Some(socket), None, None) => DnstapTo::Socket(base.socket(&socket, notes)),
        (None, Some(file), None) => DnstapTo::File(base.place(&file.value), most),
        (None, None, Some(file)) => DnstapTo::Queries(base.place(&file.value), most),
        _ => {
            notes.error(
                at,
                "[dnstap] writes to one place, name one of 'socket', 'file' and 'queries'",
            );
            return None;
        }
    };
    Some(Dnstap {
        to,
        on: on.is_none_or(|on| on.value),
    })
}
