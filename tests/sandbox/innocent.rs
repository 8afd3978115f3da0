//! What the server and the libraries under it do, on unusual paths too: nothing of it may end the
//! process.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::again;
use crate::attacks::furnish;

pub(crate) fn still_works() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let output = again("confined", "innocent", folder.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{:?}: {said}", output.status);
}

pub(crate) fn all(folder: &Path) {
    files(folder);
    threads();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(sockets());
    // What is not permitted is an error, and no end.
    std::process::Command::new("/bin/true").spawn().unwrap_err();
    // The C library may ask a resolver or load modules: whatever comes of it, it comes back.
    let _ = ("localhost", 53).to_socket_addrs();
    let _ = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(12345));
    let _ = thread::available_parallelism();
    nix::unistd::gethostname().unwrap();
    let mut random = [0; 32];
    getrandom::fill(&mut random).unwrap();
    assert_ne!(random, [0; 32]);
    let panicked = std::panic::catch_unwind(|| {
        let _ = std::backtrace::Backtrace::force_capture().to_string();
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert!(!rustls_native_certs::load_native_certs().certs.is_empty() || no_roots());
}

fn no_roots() -> bool {
    !Path::new("/etc/ssl/certs/ca-certificates.crt").exists()
}

fn files(folder: &Path) {
    assert_eq!(
        fs::read(folder.join("zones/contoso.test.zone")).unwrap(),
        b"@ SOA"
    );
    let (new, state) = (folder.join("state/new"), folder.join("state/state"));
    let mut file = fs::File::create(&new).unwrap();
    file.write_all(b"durable").unwrap();
    file.set_len(4096).unwrap();
    file.sync_all().unwrap();
    file.try_lock().unwrap();
    fs::rename(&new, &state).unwrap();
    fs::File::open(folder.join("state"))
        .unwrap()
        .sync_all()
        .unwrap();
    // The state, and a link that an attacker would follow.
    assert_eq!(fs::read_dir(folder.join("state")).unwrap().count(), 2);
    fs::create_dir(folder.join("state/images")).unwrap();
    fs::remove_file(&state).unwrap();
}

fn threads() {
    // Larger than what a thread has by itself: other ways of the allocator.
    let threads: Vec<_> = (0..16_u8)
        .map(|fill| {
            thread::spawn(move || {
                vec![fill; 1 << 22]
                    .iter()
                    .map(|it| u64::from(*it))
                    .sum::<u64>()
            })
        })
        .collect();
    for (fill, thread) in (0_u64..).zip(threads) {
        assert_eq!(thread.join().unwrap(), fill << 22);
    }
}

async fn sockets() {
    let (sender, receiver) = (
        UdpSocket::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("[::]:0").unwrap(),
    );
    sender
        .send_to(b"query", sender.local_addr().unwrap())
        .unwrap();
    receiver
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    receiver.recv(&mut [0; 16]).unwrap_err();
    // Nobody listens there: refused, and not forbidden.
    let refused = TcpStream::connect("127.0.0.1:1").unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let (mut one, mut two) = std::os::unix::net::UnixStream::pair().unwrap();
    one.write_all(b"x").unwrap();
    two.read_exact(&mut [0]).unwrap();
    let notify = UnixDatagram::unbound().unwrap();
    notify.send_to(b"READY=1", "/no/such/socket").unwrap_err();
    tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>())
        .await
        .unwrap_err();
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}
