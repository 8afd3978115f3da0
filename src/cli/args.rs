//! What can be said on the command line. Help, completions and man pages come from here.

mod orders;
mod outside;
mod past;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use orders::{
    Abort, Approve, By, Drain, Failback, Failover, Freeze, Overrides, Pin, Plan, Readmit, Reject,
    Resume, Retry, Skip, Thaw, Undrain, Unpin,
};
pub(super) use outside::{Drill, Resolvers, Verify};
pub(super) use past::{Export, History, HistoryForm, Show, Simulate};
use values::{time, zone};

/// Where the configuration lies if nobody says otherwise.
pub(super) const CONFIG: &str = "/etc/switchback/switchback.toml";

const EXIT_CODES: &str = "\
Exit codes:
  0  done; what was asked about is well
  1  it failed, or what was asked about is not well
  2  the command line is wrong";

/// An authoritative DNS server with built-in priority failover for XMPP federation.
///
/// It answers the SRV, A and AAAA queries of XMPP federation, watches the edge pools behind
/// them on port 5269, orders the SRV priorities by what it sees, and takes the other steps of a
/// failover through hooks, as one runbook.
#[derive(Debug, Parser)]
#[command(
    name = "switchback",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = EXIT_CODES,
    after_long_help = "\
Examples:
  switchback demo                                see it work: nothing to install or configure
  switchback check --config switchback.toml      all that is wrong with a configuration, at once
  switchback serve --config switchback.toml      run it
  switchback status                              what the running daemon sees and serves
  switchback explain xmpp-federation             why the pools stand in this order
  switchback verify xmpp-federation              what partners see of it
  switchback probe 192.0.2.11:5269 --kind xmpp-tls --domain contoso.com
                                                 one look at one edge, step by step

Exit codes:
  0  done; what was asked about is well
  1  it failed, or what was asked about is not well
  2  the command line is wrong"
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server, in the foreground
    Serve(Serve),
    /// Check a configuration, its zones and its hooks: everything wrong is reported at once
    Check(Check),
    /// Show what the running daemon sees and serves, what is wrong first
    Status(Status),
    /// Say why the pools of a service stand in this order, and what would change it
    Explain(Explain),
    /// Have the running daemon read its configuration and zones again, all or nothing
    Reload(Reload),
    /// Show how much the running daemon logs, or have it log more or less
    Log(Log),
    /// Have the running daemon show queries and answers by dnstap, or no more
    Dnstap(Dnstap),
    /// Show what a failover would change and run, step by step, and change nothing
    Plan(Plan),
    /// Move a service to another pool, and follow the operation to its end
    Failover(Failover),
    /// Move a service back to its most preferred pool that can serve
    Failback(Failback),
    /// Take a pool or a server out of service, for maintenance
    Drain(Drain),
    /// Take a drain back
    Undrain(Undrain),
    /// Keep a service at one pool, whatever its health
    Pin(Pin),
    /// Take a pin back
    Unpin(Unpin),
    /// Let a service not move: nothing is decided, an operation waits before its next step
    Freeze(Freeze),
    /// Take a freeze back
    Thaw(Thaw),
    /// List what operators have said and not taken back: drains, pins, freezes
    Overrides(Overrides),
    /// Tell what happened, and why
    History(History),
    /// Show one operation: each step, its attempts, their output
    Show(Show),
    /// Replay a scenario with the same or other settings, in virtual time
    Simulate(Simulate),
    /// Let a move begin that waits for a person's word, or for caches
    Approve(Approve),
    /// Take a move back that waits for a person's word, or for caches
    Reject(Reject),
    /// Run again what an operation stands at, and go on
    Retry(Retry),
    /// Take the step that an operation stands at as done, and go on
    Skip(Skip),
    /// Take back what an operation has done, whether it is under way or stands
    Abort(Abort),
    /// Close an operation that stands as it is, and let the service decide by itself again
    Resume(Resume),
    /// Make a pool a target again on which a runbook had halted
    Readmit(Readmit),
    /// See a service as its partners do: delegation, name servers, answers, edges, certificates
    Verify(Verify),
    /// Fail over and back on purpose, and report when everybody saw it
    Drill(Drill),
    /// Take one look at one server, step by step, with timings
    Probe(Probe),
    /// Show a failover and the way back, on this machine, with nothing else installed
    Demo(Demo),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write the man pages
    Man(Man),
    /// One of the XMPP edges of the demo
    #[command(hide = true)]
    DemoEdge(DemoEdge),
    /// Runs the daemon's hooks, in a process of its own; started by the daemon
    #[command(hide = true)]
    HookRunner,
    /// Begins programs for the daemon, in a process of its own; started by the daemon
    #[command(hide = true)]
    Starter,
}

