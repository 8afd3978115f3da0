//! Starting the daemon, step by step, and ending it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use super::DaemonError;
use super::alerts::Ends;
use super::certificate;
use super::confine::{self, Confinement, Users};
use super::control::Desk;
use super::core::{Core, Inbox};
use super::disk::{Disk, read_deadlines, read_memory};
use super::dnstap;
use super::followers;
use super::ground::Ground;
use super::hooks::Hooks;
use super::keeper::Keeper;
use super::limits;
use super::publisher::{Numbers, Publisher};
use super::pulse::Pulse;
use super::secondaries::{self, Secondaries};
use super::silence::Silence;
use crate::admin::ControlSocket;
use crate::clock;
use crate::config::{self, Config};
use crate::courier::Courier;
use crate::dnstap::Sink;
use crate::failover::{Engine, Memory, Publication};
use crate::health::Observation;
use crate::hook::{Runner, RunnerEvent};
use crate::ids::{Generation, ProbeIndex, ServiceName};
use crate::metrics::{self, Moves};
use crate::notify::Notifier;
use crate::probe::{Assignment, Prober};
use crate::programs::{Hands, Starter};
use crate::sandbox::InForce;
use crate::secondary;
use crate::server::{Bound, EncryptedSpec, ListenSpec, Listeners, LocalAddrs, Notices};
use crate::store::{Counters, Opened, Store};
use crate::supervisor::{Handed, Line};
use crate::telemetry;
use crate::time::Now;
use crate::zone::Name;

/// So many observations wait for the engine at the least, and this many of each assignment.
const OBSERVATIONS: usize = 4096;
const OBSERVATIONS_EACH: usize = 4;
/// So many events of hooks wait: each run has two.
const HOOK_EVENTS: usize = 64;
/// So many requests wait.
const REQUESTS: usize = 64;
/// On the first start ever, answers wait so long for the first round of probes at the most.
const FIRST_ROUND: Duration = Duration::from_secs(10);

/// What to serve.
#[derive(Clone, Debug)]
pub enum Source {
    /// What a configuration file says.
    File(PathBuf),
    /// Zones and nothing else: no probes, no state.
    Plain {
        /// Where to listen, UDP and TCP.
        listen: Vec<SocketAddr>,
        /// Origins with their master files.
        zones: Vec<(String, PathBuf)>,
    },
}

/// How to run.
#[derive(Debug)]
pub struct Options {
    /// What to serve.
    pub source: Source,
    /// Told once answers are given.
    pub ready: Option<oneshot::Sender<Ready>>,
    /// Whether the process gives up its rights, as the configuration says. It has one thread then.
    pub confined: bool,
}

/// The daemon answers.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where, with the ports that it really has.
    pub addresses: LocalAddrs,
    /// Where metrics are served.
    pub metrics: Vec<SocketAddr>,
}

/// Runs until `shutdown` is ready. Needs a multi-threaded runtime with time and IO.
///
/// # Errors
/// What keeps it from starting. Once it answers, it ends only by `shutdown`.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), DaemonError> {
    prepare(options)?.run(shutdown).await
}

/// All that takes rights has been done: what was bound and opened stands here.
pub struct Prepared {
    source: Source,
    ready: Option<oneshot::Sender<Ready>>,
    started: Now,
    config: Config,
    bound: Bound,
    control: Option<ControlSocket>,
    metrics: metrics::Endpoint,
    sink: Option<Sink>,
    starter: Option<Starter>,
    line: Option<Line>,
    sandbox: Option<InForce>,
}

