//! **IO.** Whole files that others wrote, read with two limits: a pipe or a device never ends, and
//! opening a pipe waits for whoever writes into it, so only regular files are read; and no more of
//! them than their reader can use.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::fcntl::OFlag;

/// A configuration, key, secret or certificate is no longer than this.
pub const SMALL: u64 = 16 << 20;
/// A master file is no longer than this, nor are all files of a zone together.
pub const ZONE: u64 = 1 << 30;

/// Where a shell hands over what another program prints.
const STDIN: &str = "/dev/stdin";

/// The directories and files that are left to this process, once others are taken from it.
static LEFT: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// From now on, whoever may not read a file is told that only these are left to us.
pub fn confine<'p>(left: impl Iterator<Item = &'p PathBuf>) {
    // The process is confined once, and for good.
    let _ = LEFT.set(left.cloned().collect());
}

/// The system's word, and what stands behind it.
fn explained(path: &Path, error: io::Error) -> io::Error {
    let Some(left) = LEFT
        .get()
        .filter(|_| error.kind() == io::ErrorKind::PermissionDenied)
    else {
        return error;
    };
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let why = if left.iter().any(|left| real.starts_with(left)) {
        "the daemon's user must be able to read it: see [sandbox] user"
    } else {
        "the sandbox leaves the daemon the directories that the configuration named when it \
         started, and this is in none of them: move it there, or restart the daemon"
    };
    io::Error::new(error.kind(), format!("{error}; {why}"))
}

/// The octets of a regular file.
///
/// # Errors
/// What the system said; that it is no regular file; that it has more than `most` octets.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(|error| explained(path, error))?;
    read_open(file, most)
}

/// The same as text.
///
/// # Errors
/// Those of [`read`], and that it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    in_utf8(read(path, most)?)
}

/// The same, of a file that may be the standard input, whatever stands behind it: for whoever is
/// there to end it.
///
/// # Errors
/// Those of [`read_text`].
pub fn read_text_or_stdin(path: &Path, most: u64) -> io::Result<String> {
    if path == Path::new(STDIN) {
        return in_utf8(at_most(io::stdin().lock(), most, 0)?);
    }
    read_text(path, most)
}

fn read_open(file: File, most: u64) -> io::Result<Vec<u8>> {
    let found = file.metadata()?;
    if let Some(kind) = other_kind(found.file_type()) {
        return Err(io::Error::other(format!(
            "it is {kind}, and only a regular file is read"
        )));
    }
    if found.len() > most {
        return Err(too_long(most));
    }
    // It may grow meanwhile.
    at_most(file, most, usize::try_from(found.len()).unwrap_or(0))
}

fn at_most(from: impl Read, most: u64, expected: usize) -> io::Result<Vec<u8>> {
    let mut octets = Vec::with_capacity(expected);
    from.take(most.saturating_add(1)).read_to_end(&mut octets)?;
    let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    if length > most {
        return Err(too_long(most));
    }
    Ok(octets)
}

fn in_utf8(octets: Vec<u8>) -> io::Result<String> {
    String::from_utf8(octets).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn too_long(most: u64) -> io::Error {
    let limit = match (most >> 30, most >> 20) {
        (0, 0) => format!("{most} octets"),
        (0, mebibytes) => format!("{mebibytes} MiB"),
        (gibibytes, _) => format!("{gibibytes} GiB"),
    };
    io::Error::other(format!("it is longer than {limit}"))
}

/// What it is, if it is no regular file.
fn other_kind(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("a device")
    } else {
        Some("a socket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "text").unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        // A file of holes: nothing is read of it.
        let huge = File::create(path("huge")).unwrap();
        huge.set_len(1 << 40).unwrap();
        assert_eq!(read_text(&path("file"), 4).unwrap(), "text");
        let said = |path: &Path, most| read(path, most).unwrap_err().to_string();
        assert_eq!(said(&path("file"), 3), "it is longer than 3 octets");
        assert_eq!(said(&path("huge"), SMALL), "it is longer than 16 MiB");
        assert_eq!(said(&path("huge"), ZONE), "it is longer than 1 GiB");
        assert!(said(&path("pipe"), SMALL).starts_with("it is a pipe,"));
        assert!(said(Path::new("/dev/zero"), SMALL).starts_with("it is a device,"));
        assert!(said(folder.path(), SMALL).starts_with("it is a directory,"));
        // What the system says of a socket.
        read(&path("socket"), SMALL).unwrap_err();
        assert!(read_text(&path("missing"), 1).is_err());
        // Where a file tells a wrong length, as those of the kernel do, it is cut off too.
        assert_eq!(
            at_most(io::repeat(0), 7, 0).unwrap_err().to_string(),
            "it is longer than 7 octets"
        );
    }
}
