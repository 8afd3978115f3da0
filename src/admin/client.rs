//! The asking side of the control socket. It blocks: the commands that use it do nothing else.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{self, Answer, ProtocolError, RESPONSE_MAX, Response};
use super::request::Request;

/// Longer than the daemon ever takes: it answers within 60 s or says that it cannot.
const PATIENCE: Duration = Duration::from_secs(70);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No socket has this name.
    #[error(
        "no control socket at {path}: is the daemon running (switchback serve), and is this the \
         path of its [listen] control? name another with --control or --config"
    )]
    NoSocket {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The socket is there, but nobody listens.
    #[error("nobody answers at {path}: the daemon that made this socket has ended; start it again")]
    NobodyThere {
        /// The socket.
        path: PathBuf,
    },
    /// This user may not.
    #[error(
        "permission denied for {path}: the control socket is open to its owner and group (mode \
         0660); become one of them, or use sudo"
    )]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The conversation broke off.
    #[error("no answer from {path}: {source}; the daemon's log says more")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The answer is longer than any that this program knows how to use.
    #[error("the answer from {path} is longer than {RESPONSE_MAX} octets")]
    TooLong {
        /// The socket.
        path: PathBuf,
    },
    /// What came is not an answer.
    #[error("{path} gave no answer of this protocol: {source}")]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        source: ProtocolError,
    },
    /// The daemon refused.
    #[error("{0}")]
    Refused(String),
}

/// Asks the daemon at `path`, and waits for its answer.
///
/// # Errors
/// When nobody answers, with what to check; and what the daemon refused, in its own words.
pub fn ask(path: &Path, request: &Request) -> Result<Answer, ClientError> {
    let io_error = |source| ClientError::Io {
        path: path.to_owned(),
        source,
    };
    let protocol_error = |source| ClientError::Protocol {
        path: path.to_owned(),
        source,
    };
    let mut stream = connect(path)?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .map_err(io_error)?;
    let line = protocol::encode(request).map_err(protocol_error)?;
    stream.write_all(&line).map_err(io_error)?;

    let limit = u64::try_from(RESPONSE_MAX).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    BufReader::new(stream.take(limit))
        .read_until(b'\n', &mut line)
        .map_err(io_error)?;
    if line.last() != Some(&b'\n') {
        return Err(if line.len() >= RESPONSE_MAX {
            ClientError::TooLong {
                path: path.to_owned(),
            }
        } else {
            io_error(io::ErrorKind::UnexpectedEof.into())
        });
    }
    match protocol::decode_response(&line).map_err(protocol_error)? {
        Response::Ok(answer) => Ok(answer),
        Response::Error { message } => Err(ClientError::Refused(message)),
    }
}

fn connect(path: &Path) -> Result<UnixStream, ClientError> {
    UnixStream::connect(path).map_err(|source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            ClientError::NoSocket { path }
        } else if source.kind() == io::ErrorKind::ConnectionRefused {
            ClientError::NobodyThere { path }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            ClientError::Denied { path }
        } else {
            ClientError::Io { path, source }
        }
    })
}
