//! One XMPP edge of the demo: it speaks just enough of RFC 6120 to be found well.
//!
//! It is a process of its own, so that it can be killed as a real edge would be. It ends when
//! its standard input closes: an edge never outlives the demo that started it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::cli::args::DemoEdge;
use crate::cli::output::{CommandError, Out};
use crate::cli::{Exit, wiring};

/// What the edge prints once it listens.
pub(super) const LISTENING: &str = "listening";

const STREAMS_MAX: usize = 64;
const HEADER_MAX: usize = 8 * 1024;
/// As ejabberd does it: a stream on which nothing happens is closed.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// `switchback demo-edge`.
pub(in crate::cli) fn run(arguments: &DemoEdge, out: &mut Out) -> Result<Exit, CommandError> {
    let runtime = wiring::runtime()?;
    let ended = runtime.block_on(async {
        let listener = listen(arguments.listen).map_err(|error| {
            CommandError::Failed(format!("cannot listen on {}: {error}", arguments.listen))
        })?;
        writeln!(out, "{LISTENING}")?;
        out.flush()?;
        tokio::select! {
            () = serve(listener, Arc::from(arguments.domain.as_str())) => {}
            () = parent_gone() => {}
        }
        Ok(Exit::Well)
    });
    // A thread still reads standard input; nothing is lost by leaving it.
    runtime.shutdown_background();
    ended
}

/// A killed edge leaves connections in TIME_WAIT: the restored one takes their port over.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(64)
}

async fn parent_gone() {
    let mut octets = [0; 64];
    let mut stdin = tokio::task::spawn_blocking(move || {
        let mut stdin = std::io::stdin();
        while std::io::Read::read(&mut stdin, &mut octets).is_ok_and(|read| read > 0) {}
    });
    // Ended or failed, the demo is not there any more.
    let _ = (&mut stdin).await;
}

async fn serve(listener: TcpListener, domain: Arc<str>) {
    let slots = Arc::new(Semaphore::new(STREAMS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let domain = Arc::clone(&domain);
                tokio::spawn(async move {
                    // A stream that breaks concerns only its other end.
                    let _ = converse(stream, &domain).await;
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Stream header there, stream header and features back (RFC 6120 section 4.3), then silence.
async fn converse(mut stream: TcpStream, domain: &str) -> std::io::Result<()> {
    let Some(header) = read_header(&mut stream).await? else {
        return Ok(());
    };
    let mut answer = format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
         xmlns:stream='http://etherx.jabber.org/streams' from='{domain}' id='demo' version='1.0'>"
    );
    if speaks_to(&header, domain) {
        answer.push_str(
            "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
        );
        stream.write_all(answer.as_bytes()).await?;
        drain(&mut stream).await
    } else {
        answer.push_str(
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             </stream:error></stream:stream>",
        );
        stream.write_all(answer.as_bytes()).await
    }
}

/// The stream header, up to its `>`. `None` when the other end only connected, or talks
/// something else.
async fn read_header(stream: &mut TcpStream) -> std::io::Result<Option<String>> {
    let mut header = Vec::new();
    let mut octets = [0; 1024];
    loop {
        let Ok(read) = timeout(IDLE_MAX, stream.read(&mut octets)).await else {
            return Ok(None);
        };
        let read = read?;
        header.extend_from_slice(octets.get(..read).unwrap_or_default());
        if read == 0 || header.len() > HEADER_MAX {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&header);
        if text
            .split_once("<stream:stream")
            .is_some_and(|(_, rest)| rest.contains('>'))
        {
            return Ok(Some(text.into_owned()));
        }
    }
}

fn speaks_to(header: &str, domain: &str) -> bool {
    [format!(" to='{domain}'"), format!(" to=\"{domain}\"")]
        .iter()
        .any(|to| header.contains(to))
}

/// Reads and forgets until the other end closes or falls silent.
async fn drain(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut octets = [0; 1024];
    while let Ok(read) = timeout(IDLE_MAX, stream.read(&mut octets)).await {
        if read? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said_to(header: &str) -> String {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, "contoso.test".into()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(header.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(10), stream.read_to_string(&mut answer))
            .await
            .expect("an answer in time")
            .unwrap();
        answer
    }

    #[tokio::test]
    async fn an_edge_shows_features_for_its_domain() {
        let answer = said_to("<?xml version='1.0'?><stream:stream to='contoso.test'>").await;
        assert!(answer.ends_with("</stream:features>"), "{answer}");
    }

    #[tokio::test]
    async fn an_edge_knows_no_other_domain() {
        let answer = said_to("<stream:stream to='fabrikam.test'>").await;
        assert!(answer.contains("<host-unknown"), "{answer}");
    }

    #[tokio::test]
    async fn an_edge_says_nothing_to_what_is_no_stream() {
        assert_eq!(said_to("GET / HTTP/1.0\r\n\r\n").await, "");
    }
}
