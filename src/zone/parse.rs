//! A master file with its includes to records, then to a checked zone.

use std::sync::Arc;

use super::check;
use super::draft::{Draft, Mark};
use super::error::{Position, ZoneError};
use super::message;
use super::name::{self, Name};
use super::positions::Positions;
use super::rdata::{rtype, soa_numbers};
use super::record::{self, RecordError};
use super::scan::{Entry, Scanner, Token};
use super::zone::Zone;

/// `$INCLUDE` may nest so deep.
const MAX_DEPTH: usize = 8;
/// So many `$INCLUDE` in all.
const MAX_INCLUDES: u16 = 1000;
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
    pub positions: Positions,
}

impl ZoneFile {
    /// Where the first record of this owner and type stands, if there is one.
    #[must_use]
    pub fn position(&self, owner: &Name, rtype: u16) -> Option<Position> {
        self.positions.get(self.zone.tree(), owner, rtype)
    }
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
        files: vec![file.into()],
        draft: Draft::new(origin),
        rdata: Vec::new(),
        errors: Vec::new(),
    };
    reader.read(
        text,
        State {
            file: 0,
            origin: origin.clone(),
            owner: Vec::new(),
            owner_is_inside: false,
            default_ttl: None,
            last_ttl: None,
            depth: 0,
        },
    );
    check::check(reader.draft, Positions::new(reader.files), reader.errors)
}

/// What an entry inherits from those before it in its file.
#[derive(Clone)]
struct State {
    /// The file's number.
    file: u16,
    origin: Name,
    /// In wire format; empty if there is none, or none that could be read.
    owner: Vec<u8>,
    /// Whether the owner lies in the zone.
    owner_is_inside: bool,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
    depth: usize,
}

struct Reader<'i> {
    include: &'i mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    includes: u16,
    octets: usize,
    files: Vec<Arc<str>>,
    draft: Draft,
    /// The data of the record that is being read.
    rdata: Vec<u8>,
    errors: Vec<ZoneError>,
}

impl Reader<'_> {
    fn read(&mut self, text: &[u8], mut state: State) {
        self.octets = self.octets.saturating_add(text.len());
        if self.octets > MAX_OCTETS {
            self.error(
                state.file,
                (1, 1),
                "the zone's files have more than 1 GiB, a zone is kept in memory, split it",
            );
            return;
        }
        let mut scanner = Scanner::new(text);
        let mut entry = Entry::default();
        while self.errors.len() < MAX_ERRORS
            && let Some(read) = scanner.next_entry(&mut entry)
        {
            if let Err(error) = read {
                self.error(state.file, (error.line, error.column), error.message);
            } else if let Err(error) = self.read_entry(&entry, &mut state) {
                self.error(state.file, place_of(&entry, error.token), error.message);
            }
        }
    }

    fn error(&mut self, file: u16, (line, column): (u32, u32), message: impl Into<String>) {
        let file = self.files.get(usize::from(file));
        self.errors.push(ZoneError {
            file: file.cloned().unwrap_or_else(|| "".into()),
            line,
            column,
            message: message.into(),
        });
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
            // An owner that cannot be read must not leave its other records to the one before.
            state.owner.clear();
            name::write(first.text, Some(state.origin.wire()), &mut state.owner).map_err(
                |error| {
                    let text = String::from_utf8_lossy(first.text);
                    RecordError::new(0, format!("'{text}': {error}"))
                },
            )?;
            state.owner_is_inside = name::is_below(&state.owner, self.draft.apex().wire());
            at = 1;
        }
        if state.owner.is_empty() {
            return Err(RecordError::new(
                0,
                "no owner, a line that begins with a space has the owner of the record before \
                 it (RFC 1035 section 5.1), write the owner",
            ));
        }
        let head = record::head(&entry.tokens, at)?;
        self.rdata.clear();
        let (tokens, origin) = (&entry.tokens, &state.origin);
        record::rdata(head.rtype, tokens, head.rdata_at, origin, &mut self.rdata)?;
        if !message::fits(&state.owner, &self.rdata) {
            return Err(RecordError::new(
                head.rdata_at,
                format!(
                    "data of {} octets, with its owner more than the {} that a message leaves to \
                     one record beside its header, question, EDNS and signature (RFC 1035 section \
                     4.2.2), no secondary could be sent it, split it over several records",
                    self.rdata.len(),
                    message::MOST_OF_RECORD
                ),
            ));
        }
        let ttl = self.ttl_of(&head, state)?;
        if !state.owner_is_inside {
            let owner = Name::from_wire(&state.owner).unwrap_or_else(|_| Name::root());
            let message = format!(
                "'{owner}' is outside the zone, a zone holds names at or below '{}', is a dot \
                 missing or one too many?",
                self.draft.apex()
            );
            return Err(RecordError::new(0, message));
        }
        let mark = Mark {
            line: first.line,
            column: u16::try_from(first.column).unwrap_or(u16::MAX),
            file: state.file,
        };
        let added = self
            .draft
            .add(&state.owner, head.rtype, ttl, &self.rdata, mark);
        added.map_err(|error| RecordError::new(0, error.to_string()))
    }

    /// The TTL of the record whose data was read just now.
    fn ttl_of(&self, head: &record::Head, state: &mut State) -> Result<u32, RecordError> {
        // Without any TTL before it, an SOA lives as long as its MINIMUM says.
        let of_soa = || {
            let soa = (head.rtype == rtype::SOA).then_some(&self.rdata)?;
            let minimum = soa_numbers(soa)?.minimum;
            Some(minimum.min(i32::MAX.unsigned_abs()))
        };
        let ttl = head
            .ttl
            .or(state.default_ttl)
            .or(state.last_ttl)
            .or_else(of_soa)
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
        Ok(ttl)
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
        self.files.push(path.as_ref().into());
        let text = (self.include)(&path).map_err(|error| {
            RecordError::new(
                1,
                format!("'{path}': {error}, an included file must be readable, correct the path"),
            )
        })?;
        let state = State {
            file: self.includes,
            origin,
            depth: state.depth + 1,
            ..state.clone()
        };
        self.read(&text, state);
        Ok(())
    }
}

/// The line and column of token `index`, or of the end of the entry.
pub(super) fn place_of(entry: &Entry<'_>, index: usize) -> (u32, u32) {
    match (entry.tokens.get(index), entry.tokens.last()) {
        (Some(token), _) => (token.line, token.column),
        (None, Some(last)) => {
            let length = last.text.len() + if last.quoted { 2 } else { 0 };
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            (last.line, last.column.saturating_add(length))
        }
        (None, None) => (1, 1),
    }
}
