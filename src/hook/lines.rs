//! Lines of JSON over pipes, bounded.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::protocol::LINE_BYTES;

/// Reads one value per line.
#[derive(Debug)]
pub(super) struct Lines<R> {
    pipe: R,
    read: Vec<u8>,
    /// So many bytes of `read` hold no line end.
    searched: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(pipe: R) -> Self {
        Self {
            pipe,
            read: Vec::new(),
            searched: 0,
        }
    }

    /// The next value, `None` at the end. Nothing is lost when the future is dropped: bytes are
    /// taken from the pipe and kept in one go.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let fresh = self.read.get(self.searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=self.searched + at).collect();
                self.searched = 0;
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            self.searched = self.read.len();
            if self.read.len() > LINE_BYTES {
                return Err(io::Error::other(format!(
                    "a line of over {LINE_BYTES} bytes"
                )));
            }
            if self.pipe.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// `value` as a line.
pub(super) fn line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Writes `value` as a line.
pub(super) async fn write_line<W, T>(pipe: &mut W, value: &T) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
    T: Serialize,
{
    pipe.write_all(&line(value)?).await?;
    pipe.flush().await
}
