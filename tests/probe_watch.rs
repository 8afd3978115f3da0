//! A prober and the servers it watches: crashes, timeouts, hostile idle streams, changes.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests may")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use switchback::clock;
use switchback::health::{Observation, Verdict};
use switchback::ids::{Endpoint, ProbeIndex};
use switchback::probe::{Assignment, Kind, ProbeSpec, Prober, Roots};
use switchback::programs::Hands;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

const FEATURES: &[u8] = b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>\
    <stream:features/>";

/// What an edge does with all streams it has open.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fin,
    Timeout,
    Flood,
}

/// An edge that counts its streams; a dropped edge is a killed process.
struct Edge {
    at: SocketAddr,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    fate: broadcast::Sender<Fate>,
    task: tokio::task::JoinHandle<()>,
}

impl Edge {
    async fn start() -> Edge {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (fate, _) = broadcast::channel(4);
        let (counter, peak, fates) = (Arc::clone(&open), Arc::clone(&most), fate.clone());
        let task = tokio::spawn(async move {
            let mut streams = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let now = counter.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                let (counter, fates) = (Arc::clone(&counter), fates.subscribe());
                streams.spawn(async move {
                    let _ = one(stream, fates).await;
                    counter.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Edge {
            at,
            open,
            most,
            fate,
            task,
        }
    }

    /// Waits until a stream is held: open although a look has ended.
    async fn held(&self, seen: &mut mpsc::Receiver<Observation>) {
        loop {
            let look = next(seen).await;
            assert_eq!(look.verdict, Verdict::Good);
            if self.open.load(Ordering::SeqCst) > 0 && clock::mono() > look.ended {
                tokio::task::yield_now().await;
                if self.open.load(Ordering::SeqCst) > 0 {
                    return;
                }
            }
        }
    }

    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn one(mut stream: TcpStream, mut fates: broadcast::Receiver<Fate>) -> std::io::Result<()> {
    let mut buffer = [0u8; 1024];
    if stream.read(&mut buffer).await? == 0 {
        return Ok(());
    }
    stream.write_all(FEATURES).await?;
    tokio::select! {
        end = stream.read(&mut buffer) => end.map(drop),
        fate = fates.recv() => match fate {
            Ok(Fate::Fin) | Err(_) => Ok(()),
            Ok(Fate::Timeout) => {
                let bye = b"<stream:error><connection-timeout/></stream:error></stream:stream>";
                stream.write_all(bye).await
            }
            Ok(Fate::Flood) => loop {
                stream.write_all(&b"<x/>".repeat(1024)).await?;
            },
        },
    }
}

fn watched(at: SocketAddr, interval: Duration, hold: bool) -> Assignment {
    Assignment {
        endpoint: Endpoint {
            server: "edge1.contoso.test.".into(),
            address: at.ip(),
        },
        probe: ProbeIndex(0),
        spec: Arc::new(ProbeSpec {
            kind: Kind::Xmpp,
            port: at.port(),
            domain: Some("contoso.test".to_owned()),
            from: None,
            interval,
            tls_interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            rise: 2,
            fall: 2,
            hold,
            roots: Roots::System,
            command: None,
        }),
    }
}

async fn next(seen: &mut mpsc::Receiver<Observation>) -> Observation {
    tokio::time::timeout(Duration::from_secs(20), seen.recv())
        .await
        .expect("an observation within 20 s")
        .expect("the prober lives")
}

const RARELY: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_killed_edge_is_known_by_its_held_stream_long_before_the_next_look() {
    let edge = Edge::start().await;
    let (sender, mut seen) = mpsc::channel(16);
    let prober = Prober::start(
        vec![watched(edge.at, RARELY, true)],
        sender,
        Hands::default(),
    )
    .unwrap();
    edge.held(&mut seen).await;
    let killed = clock::mono();
    edge.kill().await;
    for _ in 0..2 {
        let look = next(&mut seen).await;
        assert_eq!(look.verdict, Verdict::Refused);
        assert!(look.begun >= killed);
        let took = look.ended.since(killed);
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    prober.stop().await;
    assert!(
        seen.recv().await.is_none(),
        "two findings are the verdict, not three"
    );
}

#[tokio::test]
async fn a_bare_end_of_the_stream_is_confirmed_at_once_and_one_good_look_ends_it() {
    let edge = Edge::start().await;
    let (sender, mut seen) = mpsc::channel(16);
    let prober = Prober::start(
        vec![watched(edge.at, RARELY, true)],
        sender,
        Hands::default(),
    )
    .unwrap();
    edge.held(&mut seen).await;
    edge.fate.send(Fate::Fin).unwrap();
    assert_eq!(next(&mut seen).await.verdict, Verdict::Good);
    prober.stop().await;
    assert!(seen.recv().await.is_none());
}

#[tokio::test]
async fn a_clean_timeout_and_a_flood_are_no_news_of_the_server() {
    for fate in [Fate::Timeout, Fate::Flood] {
        let edge = Edge::start().await;
        let (sender, mut seen) = mpsc::channel(16);
        let prober = Prober::start(
            vec![watched(edge.at, RARELY, true)],
            sender,
            Hands::default(),
        )
        .unwrap();
        edge.held(&mut seen).await;
        edge.fate.send(fate).unwrap();
        tokio::time::timeout(Duration::from_secs(20), async {
            while edge.open.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the stream is given up");
        prober.stop().await;
        assert!(seen.recv().await.is_none(), "no look was needed");
    }
}

#[tokio::test]
async fn an_address_has_one_look_and_one_held_stream_however_many_probes() {
    let edge = Edge::start().await;
    let interval = Duration::from_millis(20);
    let mut assignments = Vec::new();
    for probe in 0..8 {
        assignments.push(Assignment {
            probe: ProbeIndex(probe),
            ..watched(edge.at, interval, true)
        });
    }
    let (sender, mut seen) = mpsc::channel(64);
    let prober = Prober::start(assignments, sender, Hands::default()).unwrap();
    let mut looks = [0; 8];
    while looks.iter().any(|count| *count < 5) {
        let look = next(&mut seen).await;
        assert_eq!(look.verdict, Verdict::Good);
        looks[usize::from(look.probe.0)] += 1;
    }
    // The edge learns of an end a moment after it: one more than the two that there are.
    assert!(edge.most.load(Ordering::SeqCst) <= 3, "{:?}", edge.most);
    prober.stop().await;
}

#[tokio::test]
async fn asked_for_looks_come_at_once_and_from_every_probe() {
    let edge = Edge::start().await;
    let assignments = (0..2)
        .map(|probe| Assignment {
            probe: ProbeIndex(probe),
            ..watched(edge.at, RARELY, false)
        })
        .collect::<Vec<_>>();
    let endpoint = assignments[0].endpoint.clone();
    let (sender, mut seen) = mpsc::channel(16);
    let prober = Prober::start(assignments, sender, Hands::default()).unwrap();
    let _first = (next(&mut seen).await, next(&mut seen).await);
    let asked = clock::mono();
    prober.look_now(&endpoint);
    let mut probes = [next(&mut seen).await, next(&mut seen).await].map(|look| {
        assert!(look.begun >= asked && look.verdict == Verdict::Good);
        look.probe
    });
    probes.sort();
    assert_eq!(probes, [ProbeIndex(0), ProbeIndex(1)]);
}

#[tokio::test]
async fn an_unchanged_assignment_keeps_its_stream_and_a_removed_one_ends() {
    let (edge, other) = (Edge::start().await, Edge::start().await);
    let stays = watched(edge.at, RARELY, true);
    let goes = Assignment {
        probe: ProbeIndex(1),
        ..watched(other.at, RARELY, true)
    };
    let (sender, mut seen) = mpsc::channel(16);
    let mut prober = Prober::start(vec![stays.clone(), goes], sender, Hands::default()).unwrap();
    let _both = (next(&mut seen).await, next(&mut seen).await);
    prober.reassign(vec![stays]).unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        while other.open.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the removed one closes its stream");
    assert_eq!(edge.open.load(Ordering::SeqCst), 1);
    edge.kill().await;
    assert_eq!(next(&mut seen).await.verdict, Verdict::Refused);
}

#[tokio::test]
async fn a_full_channel_drops_and_counts_and_never_blocks() {
    let edge = Edge::start().await;
    let often = watched(edge.at, Duration::from_millis(5), false);
    let (sender, mut seen) = mpsc::channel(1);
    let prober = Prober::start(vec![often], sender, Hands::default()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        let mut again = tokio::time::interval(Duration::from_millis(1));
        while prober.dropped() < 3 {
            again.tick().await;
        }
    })
    .await
    .expect("looks go on");
    assert_eq!(next(&mut seen).await.verdict, Verdict::Good);
}
