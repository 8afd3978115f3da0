//! The tour of docs/how-to/containers.md, step by step.

use std::process::Command;
use std::time::Duration;

use crate::engine::{Engine, Network, comes_to, finish, run, why_not};
use crate::patience::{now, wait_for};
use crate::programs::installed;
use crate::{alone, base_images, say};

/// What the resolver says when all is well: priority, weight, port, target.
const FIRST_POOL: [&str; 3] = [
    "10 50 5269 edge1a.contoso.test.",
    "10 50 5269 edge1b.contoso.test.",
    "20 50 5269 edge2.contoso.test.",
];
/// And when the first pool does not serve.
const SECOND_POOL: [&str; 3] = [
    "10 50 5269 edge2.contoso.test.",
    "20 50 5269 edge1a.contoso.test.",
    "20 50 5269 edge1b.contoso.test.",
];
/// The edges of the first pool, and that of the second.
const FIRST: [&str; 2] = ["192.0.2.11", "192.0.2.12"];
const SECOND: &str = "192.0.2.13";
const DOWN: [&str; 4] = ["down", "--volumes", "--timeout", "5"];
const SERVICE: &str = "_xmpp-server._tcp.contoso.test";
/// The program and all that it is made of, on two cores that others use too.
const BUILD: Duration = Duration::from_secs(900);
/// A state that has not come within this does not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the server is published on the engine's own network.
const PORT: &str = "5300";

#[test]
fn partners_get_through_while_the_first_pool_is_stopped() {
    let test = "partners_get_through_while_the_first_pool_is_stopped";
    let missing = why_not(&["dig", "nsenter"]).or_else(|| match composer() {
        Some(_) => None,
        None => Some("not installed: docker-compose".to_owned()),
    });
    if let Some(reason) = missing {
        return say(&format!("left out: {test}, because {reason}"));
    }
    let _alone = alone();
    let begin = now();
    let engine = Engine::start(Network::Machine);
    if let Err(reason) = base_images(&engine) {
        return say(&format!("left out: {test}, because {reason}"));
    }
    let based = begin.elapsed();
    let build = [
        "-f",
        "docker-compose.yml",
        "-f",
        "tests/containers/build.yml",
        "build",
    ];
    let mut command = compose(&engine);
    finish(
        command.args(build).args(["switchback", "certificates"]),
        BUILD,
    );
    drop(engine);
    let built = begin.elapsed();
    let tour = Tour::begin();
    tour.is_contained();
    tour.goes_on();
    drop(tour);
    say(&format!(
        "containers: base images {} s, build {} s, tour {} s",
        based.as_secs(),
        (built - based).as_secs(),
        (begin.elapsed() - built).as_secs()
    ));
}

/// All that docker-compose.yml starts.
struct Tour {
    engine: Engine,
    server: String,
    partner: String,
}

impl Tour {
    fn begin() -> Tour {
        let engine = Engine::start(Network::Own);
        // An earlier run may have been killed.
        finish(compose(&engine).args(DOWN), PATIENCE);
        finish(
            compose(&engine).args(["up", "--detach", "--no-build"]),
            PATIENCE,
        );
        let id = |service| {
            let id = finish(compose(&engine).args(["ps", "--quiet", service]), PATIENCE);
            id.trim().to_owned()
        };
        let (server, partner) = (id("switchback"), id("partner"));
        Tour {
            engine,
            server,
            partner,
        }
    }

    fn compose(&self, words: &[&str]) -> String {
        finish(compose(&self.engine).args(words), PATIENCE)
    }

    /// A command in a container.
    fn inside(&self, container: &str, words: &[&str]) -> Command {
        let mut command = self.engine.command("docker");
        command.args(["exec", container]).args(words);
        command
    }

    /// What it prints at the server, where it has to succeed.
    fn at_server(&self, words: &[&str]) -> String {
        finish(&mut self.inside(&self.server, words), PATIENCE)
    }

