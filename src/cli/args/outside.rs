//! What looks at a service from outside.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{at_port_53, time};
use super::{By, Daemon, EXIT_CODES};

/// `switchback verify`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Asks what a partner would ask: the parent's name servers for the delegation and its glue; every
name server at each of its addresses, over UDP and TCP, for its serial, the service's records and
the names above them; resolvers; and takes a look at every SRV target, down to its certificate.
Nothing is changed anywhere.

With a daemon on this machine, all is measured by what it publishes now. Without one, the
configuration says what there is, and the name servers are measured by each other.

Levels:
  PASS   as it should be
  WARN   partners are well, and somebody should look at it
  FAIL   some partners are sent nowhere or to the wrong place

Examples:
  switchback verify xmpp-federation
  switchback verify xmpp-federation --resolver 192.0.2.1 --resolver 9.9.9.9
  switchback verify xmpp-federation --from-root --quiet
  switchback verify xmpp-federation --json | jq '.findings[] | select(.level != \"pass\")'

Exit codes:
  0  nothing fails; there may be warnings
  1  something fails, or it could not be verified
  2  the command line is wrong")]
pub struct Verify {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// Whom to ask.
    #[command(flatten)]
    pub resolvers: Resolvers,
    /// Trust the roots in this PEM file instead of those that the probes trust
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Show only what is not well
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// Through whom the world is asked.
#[derive(Debug, Args)]
pub struct Resolvers {
    /// Ask this resolver too; the first one finds the way; may be repeated [default: the system's]
    #[arg(long = "resolver", value_name = "ADDR[:PORT]", value_parser = at_port_53)]
    pub resolver: Vec<SocketAddr>,
    /// Find the way from the root servers, without any resolver
    #[arg(long, conflicts_with = "resolver")]
    pub from_root: bool,
}

/// `switchback drill`.
#[derive(Debug, Args)]
#[command(after_help = DRILL_EXIT_CODES, after_long_help = "\
Orders a failover, and then the way back, and watches from outside meanwhile: the daemon, every name
server of every zone of the service at each of its addresses, and resolvers are asked again and again
until they have the new order. The report says how long each of them took, and each step.

It begins only if both pools are healthy, nothing else is under way, no override stands, and everybody
says the present order; --force leaves this out. Whatever fails on the way out, the way back is tried.
Ctrl-C leaves the service where it is then, and says how to go on.

With --shadow nothing is ordered: all is checked, everybody is asked, and both moves are shown as they would
go, with every program and call, every record, and how long timeouts and retries could make it take.

Examples:
  switchback drill xmpp-federation --shadow
  switchback drill xmpp-federation
  switchback drill xmpp-federation --to edgepool2 --resolver 9.9.9.9 --patience 5m --yes --json

Exit codes:
  0  the service moved and came back, and everybody saw both (with --shadow: nothing speaks against it)
  1  no daemon answered, a runbook did not end well, or somebody did not see it in time
  2  the command line is wrong
  3  refused, or not confirmed; nothing has changed")]
pub struct Drill {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The pool to move to [default: the next in order]
    #[arg(long, value_name = "POOL")]
    pub to: Option<String>,
    /// Why; the next operator reads it
    #[arg(long, value_name = "TEXT", default_value = "drill")]
    pub reason: String,
    /// How long name servers and resolvers are waited for, after the runbook has ended
    /// [default: the service's longest TTL and 30s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub patience: Option<Duration>,
    /// Check and ask, and order nothing
    #[arg(long)]
    pub shadow: bool,
    /// Begin although something speaks against it
    #[arg(long)]
    pub force: bool,
    /// Begin without asking
    #[arg(long)]
    pub yes: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub resolvers: Resolvers,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

const DRILL_EXIT_CODES: &str = "\
Exit codes:
  0  the service moved and came back, and everybody saw both
  1  no daemon answered, a runbook did not end well, or somebody did not see it in time
  2  the command line is wrong
  3  refused, or not confirmed; nothing has changed";
