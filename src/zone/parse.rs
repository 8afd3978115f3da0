//! A master file with its includes to records, then to a checked zone.

use std::collections::HashMap;
use std::sync::Arc;

use super::check;
use super::error::{Position, ZoneError};
use super::name::Name;
use super::rdata::{rtype, soa_numbers};
use super::record::{self, RecordError};
use super::scan::{Entry, Scanner, Token};
use super::tree::Record;
use super::zone::Zone;

/// `$INCLUDE` may nest so deep.
const MAX_DEPTH: usize = 8;
/// So many `$INCLUDE` in all.
const MAX_INCLUDES: usize = 1000;
/// All texts of a zone together.
const MAX_OCTETS: usize = 1 << 30;
/// So many errors are reported, so many warnings too.
pub(super) const MAX_ERRORS: usize = 100;

/// A master file that was read.
#[derive(Clone, Debug)]
pub struct ZoneFile {
    /// The zone.
    pub zone: Arc<Zone>,
    /// What is odd but not wrong; at most 100.
    pub warnings: Vec<ZoneError>,
    /// Where the first record of each RRset stands.
    pub positions: HashMap<(Name, u16), Position>,
}

/// Reads the master file `text` of the zone `origin` (RFC 1035 section 5; `$TTL` of RFC 2308
/// section 4; generic types and data of RFC 3597 section 5). `file` is its name in messages.
/// `include` gives the octets of a file by the name that `$INCLUDE` has, or says why not.
///
/// # Errors
/// All that is wrong, by file, line and column, at most 100.
pub fn parse(
    file: &str,
    text: &[u8],
    origin: &Name,
    include: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<ZoneFile, Vec<ZoneError>> {
    let mut reader = Reader {
        include,
        includes: 0,
        octets: 0,
        records: Vec::new(),
        errors: Vec::new(),
    };
    let file: Arc<str> = file.into();
    reader.read(
        text,
        State {
            file: Arc::clone(&file),
            origin: origin.clone(),
            owner: None,
            default_ttl: None,
            last_ttl: None,
            depth: 0,
        },
    );
    let start = Position {
        file,
        line: 1,
        column: 1,
    };
    check::check(origin, reader.records, reader.errors, &start)
}

/// What an entry inherits from those before it in its file.
#[derive(Clone)]
struct State {
    file: Arc<str>,
    origin: Name,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    depth: usize,
}

impl State {
    fn position(&self, token: &Token<'_>) -> Position {
        Position {
            file: Arc::clone(&self.file),
            line: token.line,
            column: token.column,
        }
    }

    /// The place of token `index`, or of the end of the entry.
    fn position_of(&self, entry: &Entry<'_>, index: usize) -> Position {
        match (entry.tokens.get(index), entry.tokens.last()) {
            (Some(token), _) => self.position(token),
            (None, Some(last)) => {
                let mut position = self.position(last);
                let quotes = if last.quoted { 2 } else { 0 };
                position.column = position
                    .column
                    .saturating_add(u32::try_from(last.text.len() + quotes).unwrap_or(u32::MAX));
                position
            }
            (None, None) => Position {
                file: Arc::clone(&self.file),
                line: 1,
                column: 1,
            },
        }
    }
}

struct Reader<'i> {
    include: &'i mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    includes: usize,
    octets: usize,
    records: Vec<(Record, Position)>,
    errors: Vec<ZoneError>,
}

