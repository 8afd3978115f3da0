//! One look at a server of every sort there is: what it says of each.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests may")]

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use switchback::clock;
use switchback::health::{Layer, Verdict};
use switchback::probe::{Kind, ProbeError, ProbeSpec, Prober, Roots, look, reference};
use switchback::programs::Hands;
use switchback::runbook::Command;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const HEAD: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' version='1.0'>";
const FEATURES: &str = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
    </stream:features>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";

fn spec(kind: Kind) -> ProbeSpec {
    ProbeSpec {
        kind,
        port: 0,
        domain: Some("contoso.test".to_owned()),
        from: Some("probe.invalid".to_owned()),
        interval: Duration::from_secs(1),
        tls_interval: Duration::from_secs(5),
        timeout: Duration::from_secs(20),
        rise: 2,
        fall: 2,
        hold: false,
        roots: Roots::System,
        command: None,
    }
}

fn impatient(kind: Kind) -> ProbeSpec {
    ProbeSpec {
        timeout: Duration::from_millis(300),
        ..spec(kind)
    }
}

/// A server on loopback that does `behave` with each connection.
async fn server<F, B>(behave: B) -> SocketAddr
where
    F: Future<Output = std::io::Result<()>> + Send,
    B: Fn(TcpStream) -> F + Send + Sync + Copy + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { behave(stream).await });
        }
    });
    at
}

/// Reads until the client has said something that ends in `>`.
async fn listen(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut said = Vec::new();
    while !said.ends_with(b">") {
        if stream.read_buf(&mut said).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}

async fn says(words: &'static str, kind: Kind) -> Verdict {
    let at = server(move |mut stream| async move {
        listen(&mut stream).await?;
        stream.write_all(words.as_bytes()).await?;
        listen(&mut stream).await.map(drop)
    });
    look(&spec(kind), at.await, true).await.unwrap().verdict
}

#[tokio::test]
async fn an_open_port_is_good_for_tcp_and_a_closed_one_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let open = look(&spec(Kind::Tcp), at, true).await.unwrap();
    assert_eq!((open.verdict, open.depth), (Verdict::Good, Layer::Port));
    assert_eq!(open.phases.len(), 1);
    drop(listener);
    for kind in [Kind::Tcp, Kind::Xmpp] {
        let closed = look(&spec(kind), at, true).await.unwrap();
        assert_eq!(closed.verdict, Verdict::Refused);
        assert_eq!(closed.phases[0].note, "refused");
    }
}

#[tokio::test]
async fn no_answer_to_the_connect_is_filtered() {
    // A backlog that is full answers no SYN, like a packet filter.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let mut verdict = Verdict::Good;
    while verdict == Verdict::Good && queued.len() < 8 {
        let connect = TcpStream::connect(at);
        queued.push(tokio::time::timeout(Duration::from_millis(100), connect).await);
        verdict = look(&impatient(Kind::Tcp), at, true).await.unwrap().verdict;
    }
    assert_eq!(verdict, Verdict::Filtered);
}

#[tokio::test]
async fn a_stream_with_features_is_good_and_is_greeted_as_a_server_greets() {
    let at = server(|mut stream| async move {
        let header = listen(&mut stream).await?;
        for word in [
            "to='contoso.test'",
            "from='probe.invalid'",
            "xmlns='jabber:server'",
            "xmlns:db='jabber:server:dialback'",
            "version='1.0'",
            "xml:lang='en'",
        ] {
            assert!(header.contains(word), "{header}");
        }
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(FEATURES.as_bytes()).await?;
        // A plain end of the stream follows, and not a word.
        assert_eq!(listen(&mut stream).await?, "");
        Ok(())
    });
    let at = at.await;
    for kind in [Kind::Xmpp, Kind::XmppTls] {
        let seen = look(&spec(kind), at, false).await;
        if let Ok(seen) = seen {
            assert_eq!((seen.verdict, seen.depth), (Verdict::Good, Layer::Speech));
        }
    }
}

#[tokio::test]
async fn what_a_server_says_instead_of_features_is_told_apart() {
    let error = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error>\
        <host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(says(error, Kind::Xmpp).await, Verdict::HostUnknown);
    let error = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:error>\
        <resource-constraint/><text>full</text></stream:error></stream:stream>";
    let verdict = says(error, Kind::Xmpp).await;
    assert_eq!(verdict, Verdict::StreamError("resource-constraint".into()));
    let verdict = says("HTTP/1.1 400 Bad Request\r\n\r\n", Kind::Xmpp).await;
    assert!(matches!(verdict, Verdict::NotXmpp(_)), "{verdict}");
    let closing = server(|mut stream| async move { listen(&mut stream).await.map(drop) });
    let verdict = look(&spec(Kind::Xmpp), closing.await, true)
        .await
        .unwrap()
        .verdict;
    assert_eq!(verdict, Verdict::Closed);
}

