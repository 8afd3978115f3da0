//! The client of our own HTTP requests, against servers that behave as badly as servers do.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends by panicking; it is the caller that it accuses"
)]

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use switchback::http::{
    BODY_MAX, HttpError, Method, Request, Response, Roots, Signature, Stage, Target, send,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const LONG: Duration = Duration::from_secs(20);

fn request(at: SocketAddr) -> Request {
    Request {
        method: Method::POST,
        target: Target::parse(&format!("http://{at}/hooks/route?site=1")).unwrap(),
        headers: vec![("Authorization".to_owned(), "Bearer abc".to_owned())],
        body: br#"{"step":"route"}"#.to_vec(),
        content_type: "application/json",
        signature: None,
        roots: Roots::System,
        addresses: Vec::new(),
        timeout: LONG,
    }
}

/// Reads one request: its header in lower case, and its body.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return (head, body.to_owned());
            }
        }
        let mut piece = [0; 4096];
        let size = stream.read(&mut piece).await.unwrap();
        assert!(size > 0, "the request broke off: {text}");
        read.extend_from_slice(&piece[..size]);
    }
}

/// A server for one connection; what it saw is its result.
async fn serve<F, T>(answer: impl FnOnce(TcpStream) -> F) -> (SocketAddr, impl Future<Output = T>)
where
    F: Future<Output = T>,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    (at, async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream).await
    })
}

/// Answers one request with this text, and closes.
async fn answered(text: &str) -> (Result<Response, HttpError>, (String, String)) {
    let (at, server) = serve(async |mut stream| {
        let seen = read_request(&mut stream).await;
        // A client that has seen enough closes.
        let _ = stream.write_all(text.as_bytes()).await;
        seen
    })
    .await;
    tokio::join!(send(request(at)), server)
}

#[tokio::test]
async fn a_request_is_what_it_was_told_to_be() {
    let (response, (head, body)) =
        answered("HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone").await;
    let response = response.unwrap();
    assert_eq!(
        (response.status, response.body.as_slice()),
        (201, &b"done"[..])
    );
    assert_eq!(response.accept(&[]), Ok(()));
    assert_eq!(response.accept(&[200]), Err("status 201".to_owned()));
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("post /hooks/route?site=1 http/1.1"));
    for line in [
        "authorization: bearer abc",
        "content-type: application/json",
        "connection: close",
    ] {
        assert!(lines.clone().any(|seen| seen == line), "{head}");
    }
    assert_eq!(body, r#"{"step":"route"}"#);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (response, _) = answered(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(
        response.unwrap().accept(&[]).unwrap_err(),
        "status 302, a redirect to http://127.0.0.1:1/elsewhere, which is not followed: write the final address"
    );
}

