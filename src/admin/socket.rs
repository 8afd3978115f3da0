//! The daemon's side of the control socket.
//!
//! Everything is bounded: the clients served at once, the length of a request, the time to send
//! one and to take the response. A client past a bound is told so, or dropped; the daemon never
//! waits for it.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream as BlockingStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::peer::Peer;
use super::protocol::{self, REQUEST_MAX, Response};
use super::request::Request;

/// So many clients are served at once; others wait in the listen queue.
const CLIENTS_MAX: usize = 16;
/// A client has so long to send its line, and again to take the response.
const CLIENT_PATIENCE: Duration = Duration::from_secs(5);
/// The daemon has so long to answer; a reload of many zones is the slowest.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Out of descriptors there is nothing to do but to wait for some.
const DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);
/// Owner and group may command the daemon, nobody else.
const SOCKET_MODE: u32 = 0o660;

/// What answers the requests: the daemon, or a fixture of a test.
pub trait Control: Send + Sync + 'static {
    /// Answers one request of this user. Several may be under way at once.
    fn handle(&self, request: Request, peer: Peer) -> impl Future<Output = Response> + Send;
}

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody answers there.
    #[error(
        "control socket {path}: another daemon answers there; stop it, or give this one another \
         path ([listen] control)"
    )]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error(
        "control socket {path}: a file that is no socket has this name; remove it, or name \
         another path ([listen] control)"
    )]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error(
        "control socket {path}: cannot {doing}: {source}; its directory must exist and be \
         writable for this user, and the path be shorter than 100 octets"
    )]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A control socket that listens. Dropping it removes its file, if the file is still its own.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

/// Binds `path` and serves it until `shutdown` is ready.
///
/// # Errors
/// As [`ControlSocket::bind`].
pub async fn serve<C: Control>(
    path: &Path,
    control: Arc<C>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), SocketError> {
    ControlSocket::bind(path)?.serve(control, shutdown).await;
    Ok(())
}

impl ControlSocket {
    /// Listens at `path`. A socket that nobody answers on, left by a daemon that was killed, is
    /// replaced.
    ///
    /// The socket is bound under a name beside it and renamed when its mode is set: at no
    /// moment can it be reached with the umask's mode.
    ///
    /// # Errors
    /// When somebody answers there, when another kind of file has the name, or when the system
    /// refuses.
    pub fn bind(path: &Path) -> Result<ControlSocket, SocketError> {
        let fail = |doing, source| SocketError::Io {
            path: path.to_owned(),
            doing,
            source,
        };
        refuse_if_taken(path)?;
        let beside = path.with_extension(format!("new-{}", std::process::id()));
        // Left by a process of the same number that was killed between the two steps.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(fail("remove what is left of an earlier start", error));
            }
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&beside).map_err(|error| fail("listen", error))?;
        let ready = listener
            .set_nonblocking(true)
            .and_then(|()| fs::set_permissions(&beside, fs::Permissions::from_mode(SOCKET_MODE)))
            .and_then(|()| fs::metadata(&beside))
            .and_then(|made| fs::rename(&beside, path).map(|()| made.ino()));
        match ready {
            Ok(inode) => Ok(ControlSocket {
                listener,
                path: path.to_owned(),
                inode,
            }),
            Err(error) => {
                // The error at hand says more than one of this removal would.
                let _ = fs::remove_file(&beside);
                Err(fail("put it in place", error))
            }
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Serves clients until `shutdown` is ready; those under way are then dropped.
    pub async fn serve<C: Control>(self, control: Arc<C>, shutdown: impl Future<Output = ()>) {
        let slots = Arc::new(Semaphore::new(CLIENTS_MAX));
        let mut clients = tokio::task::JoinSet::new();
        let accept = async {
            let listener = self.registered().await;
            loop {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                    return;
                };
                while clients.try_join_next().is_some() {}
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let control = Arc::clone(&control);
                        clients.spawn(async move {
                            // A client that went away needs no answer.
                            let _ = converse(stream, control.as_ref()).await;
                            drop(slot);
                        });
                    }
                    Err(_) => tokio::time::sleep(DESCRIPTORS_PAUSE).await,
                }
            }
        };
        tokio::select! {
            () = accept => {}
            () = shutdown => {}
        }
    }

    /// The listener as the runtime knows it.
    async fn registered(&self) -> tokio::net::UnixListener {
        loop {
            let listener = self.listener.try_clone();
            match listener.and_then(tokio::net::UnixListener::from_std) {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(DESCRIPTORS_PAUSE).await,
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A later daemon may have replaced the file: then it is not ours to remove. An error
        // leaves a stale socket, which the next start replaces.
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Refuses a name that a living daemon or another kind of file has.
fn refuse_if_taken(path: &Path) -> Result<(), SocketError> {
    let path = path.to_owned();
    match fs::symlink_metadata(&path) {
        Ok(found) if !found.file_type().is_socket() => Err(SocketError::NotASocket { path }),
        Ok(_) => match BlockingStream::connect(&path) {
            Ok(_) => Err(SocketError::InUse { path }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            // Gone in between; or not ours to touch, which the rename will find out.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(SocketError::Io {
                path,
                doing: "see whether a daemon answers there",
                source,
            }),
        },
        Err(_) => Ok(()),
    }
}

/// One request, one response.
async fn converse<C: Control>(mut stream: UnixStream, control: &C) -> io::Result<()> {
    let peer = Peer::of(&stream);
    let response = match timeout(CLIENT_PATIENCE, read_request(&mut stream)).await {
        Ok(Ok(Some(request))) => timeout(ANSWER_MAX, control.handle(request, peer))
            .await
            .unwrap_or_else(|_| {
                Response::error(format!(
                    "no answer within {} s: the daemon is busy; ask again",
                    ANSWER_MAX.as_secs()
                ))
            }),
        Ok(Ok(None)) => return Ok(()),
        Ok(Err(message)) => Response::error(message),
        Err(_) => Response::error(format!(
            "no request within {} s: send one line of JSON",
            CLIENT_PATIENCE.as_secs()
        )),
    };
    let line = protocol::encode(&response).map_err(io::Error::other)?;
    timeout(CLIENT_PATIENCE, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    })
    .await
    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The request, `None` if the client only looked whether anybody answers, or what was wrong.
async fn read_request(stream: &mut UnixStream) -> Result<Option<Request>, String> {
    let limit = u64::try_from(REQUEST_MAX).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    BufReader::new(stream.take(limit))
        .read_until(b'\n', &mut line)
        .await
        .map_err(|error| format!("cannot read the request: {error}"))?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() >= REQUEST_MAX {
        return Err(format!(
            "request longer than {REQUEST_MAX} octets: send one line of JSON"
        ));
    }
    protocol::decode_request(&line)
        .map(Some)
        .map_err(|error| error.to_string())
}