/// Reads the configuration, and binds and opens all that takes rights. It starts no thread: what
/// the process gives up after it, no thread keeps.
///
/// # Errors
/// What keeps the daemon from starting.
pub fn prepare(options: Options) -> Result<Prepared, DaemonError> {
    let Options {
        source,
        ready,
        confined,
    } = options;
    let started = clock::now();
    let config = load(&source)?;
    let users = Users::of(&config)?;
    // What the environment hands over is for a process that is the daemon and nothing else.
    let handed = confined.then(Handed::from_environment);
    let bound = Bound::open(&listen_spec(&config), handed.unwrap_or_default())?;
    let control = match source {
        Source::File(_) => Some(ControlSocket::bind(&config.listen.control)?),
        Source::Plain { .. } => None,
    };
    let metrics = metrics::Endpoint::bind(&config.listen.metrics)?;
    let sink = dnstap::open(&config)?;
    // It is there from the start, whether programs are configured or not: a reload may bring some.
    let starter = match source {
        Source::File(_) => Some(confine::begin_starter(&config, &users, confined)?),
        Source::Plain { .. } => None,
    };
    let line = line_to_supervisor(confined);
    if let Some(Err(error)) = line.as_ref().map(|line| line.keep(&bound.sockets())) {
        telemetry::alarm(&format!(
            "the service manager does not take the sockets ({error}): queries are lost while the daemon restarts"
        ));
    }
    let sandbox = match confined {
        true => Some(confine::confine(&source, &config, users)?),
        false => None,
    };
    Ok(Prepared {
        source,
        ready,
        started,
        config,
        bound,
        control,
        metrics,
        sink,
        starter,
        line,
        sandbox,
    })
}

impl Prepared {
    /// Runs until `shutdown` is ready. Needs a multi-threaded runtime with time and IO.
    ///
    /// # Errors
    /// What keeps it from starting. Once it answers, it ends only by `shutdown`.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let listeners = self.bound.start()?;
        let addresses = listeners.local_addrs().clone();
        tell_of_rights(self.sandbox.as_ref(), &listeners);
        let supervisor = self.line.map(Line::attend).transpose();
        let supervisor = supervisor.map_err(DaemonError::Supervisor)?.map(Arc::new);
        let (messages, inbox_messages) = mpsc::channel(REQUESTS);
        let hands = match self.starter {
            Some(starter) => Hands::Starter(starter.attend().map_err(DaemonError::Starter)?),
            None => Hands::default(),
        };
        let has_state = matches!(self.source, Source::File(_));
        let desk = Desk {
            source: self.source,
            certificate: listeners.certificate(),
            core: messages,
            hands: hands.clone(),
            tap: dnstap::begin(self.sink, listeners.taps(), &self.config),
            supervisor,
        };
        let (measured, tap) = (desk.clone(), desk.tap.clone());
        let (stop, stopped) = watch::channel(false);
        let notices = listeners.notices();
        let ground = (self.config, has_state, self.started);
        let opened = open(ground, inbox_messages, notices, hands.clone());
        let (mut core, mut inbox, first_start) = opened.await?;
        core.confinement = Confinement::of(self.sandbox, &core.config);
        let lost = tokio::spawn(async move { telemetry::alarm(&hands.lost().await) });
        let reloads = reload_on_hangup(desk.clone(), stopped.clone());
        core.certificate.clone_from(&desk.certificate);
        core.pulse = Pulse::new(desk.supervisor.clone());
        let renewals = desk.certificate.clone();
        let renewals = renewals.map(|it| tokio::spawn(certificate::watch(it)));
        let served = |socket: ControlSocket| socket.serve(Arc::new(desk), until(stopped));
        let control = self.control.map(|socket| tokio::spawn(served(socket)));

        tokio::pin!(shutdown);
        core.act().await;
        let deadline = clock::mono() + FIRST_ROUND;
        let goes_on = !first_start || core.first_round(&mut inbox, deadline, &mut shutdown).await;
        if goes_on {
            core.begin_serving(listeners, &addresses);
            telemetry::ready(&texts(&addresses, self.metrics.addresses()));
            if let Some(ready) = self.ready {
                // Whoever waited for it may have gone.
                let metrics = self.metrics.addresses().to_vec();
                let _ = ready.send(Ready { addresses, metrics });
            }
            let scraped = tokio::spawn(self.metrics.serve(measured));
            core.pulse.begin(clock::mono()).await;
            let limits = core.serving.as_ref().map(|it| limits::tell(it.limiter()));
            core.run(&mut inbox, &mut shutdown).await;
            scraped.abort();
            limits.inspect(tokio::task::JoinHandle::abort);
        }
        core.pulse.end().await;
        stop.send_replace(true);
        if let Some(control) = control {
            let _ = control.await;
        }
        reloads.abort();
        lost.abort();
        if let Some(renewals) = renewals {
            renewals.abort();
        }
        core.shut_down().await;
        dnstap::end(tap);
        telemetry::ended();
        Ok(())
    }
}

