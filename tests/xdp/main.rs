//! Past the kernel's network stack (AF_XDP), between two network namespaces: the same answers
//! come that way, and the sockets answer what does not.
//!
//! That an answer did come that way is made sure of by a filter, which drops queries before they
//! reach a socket: AF_XDP is before all filters. Where the kernel or the rights are lacking, the
//! tests say so and are left out.
#![allow(
    clippy::unwrap_used,
    reason = "the lint knows test functions, not what they call"
)]

#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../federation/namespaces.rs"]
mod namespaces;
#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../federation/patience.rs"]
mod patience;
#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../answers/question.rs"]
mod question;
#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../answers/script.rs"]
mod script;
#[allow(dead_code, reason = "this uses a part of what other tests need")]
#[path = "../answers/settings.rs"]
mod settings;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::sched::{CloneFlags, setns};
use switchback::limit::Rate;
use switchback::server::{ListenSpec, Listeners, Serving, XdpState};
use switchback::snapshot::{RateLimit, Snapshot};
use tokio::runtime::Runtime;

use namespaces::{in_namespaces, run, say};
use question::Question;
use script::Script;

/// One test in its namespaces.
const BOUND: Duration = Duration::from_secs(120);
/// One answer.
const PATIENCE: Duration = Duration::from_secs(5);
const SERVER: [&str; 2] = ["10.77.0.1", "fd77::1"];

/// The server, with one end of a cable; the other is in the namespace `client`.
struct Lab {
    snapshots: Arc<ArcSwap<Snapshot>>,
    serving: Option<Serving>,
    runtime: Runtime,
    port: u16,
}

impl Lab {
    /// Lays the cable and serves at `listen` (port 0 is one port for all), with the short cut on
    /// `interface`, which has the addresses. `None` where that is not to be had.
    fn new(listen: &[&str], interface: &str) -> Option<Lab> {
        run(&format!(
            "mount -t tmpfs lab /run; mkdir /run/netns; ip link set lo up
             ip netns add client
             ip link add v0 type veth peer name v1 netns client
             test {interface} = v0 || ip link add {interface} type bridge
             test {interface} = v0 || ip link set v0 master {interface}
             ip address add {}/24 dev {interface}
             ip address add {}/64 dev {interface} nodad
             ip link set v0 up; ip link set {interface} up
             ip -n client link set lo up; ip -n client link set v1 up
             ip -n client address add 10.77.0.2/24 dev v1
             ip -n client address add fd77::2/64 dev v1 nodad",
            SERVER[0], SERVER[1]
        ));
        let port = free_port();
        let spec = ListenSpec {
            dns: listen
                .iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), port))
                .collect(),
            xdp: vec![interface.to_owned()],
            encrypted: None,
        };
        let runtime = Runtime::new().unwrap();
        let listeners = {
            let _within = runtime.enter();
            Listeners::bind(&spec).unwrap()
        };
        let [XdpState { outcome, .. }] = listeners.xdp() else {
            panic!("one interface was named: {:?}", listeners.xdp());
        };
        match outcome {
            Ok(attached) => say(&format!("lab: {attached:?}")),
            Err(why) if is_not_to_be_had(why) => {
                say(&format!("lab: left out, because {why}"));
                return None;
            }
            Err(why) => panic!("{why}"),
        }
        let script = Script::read("zone contoso.test. contoso.test.zone");
        let snapshots = Arc::new(ArcSwap::new(Arc::new(script.snapshot(&answers()))));
        let serving = {
            let _within = runtime.enter();
            listeners.serve(Arc::clone(&snapshots))
        };
        Some(Lab {
            snapshots,
            serving: Some(serving),
            runtime,
            port,
        })
    }

    /// Drops every query that comes to a socket through the cable.
    fn close_the_sockets(&self, interface: &str) {
        run(&format!(
            "nft 'add table inet dark
             add chain inet dark input {{ type filter hook input priority 0; policy accept; }}
             add rule inet dark input iifname {interface} udp dport {} drop'",
            self.port
        ));
    }

    fn server(&self, address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), self.port)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving.shut_down());
        }
    }
}

/// Whether AF_XDP lacks here for a reason that is the machine's, not ours.
fn is_not_to_be_had(why: &str) -> bool {
    [
        "not permitted",
        "denied",
        "not implemented",
        "not supported",
    ]
    .iter()
    .any(|reason| why.contains(reason))
}

