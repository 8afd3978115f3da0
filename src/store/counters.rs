//! Serials and generations from durably reserved blocks.

use std::collections::BTreeMap;

use crate::ids::{Generation, Serial};
use crate::time::Wall;

use super::reserve::{BLOCK, Block, LOW};
use super::{Store, StoreError, Table, Write};

const GENERATION: &str = "generation";
const SERIAL: &str = "serial:";

/// The reserve is used up, and the store has not taken a new one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// No serial of this group is left, or the floor lies beyond the reserve.
    #[error(
        "zone group {group}: no reserved serial at or after {floor}: serials are made durable before they are used; repair the store"
    )]
    Serial {
        /// The group.
        group: String,
        /// What the file asks for at least.
        floor: Serial,
    },
    /// No generation is left.
    #[error(
        "no reserved generation: generations are made durable before they are used; repair the store"
    )]
    Generation,
}

/// A stretch to be reserved: commit [`Reservation::writes`], along with whatever else there is
/// to write, then hand it to [`Counters::confirm`]. If the commit fails, drop it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    serials: BTreeMap<String, (Serial, Serial)>,
    generation: Option<u64>,
}

impl Reservation {
    /// Whether nothing needs to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty() && self.generation.is_none()
    }

    /// What has to be durable.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.serials
            .iter()
            .map(|(group, (_, end))| serial_row(group, *end))
            .chain(self.generation.map(generation_row))
            .collect()
    }
}

/// Hands out serials, per zone group, and generations. Neither goes back, whatever happens to
/// the process, the clock or the disk.
///
/// For each swap: [`Counters::reserve`], add its writes to the transaction that is due anyway,
/// and [`Counters::confirm`] it after the commit. The next block is asked for while half of the
/// old one is left, so numbers can be taken before that commit; only the first swap of a group,
/// or a file whose serial leaps ahead, has to wait for it. When the store fails, what is left
/// of the blocks is still handed out.
#[derive(Clone, Debug)]
pub struct Counters {
    begun: Wall,
    serials: BTreeMap<String, Block>,
    /// The next generation, and the first that is not reserved.
    generation: (u64, u64),
}

impl Counters {
    /// Goes on from what the store remembers, past all that was reserved; groups without state
    /// begin at the greater of their floor and `now`.
    ///
    /// # Errors
    /// What the disk said, or a row that cannot be read.
    pub fn open(store: &Store, now: Wall) -> Result<Counters, StoreError> {
        let rows = store.scan(Table::Counters)?;
        Counters::resume(rows, now).map_err(|why| StoreError::damaged(&store.path, why))
    }

    /// The same from the rows of [`Table::Counters`].
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn resume(
        rows: impl IntoIterator<Item = (String, String)>,
        now: Wall,
    ) -> Result<Counters, String> {
        let mut counters = Counters {
            begun: now,
            serials: BTreeMap::new(),
            generation: (now.unix_seconds(), now.unix_seconds()),
        };
        for (key, json) in rows {
            let unreadable = || format!("counter {key}: {json} is no number");
            if let Some(group) = key.strip_prefix(SERIAL) {
                let end = json.parse().map_err(|_| unreadable())?;
                counters
                    .serials
                    .insert(group.to_owned(), Block::resumed(Serial(end)));
            } else if key == GENERATION {
                let end = json.parse().map_err(|_| unreadable())?;
                counters.generation = (end, end);
            }
        }
        Ok(counters)
    }

    /// What to reserve before the next swap of `groups` (each with its floor, the serial of its
    /// file). Empty as long as there is plenty.
    #[must_use]
    pub fn reserve<'a>(&self, groups: impl IntoIterator<Item = (&'a str, Serial)>) -> Reservation {
        let serials = groups
            .into_iter()
            .filter_map(|(group, floor)| {
                let wanted = self.block(group).wanted(floor)?;
                Some((group.to_owned(), wanted))
            })
            .collect();
        let (next, end) = self.generation;
        let low = end.saturating_sub(next) < u64::from(LOW);
        Reservation {
            serials,
            generation: low.then(|| end.saturating_add(u64::from(BLOCK))),
        }
    }

    /// The writes of `reservation` are durable.
    pub fn confirm(&mut self, reservation: Reservation) {
        for (group, (start, end)) in reservation.serials {
            let mut block = self.block(&group);
            block.confirm(start, end);
            self.serials.insert(group, block);
        }
        if let Some(end) = reservation.generation {
            self.generation.1 = end;
        }
    }

    /// The next serial of `group`: newer than all before, and not older than `floor`.
    ///
    /// # Errors
    /// [`Exhausted::Serial`]: the reserve does not reach so far.
    pub fn next_serial(&mut self, group: &str, floor: Serial) -> Result<Serial, Exhausted> {
        let mut block = self.block(group);
        let serial = block.take(floor).ok_or_else(|| Exhausted::Serial {
            group: group.to_owned(),
            floor,
        })?;
        self.serials.insert(group.to_owned(), block);
        Ok(serial)
    }

    /// The next generation, greater than all before.
    ///
    /// # Errors
    /// [`Exhausted::Generation`]: none is reserved.
    pub fn next_generation(&mut self) -> Result<Generation, Exhausted> {
        let (next, end) = self.generation;
        if next >= end {
            return Err(Exhausted::Generation);
        }
        self.generation.0 = next + 1;
        Ok(Generation(next))
    }

    /// What to write at an orderly end, so that a restart costs no numbers. Consumes the
    /// counters: nothing may be handed out after it.
    #[must_use]
    pub fn into_last_writes(self) -> Vec<Write> {
        self.serials
            .iter()
            .map(|(group, block)| serial_row(group, block.next()))
            .chain([generation_row(self.generation.0)])
            .collect()
    }

    fn block(&self, group: &str) -> Block {
        let begun = || Block::begun(self.begun);
        self.serials.get(group).copied().unwrap_or_else(begun)
    }
}

fn serial_row(group: &str, end: Serial) -> Write {
    Write::Put {
        table: Table::Counters,
        key: format!("{SERIAL}{group}"),
        json: end.to_string(),
    }
}

fn generation_row(end: u64) -> Write {
    Write::Put {
        table: Table::Counters,
        key: GENERATION.to_owned(),
        json: end.to_string(),
    }
}