impl Reader<'_> {
    fn read(&mut self, text: &[u8], mut state: State) {
        self.octets = self.octets.saturating_add(text.len());
        if self.octets > MAX_OCTETS {
            let start = Position {
                file: Arc::clone(&state.file),
                line: 1,
                column: 1,
            };
            self.errors.push(start.error(
                "the zone's files have more than 1 GiB, a zone is kept in memory, split it",
            ));
            return;
        }
        let mut scanner = Scanner::new(text);
        while self.errors.len() < MAX_ERRORS
            && let Some(entry) = scanner.next_entry()
        {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.errors.push(ZoneError {
                        file: Arc::clone(&state.file),
                        line: error.line,
                        column: error.column,
                        message: error.message.to_owned(),
                    });
                    continue;
                }
            };
            if let Err(error) = self.read_entry(&entry, &mut state) {
                let position = state.position_of(&entry, error.token);
                self.errors.push(position.error(error.message));
            }
        }
    }

    fn read_entry(&mut self, entry: &Entry<'_>, state: &mut State) -> Result<(), RecordError> {
        let Some(first) = entry.tokens.first() else {
            return Ok(());
        };
        if !entry.indented && !first.quoted && first.text.first() == Some(&b'$') {
            return self.read_directive(entry, first, state);
        }
        let mut at = 0;
        if !entry.indented {
            let owner = Name::from_text(first.text, Some(&state.origin)).map_err(|error| {
                let text = String::from_utf8_lossy(first.text);
                RecordError::new(0, format!("'{text}': {error}"))
            });
            // An owner that cannot be read must not leave its other records to the one before.
            state.owner = owner.as_ref().ok().cloned();
            owner?;
            at = 1;
        }
        let Some(owner) = state.owner.clone() else {
            return Err(RecordError::new(
                0,
                "no owner, a line that begins with a space has the owner of the record before \
                 it (RFC 1035 section 5.1), write the owner",
            ));
        };
        let head = record::head(&entry.tokens, at)?;
        let rdata = record::rdata(head.rtype, &entry.tokens, head.rdata_at, &state.origin)?;
        // Without any TTL before it, an SOA lives as long as its MINIMUM says.
        let of_soa = (head.rtype == rtype::SOA)
            .then(|| {
                soa_numbers(&rdata).map(|numbers| numbers.minimum.min(i32::MAX.unsigned_abs()))
            })
            .flatten();
        let ttl = head
            .ttl
            .or(state.default_ttl)
            .or(state.last_ttl)
            .or(of_soa)
            .ok_or_else(|| {
                RecordError::new(
                    0,
                    "no TTL, a record without one takes that of $TTL (RFC 2308 section 4) or of \
                     the record before it, write $TTL at the top",
                )
            })?;
        if head.ttl.is_some() || state.last_ttl.is_none() {
            state.last_ttl = Some(ttl);
        }
        let record = Record {
            owner,
            rtype: head.rtype,
            ttl,
            rdata,
        };
        self.records.push((record, state.position(first)));
        Ok(())
    }

    fn read_directive(
        &mut self,
        entry: &Entry<'_>,
        first: &Token<'_>,
        state: &mut State,
    ) -> Result<(), RecordError> {
        let directive = first.text.to_ascii_uppercase();
        let words = match directive.as_slice() {
            b"$ORIGIN" | b"$TTL" => 2..=2,
            b"$INCLUDE" => 2..=3,
            _ => {
                return Err(RecordError::new(
                    0,
                    format!(
                        "'{}' is no directive, there are $ORIGIN, $INCLUDE (RFC 1035 section 5.1) \
                         and $TTL (RFC 2308 section 4), correct it",
                        String::from_utf8_lossy(first.text)
                    ),
                ));
            }
        };
        if !words.contains(&entry.tokens.len()) {
            return Err(RecordError::new(
                entry.tokens.len().min(words.end() + 1).saturating_sub(1),
                format!(
                    "{} has {} words after it, it has {}",
                    String::from_utf8_lossy(&directive),
                    entry.tokens.len() - 1,
                    if *words.end() == 2 {
                        "one"
                    } else {
                        "one or two"
                    }
                ),
            ));
        }
        let word = |at: usize| entry.tokens.get(at).map_or(&b""[..], |token| token.text);
        let name = |at: usize, origin: &Name| {
            Name::from_text(word(at), Some(origin)).map_err(|error| {
                let text = String::from_utf8_lossy(word(at));
                RecordError::new(at, format!("'{text}': {error}"))
            })
        };
        match directive.as_slice() {
            b"$ORIGIN" => state.origin = name(1, &state.origin)?,
            b"$TTL" => {
                let ttl = record::duration(word(1)).map_err(|text| RecordError::new(1, text))?;
                state.default_ttl = Some(ttl);
            }
            _ => {
                let origin = match entry.tokens.len() {
                    3 => name(2, &state.origin)?,
                    _ => state.origin.clone(),
                };
                self.read_include(word(1), origin, state)?;
            }
        }
        Ok(())
    }

    /// The included file sees the state as it is; what it changes ends with it.
    fn read_include(
        &mut self,
        path: &[u8],
        origin: Name,
        state: &State,
    ) -> Result<(), RecordError> {
        let path = String::from_utf8_lossy(path);
        if state.depth >= MAX_DEPTH || self.includes >= MAX_INCLUDES {
            return Err(RecordError::new(
                1,
                format!(
                    "'{path}' is not read, $INCLUDE nests at most {MAX_DEPTH} deep and stands at \
                     most {MAX_INCLUDES} times, does the file include itself?"
                ),
            ));
        }
        self.includes += 1;
        let text = (self.include)(&path).map_err(|error| {
            RecordError::new(
                1,
                format!("'{path}': {error}, an included file must be readable, correct the path"),
            )
        })?;
        let state = State {
            file: path.into(),
            origin,
            depth: state.depth + 1,
            ..state.clone()
        };
        self.read(&text, state);
        Ok(())
    }
}