#[tokio::test]
async fn silence_and_a_trickle_are_hung_at_the_one_deadline() {
    let silent = server(|mut stream| async move {
        listen(&mut stream).await?;
        listen(&mut stream).await.map(drop)
    });
    let trickle = server(|mut stream| async move {
        stream.write_all(HEAD.as_bytes()).await?;
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        for octet in b"<stream:features>".iter().cycle() {
            stream.write_all(&[*octet]).await?;
            pace.tick().await;
        }
        Ok(())
    });
    for at in [silent.await, trickle.await] {
        let begun = clock::mono();
        let seen = look(&impatient(Kind::Xmpp), at, true).await.unwrap();
        assert_eq!(seen.verdict, Verdict::Hung);
        let took = clock::mono().since(begun);
        assert!(took >= Duration::from_millis(300), "{took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}

#[tokio::test]
async fn features_without_end_stop_at_64_kib() {
    let at = server(|mut stream| async move {
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(b"<stream:features>").await?;
        loop {
            stream.write_all(&b"<x/>".repeat(1024)).await?;
        }
    });
    let verdict = look(&spec(Kind::Xmpp), at.await, true)
        .await
        .unwrap()
        .verdict;
    assert_eq!(
        verdict,
        Verdict::NotXmpp("no features within 64 KiB".into())
    );
}

#[derive(Clone, Copy)]
enum Flaw {
    None,
    Expired,
    NotYet,
    Name,
    Wildcard,
    SelfSigned,
    SelfSignedAndExpired,
}

/// An edge with a certificate of this sort, and a file with the root that signed it.
async fn edge(flaw: Flaw, direct: bool, dir: &Path) -> (SocketAddr, Roots) {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "a root");
    let ca_key = KeyPair::generate().unwrap();
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let file = dir.join("ca.pem");
    std::fs::write(&file, ca_certificate.pem()).unwrap();
    let issuer = Issuer::new(ca, ca_key);

    let name = if matches!(flaw, Flaw::Name) {
        "fabrikam.test"
    } else if matches!(flaw, Flaw::Wildcard) {
        "*.contoso.test"
    } else {
        "contoso.test"
    };
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if matches!(flaw, Flaw::Expired | Flaw::SelfSignedAndExpired) {
        params.not_after = date_time_ymd(2001, 1, 1);
    }
    if matches!(flaw, Flaw::NotYet) {
        params.not_before = date_time_ymd(2200, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = if matches!(flaw, Flaw::SelfSigned | Flaw::SelfSignedAndExpired) {
        params.self_signed(&key)
    } else {
        params.signed_by(&key, &issuer)
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap().der().clone()], key)
        .unwrap();
    let acceptor: &'static TlsAcceptor = Box::leak(Box::new(TlsAcceptor::from(Arc::new(config))));
    let at = server(move |mut stream| async move {
        if !direct {
            listen(&mut stream).await?;
            stream.write_all(HEAD.as_bytes()).await?;
            stream.write_all(FEATURES.as_bytes()).await?;
            assert!(listen(&mut stream).await?.contains("<starttls"));
            stream.write_all(PROCEED.as_bytes()).await?;
        }
        let mut stream = acceptor.accept(stream).await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.map(drop)
    });
    (at.await, Roots::File(file))
}

#[tokio::test]
async fn certificates_are_judged_by_chain_name_and_time() {
    let dir = tempfile::tempdir().unwrap();
    for (flaw, wanted) in [
        (Flaw::None, "good"),
        (Flaw::Wildcard, "good"),
        (Flaw::Expired, "certificate-expired"),
        (Flaw::NotYet, "certificate-expired"),
        (Flaw::Name, "certificate-name"),
        (Flaw::SelfSigned, "certificate-untrusted"),
        (Flaw::SelfSignedAndExpired, "certificate-untrusted"),
    ] {
        for (kind, direct) in [(Kind::XmppTls, false), (Kind::Tls, true)] {
            let (at, roots) = edge(flaw, direct, dir.path()).await;
            let mut spec = ProbeSpec {
                roots,
                ..spec(kind)
            };
            if matches!(flaw, Flaw::Wildcard) {
                spec.domain = Some("chat.contoso.test".to_owned());
            }
            let seen = look(&spec, at, true).await.unwrap();
            assert_eq!(seen.verdict.word(), wanted, "{kind}: {}", seen.verdict);
            assert_eq!(seen.depth, Layer::Tls);
        }
    }
}

#[tokio::test]
async fn a_failure_after_the_features_is_one_of_tls_and_not_of_speech() {
    let dir = tempfile::tempdir().unwrap();
    let (_, roots) = edge(Flaw::None, false, dir.path()).await;
    let spec = ProbeSpec {
        roots,
        ..impatient(Kind::XmppTls)
    };
    let silent = server(|mut stream| async move {
        listen(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(FEATURES.as_bytes()).await?;
        listen(&mut stream).await?;
        stream.write_all(PROCEED.as_bytes()).await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    });
    let closing = server(|mut stream| async move {
        listen(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(FEATURES.as_bytes()).await?;
        listen(&mut stream).await.map(drop)
    });
    let refusing = server(|mut stream| async move {
        listen(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(FEATURES.as_bytes()).await?;
        listen(&mut stream).await?;
        stream.write_all(b"<failure/></stream:stream>").await
    });
    for at in [silent.await, closing.await, refusing.await] {
        let verdict = look(&spec, at, true).await.unwrap().verdict;
        assert!(matches!(verdict, Verdict::TlsFailed(_)), "{verdict}");
    }
    let plain = server(|mut stream| async move {
        listen(&mut stream).await?;
        stream.write_all(HEAD.as_bytes()).await?;
        stream.write_all(b"<stream:features/>").await?;
        listen(&mut stream).await.map(drop)
    });
    let verdict = look(&spec, plain.await, true).await.unwrap().verdict;
    assert_eq!(verdict, Verdict::NoStarttls);
}

#[tokio::test]
async fn roots_that_cannot_be_had_are_all_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let missing = dir.path().join("missing.pem");
    let assignments = [empty, missing]
        .map(|file| switchback::probe::Assignment {
            endpoint: switchback::ids::Endpoint {
                server: "edge1.contoso.test.".into(),
                address: [127, 0, 0, 1].into(),
            },
            probe: switchback::ids::ProbeIndex(0),
            spec: Arc::new(ProbeSpec {
                roots: Roots::File(file),
                ..spec(Kind::Tls)
            }),
        })
        .to_vec();
    let (sender, _observations) = tokio::sync::mpsc::channel(1);
    let error: ProbeError = Prober::start(assignments, sender, Hands::default()).unwrap_err();
    let text = error.to_string();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains("empty.pem") && text.contains("missing.pem"),
        "{text}"
    );
}

#[tokio::test]
async fn a_program_says_good_by_its_exit_code_and_is_told_what_to_look_at() {
    let at: SocketAddr = "192.0.2.1:5269".parse().unwrap();
    let run = async |script: &str, timeout: u64| {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        let spec = ProbeSpec {
            command: Some(Command(words.to_vec())),
            timeout: Duration::from_millis(timeout),
            ..spec(Kind::Exec)
        };
        look(&spec, at, true).await.unwrap().verdict
    };
    let told = "test \"$SWITCHBACK_SERVER $SWITCHBACK_ADDRESS $SWITCHBACK_PORT \
        $SWITCHBACK_DOMAIN\" = '192.0.2.1 192.0.2.1 5269 contoso.test'";
    assert_eq!(run(told, 20_000).await, Verdict::Good);
    let failed = run("echo 'no route yet' >&2; echo more; exit 3", 20_000).await;
    assert_eq!(
        failed,
        Verdict::ExecFailed("exit code 3: no route yet".into())
    );
    let flood = run("head -c 1000000 /dev/zero | tr '\\0' x; exit 1", 20_000).await;
    assert!(
        flood.detail().is_some_and(|text| text.len() < 200),
        "{flood}"
    );
    let missing = ProbeSpec {
        command: Some(Command(vec!["/nonexistent/probe".to_owned()])),
        ..spec(Kind::Exec)
    };
    let verdict = look(&missing, at, true).await.unwrap().verdict;
    assert!(matches!(verdict, Verdict::NotMade(_)), "{verdict}");
    // The whole group dies: the grandchild's end of the pipe is closed with it.
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("alive");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = fifo.clone();
    let alive = tokio::task::spawn_blocking(move || std::fs::read(path));
    let script = format!("exec 3> '{}'; sleep 1000 & wait", fifo.display());
    assert!(matches!(run(&script, 300).await, Verdict::ExecFailed(_)));
    let ended = tokio::time::timeout(Duration::from_secs(20), alive).await;
    assert!(ended.is_ok(), "the sleeper lives on");
}

#[tokio::test]
async fn reference_targets_are_reachable_when_open_or_refused() {
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let targets = [open.local_addr().unwrap(), closed.local_addr().unwrap()];
    drop(closed);
    let (sender, mut answers) = tokio::sync::mpsc::channel(2);
    reference::look_at(&targets, Duration::from_secs(20), &sender).await;
    for _ in targets {
        let answer = answers.recv().await.unwrap();
        assert!(
            answer.reachable && answer.ended >= answer.begun,
            "{answer:?}"
        );
    }
}