fn answers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

/// Free on every address, for these namespaces are new.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// Runs in the network of `client`.
fn as_client<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let client = File::open("/run/netns/client").unwrap();
            setns(client, CloneFlags::CLONE_NEWNET).unwrap();
            body()
        });
        thread.join().unwrap()
    })
}

/// A client of one address.
fn socket(server: SocketAddr) -> UdpSocket {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => "0.0.0.0".parse().unwrap(),
        SocketAddr::V6(_) => "::".parse().unwrap(),
    };
    let socket = UdpSocket::bind((any, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket
}

fn ask(socket: &UdpSocket, query: &[u8]) -> Option<Vec<u8>> {
    socket.send(query).unwrap();
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).ok()?;
    answer.truncate(length);
    Some(answer)
}

#[test]
fn the_scripts_of_the_answers_get_them_past_the_kernel() {
    let name = "the_scripts_of_the_answers_get_them_past_the_kernel";
    in_namespaces(name, BOUND, &[], || {
        let listen = [SERVER[0], SERVER[1], "127.0.0.1"];
        let Some(lab) = Lab::new(&listen, "v0") else {
            return;
        };
        lab.close_the_sockets("v0");
        scripts_get_the_same(&lab);
    });
}

#[test]
fn an_interface_without_a_driver_for_it_takes_the_generic_way() {
    let name = "an_interface_without_a_driver_for_it_takes_the_generic_way";
    in_namespaces(name, BOUND, &[], || {
        let listen = [SERVER[0], SERVER[1], "127.0.0.1"];
        let Some(lab) = Lab::new(&listen, "bridge0") else {
            return;
        };
        lab.close_the_sockets("bridge0");
        scripts_get_the_same(&lab);
    });
}

/// Past the kernel, over both families, and through a socket of the loopback interface.
fn scripts_get_the_same(lab: &Lab) {
    let local = socket(lab.server("127.0.0.1"));
    let remote: Vec<UdpSocket> =
        as_client(|| SERVER.map(|address| socket(lab.server(address))).into());
    let mut asked = 0;
    for entry in std::fs::read_dir(answers()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "script") {
            continue;
        }
        let script = Script::read(&std::fs::read_to_string(&path).unwrap());
        lab.snapshots.store(Arc::new(script.snapshot(&answers())));
        for line in &script.lines {
            // A cookie is bound to the client's address.
            let Some(question) = line
                .question
                .as_ref()
                .filter(|_| !line.text.contains(" cookie="))
            else {
                continue;
            };
            let expected = ask(&local, &question.packet);
            for socket in &remote {
                let answer = ask(socket, &question.packet);
                assert_eq!(answer, expected, "{}: {}", path.display(), line.text);
            }
            asked += 1;
        }
    }
    assert!(asked > 100, "{asked}");
}

#[test]
fn what_the_program_leaves_to_the_kernel_is_answered_by_the_sockets() {
    let name = "what_the_program_leaves_to_the_kernel_is_answered_by_the_sockets";
    in_namespaces(name, BOUND, &[], || {
        let Some(lab) = Lab::new(&["0.0.0.0", "::"], "v0") else {
            return;
        };
        let query = Question::new("www.contoso.test.", "A", &[]).packet;
        let padded = Question::new("www.contoso.test.", "A", &["pad=2500"]).packet;
        assert!(padded.len() > 1500, "longer than a frame: {}", padded.len());
        // Longer than what the program was told of when it began.
        run("ip address add 10.77.0.9/24 dev v0");
        as_client(|| {
            for address in SERVER {
                let server = lab.server(address);
                let udp = socket(server);
                assert!(ask(&udp, &query).is_some(), "{address}: a query");
                assert!(ask(&udp, &padded).is_some(), "{address}: fragments");
                assert!(ask_tcp(server, &query).is_some(), "{address}: TCP");
            }
            let later = socket(lab.server("10.77.0.9"));
            assert!(ask(&later, &query).is_some(), "an address that came later");
        });
        lab.close_the_sockets("v0");
        as_client(|| {
            for address in SERVER {
                let udp = socket(lab.server(address));
                assert!(ask(&udp, &query).is_some(), "{address}: past the kernel");
                udp.set_read_timeout(Some(Duration::from_millis(200)))
                    .unwrap();
                assert!(
                    ask(&udp, &padded).is_none(),
                    "{address}: through the filter"
                );
            }
        });
    });
}

