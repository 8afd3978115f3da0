//! A restart under a service manager that keeps the sockets: nobody who asks notices it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{park_timeout, scope};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::house::{House, SRV, eventually, query};

/// From one query to the next: what comes in some seconds has room in the smallest of buffers.
const PAUSE: Duration = Duration::from_millis(5);
/// Every so many queries one goes over TCP.
const OVER_TCP: usize = 5;

/// A service manager that keeps what it is given.
struct Keeper {
    socket: UnixDatagram,
    path: String,
    kept: Vec<OwnedFd>,
}

impl Keeper {
    fn of(house: &House) -> Keeper {
        let path = house.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Keeper {
            socket,
            path: path.display().to_string(),
            kept: Vec::new(),
        }
    }

    /// Does what it is told until the daemon is ready.
    fn attends(&mut self) {
        eventually("the daemon is ready", || {
            while let Some((words, sockets)) = self.next() {
                let lines: BTreeSet<&str> = words.lines().collect();
                if lines.contains("FDSTOREREMOVE=1") {
                    assert!(lines.contains("FDNAME=switchback"), "{words}");
                    self.kept.clear();
                }
                if lines.contains("FDSTORE=1") {
                    assert!(lines.contains("FDNAME=switchback"), "{words}");
                    self.kept.extend(sockets);
                }
                if lines.contains("READY=1") {
                    return Some(());
                }
            }
            None
        });
    }

    fn next(&self) -> Option<(String, Vec<OwnedFd>)> {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let mut words = [0; 1024];
        let received = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut words)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        );
        let length = match received {
            Ok(received) => received.bytes,
            Err(errno) if errno.kind() == ErrorKind::WouldBlock => return None,
            Err(errno) => panic!("{errno}"),
        };
        let mut sockets = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                sockets.extend(some);
            }
        }
        Some((
            String::from_utf8(words[..length].to_vec()).unwrap(),
            sockets,
        ))
    }

    /// Starts the daemon with what is kept.
    fn starts(&mut self, house: &mut House) {
        let kept: Vec<(OwnedFd, &str)> = self
            .kept
            .iter()
            .map(|socket| (socket.try_clone().unwrap(), "switchback"))
            .collect();
        house.serve_handed(kept, &[("NOTIFY_SOCKET", &self.path)]);
        self.attends();
    }
}

/// Asks on and on; each query has an id of its own. How many there were.
fn ask(server: SocketAddr, over: &AtomicBool) -> usize {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut open = BTreeSet::new();
    let mut answer = [0; 4096];
    let mut take = |open: &mut BTreeSet<u16>| {
        while let Ok(length) = socket.recv(&mut answer) {
            assert!(length > 12);
            open.remove(&u16::from_be_bytes([answer[0], answer[1]]));
        }
    };
    let mut asked = 0;
    while !over.load(Relaxed) {
        let id = u16::try_from(asked).expect("not as long as that");
        asked += 1;
        if asked % OVER_TCP == 0 {
            ask_over_tcp(server, id);
        } else {
            socket.send(&query(id, SRV, RecordType::SRV)).unwrap();
            open.insert(id);
        }
        take(&mut open);
        park_timeout(PAUSE);
    }
    eventually("every query has its answer", || {
        take(&mut open);
        open.is_empty().then_some(())
    });
    asked
}

fn ask_over_tcp(server: SocketAddr, id: u16) {
    let question = query(id, SRV, RecordType::SRV);
    let mut stream = TcpStream::connect(server).unwrap();
    let length = u16::try_from(question.len()).unwrap().to_be_bytes();
    stream
        .write_all(&[&length, &question[..]].concat())
        .unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).expect("an answer over TCP");
    assert_eq!(head[2..], id.to_be_bytes());
}

#[test]
fn neither_a_restart_nor_a_crash_loses_a_query_or_what_is_known() {
    let mut house = House::build("");
    let mut keeper = Keeper::of(&house);
    keeper.starts(&mut house);
    // The port is known now, and stays.
    let server = house.dns();
    let config = house.config("").replace("127.0.0.1:0", &server.to_string());
    house.write("switchback.toml", &config);
    let frozen = house.switchback(&["freeze", "xmpp-federation", "--reason", "an upgrade"]);
    assert!(frozen.status.success(), "{frozen:?}");
    let over = AtomicBool::new(false);
    scope(|scope| {
        let asked = scope.spawn(|| ask(server, &over));
        for end in [House::stop, House::kill, House::stop] {
            end(&mut house);
            keeper.starts(&mut house);
            assert_eq!(house.dns(), server);
        }
        over.store(true, Relaxed);
        assert!(asked.join().unwrap() > OVER_TCP);
    });
    let overrides = house.switchback(&["overrides"]);
    let said = String::from_utf8_lossy(&overrides.stdout);
    assert!(said.contains("an upgrade"), "{said}");
    // Each worker has the socket that it had: none was bound beside them.
    let before = keeper.kept.len();
    house.stop();
    keeper.starts(&mut house);
    assert_eq!(keeper.kept.len(), before);
}

#[test]
fn what_an_earlier_run_left_for_another_address_is_forgotten() {
    let mut house = House::build("");
    let mut keeper = Keeper::of(&house);
    let left = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = left.local_addr().unwrap();
    keeper.kept.push(left.into());
    keeper.starts(&mut house);
    assert_ne!(house.dns(), address);
    UdpSocket::bind(address).expect("nobody has it any more");
}

#[test]
fn a_socket_unit_gives_the_sockets_and_none_of_them_goes_to_the_store() {
    let mut house = House::build("");
    let mut keeper = Keeper::of(&house);
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(server).unwrap();
    let config = house.config("").replace("127.0.0.1:0", &server.to_string());
    house.write("switchback.toml", &config);
    let unit = "switchback.socket";
    let given = vec![(tcp.into(), unit), (udp.into(), unit)];
    house.serve_handed(given, &[("NOTIFY_SOCKET", &keeper.path)]);
    keeper.attends();
    assert_eq!(house.dns(), server);
    assert_eq!(house.served().order, ["edge1", "edge2"]);
    ask_over_tcp(server, 7);
    assert_eq!(keeper.kept.len(), 0);
}

#[test]
fn a_socket_unit_that_gives_something_else_is_refused_with_the_remedy() {
    let mut house = House::build("");
    let unit = "switchback.socket";
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let both = UdpSocket::bind("[::]:0").unwrap();
    let (other_at, both_at) = (other.local_addr().unwrap(), both.local_addr().unwrap());
    let given: Vec<(OwnedFd, &str)> = vec![
        (other.into(), unit),
        (both.into(), unit),
        (File::open("/dev/null").unwrap().into(), unit),
    ];
    house.start_handed(given, &[]);
    eventually("it ends", || house.is_dead().then_some(()));
    let log = house.log();
    for expected in [
        format!("{other_at} (udp), descriptor 3 of the service manager: no address of [listen]"),
        format!("{both_at}, descriptor 4 of the service manager: it takes IPv4 too"),
        "descriptor 5 of the service manager is neither a UDP socket".to_owned(),
    ] {
        assert!(log.contains(&expected), "{expected}:\n{log}");
    }
}