fn load(source: &Source) -> Result<Config, DaemonError> {
    match source {
        Source::File(path) => {
            let (config, warnings) = config::load(path)?;
            warnings
                .iter()
                .for_each(|warning| telemetry::warning(warning));
            Ok(config)
        }
        Source::Plain { listen, zones } => Ok(config::plain(listen, zones)?),
    }
}

impl Core {
    /// Answers are given from here on.
    fn begin_serving(&mut self, listeners: Listeners, addresses: &LocalAddrs) {
        self.serving = Some(listeners.serve(self.publisher.snapshots()));
        let snapshots = self.publisher.snapshots();
        self.notifier = Some(Notifier::start(snapshots, &addresses.dns));
        self.silence.begin(clock::mono());
    }
}

/// The line to the service manager, where the process is the daemon and nothing else. One that
/// cannot be had keeps nobody from being served: the service manager says itself what it misses.
fn line_to_supervisor(is_daemon: bool) -> Option<Line> {
    let line = is_daemon.then(Line::open)?;
    line.unwrap_or_else(|error| {
        telemetry::alarm(&error.to_string());
        None
    })
}

/// What the process has given up, and what it was granted.
fn tell_of_rights(sandbox: Option<&InForce>, listeners: &Listeners) {
    if let Some(sandbox) = sandbox {
        telemetry::sandbox(sandbox, sandbox.missing.is_empty());
    }
    for state in listeners.xdp() {
        telemetry::short_cut(state, state.outcome.is_ok());
    }
}

fn texts(addresses: &LocalAddrs, metrics: &[SocketAddr]) -> Vec<String> {
    let dns = addresses.dns.iter().map(ToString::to_string);
    let tls = addresses.tls.iter().map(|at| format!("{at} (TLS)"));
    let https = addresses.https.iter().map(|at| format!("{at} (HTTPS)"));
    let quic = addresses.quic.iter().map(|at| format!("{at} (QUIC)"));
    let metrics = metrics.iter().map(|at| format!("{at} (metrics)"));
    let all = dns.chain(tls).chain(https).chain(quic);
    all.chain(metrics).collect()
}

fn listen_spec(config: &Config) -> ListenSpec {
    ListenSpec {
        dns: config.listen.dns.clone(),
        xdp: config.listen.xdp.clone(),
        encrypted: config
            .listen
            .encrypted
            .as_ref()
            .map(|listen| EncryptedSpec {
                tls: listen.tls.clone(),
                https: listen.https.clone(),
                quic: listen.quic.clone(),
                certificate: listen.files.clone(),
            }),
    }
}

/// The state, and what stands in it.
type State = (Store, Memory, BTreeMap<Name, secondary::Memory>, Counters);

/// Opens the state; what somebody should know of it is noted.
fn open_state(
    config: &Config,
    started: Now,
    notices: &mut Vec<String>,
) -> Result<State, DaemonError> {
    let (store, opened) = Store::open(&config.state_dir, started.wall)?;
    if let Opened::SetAside(path) = opened {
        notices.push(set_aside(&path));
    }
    let memory = read_memory(&store)?;
    let deadlines = read_deadlines(&store)?;
    let counters = Counters::open(&store, started.wall)?;
    Ok((store, memory, deadlines, counters))
}

