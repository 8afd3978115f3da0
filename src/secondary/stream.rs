//! The answer to a transfer query, message by message (RFC 5936 section 2.2, RFC 1995 section 4).
//!
//! | first records | it is |
//! | --- | --- |
//! | SOA not newer than ours, alone, to IXFR | up to date, or behind us |
//! | SOA n, SOA of another serial, to IXFR | changes: `(SOA old, gone …, SOA new, come …)` …, SOA n |
//! | SOA n, anything else | the whole zone, ended by SOA n again |
//!
//! Nothing is applied before the last SOA has come: a stream that is cut changes nothing.

use super::error::TransferError;
use super::message::Response;
use crate::ids::Serial;
use crate::zone::rdata::{rtype, soa_numbers};
use crate::zone::{Name, Received, Record};

/// How much a transfer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of all messages, and of all records with their names written out: a few octets of a
    /// message can stand for hundreds.
    pub octets: usize,
    /// Records, those that go among them.
    pub records: usize,
}

impl Default for Limits {
    /// 1 GiB, as for a master file, and 20 million records.
    fn default() -> Self {
        Limits {
            octets: 1 << 30,
            records: 20_000_000,
        }
    }
}

/// What a transfer brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// The primary has no newer version than ours; this is its serial.
    Nothing(Serial),
    /// All records of the zone.
    Whole(Received),
    /// Changes, one after another.
    Changes(Vec<Change>),
}

/// From one version of a zone to a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The version that it starts from.
    pub from: Serial,
    /// The SOA of the version that it leads to.
    pub soa: Record,
    /// The records that go.
    pub gone: Vec<Record>,
    /// The records that come.
    pub come: Vec<Record>,
}

/// A transfer under way.
#[derive(Debug)]
pub struct Reception {
    origin: Name,
    /// The version that we hold, if we asked for changes.
    held: Option<Serial>,
    limits: Limits,
    octets: usize,
    written_out: usize,
    records: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Begin,
    /// The first SOA is there; the next record says what this is.
    Opened(Record),
    Whole {
        soa: Record,
        records: Received,
    },
    Changes {
        last: Record,
        done: Vec<Change>,
        now: Change,
        coming: bool,
    },
    Ended(Brought),
}

impl Reception {
    /// Waits for the answer to AXFR, or to IXFR from the version `held`.
    #[must_use]
    pub fn new(origin: &Name, held: Option<Serial>, limits: Limits) -> Reception {
        Reception {
            origin: origin.clone(),
            held,
            limits,
            octets: 0,
            written_out: 0,
            records: 0,
            state: State::Begin,
        }
    }

    /// The type to ask for.
    #[must_use]
    pub fn qtype(&self) -> u16 {
        self.held.map_or(rtype::AXFR, |_| rtype::IXFR)
    }

    /// Takes the next message, which answers the query `id`. `Some` once all is there.
    ///
    /// # Errors
    /// Why nothing of it can be used. After an error nothing more is to be taken.
    pub fn take(&mut self, message: &[u8], id: u16) -> Result<Option<Brought>, TransferError> {
        self.octets = self.octets.saturating_add(message.len());
        self.limit(self.octets, self.limits.octets, "octets")?;
        let response = Response::read(message, id, &self.origin, self.qtype())?;
        for record in response.answers() {
            self.records += 1;
            self.limit(self.records, self.limits.records, "records")?;
            let record = record?;
            self.written_out += record.owner.wire().len() + record.rdata.len();
            self.limit(self.written_out, self.limits.octets, "octets")?;
            self.record(record)?;
        }
        if let State::Opened(soa) = &self.state
            && let (Some(held), Some(serial)) = (self.held, serial_of(soa))
            && !serial.is_newer_than(held)
        {
            return Ok(Some(Brought::Nothing(serial)));
        }
        match std::mem::replace(&mut self.state, State::Begin) {
            State::Ended(brought) => Ok(Some(brought)),
            State::Begin => Err(TransferError::Sequence("the first message has no records")),
            unended @ (State::Opened(_) | State::Whole { .. } | State::Changes { .. }) => {
                self.state = unended;
                Ok(None)
            }
        }
    }