    /// What it prints at the partner, if it succeeds.
    fn at_partner(&self, words: &[&str]) -> Option<String> {
        let output = run(&mut self.inside(&self.partner, words), PATIENCE);
        let succeeded = output.status.success();
        succeeded.then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Waits until the partner's resolver says `expected`.
    fn comes_to(&self, expected: &[&str]) {
        wait_for(
            &format!("the resolver to say {expected:?}"),
            PATIENCE,
            || {
                let said = self.at_partner(&["dig", "+short", SERVICE, "SRV"])?;
                (sorted(&said) == expected).then_some(())
            },
        );
    }

    /// The address of the edge at which a ping of the partner arrives, if it does.
    fn delivers_to(&self) -> Option<String> {
        let said = self.at_partner(&["deliver"])?;
        assert!(said.contains("pong from contoso.test"), "{said}");
        let edge = said
            .lines()
            .find_map(|line| line.strip_prefix("the edge is "));
        Some(edge.unwrap_or_else(|| panic!("no edge: {said}")).to_owned())
    }

    /// Has the partner send a ping, again if it has only begun to serve, and it arrives at one of
    /// `edges`.
    fn delivers_to_one_of(&self, edges: &[&str]) {
        let edge = wait_for("a ping to arrive", PATIENCE, || self.delivers_to());
        assert!(
            edges.contains(&edge.as_str()),
            "{edge} is none of {edges:?}"
        );
    }

    /// The server's container has what it needs, and nothing else.
    fn is_contained(&self) {
        let health = [
            "inspect",
            "--format",
            "{{.State.Health.Status}}",
            &self.server,
        ];
        comes_to(&self.engine, &health, "healthy");
        assert_eq!(self.at_server(&["id", "-u"]).trim(), "953");
        let status = self.at_server(&["cat", "/proc/1/status"]);
        for line in [
            "CapEff:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "NoNewPrivs:\t1",
        ] {
            assert!(status.contains(line), "{line} is not in\n{status}");
        }
        let wrote = run(
            &mut self.inside(&self.server, &["touch", "/usr/x"]),
            PATIENCE,
        );
        let said = String::from_utf8_lossy(&wrote.stderr).into_owned();
        assert!(said.contains("Read-only file system"), "{said}");
    }

    /// The tour itself.
    fn goes_on(&self) {
        self.comes_to(&FIRST_POOL);
        self.delivers_to_one_of(&FIRST);
        self.compose(&["stop", "edge1a", "edge1b"]);
        self.comes_to(&SECOND_POOL);
        self.delivers_to_one_of(&[SECOND]);
        let status = self.at_server(&["switchback", "status"]);
        assert!(
            status.contains("edgepool2 active (preferred: edgepool1)"),
            "{status}"
        );
        // As the tour asks it, from the machine; the address has moved with the order.
        let mut dig = self.engine.beside("dig");
        let asked = ["@127.0.0.1", "-p", PORT, "+norec", "xmpp.contoso.test", "A"];
        let answer = finish(dig.args(asked), PATIENCE);
        assert!(answer.contains(" aa"), "{answer}");
        assert!(answer.contains("192.0.2.13"), "{answer}");

        self.compose(&["start", "edge1a", "edge1b"]);
        self.comes_to(&FIRST_POOL);
        // Its stream to the second pool stands until somebody ends it.
        self.delivers_to_one_of(&[SECOND]);
        self.compose(&["restart", "partner"]);
        self.delivers_to_one_of(&FIRST);
    }
}

impl Drop for Tour {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = compose(&self.engine)
                .args(["logs", "--tail", "40"])
                .output();
            say(&logs.map_or_else(
                |error| error.to_string(),
                |logs| String::from_utf8_lossy(&logs.stdout).into_owned(),
            ));
        }
        // What is left goes with the next run.
        let _ = compose(&self.engine).args(DOWN).output();
        // What was built is made anew by the next run; the base images stay.
        let _ = self
            .engine
            .command("docker")
            .args(["rmi", "switchback"])
            .output();
        let _ = self
            .engine
            .command("docker")
            .args(["image", "prune", "--force"])
            .output();
    }
}

/// How compose is called here.
fn composer() -> Option<&'static [&'static str]> {
    let plugin = Command::new("docker").args(["compose", "version"]).output();
    if plugin.is_ok_and(|output| output.status.success()) {
        return Some(&["docker", "compose"]);
    }
    installed("docker-compose").map(|_| &["docker-compose"][..])
}

fn compose(engine: &Engine) -> Command {
    let words = composer().expect("it was found a moment ago");
    let mut command = engine.command(words[0]);
    command.args(&words[1..]);
    command.env("COMPOSE_PROJECT_NAME", "switchback-tour");
    command.env("SWITCHBACK_PORT", PORT);
    command
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}