fn ask_tcp(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = u16::try_from(query.len()).ok()?.to_be_bytes();
    stream.write_all(&[&length, query].concat()).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn the_program_goes_with_the_server_and_all_that_was_received_is_counted() {
    let name = "the_program_goes_with_the_server_and_all_that_was_received_is_counted";
    in_namespaces(name, BOUND, &[], || {
        let Some(mut lab) = Lab::new(&[SERVER[0]], "v0") else {
            return;
        };
        run("ip link show v0 | grep -q xdp");
        let query = Question::new("www.contoso.test.", "A", &[]).packet;
        let server = lab.server(SERVER[0]);
        as_client(|| {
            let udp = socket(server);
            for _ in 0..1000 {
                assert!(ask(&udp, &query).is_some());
            }
            // A response gets none, and what is no message neither.
            udp.set_read_timeout(Some(Duration::from_millis(200)))
                .unwrap();
            let mut response = query.clone();
            response[2] |= 0x80;
            assert_eq!(ask(&udp, &response), None);
            assert_eq!(ask(&udp, b"short"), None);
        });
        let serving = lab.serving.take().unwrap();
        let count = lab.runtime.block_on(serving.shut_down()).udp;
        assert_eq!(
            (count.queries, count.responses, count.dropped),
            (1002, 1000, 2)
        );
        run("! ip link show v0 | grep -q xdp");
    });
}

#[test]
fn a_limit_of_responses_holds_past_the_kernel_too() {
    let name = "a_limit_of_responses_holds_past_the_kernel_too";
    in_namespaces(name, BOUND, &[], || {
        let Some(lab) = Lab::new(&[SERVER[0], SERVER[1]], "v0") else {
            return;
        };
        lab.close_the_sockets("v0");
        let mut script = Script::read("zone contoso.test. contoso.test.zone");
        script.settings.rate_limit = Some(RateLimit {
            only_counts: false,
            rate: Rate::per_second(20),
            slip: 1,
            ipv4_bits: 24,
            ipv6_bits: 56,
            allow: Vec::new(),
        });
        lab.snapshots.store(Arc::new(script.snapshot(&answers())));
        let query = Question::new("www.contoso.test.", "A", &[]).packet;
        as_client(|| {
            for address in SERVER {
                let udp = socket(lab.server(address));
                let answers = (0..200).map(|_| ask(&udp, &query).unwrap());
                let cut = answers.filter(|answer| answer[2] & 2 != 0);
                let cut = cut.inspect(|answer| assert_eq!(answer.len(), query.len()));
                assert!((100..181).contains(&cut.count()), "{address}");
            }
        });
    });
}

#[test]
fn an_answer_that_no_frame_takes_is_cut_and_comes_whole_over_tcp() {
    let name = "an_answer_that_no_frame_takes_is_cut_and_comes_whole_over_tcp";
    in_namespaces(name, BOUND, &[], || {
        let Some(lab) = Lab::new(&[SERVER[0], SERVER[1], "127.0.0.1"], "v0") else {
            return;
        };
        lab.close_the_sockets("v0");
        let folder = tempfile::tempdir().unwrap();
        let texts: String = (0..10)
            .map(|number| format!("large TXT {number:0>240}\n"))
            .collect();
        let zone = format!("$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n{texts}");
        std::fs::write(folder.path().join("zone"), zone).unwrap();
        let script = Script::read("zone big.test. zone\nserver udp_payload=4096");
        lab.snapshots
            .store(Arc::new(script.snapshot(folder.path())));
        let query = Question::new("large.big.test.", "TXT", &["edns=4096"]).packet;
        let whole = ask(&socket(lab.server("127.0.0.1")), &query).unwrap();
        assert!(whole.len() > 2400 && whole[2] & 2 == 0, "{}", whole.len());
        as_client(|| {
            for address in SERVER {
                let server = lab.server(address);
                let cut = ask(&socket(server), &query).unwrap();
                assert!(cut.len() <= 1452 && cut[2] & 2 != 0, "{}", cut.len());
                assert_eq!(
                    ask_tcp(server, &query).map(|answer| answer.len()),
                    Some(whole.len())
                );
            }
        });
    });
}
