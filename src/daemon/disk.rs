//! The engine's memory on the disk: which row holds what, and what to do while the disk fails.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DaemonError;
use crate::clock;
use crate::failover::{Change, Memory, ServiceMemory};
use crate::ids::{OperationId, ServiceName};
use crate::runbook::Operation;
use crate::secondary;
use crate::store::{Store, StoreError, StoredHistory, Table, Write};
use crate::time::Wall;
use crate::zone::Name;

/// The row of all overrides.
const OVERRIDES: &str = "all";
/// The row of the number of the next operation.
const NEXT_OPERATION: &str = "next-operation";
/// Changes of the histories of zones that wait while the disk fails; older ones go.
const HISTORIES_MAX: usize = 20_000;

/// Reads what the engine goes on from.
///
/// # Errors
/// The disk's, or a row that is no memory.
pub(super) fn read_memory(store: &Store) -> Result<Memory, DaemonError> {
    let mut memory = Memory::default();
    for (name, json) in store.scan(Table::Services)? {
        let service: ServiceMemory = parse(&format!("services/{name}"), &json)?;
        memory
            .services
            .insert(ServiceName::from(name.as_str()), service);
    }
    for (key, json) in store.scan(Table::Overrides)? {
        if key == OVERRIDES {
            memory.overrides = parse("overrides", &json)?;
        }
    }
    for (key, json) in store.scan(Table::Meta)? {
        if key == NEXT_OPERATION {
            memory.next_operation = parse(NEXT_OPERATION, &json)?;
        }
    }
    Ok(memory)
}

/// Reads the deadlines of transferred zones.
///
/// # Errors
/// The disk's, or a row that is none.
pub(super) fn read_deadlines(
    store: &Store,
) -> Result<BTreeMap<Name, secondary::Memory>, DaemonError> {
    let mut deadlines = BTreeMap::new();
    for (key, json) in store.scan(Table::Secondaries)? {
        let what = format!("secondaries/{key}");
        let origin = key.parse().map_err(|error| DaemonError::State {
            what: what.clone(),
            why: format!("{error}"),
        })?;
        deadlines.insert(origin, parse(&what, &json)?);
    }
    Ok(deadlines)
}

fn parse<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, DaemonError> {
    let damaged = |error: serde_json::Error| DaemonError::State {
        what: what.to_owned(),
        why: error.to_string(),
    };
    serde_json::from_str(json).map_err(damaged)
}

/// The store, and what waits for it while it fails.
pub(super) struct Disk {
    /// `None`: a plain server, which has nothing to remember.
    store: Option<Store>,
    /// Rows that could not be written, the latest value of each.
    unwritten: BTreeMap<(&'static str, String), Write>,
    /// Changes of the histories of zones that could not be written, in their order.
    histories: VecDeque<Write>,
    failed: Option<String>,
    /// When something was last written.
    written: Option<Wall>,
}

impl Disk {
    pub(super) fn new(store: Option<Store>) -> Disk {
        Disk {
            store,
            unwritten: BTreeMap::new(),
            histories: VecDeque::new(),
            failed: None,
            written: None,
        }
    }

    /// Whether anything is remembered.
    pub(super) fn has_store(&self) -> bool {
        self.store.is_some()
    }

    /// Why nothing can be written, if it cannot.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// When something was last written, since the start.
    pub(super) fn written(&self) -> Option<Wall> {
        self.written
    }

    /// Notes changes to be written by the next [`Disk::commit`].
    pub(super) fn note(&mut self, changes: &[Change]) {
        for change in changes {
            let (kind, write) = row(change);
            let key = match &write {
                Write::Put { key, .. } | Write::Delete { key, .. } => key.clone(),
                Write::History { .. } => continue,
            };
            self.unwritten.insert((kind, key), write);
        }
    }

