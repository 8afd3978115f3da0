//! Looks at a real Prosody: what it says, and that its log stays quiet.
//! Left out, with a word, where it is not installed.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests may")]
#![allow(clippy::print_stderr, reason = "what is left out is said")]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use switchback::clock;
use switchback::health::Verdict;
use switchback::probe::{Kind, ProbeSpec, Roots, look};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spec(domain: &str, dir: &Path) -> ProbeSpec {
    ProbeSpec {
        kind: Kind::XmppTls,
        port: 0,
        domain: Some(domain.to_owned()),
        from: Some("probe.invalid".to_owned()),
        interval: Duration::from_secs(1),
        tls_interval: Duration::from_secs(5),
        timeout: Duration::from_secs(10),
        rise: 2,
        fall: 2,
        hold: false,
        roots: Roots::File(dir.join("contoso.test.crt")),
        command: None,
    }
}

fn prosody(dir: &Path, at: SocketAddr) -> Option<Server> {
    let key = rcgen::generate_simple_self_signed(vec!["contoso.test".to_owned()]).unwrap();
    std::fs::write(dir.join("contoso.test.crt"), key.cert.pem()).unwrap();
    std::fs::write(
        dir.join("contoso.test.key"),
        key.signing_key.serialize_pem(),
    )
    .unwrap();
    let config = format!(
        "run_as_root = true\npidfile = '{dir}/pid'\ndata_path = '{dir}'\n\
         modules_enabled = {{ 'tls', 'dialback' }}\n\
         modules_disabled = {{ 'c2s', 'offline', 's2s_auth_certs' }}\n\
         interfaces = {{ '127.0.0.1' }}\ns2s_ports = {{ {port} }}\nc2s_ports = {{}}\n\
         log = {{ info = '{dir}/log' }}\n\
         VirtualHost 'contoso.test'\n\
         ssl = {{ key = '{dir}/contoso.test.key', certificate = '{dir}/contoso.test.crt' }}\n",
        dir = dir.display(),
        port = at.port(),
    );
    std::fs::write(dir.join("prosody.cfg.lua"), config).unwrap();
    Command::new("prosody")
        .arg("--config")
        .arg(dir.join("prosody.cfg.lua"))
        .arg("-F")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
        .map(Server)
}

#[tokio::test]
async fn prosody_is_good_knows_its_hosts_and_tells_its_log_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let Some(_server) = prosody(dir.path(), at) else {
        eprintln!("left out: prosody is not installed");
        return;
    };
    let known = spec("contoso.test", dir.path());
    let until = clock::mono() + Duration::from_secs(20);
    let mut again = tokio::time::interval(Duration::from_millis(50));
    while look(&known, at, false).await.unwrap().verdict != Verdict::Good {
        assert!(clock::mono() < until, "prosody does not come up");
        again.tick().await;
    }
    let read = || std::fs::read_to_string(dir.path().join("log")).unwrap();
    // Its words of the start are over once it answers; what comes after is of our looks.
    let before = read();
    for full in [false, true, true] {
        let seen = look(&known, at, full).await.unwrap();
        assert_eq!(seen.verdict, Verdict::Good, "{seen:?}");
    }
    // An answer after them means that their ends have been seen.
    assert_eq!(
        look(&known, at, false).await.unwrap().verdict,
        Verdict::Good
    );
    assert_eq!(read().strip_prefix(&before), Some(""), "{}", read());
    let other = spec("fabrikam.test", dir.path());
    let seen = look(&other, at, true).await.unwrap();
    assert_eq!(seen.verdict, Verdict::HostUnknown);
}