    fn limit(&self, count: usize, limit: usize, unit: &'static str) -> Result<(), TransferError> {
        if count > limit {
            return Err(TransferError::TooLarge { limit, unit });
        }
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), TransferError> {
        let serial = (record.rtype == rtype::SOA && record.owner == self.origin)
            .then(|| serial_of(&record))
            .flatten();
        self.state = match std::mem::replace(&mut self.state, State::Begin) {
            State::Begin if serial.is_none() => {
                return Err(TransferError::Sequence("its first record is not the SOA"));
            }
            State::Begin => State::Opened(record),
            State::Opened(soa) => self.second(soa, record, serial)?,
            State::Whole { soa, mut records } => match serial {
                Some(last) if Some(last) == serial_of(&soa) => {
                    self.keep(&mut records, &soa)?;
                    State::Ended(Brought::Whole(records))
                }
                Some(_) => {
                    return Err(TransferError::Sequence("its last SOA is not its first one"));
                }
                None => {
                    self.keep(&mut records, &record)?;
                    State::Whole { soa, records }
                }
            },
            State::Changes {
                last,
                mut done,
                mut now,
                coming,
            } => match (serial, coming) {
                (None, false) => {
                    now.gone.push(record);
                    changes(last, done, now, false)
                }
                (None, true) => {
                    now.come.push(record);
                    changes(last, done, now, true)
                }
                (Some(_), false) => {
                    now.soa = record;
                    changes(last, done, now, true)
                }
                (Some(next), true) => {
                    if serial_of(&now.soa) != Some(next) {
                        return Err(TransferError::Sequence(
                            "its changes do not follow one another",
                        ));
                    }
                    done.push(now);
                    if Some(next) == serial_of(&last) {
                        State::Ended(Brought::Changes(done))
                    } else {
                        changes(last, done, begun(next, record), false)
                    }
                }
            },
            State::Ended(_) => {
                return Err(TransferError::Sequence("records follow its last SOA"));
            }
        };
        Ok(())
    }

    /// What the second record says about the whole.
    fn second(
        &self,
        soa: Record,
        record: Record,
        serial: Option<Serial>,
    ) -> Result<State, TransferError> {
        let newest = serial_of(&soa);
        match (self.held, serial) {
            (Some(held), Some(from)) if Some(from) != newest => {
                if from != held {
                    return Err(TransferError::OtherBase { from, held });
                }
                Ok(changes(soa, Vec::new(), begun(from, record), false))
            }
            (_, Some(last)) if Some(last) == newest => {
                let mut records = Received::new(&self.origin);
                self.keep(&mut records, &soa)?;
                Ok(State::Ended(Brought::Whole(records)))
            }
            (_, Some(_)) => Err(TransferError::Sequence("its last SOA is not its first one")),
            (_, None) => {
                let mut records = Received::new(&self.origin);
                self.keep(&mut records, &record)?;
                Ok(State::Whole { soa, records })
            }
        }
    }

    fn keep(&self, records: &mut Received, record: &Record) -> Result<(), TransferError> {
        records
            .add(record.into())
            .map_err(|_| TransferError::TooLarge {
                limit: self.limits.octets,
                unit: "octets",
            })
    }
}

/// A change from `from`; its SOA is the old one until the new one comes.
fn begun(from: Serial, soa: Record) -> Change {
    Change {
        from,
        soa,
        gone: Vec::new(),
        come: Vec::new(),
    }
}

fn changes(last: Record, done: Vec<Change>, now: Change, coming: bool) -> State {
    State::Changes {
        last,
        done,
        now,
        coming,
    }
}

/// The serial of an SOA.
pub(super) fn serial_of(soa: &Record) -> Option<Serial> {
    soa_numbers(&soa.rdata).map(|numbers| Serial(numbers.serial))
}

/// Reads the answer to an SOA query.
///
/// # Errors
/// It says no serial, or not with authority.
pub fn read_soa(message: &[u8], id: u16, origin: &Name) -> Result<Serial, TransferError> {
    let response = Response::read(message, id, origin, rtype::SOA)?;
    if !response.authoritative {
        return Err(TransferError::NotAuthoritative);
    }
    for record in response.answers() {
        let record = record?;
        if record.rtype == rtype::SOA
            && record.owner == *origin
            && let Some(serial) = serial_of(&record)
        {
            return Ok(serial);
        }
    }
    Err(TransferError::Malformed("it has no SOA in its answer"))
}

#[cfg(test)]
mod tests;
