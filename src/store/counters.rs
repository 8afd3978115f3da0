//! Serials and generations from durably reserved blocks.

use std::collections::HashMap;
use std::sync::Arc;

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

/// A zone group, by the number that it has in one [`Counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupNumber(usize);

/// A stretch to be reserved: commit [`Reservation::writes`], along with whatever else there is
/// to write, then hand it to [`Counters::confirm`]. If the commit fails, drop it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    serials: Vec<Stretch>,
    generation: Option<u64>,
    is_urgent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    number: GroupNumber,
    group: Arc<str>,
    start: Serial,
    end: Serial,
}

impl Reservation {
    /// Whether nothing needs to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty() && self.generation.is_none()
    }

    /// Whether a number that is asked for can only be had with it.
    #[must_use]
    pub fn is_urgent(&self) -> bool {
        self.is_urgent
    }

    /// What has to be durable.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.serials
            .iter()
            .map(|stretch| serial_row(&stretch.group, stretch.end))
            .chain(self.generation.map(generation_row))
            .collect()
    }
}

/// Hands out serials, per zone group, and generations. Neither goes back, whatever happens to
/// the process, the clock or the disk.
///
/// A group is known by its name on the disk and by a number here ([`Counters::group`]): one move may
/// take a serial of each of 100,000 groups. For each swap: [`Counters::reserve`], and if it
/// [is urgent](Reservation::is_urgent), write it and [`Counters::confirm`] it first. As the next
/// block is asked for while half of the old one is left, only the first swap of a group, or a file
/// whose serial leaps ahead, has to wait for that; all others reserve when they are done. When the
/// store fails, what is left of the blocks is still handed out.
#[derive(Clone, Debug)]
pub struct Counters {
    begun: Wall,
    numbers: HashMap<Arc<str>, GroupNumber>,
    /// By number.
    groups: Vec<(Arc<str>, Block)>,
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
            numbers: HashMap::new(),
            groups: Vec::new(),
            generation: (now.unix_seconds(), now.unix_seconds()),
        };
        for (key, json) in rows {
            let unreadable = || format!("counter {key}: {json} is no number");
            if let Some(group) = key.strip_prefix(SERIAL) {
                let end = json.parse().map_err(|_| unreadable())?;
                counters.add(group, Block::resumed(Serial(end)));
            } else if key == GENERATION {
                let end = json.parse().map_err(|_| unreadable())?;
                counters.generation = (end, end);
            }
        }
        Ok(counters)
    }

    /// The number of a group.
    pub fn group(&mut self, name: &str) -> GroupNumber {
        match self.numbers.get(name) {
            Some(number) => *number,
            None => self.add(name, Block::begun(self.begun)),
        }
    }

    fn add(&mut self, name: &str, block: Block) -> GroupNumber {
        let (name, number) = (Arc::from(name), GroupNumber(self.groups.len()));
        self.groups.push((Arc::clone(&name), block));
        self.numbers.insert(name, number);
        number
    }

    /// What to reserve for `groups` (each with its floor, the serial of its file). Empty as long
    /// as there is plenty.
    #[must_use]
    pub fn reserve(&self, groups: impl IntoIterator<Item = (GroupNumber, Serial)>) -> Reservation {
        let (next, end) = self.generation;
        let left = end.saturating_sub(next);
        let mut wanted = Reservation {
            serials: Vec::new(),
            generation: (left < u64::from(LOW)).then(|| end.saturating_add(u64::from(BLOCK))),
            is_urgent: left == 0,
        };
        for (number, floor) in groups {
            let Some((group, block)) = self.groups.get(number.0) else {
                continue;
            };
            if let Some((start, end)) = block.wanted(floor) {
                wanted.is_urgent |= block.is_used_up(floor);
                let group = Arc::clone(group);
                wanted.serials.push(Stretch {
                    number,
                    group,
                    start,
                    end,
                });
            }
        }
        wanted
    }

    /// The writes of `reservation` are durable.
    pub fn confirm(&mut self, reservation: Reservation) {
        for stretch in reservation.serials {
            if let Some((_, block)) = self.groups.get_mut(stretch.number.0) {
                block.confirm(stretch.start, stretch.end);
            }
        }
        if let Some(end) = reservation.generation {
            self.generation.1 = end;
        }
    }

    /// The next serial of a group: newer than all before, and not older than `floor`.
    ///
    /// # Errors
    /// [`Exhausted::Serial`]: the reserve does not reach so far.
    pub fn next_serial(&mut self, number: GroupNumber, floor: Serial) -> Result<Serial, Exhausted> {
        let exhausted = |group: &str| Exhausted::Serial {
            group: group.to_owned(),
            floor,
        };
        match self.groups.get_mut(number.0) {
            Some((group, block)) => block.take(floor).ok_or_else(|| exhausted(group)),
            None => Err(exhausted("unknown")),
        }
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
        // Of a group that nothing was reserved for, the disk has nothing to remember.
        let fresh = Block::begun(self.begun);
        let known = self.groups.iter().filter(|(_, block)| *block != fresh);
        known
            .map(|(group, block)| serial_row(group, block.next()))
            .chain([generation_row(self.generation.0)])
            .collect()
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
