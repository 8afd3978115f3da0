//! Master files read before they are asked for, on all processors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::files;
use crate::zone::{Name, ZoneError, ZoneFile, parse};

/// Why a file gives no zone.
pub(super) enum Unread {
    /// It cannot be read.
    File(std::io::Error),
    /// It can be read and is no zone.
    Text(Vec<ZoneError>),
}

/// The zone of a master file, and the files that it includes.
pub(super) struct Read {
    pub(super) zone: ZoneFile,
    pub(super) included: Vec<PathBuf>,
}

/// The zone of a master file, with what it includes.
fn read_file(origin: &Name, file: &Path) -> Result<Read, Unread> {
    let text = files::read(file, files::ZONE).map_err(Unread::File)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let mut included = Vec::new();
    let mut include = |name: &str| {
        let path = directory.join(name);
        let text = files::read(&path, files::ZONE).map_err(|error| error.to_string());
        included.push(path);
        text
    };
    let zone = parse(&file.to_string_lossy(), &text, origin, &mut include);
    let zone = zone.map_err(Unread::Text)?;
    Ok(Read { zone, included })
}

/// What came of some files, by the origin in the name of each.
#[derive(Default)]
pub(super) struct Ahead(HashMap<Name, Result<Read, Unread>>);

impl Ahead {
    /// Reads files named `ORIGIN.zone`. Those whose name is no origin are left to whoever asks.
    pub(super) fn read(files: &[PathBuf]) -> Ahead {
        let next = AtomicUsize::new(0);
        let work = || {
            let mine = std::iter::from_fn(|| files.get(next.fetch_add(1, Ordering::Relaxed)));
            let zones = mine.filter_map(|file| {
                let origin = origin_of(file)?;
                let read = read_file(&origin, file);
                Some((origin, read))
            });
            zones.collect::<Vec<_>>()
        };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let others = processors.min(files.len()).saturating_sub(1);
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            let mut all: HashMap<_, _> = work().into_iter().collect();
            for other in others {
                match other.join() {
                    Ok(more) => all.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ahead(all)
        })
    }

    /// The zone of a file, read by now or at once.
    pub(super) fn take(&mut self, origin: &Name, file: &Path) -> Result<Read, Unread> {
        let read = self.0.remove(origin);
        read.unwrap_or_else(|| read_file(origin, file))
    }
}

/// The origin that a file is named for.
fn origin_of(file: &Path) -> Option<Name> {
    let stem = file.file_stem()?.to_str()?;
    format!("{}.", stem.trim_end_matches('.')).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_ahead_is_what_is_read_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        for (name, text) in [
            ("a.test", "@ 60 SOA ns h 1 1 1 1 1\n@ 60 NS ns.b.\n"),
            ("b.test", "@ 60 SOA ns h 1 1 1 1\n"),
            ("c..test", ""),
        ] {
            let file = folder.path().join(format!("{name}.zone"));
            std::fs::write(&file, text).unwrap();
            files.push(file);
        }
        files.push(folder.path().join("gone.test.zone"));
        let mut ahead = Ahead::read(&files);
        assert_eq!(ahead.0.len(), 3);
        for (origin, file, expected) in [
            ("a.test.", 0, "zone a.test."),
            ("a.test.", 0, "zone a.test."),
            ("b.test.", 1, "errors"),
            ("gone.test.", 3, "no file"),
            ("d.test.", 0, "zone d.test."),
        ] {
            let seen = match ahead.take(&origin.parse().unwrap(), &files[file]) {
                Ok(read) => format!("zone {}", read.zone.zone.origin()),
                Err(Unread::Text(_)) => "errors".to_owned(),
                Err(Unread::File(_)) => "no file".to_owned(),
            };
            assert_eq!(seen, expected);
        }
    }
}