    /// Notes the deadline of a transferred zone.
    pub(super) fn note_deadline(&mut self, origin: &Name, memory: &secondary::Memory) {
        let key = origin.to_lower().to_string();
        let write = Write::Put {
            table: Table::Secondaries,
            key: key.clone(),
            json: json(memory),
        };
        self.unwritten.insert(("secondary", key), write);
    }

    /// Notes that a zone is transferred no more.
    pub(super) fn forget_deadline(&mut self, origin: &Name) {
        let key = origin.to_lower().to_string();
        let write = Write::Delete {
            table: Table::Secondaries,
            key: key.clone(),
        };
        self.unwritten.insert(("secondary", key), write);
    }

    /// An operation that has ended, as it is recorded.
    ///
    /// # Errors
    /// What the disk said, or a row that cannot be read.
    pub(super) fn operation(&self, id: OperationId) -> Result<Option<Operation>, String> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let row = store.get(Table::Operations, &operation_key(id));
        let json = row.map_err(|error| error.to_string())?;
        let read = |json: String| parse(&id.to_string(), &json).map_err(|error| error.to_string());
        json.map(read).transpose()
    }

    /// What is stored of the histories of zones.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn histories(&self) -> Result<BTreeMap<String, StoredHistory>, StoreError> {
        match &self.store {
            Some(store) => store.histories(),
            None => Ok(BTreeMap::new()),
        }
    }

    /// Notes changes of the histories of zones. One that is lost is a gap, and costs a secondary
    /// the whole zone.
    pub(super) fn note_histories(&mut self, writes: Vec<Write>) {
        if self.failed.is_some() {
            let surplus = self.histories.len().saturating_sub(HISTORIES_MAX);
            self.histories.drain(..surplus);
        }
        self.histories.extend(writes);
    }

    /// Whether anything waits to be written.
    pub(super) fn is_pending(&self) -> bool {
        !self.unwritten.is_empty() || !self.histories.is_empty()
    }

    /// Writes all that waits, and `more`, in one transaction. What could not be written goes on
    /// waiting. Says whether all is durable.
    pub(super) fn commit(&mut self, more: Vec<Write>) -> bool {
        let Some(store) = &self.store else {
            self.unwritten.clear();
            self.histories.clear();
            return true;
        };
        let mut writes: Vec<Write> = self.unwritten.values().cloned().collect();
        writes.extend(self.histories.iter().cloned());
        writes.extend(more);
        if writes.is_empty() {
            return self.failed.is_none();
        }
        match blocking(|| store.commit(&writes)) {
            Ok(()) => {
                self.unwritten.clear();
                self.histories.clear();
                self.failed = None;
                self.written = Some(clock::wall());
                true
            }
            Err(error) => {
                self.failed = Some(error.to_string());
                false
            }
        }
    }
}

/// A commit waits for the disk: it must not hold up the other tasks of this thread.
fn blocking(commit: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
    tokio::task::block_in_place(commit)
}

fn row(change: &Change) -> (&'static str, Write) {
    let put = |table, key: String, json| Write::Put { table, key, json };
    match change {
        Change::Service(name, memory) => (
            "service",
            put(Table::Services, name.to_string(), json(memory)),
        ),
        Change::ServiceGone(name) => (
            "service",
            Write::Delete {
                table: Table::Services,
                key: name.to_string(),
            },
        ),
        Change::Overrides(overrides) => (
            "overrides",
            put(Table::Overrides, OVERRIDES.to_owned(), json(overrides)),
        ),
        Change::NextOperation(id) => (
            "meta",
            put(Table::Meta, NEXT_OPERATION.to_owned(), json(id)),
        ),
        Change::Operation(operation) => {
            let key = operation_key(operation.id);
            ("operation", put(Table::Operations, key, json(operation)))
        }
    }
}

/// In the order of time.
fn operation_key(id: OperationId) -> String {
    format!("{:020}", id.0)
}

/// The domain's types have string keys and finite numbers only: they always serialise.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| unreachable!("a type of the domain does not serialise: {error}"))
}
