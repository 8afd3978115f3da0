//! Where it goes: to a program that listens at a socket, or into a file of a bounded length.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Form;
use super::frame::{Control, control, is_accept};
use crate::clock;
use crate::time::Mono;

/// How long the program at the socket may take for anything.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long until it is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// No answer at the beginning is longer.
const ANSWER: usize = 512;

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
#[error("{target}: {error}; {remedy}")]
pub struct SinkError {
    target: String,
    #[source]
    error: io::Error,
    remedy: &'static str,
}

/// A place to write to.
#[derive(Debug)]
pub struct Sink {
    form: Form,
    place: Place,
    retry_at: Option<Mono>,
}

#[derive(Debug)]
enum Place {
    Socket {
        path: PathBuf,
        stream: Option<BufWriter<UnixStream>>,
    },
    File {
        path: PathBuf,
        file: BufWriter<File>,
        begun: bool,
        /// Octets that it may still take.
        left: u64,
    },
}

impl Sink {
    /// A program that listens there, now or later.
    #[must_use]
    pub fn socket(path: &Path) -> Sink {
        Sink {
            form: Form::Dnstap,
            place: Place::Socket {
                path: path.to_owned(),
                stream: None,
            },
            retry_at: None,
        }
    }

    /// A file, which is made anew, for its owner alone: it says who asked what.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn file(path: &Path, form: Form, most: u64) -> Result<Sink, SinkError> {
        let mut options = File::options();
        let options = options.create(true).write(true).truncate(true).mode(0o600);
        let file = options.open(path).map_err(|error| SinkError {
            target: path.display().to_string(),
            error,
            remedy: "let [dnstap] name a file that can be written",
        })?;
        Ok(Sink {
            form,
            place: Place::File {
                path: path.to_owned(),
                file: BufWriter::new(file),
                begun: false,
                left: most,
            },
            retry_at: None,
        })
    }

    /// How it is written there.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Its path.
    pub(super) fn target(&self) -> String {
        match &self.place {
            Place::Socket { path, .. } | Place::File { path, .. } => path.display().to_string(),
        }
    }

    /// Makes sure that something can be written.
    pub(super) fn open(&mut self) -> Result<(), SinkError> {
        let now = clock::mono();
        if self.retry_at.is_some_and(|at| at > now) {
            let error = io::Error::other("nobody took it a moment ago");
            return Err(self.failed(error));
        }
        let opened = match &mut self.place {
            Place::Socket {
                stream: Some(_), ..
            } => Ok(()),
            Place::Socket { path, stream } => connect(path).map(|it| *stream = Some(it)),
            Place::File { left: 0, .. } => Err(full()),
            Place::File { begun: true, .. } => Ok(()),
            Place::File { file, begun, .. } => {
                *begun = true;
                match self.form {
                    Form::Dnstap => file.write_all(&control(Control::Start)),
                    Form::Text => Ok(()),
                }
            }
        };
        opened.map_err(|error| self.failed(error))
    }

    /// Writes frames or lines.
    pub(super) fn write(&mut self, octets: &[u8]) -> Result<(), SinkError> {
        let written = match &mut self.place {
            Place::Socket {
                stream: Some(stream),
                ..
            } => stream.write_all(octets),
            Place::Socket { stream: None, .. } => Err(io::ErrorKind::NotConnected.into()),
            Place::File { file, left, .. } => {
                let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
                match left.checked_sub(length) {
                    Some(rest) => {
                        *left = rest;
                        file.write_all(octets)
                    }
                    // For good: what is shorter would fit, and the log would tell of each change.
                    None => {
                        *left = 0;
                        Err(full())
                    }
                }
            }
        };
        written.map_err(|error| self.failed(error))
    }

    /// Lets whoever reads see what was written.
    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        let flushed = match &mut self.place {
            Place::Socket {
                stream: Some(stream),
                ..
            } => stream.flush(),
            Place::Socket { stream: None, .. } => Err(io::ErrorKind::NotConnected.into()),
            Place::File { file, .. } => file.flush(),
        };
        flushed.map_err(|error| self.failed(error))
    }

    /// Ends the stream of frames.
    pub(super) fn close(&mut self) {
        let stop = control(Control::Stop);
        match &mut self.place {
            Place::Socket { stream, .. } => {
                if let Some(mut stream) = stream.take() {
                    // If it is gone, nobody misses the end.
                    let _ = stream.write_all(&stop).and_then(|()| stream.flush());
                }
            }
            // More may follow, and a file has one stream: it ends where it ends.
            Place::File { file, .. } => {
                let _ = file.flush();
            }
        }
    }

    fn failed(&mut self, error: io::Error) -> SinkError {
        let now = clock::mono();
        if self.retry_at.is_none_or(|at| at <= now) {
            self.retry_at = Some(now + RETRY);
        }
        let remedy = match &mut self.place {
            Place::Socket { stream, .. } => {
                *stream = None;
                "start what listens there; it is tried again every second"
            }
            Place::File { .. } => "take it away and restart, or raise [dnstap] megabytes",
        };
        SinkError {
            target: self.target(),
            error,
            remedy,
        }
    }
}

fn full() -> io::Error {
    io::Error::other("it has the length that it may have")
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
        let begun_file = matches!(self.place, Place::File { begun: true, .. });
        if begun_file
            && self.form == Form::Dnstap
            && let Place::File { file, .. } = &mut self.place
        {
            // A reader takes a stream without its end as well.
            let _ = file
                .write_all(&control(Control::Stop))
                .and_then(|()| file.flush());
        }
    }
}

/// Connects, and agrees on what is written: READY, ACCEPT, START.
fn connect(path: &Path) -> io::Result<BufWriter<UnixStream>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&control(Control::Ready))?;
    let mut head = [0; 8];
    stream.read_exact(&mut head)?;
    let [e0, e1, e2, e3, l0, l1, l2, l3] = head;
    let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let mut body = [0; ANSWER];
    let refused = || io::Error::other("what listens there does not take dnstap");
    if [e0, e1, e2, e3] != [0; 4] || length > ANSWER {
        return Err(refused());
    }
    stream.read_exact(&mut body[..length])?;
    if !is_accept(&body[..length]) {
        return Err(refused());
    }
    stream.write_all(&control(Control::Start))?;
    Ok(BufWriter::new(stream))
}