#[tokio::test]
async fn of_an_endless_answer_the_beginning_is_kept() {
    let (at, server) = serve(async |mut stream| {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let (response, ()) = tokio::join!(send(request(at)), server);
    let response = response.unwrap();
    assert_eq!((response.body.len(), response.cut), (BODY_MAX, true));
}

/// How far a request comes with a server that does `answer` and then nothing more.
async fn stuck(answer: &'static [u8]) -> String {
    let (at, server) = serve(async |mut stream: TcpStream| {
        read_request(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        stream
    })
    .await;
    let mut request = request(at);
    request.timeout = Duration::from_millis(300);
    let (response, _held) = tokio::join!(send(request), server);
    response.unwrap_err().to_string()
}

#[tokio::test]
async fn each_way_to_run_out_of_time_has_its_line() {
    assert_eq!(stuck(b"").await, "timed out without an answer");
    assert_eq!(
        stuck(b"HTTP/1.1 200 OK\r\nX: ").await,
        "timed out without an answer"
    );
    assert_eq!(
        stuck(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await,
        "timed out in the middle of the answer (status 200, 4 octets of its body)"
    );
}

#[tokio::test]
async fn an_answer_that_trickles_is_given_up_at_the_deadline() {
    let (at, server) = serve(async |mut stream| {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while stream.write_all(b"x").await.is_ok() {
            pause.tick().await;
        }
    })
    .await;
    let mut request = request(at);
    request.timeout = Duration::from_millis(400);
    let (response, ()) = tokio::join!(send(request), server);
    let error = response.unwrap_err();
    assert!(
        matches!(error, HttpError::TimedOut(Stage::Body(200, 1..))),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_http_and_what_breaks_off_is_told() {
    for text in [
        "SSH-2.0-OpenSSH_9\r\n",
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ] {
        let (response, _) = answered(text).await;
        let error = response.unwrap_err();
        assert!(matches!(error, HttpError::Answer(_)), "{text}: {error}");
    }
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000));
    let (response, _) = answered(&huge).await;
    assert!(matches!(response.unwrap_err(), HttpError::Answer(_)));
}

#[tokio::test]
async fn a_port_that_is_closed_and_a_name_that_is_none_are_told() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = closed.local_addr().unwrap();
    drop(closed);
    let error = send(request(at)).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{at} cannot be connected to: ")),
        "{error}"
    );
    let mut nameless = request(at);
    nameless.target = Target::parse("http://nobody.invalid/").unwrap();
    let error = send(nameless).await.unwrap_err();
    assert!(matches!(error, HttpError::Name { .. }), "{error}");
}

#[tokio::test]
async fn the_signature_is_what_openssl_says_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let (at, server) = serve(async |mut stream| {
        let seen = read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
            .await
            .unwrap();
        seen
    })
    .await;
    let mut signed = request(at);
    let id = "op-7.3".to_owned();
    signed.signature = Some(Signature {
        secret: secret.clone(),
        id,
    });
    let (response, (head, body)) = tokio::join!(send(signed), server);
    assert_eq!(response.unwrap().status, 204);
    let field = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
    };
    let content = format!(
        "{}.{}.{body}",
        field("webhook-id: "),
        field("webhook-timestamp: ")
    );
    let file = folder.path().join("content");
    fs::write(&file, content).unwrap();
    let key = HEXLOWER.encode(&BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
    let openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-binary", "-macopt"])
        .arg(format!("hexkey:{key}"))
        .arg(&file)
        .output()
        .expect("openssl is installed");
    // The header was read in lower case.
    let expected = format!("v1,{}", BASE64.encode(&openssl.stdout)).to_ascii_lowercase();
    assert_eq!(field("webhook-signature: "), expected);
    fs::remove_file(&secret).unwrap();
    let mut unsigned = request(at);
    unsigned.signature = Some(Signature {
        secret,
        id: String::new(),
    });
    let listener = TcpListener::bind(at).await.unwrap();
    let error = send(unsigned).await.unwrap_err();
    assert!(matches!(error, HttpError::Secret(_)), "{error}");
    drop(listener);
}

/// A root, the file it stands in, and a server with a certificate of its own for `name`.
fn certificates(folder: &tempfile::TempDir, name: &str) -> (PathBuf, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let file = folder.path().join("root.pem");
    fs::write(&file, root.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &root).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (file, TlsAcceptor::from(Arc::new(config)))
}

async fn over_tls(name: &str, trusted: bool) -> Result<Response, HttpError> {
    let folder = tempfile::tempdir().unwrap();
    let (root, acceptor) = certificates(&folder, name);
    let (other_root, _) = {
        let other = tempfile::tempdir().unwrap();
        let made = certificates(&other, name);
        let kept = folder.path().join("other.pem");
        fs::copy(&made.0, &kept).unwrap();
        (kept, made.1)
    };
    let (at, server) = serve(async |stream| {
        if let Ok(mut stream) = acceptor.accept(stream).await {
            answer_well(&mut stream).await;
        }
    })
    .await;
    let mut request = request(at);
    request.target = Target::parse(&format!("https://{at}/")).unwrap();
    request.roots = Roots::File(if trusted { root } else { other_root });
    tokio::join!(send(request), server).0
}

async fn answer_well(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    read_request(stream).await;
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    stream.write_all(text).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn over_tls_only_the_named_root_and_the_right_name_are_believed() {
    assert_eq!(over_tls("127.0.0.1", true).await.unwrap().body, b"ok");
    for (name, trusted) in [
        ("127.0.0.1", false),
        ("192.0.2.1", true),
        ("edge.test", true),
    ] {
        let error = over_tls(name, trusted).await.unwrap_err();
        assert!(matches!(error, HttpError::Tls { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_and_who_says_nothing_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (root, _) = certificates(&folder, "127.0.0.1");
    let secure = |at: SocketAddr| {
        let mut request = request(at);
        request.target = Target::parse(&format!("https://{at}/")).unwrap();
        request.roots = Roots::File(root.clone());
        request.timeout = Duration::from_secs(1);
        request
    };
    let (at, server) = serve(async |mut stream: TcpStream| {
        stream.write_all(b"220 mail.test ESMTP\r\n").await.unwrap();
        stream
    })
    .await;
    let (response, _held) = tokio::join!(send(secure(at)), server);
    let error = response.unwrap_err();
    assert!(matches!(error, HttpError::Tls { .. }), "{error}");
    let (at, server) = serve(async |stream: TcpStream| stream).await;
    let (response, _held) = tokio::join!(send(secure(at)), server);
    assert_eq!(
        response.unwrap_err().to_string(),
        "timed out in the TLS handshake"
    );
}