/// Opens the state and everything that works on it.
async fn open(
    (config, has_state, started): (Config, bool, Now),
    messages: mpsc::Receiver<super::control::Message>,
    of_primaries: Arc<Notices>,
    hands: Hands,
) -> Result<(Core, Inbox, bool), DaemonError> {
    let (hook_events, hooks) = mpsc::channel(HOOK_EVENTS);
    let mut notices = Vec::new();
    let mut deadlines = BTreeMap::new();
    let (store, memory, numbers, runner) = if has_state {
        let (store, memory, known, counters) = open_state(&config, started, &mut notices)?;
        deadlines = known;
        let runner = start_runner(&config, &hands, hook_events).await?;
        (Some(store), memory, Numbers::Reserved(counters), runner)
    } else {
        let numbers = Numbers::FromFiles(Generation(0));
        (None, Memory::default(), numbers, None)
    };
    let first_start = memory.services.is_empty() && !config.policy.services.is_empty();
    let engine = Engine::new(config.policy.clone(), memory, clock::now());
    let mut disk = Disk::new(store);
    let (ends, visits) = secondaries::channel();
    let secondaries = Secondaries::open(&config, deadlines, ends, &mut disk);
    let publisher = Publisher::start(
        Ground::new(&config, secondaries.zones()),
        numbers,
        publications(&engine),
        &mut disk,
    )?;
    let (prober, observations) = start_prober(&config, &hands)?;
    let (followers, followed) = followers::channel();
    let (references, answers) = mpsc::channel(64.max(4 * config.policy.references.len()));
    let courier = Courier::start(&config.alerts, telemetry::receiver, hands);
    let core = Core {
        keeper: Keeper::open(&config, has_state, started, &mut notices),
        moves: Moves::new(engine.published()),
        confinement: Confinement::default(),
        engine,
        config,
        disk,
        publisher,
        secondaries,
        hooks: Hooks::new(runner),
        prober,
        references,
        followers,
        serving: None,
        certificate: None,
        notifier: None,
        silence: Silence::default(),
        started,
        notices,
        unpublished: None,
        held: BTreeMap::new(),
        retry_at: None,
        ordered: None,
        ended: BTreeMap::new(),
        courier,
        ends: Ends::default(),
        pulse: Pulse::default(),
    };
    let inbox = Inbox {
        observations,
        references: answers,
        followers: followed,
        hooks,
        messages,
        visits,
        notices: of_primaries,
    };
    Ok((core, inbox, first_start))
}

fn start_prober(
    config: &Config,
    hands: &Hands,
) -> Result<(Prober, mpsc::Receiver<Observation>), DaemonError> {
    raise_open_files();
    let assignments = assignments(config);
    let room = OBSERVATIONS.max(OBSERVATIONS_EACH * assignments.len());
    let (sender, observations) = mpsc::channel(room);
    Ok((
        Prober::start(assignments, sender, hands.clone())?,
        observations,
    ))
}

/// Raises the alarm about a state that was damaged, and gives it back for `status`.
fn set_aside(path: &Path) -> String {
    let notice = format!(
        "the state was damaged and is set aside as {}: overrides, history and the active pools of before are lost; check `switchback status`",
        path.display()
    );
    telemetry::alarm(&notice);
    notice
}

/// A watched server takes up to three descriptors and a client one: the usual soft limit of 1024,
/// which is there for programs that call `select()`, would end that at a few hundred. The
/// starter was begun before and keeps it, for hooks may be such programs.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(errno) = raised {
        let notice = format!("the limit of open files stays as it is ({errno}): set LimitNOFILE");
        telemetry::alarm(&notice);
    }
}

/// The runner is there from the start, whether hooks are configured or not: a reload may bring
/// some. When this returns, no hook of an earlier run is alive.
async fn start_runner(
    config: &Config,
    hands: &Hands,
    events: mpsc::Sender<RunnerEvent>,
) -> Result<Option<Runner>, DaemonError> {
    if config.policy.services.is_empty() {
        return Ok(None);
    }
    Ok(Some(Runner::start(hands.clone(), events).await?))
}

/// What the engine publishes of each service.
pub(super) fn publications(engine: &Engine) -> BTreeMap<ServiceName, Publication> {
    let published = engine.published();
    published
        .map(|(name, publication)| (name.clone(), publication.clone()))
        .collect()
}

/// Each address of each server under each probe of its pool.
pub(super) fn assignments(config: &Config) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (name, pool) in &config.policy.pools {
        let Some(specs) = config.probes.get(name) else {
            continue;
        };
        for endpoint in pool.endpoints() {
            for (index, spec) in (0u16..).zip(specs) {
                assignments.push(Assignment {
                    endpoint: endpoint.clone(),
                    probe: ProbeIndex(index),
                    spec: Arc::clone(spec),
                });
            }
        }
    }
    assignments
}

/// SIGHUP reads the configuration again.
fn reload_on_hangup(desk: Desk, stopped: watch::Receiver<bool>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            telemetry::alarm("SIGHUP cannot be caught; `switchback reload` still works");
            return;
        };
        let mut stopped = std::pin::pin!(until(stopped));
        loop {
            tokio::select! {
                () = &mut stopped => return,
                hangup = hangups.recv() => {
                    if hangup.is_none() {
                        return;
                    }
                    // How it ended is logged where it ends; nobody else waits for it.
                    let _ = desk.reload().await;
                }
            }
        }
    })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as the daemon: an error is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