/// `switchback serve`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
With --config, the daemon watches pools, ranks them and runs hooks, as the file says. SIGHUP or
`switchback reload` has it read the file again: all or nothing. SIGTERM and ctrl-C end it.

With --listen and --zone it is a plain authoritative server; SIGHUP has it read the zones again.

Examples:
  switchback serve --config /etc/switchback/switchback.toml
  switchback serve --listen 127.0.0.1:5300 --listen '[::1]:5300' \\
                   --zone contoso.test.=contoso.test.zone

Exit codes:
  0  it was told to end, and ended
  1  it could not start, or had to end
  2  the command line is wrong")]
pub struct Serve {
    /// The configuration [default: /etc/switchback/switchback.toml]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "zone"])]
    pub config: Option<PathBuf>,
    /// Listen here, UDP and TCP; may be repeated
    #[arg(long, value_name = "ADDR:PORT", requires = "zone")]
    pub listen: Vec<SocketAddr>,
    /// Serve this zone from this master file; may be repeated
    #[arg(long, value_name = "ORIGIN=FILE", requires = "listen", value_parser = zone)]
    pub zone: Vec<(String, PathBuf)>,
    /// How log lines are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; in systemd's journal without the time, and with its priorities
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

/// `switchback check`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Every finding has its place (file:line:column), what is wrong, the rule, and the remedy.
Warnings do not change the exit code.
If there are no errors, the runbook of each service with hooks follows: step by step and server by
server, with every program and call, from its first pool to its second and back.

Example:
  switchback check --config switchback.toml && systemctl reload switchback

Exit codes:
  0  the daemon would start with it
  1  it would not: the errors say why; with --sandbox, something is missing
  2  the command line is wrong")]
pub struct Check {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
    /// Try instead what this kernel has for a sandbox, and tell it
    #[arg(long, conflicts_with = "config")]
    pub sandbox: bool,
    /// As JSON
    #[arg(long, requires = "sandbox")]
    pub json: bool,
}

/// Which daemon to ask.
#[derive(Debug, Args)]
pub struct Daemon {
    /// The configuration that names the control socket
    #[arg(long, value_name = "FILE", default_value = CONFIG, conflicts_with = "control")]
    pub config: PathBuf,
    /// The control socket itself
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
}

/// `switchback status`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Alarms, halted runbooks and excluded pools come first; then each service with its pools in the
order published; then each server with the last look at it.

--watch shows it anew every second, with bars for what is under way; j, k and the arrows scroll, q,
ctrl-C or SIGTERM ends it, with the exit code of what was seen last. Where there is no terminal that can do so, it says so and shows the status once.

--alive is for supervisors, which restart what is not alive: a dead edge is no reason to.

Examples:
  switchback status
  switchback status --watch
  switchback status --json | jq '.services[] | {name, active}'
  switchback status --control /run/switchback/control.sock

Exit codes:
  0  the daemon answered, and nothing needs a human (with --alive: the daemon answered)
  1  no daemon answered, or something needs a human: an alarm, a halt, a lost uplink
  2  the command line is wrong")]
pub struct Status {
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// Show it anew every second, until q
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
    /// Say only whether the daemon answers
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    pub alive: bool,
}

/// `switchback explain`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Example:
  switchback explain xmpp-federation

Exit codes:
  0  the daemon answered
  1  no daemon answered, or it knows no such service
  2  the command line is wrong")]
pub struct Explain {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// `switchback reload`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
A file with errors changes nothing: the daemon goes on as it was, and the errors are printed.

Exit codes:
  0  the new configuration serves
  1  no daemon answered, or it refused the new configuration
  2  the command line is wrong")]
pub struct Reload {
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
}

/// `switchback log`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Levels: off, error, warn, info, debug, trace.
Modules: health, probe, failover, runbook, hook, store, zone, secondary, certificate, alert,
server, daemon; and libraries, of which at debug and below what strangers do makes lines.
What is not named is as it was when the daemon started. A restart ends it.

Examples:
  switchback log                         which levels are in force
  switchback log probe=debug --for 10m   a line for each look
  switchback log warn,failover=debug
  switchback log reset

Exit codes:
  0  these levels are in force
  1  no daemon answered, or it knows no such level or module
  2  the command line is wrong")]
pub struct Log {
    /// A level for all modules, or MODULE=LEVEL, with commas between; or `reset`
    #[arg(value_name = "LEVELS")]
    pub levels: Option<String>,
    /// It ends by itself after this time: 10m, 2h
    #[arg(long = "for", value_name = "TIME", value_parser = values::period, requires = "levels")]
    pub period: Option<Duration>,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
}

/// `switchback dnstap`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Where they are written, as frames or as lines, [dnstap] of the configuration says.
A restart returns to what it says of 'on'.

Exit codes:
  0  it is as told
  1  no daemon answered, it has no [dnstap], or nothing can be written
  2  the command line is wrong")]
pub struct Dnstap {
    /// Whether they are shown from here on; without it, what became of them
    #[arg(value_name = "on|off", value_enum)]
    pub switch: Option<Switch>,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// From here on.
    On,
    /// No more.
    Off,
}

/// `switchback probe`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
What the verdicts mean:
  good                   all that was asked for was there
  refused                the path is open, and nothing listens
  filtered               no answer: a firewall, or a dead host
  unreachable            the network says there is no way
  hung, closed           it accepts connections but does not speak
  host-unknown           it speaks, but not for this domain
  certificate-expired, certificate-name, certificate-untrusted
                         it works, but partners will refuse it

Examples:
  switchback probe 192.0.2.11:5269 --kind tcp
  switchback probe 192.0.2.11:5269 --kind xmpp --domain contoso.com
  switchback probe '[2001:db8::11]:5269' --kind xmpp-tls --domain contoso.com --ca-file ca.pem

Exit codes:
  0  the verdict is good
  1  it is another
  2  the command line is wrong")]
pub struct Probe {
    /// The server's address and port
    #[arg(value_name = "ADDR:PORT")]
    pub server: SocketAddr,
    /// How deep to look
    #[arg(long, value_enum, default_value_t = Kind::XmppTls)]
    pub kind: Kind,
    /// The federated domain: the stream's 'to', and the name looked for in the certificate
    #[arg(long, value_name = "DOMAIN", required_if_eq_any = [("kind", "xmpp"), ("kind", "xmpp-tls"), ("kind", "tls")])]
    pub domain: Option<String>,
    /// The domain to introduce ourselves as: the stream's 'from'
    #[arg(long, value_name = "DOMAIN")]
    pub from: Option<String>,
    /// How long the whole look may take
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub timeout: Duration,
    /// Trust the roots in this PEM file instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// How deep a look goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The port accepts a connection
    Tcp,
    /// And the server sends stream features
    Xmpp,
    /// And STARTTLS leads to a certificate that partners accept
    XmppTls,
    /// TLS from the first octet, without XMPP
    Tls,
}

/// `switchback demo`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
The real daemon, with a configuration and a zone like yours, on loopback ports of this machine;
only the three edges are small stand-ins. It kills the first edge, shows the hooks and the
answer before and after, restores the edge, fails back, and goes on until ctrl-C.

Exit codes:
  0  everything happened
  1  something did not, within its bound
  2  the command line is wrong")]
pub struct Demo {
    /// End after one round
    #[arg(long)]
    pub exit: bool,
}

/// `switchback demo-edge`.
#[derive(Debug, Args)]
pub struct DemoEdge {
    /// Where to listen
    #[arg(value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// The domain that the edge serves
    #[arg(long)]
    pub domain: String,
}

/// `switchback completions`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  switchback completions bash > /usr/share/bash-completion/completions/switchback
  switchback completions zsh > /usr/share/zsh/site-functions/_switchback
  switchback completions fish > /usr/share/fish/vendor_completions.d/switchback.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `switchback man`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  switchback man | man -l -                        read the main page now
  switchback man /usr/local/share/man/man1         write a page for every command")]
pub struct Man {
    /// Write a page for every command into this directory; without it, print the main page
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_plain_server_needs_both_an_address_and_a_zone() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        assert!(parse("switchback serve").is_ok());
        assert!(parse("switchback serve --listen 127.0.0.1:5300").is_err());
        assert!(parse("switchback serve --zone a.test.=a.zone").is_err());
        assert!(parse("switchback serve --listen 127.0.0.1:5300 --zone a.test.=a.zone").is_ok());
        assert!(parse("switchback serve --config f --listen [::1]:53 --zone a.=a").is_err());
        assert!(parse("switchback serve --listen 127.0.0.1:53 --zone a.test.").is_err());
    }
}
