//! Versions of transferred zones, a file each: large, rarely written, read at a start. They lie
//! in `zones` in the state directory.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::StoreError;
use crate::secondary::{Header, ImageError, read_image, write_image};
use crate::zone::{Name, Received, RecordRef};

/// A file's name has 255 octets at most, with room for an ending; longer ones become a number.
const MAX_STEM: usize = 200;
const ENDING: &str = "image";

/// The images of one state directory.
#[derive(Clone, Debug)]
pub struct Images {
    directory: PathBuf,
    /// Held while one is written: two versions of a zone must not meet in one file.
    writing: Arc<Mutex<()>>,
}

impl Images {
    /// The images below `state_dir`; nothing is touched yet.
    #[must_use]
    pub fn of(state_dir: &Path) -> Images {
        Images {
            directory: state_dir.join("zones"),
            writing: Arc::default(),
        }
    }

    /// Where the image of `origin` lies, or would.
    #[must_use]
    pub fn path(&self, origin: &Name) -> PathBuf {
        self.directory.join(format!("{}.{ENDING}", stem(origin)))
    }

    /// Writes a version of the zone `origin` in place of the one before: when this returns it is
    /// on the disk, and until then the one before is.
    ///
    /// # Errors
    /// What the disk said.
    pub fn write<'r>(
        &self,
        origin: &Name,
        header: &Header,
        records: impl Iterator<Item = RecordRef<'r>>,
    ) -> Result<(), StoreError> {
        let path = self.path(origin);
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.write_new(&path, header, records);
        written.map_err(|error| StoreError::io(&path, "write the transferred zone", error))
    }

    fn write_new<'r>(
        &self,
        path: &Path,
        header: &Header,
        records: impl Iterator<Item = RecordRef<'r>>,
    ) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        let building = path.with_extension("image.new");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&building)?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        write_image(&mut out, header, records)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        fs::rename(&building, path)?;
        // A rename is durable when the directory is.
        File::open(&self.directory)?.sync_all()
    }

    /// Removes the images of all zones but these, and returns where they lay. What is no image of
    /// ours stays.
    ///
    /// # Errors
    /// What the disk said.
    pub fn forget_others<'n>(
        &self,
        origins: impl Iterator<Item = &'n Name>,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let kept: HashSet<PathBuf> = origins.map(|origin| self.path(origin)).collect();
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| StoreError::io(&self.directory, "remove old zones", error);
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut removed = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let is_image = path.extension().is_some_and(|ending| ending == ENDING);
            if is_image && !kept.contains(&path) {
                fs::remove_file(&path).map_err(failed)?;
                removed.push(path);
            }
        }
        Ok(removed)
    }

    /// The version of `origin` that was written last; `None` if there is none.
    ///
    /// # Errors
    /// What the disk said, or that the file is no image; it stays as it is.
    pub fn read(&self, origin: &Name) -> Result<Option<(Header, Received)>, StoreError> {
        let path = self.path(origin);
        let octets = match fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(StoreError::io(&path, "read the transferred zone", error));
            }
        };
        let read = read_image(&octets, origin);
        read.map(Some).map_err(|why: ImageError| StoreError::Image {
            path: path.clone(),
            why,
        })
    }
}

/// The name of a zone as a file's: in lower case, and what is neither letter, digit, `-`, `_` nor
/// a dot within as `%` and two digits.
fn stem(origin: &Name) -> String {
    let text = origin.to_lower().to_string();
    let text = text.strip_suffix('.').unwrap_or(&text);
    let mut stem = String::new();
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => stem.push(char::from(octet)),
            b'.' if !stem.is_empty() => stem.push('.'),
            other => stem.push_str(&format!("%{other:02x}")),
        }
    }
    if stem.is_empty() {
        return "%root".to_owned();
    }
    if stem.len() > MAX_STEM {
        // The header says which zone it is, so that a chance meeting of two is seen.
        let hash = stem.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, octet| {
            (sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        return format!("%long-{hash:016x}");
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Serial;
    use crate::time::Wall;

    #[test]
    fn every_zone_has_a_file_of_its_own() {
        let stem_of = |text: &str| stem(&text.parse().unwrap());
        assert_eq!(stem_of("Contoso.TEST."), "contoso.test");
        assert_eq!(stem_of("."), "%root");
        assert_eq!(
            stem_of("0/25.2.0.192.in-addr.arpa."),
            "0%2f25.2.0.192.in-addr.arpa"
        );
        assert_eq!(stem_of("\\.\\.."), "%5c%2e%5c%2e".replace("%2e", "."));
        assert!(stem_of(&"\\000.".repeat(120)).starts_with("%long-"));
    }

    #[test]
    fn a_version_replaces_the_one_before_and_damage_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let images = Images::of(directory.path());
        let origin: Name = "z.test.".parse().unwrap();
        assert!(images.read(&origin).unwrap().is_none());
        for serial in [1, 2] {
            let header = Header {
                origin: origin.to_string(),
                serial: Serial(serial),
                taken: Wall(7),
                from: "192.0.2.1:53".to_owned(),
            };
            images.write(&origin, &header, std::iter::empty()).unwrap();
            let nothing = Received::new(&origin);
            assert_eq!(images.read(&origin).unwrap(), Some((header, nothing)));
        }
        let other = directory.path().join("zones/notes.txt");
        fs::write(&other, "mine").unwrap();
        let kept = images.forget_others([&origin].into_iter()).unwrap();
        assert_eq!(kept, Vec::<PathBuf>::new());
        fs::write(images.path(&"gone.test.".parse().unwrap()), "").unwrap();
        let removed = images.forget_others([&origin].into_iter()).unwrap();
        assert!(removed.len() == 1 && removed[0].ends_with("gone.test.image"));
        assert!(other.exists() && images.read(&origin).unwrap().is_some());
        fs::write(images.path(&origin), "switchback zone 1\nno").unwrap();
        assert!(
            images
                .read(&origin)
                .unwrap_err()
                .to_string()
                .contains("z.test.image")
        );
    }
}
