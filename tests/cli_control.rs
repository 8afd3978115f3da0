//! The control socket from both ends, with a fixture instead of the daemon.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use switchback::admin::{
    self, Answer, ClientError, Control, ControlSocket, Explain, Peer, Request, Response,
    SocketError, Status,
};
use switchback::ids::Generation;
use switchback::time::Wall;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// Answers as a daemon with one service would.
struct Fixture;

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the fixture takes no order, whichever there are"
)]
impl Control for Fixture {
    async fn handle(&self, request: Request, _: Peer) -> Response {
        match request {
            Request::Status => Response::Ok(Answer::Status(Box::new(Status {
                generation: Generation(7),
                alarms: vec!["edgepool1 is down".to_owned()],
                ..Status::default()
            }))),
            Request::Explain { service } if service.as_str() == "xmpp-federation" => {
                Response::Ok(Answer::Explain(Explain {
                    service,
                    now: Wall(0),
                    because: "it is preferred and up".to_owned(),
                    ttl_s: 60,
                    ttl_because: "settled".to_owned(),
                    pools: Vec::new(),
                    lines: Vec::new(),
                }))
            }
            Request::Explain { service } => {
                Response::error(format!("no service {service}: known is xmpp-federation"))
            }
            Request::Reload => Response::error("switchback.toml:3:1: unknown key"),
            _ => Response::error("this fixture takes no orders"),
        }
    }
}

struct Served {
    _dir: tempfile::TempDir,
    path: PathBuf,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

fn served() -> Served {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let socket = ControlSocket::bind(&path).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(socket.serve(Arc::new(Fixture), async {
        let _ = stopped.await;
    }));
    Served {
        _dir: dir,
        path,
        stop,
        served,
    }
}

async fn ask(path: &Path, request: Request) -> Result<Answer, ClientError> {
    let path = path.to_owned();
    spawn_blocking(move || admin::ask(&path, &request))
        .await
        .unwrap()
}

/// Sends raw octets, and reads what comes back to the end.
async fn raw(path: &Path, octets: Vec<u8>) -> String {
    let path = path.to_owned();
    spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        // The daemon may answer before it has read all of it.
        let _ = stream.write_all(&octets);
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn questions_are_answered_and_refusals_keep_their_words() {
    let daemon = served();
    let Ok(Answer::Status(status)) = ask(&daemon.path, Request::Status).await else {
        panic!("no status");
    };
    assert_eq!(status.generation, Generation(7));

    let asked = ask(
        &daemon.path,
        Request::Explain {
            service: "x".into(),
        },
    )
    .await;
    let refused = asked.unwrap_err().to_string();
    assert_eq!(refused, "no service x: known is xmpp-federation");
    let refused = ask(&daemon.path, Request::Reload).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused(_)));
}

#[tokio::test]
async fn a_wrong_line_gets_an_error_and_does_not_hurt_the_next_client() {
    let daemon = served();
    let answer = raw(
        &daemon.path,
        b"{\"version\":1,\"request\":\"dance\"}\n".to_vec(),
    )
    .await;
    assert!(answer.contains("unknown request"), "{answer}");
    let answer = raw(&daemon.path, vec![b'x'; 70_000]).await;
    assert!(
        answer.is_empty() || answer.contains("longer than"),
        "{answer}"
    );
    assert!(ask(&daemon.path, Request::Status).await.is_ok());
}

#[tokio::test]
async fn silent_clients_do_not_keep_others_out() {
    let daemon = served();
    // One more than are served at once: the last must wait until a silent one is sent away.
    let silent: Vec<UnixStream> = (0..16)
        .map(|_| UnixStream::connect(&daemon.path).unwrap())
        .collect();
    assert!(ask(&daemon.path, Request::Status).await.is_ok());
    drop(silent);
}

#[tokio::test]
async fn only_owner_and_group_may_command_and_the_file_goes_at_the_end() {
    let daemon = served();
    let found = fs::metadata(&daemon.path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o660);
    daemon.stop.send(()).unwrap();
    daemon.served.await.unwrap();
    assert!(!daemon.path.exists());
    let refused = ask(&daemon.path, Request::Status).await.unwrap_err();
    assert!(matches!(refused, ClientError::NoSocket { .. }));
}

#[tokio::test]
async fn a_living_daemon_is_not_pushed_aside_and_a_stale_socket_is() {
    let daemon = served();
    let refused = ControlSocket::bind(&daemon.path).unwrap_err();
    assert!(matches!(refused, SocketError::InUse { .. }), "{refused}");

    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    let refused = ask(&stale, Request::Status).await.unwrap_err();
    assert!(matches!(refused, ClientError::NobodyThere { .. }));
    assert!(ControlSocket::bind(&stale).is_ok());

    let file = dir.path().join("notes.txt");
    fs::write(&file, "keep me").unwrap();
    let refused = ControlSocket::bind(&file).unwrap_err();
    assert!(matches!(refused, SocketError::NotASocket { .. }));
    assert_eq!(fs::read_to_string(&file).unwrap(), "keep me");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_asks_only_whether_it_is_alive() {
    let daemon = served();
    let status = |arguments: &'static [&'static str]| {
        let path = daemon.path.clone();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_switchback"));
        command.arg("status").args(arguments).arg("--control");
        spawn_blocking(move || command.arg(path).output().unwrap())
    };
    let needs_a_human = status(&[]).await.unwrap();
    assert_eq!(needs_a_human.status.code(), Some(1));
    let alive = status(&["--alive"]).await.unwrap();
    assert_eq!(alive.status.code(), Some(0));
    assert_eq!(alive.stdout, b"generation 7 serves\n");
}
