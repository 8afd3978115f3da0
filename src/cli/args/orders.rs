//! What an operator orders. Each verb is a struct; what they share stands first.

use std::time::Duration;

use clap::Args;

use super::Daemon;
use super::values::period;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; what moves because of it has arrived
  1  no daemon answered, or a service did not arrive
  2  the command line is wrong
  3  refused; nothing has changed";

/// Who orders it, of which daemon, and how the answer is written.
#[derive(Debug, Args)]
pub struct By {
    /// Who orders it [default: you, as the control socket knows you, or the user of sudo]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// `switchback plan`.
#[derive(Debug, Args)]
#[command(after_help = super::EXIT_CODES, after_long_help = "\
It says what an order would do, and changes nothing: every RRset before and after, the serials, every
program with its arguments and environment, every call with its header and body, in order, as if every
step succeeded, how long that can take, and until when caches lead to where it was. What is secret is not
shown. A copy of the engine goes through the order; so nothing is planned otherwise than it is done.

Without another word it is about `switchback failover`.

Examples:
  switchback plan xmpp-federation
  switchback plan xmpp-federation --to edgepool2 --now --json
  switchback plan xmpp-federation --failback
  switchback plan edge2.contoso.com --drain
  switchback plan op-12 --approve                what waits for approval, just as it would go

Exit codes:
  0  here it is, and nothing stands in the way
  1  no daemon answered, or something stands in the way
  2  the command line is wrong")]
pub struct Plan {
    /// The service; with --drain or --undrain the pool or the server; with --approve the service or
    /// the number of what waits
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// The new pool [default: the best of the others]
    #[arg(long, value_name = "POOL", group = "planned")]
    pub to: Option<String>,
    /// Of `switchback failback`
    #[arg(long, group = "planned")]
    pub failback: bool,
    /// Of `switchback drain`
    #[arg(long, group = "planned")]
    pub drain: bool,
    /// Of `switchback undrain`
    #[arg(long, group = "planned")]
    pub undrain: bool,
    /// Of `switchback approve`
    #[arg(long, group = "planned")]
    pub approve: bool,
    /// As with `--now` of the order
    #[arg(long, conflicts_with_all = ["undrain", "approve"])]
    pub now: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}

/// `switchback failover`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
While the old pool serves, the TTL is lowered first, and the move begins when no cache holds the old
answer any more, after `ttl.max`; --now does not wait, nor does it if the old pool fails meanwhile.
Then the runbook runs, and its steps are shown as they go. Ctrl-C leaves the move to the daemon.

Afterwards the service stays where it is: automatic failback waits for `switchback failback`. So a
reason is needed: somebody else will want to know.

Refused without --force: a pool of which nothing is known, and a pool that is active for another service
while this one's hooks would work on it.

Examples:
  switchback failover xmpp-federation --reason 'edge1 gets new disks'
  switchback failover xmpp-federation --to edgepool2 --reason 'edge1 gets new disks'

Exit codes:
  0  the service has arrived (with --no-wait: the operation has begun)
  1  no daemon answered, or it did not arrive: the runbook halted or needs a human
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Failover {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The new pool [default: the best of the others]
    #[arg(long, value_name = "POOL")]
    pub to: Option<String>,
    /// Why; the next operator reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only if this generation is still served: that of the plan that you looked at
    #[arg(long, value_name = "NUMBER")]
    pub if_generation: Option<u64>,
    /// Go there even if nothing is known of it, or if it is active for another service
    #[arg(long)]
    pub force: bool,
    /// Move at once: do not lower the TTL first and wait until the old answer has left the caches
    #[arg(long)]
    pub now: bool,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback failback`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
The service goes to the most preferred pool that is fit, through the same runbook. Failback is
automatic again afterwards, if the configuration says so. A service that is there already only gets
its automatic failback back.

Example:
  switchback failback xmpp-federation

Exit codes:
  0  the service has arrived (with --no-wait: the operation has begun)
  1  no daemon answered, or it did not arrive: the runbook halted or needs a human
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Failback {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Go there even if nothing is known of it, or if it is active for another service
    #[arg(long)]
    pub force: bool,
    /// Move at once: do not lower the TTL first and wait until the old answer has left the caches
    #[arg(long)]
    pub now: bool,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback drain`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
A drained pool is no target, and the services that it is active for move away from it, through their
runbooks. A drained server is not listed; the other servers of its pool are. It lasts until
`switchback undrain`, or the end of --for; restarts do not end it. Refused without --force if it
leaves a service without a pool that serves, or leaves its active pool fewer servers than min_healthy.

Examples:
  switchback drain edgepool1 --reason 'new disks' --for 2h
  switchback drain edge1.contoso.com --reason 'new certificate'

Exit codes:
  0  done, and every service has moved away (with --no-wait: it was taken)
  1  no daemon answered, or a service did not move away: its runbook halted or needs a human
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Drain {
    /// The pool or the server
    #[arg(value_name = "POOL|SERVER")]
    pub what: String,
    /// Why; the next operator reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// It ends by itself after this time: 30m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = period)]
    pub period: Option<Duration>,
    /// Even if no pool that serves is left, or too few servers of the active one
    #[arg(long)]
    pub force: bool,
    /// Move at once: do not lower the TTL first and wait until the old answer has left the caches
    #[arg(long)]
    pub now: bool,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback undrain`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
A service whose failback is automatic comes back by its own rules, in its own time.

Example:
  switchback undrain edgepool1

Exit codes:
  0  done
  1  no daemon answered, or a service that moves because of it did not arrive
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Undrain {
    /// The pool or the server
    #[arg(value_name = "POOL|SERVER")]
    pub what: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback pin`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
The service moves to the pool, and stays there even if it dies: it wins over drain and health.
`switchback unpin` or the end of --for ends it; restarts do not.

Example:
  switchback pin xmpp-federation edgepool2 --reason 'edge1 loses packets' --for 1d

Exit codes:
  0  done; the service is there (with --no-wait: it was taken)
  1  no daemon answered, or it did not arrive: the runbook halted or needs a human
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Pin {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The pool
    #[arg(value_name = "POOL")]
    pub pool: String,
    /// Why; the next operator reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// It ends by itself after this time: 30m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = period)]
    pub period: Option<Duration>,
    /// Move at once: do not lower the TTL first and wait until the old answer has left the caches
    #[arg(long)]
    pub now: bool,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback unpin`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Example:
  switchback unpin xmpp-federation

Exit codes:
  0  done
  1  no daemon answered, or a service that moves because of it did not arrive
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Unpin {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback freeze`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
The active pool stays the active one, dead or not. An operation under way finishes the step that
runs, and waits. Servers inside the pools come and go as before.

Example:
  switchback freeze xmpp-federation --reason 'the network is being rebuilt' --for 4h

Exit codes:
  0  done
  1  no daemon answered
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Freeze {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why; the next operator reads it
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// It ends by itself after this time: 30m, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = period)]
    pub period: Option<Duration>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback thaw`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
What waited goes on at once: an operation, or a failover that is due.

Example:
  switchback thaw xmpp-federation

Exit codes:
  0  done
  1  no daemon answered, or a service that moves because of it did not arrive
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Thaw {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback approve`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
A move waits for a word when its service has mode = \"approve\", when the cap per hour holds it back,
or when its hooks would work on a pool that is active for another service. `switchback status` shows
it with its number. What is approved is that move and no other: if the pools or the plan have changed
since, it is void, and a new number waits. By its service's name, whatever waits is approved; also a
move that an operator ordered and that waits for caches.

Examples:
  switchback approve op-7
  switchback approve xmpp-federation --reason 'partners were told'

Exit codes:
  0  the service has arrived (with --no-wait: it was taken)
  1  no daemon answered, or it did not arrive: the runbook halted or needs a human
  2  the command line is wrong
  3  refused: nothing waits under this name; nothing has changed")]
pub struct Approve {
    /// The service, or the number that the operation will have
    #[arg(value_name = "SERVICE|OPERATION")]
    pub what: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback reject`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
The move does not begin, and the same is not proposed again until the situation has changed: another
target, another plan, or trouble that ended and came back. `switchback approve` still lets it go. A
move that an operator ordered and that waits for caches is taken back.

Example:
  switchback reject op-7 --reason 'edge1 is being rebooted'

Exit codes:
  0  done
  1  no daemon answered
  2  the command line is wrong
  3  refused: nothing waits under this name; nothing has changed")]
pub struct Reject {
    /// The service, or the number that the operation would have
    #[arg(value_name = "SERVICE|OPERATION")]
    pub what: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback readmit`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
A pool on which a runbook halted is no target until somebody says so: find out why it halted, put it
right, then readmit it. An operator's `failover --to` or `pin` readmits its pool by itself.

Example:
  switchback readmit xmpp-federation edgepool2 --reason 'the route can be set again'

Exit codes:
  0  done
  1  no daemon answered, or a service that moves because of it did not arrive
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Readmit {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The pool
    #[arg(value_name = "POOL")]
    pub pool: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback retry`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
What failed, or what nobody knows the end of, is run again, with all its retries; then the operation
goes on. If it stands with an undo that failed, that undo is run again. A step that is recorded as
done never is.

Example:
  switchback retry xmpp-federation --reason 'ssh works again'

Exit codes:
  0  the service has arrived (with --no-wait: the operation goes on)
  1  no daemon answered, or it did not arrive: the runbook halted or needs a human
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Retry {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback skip`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
The answer yes to the question whether a step was done: it counts as done, and the operation goes on
with the next. The step has to be named, and be the one that the operation stands at.

Examples:
  switchback skip xmpp-federation 'set route' --reason 'the route is set, I looked'
  switchback skip xmpp-federation 'stop services' --server edge2.contoso.com

Exit codes:
  0  the service has arrived (with --no-wait: the operation goes on)
  1  no daemon answered, or it did not arrive: the runbook halted or needs a human
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Skip {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// The step, as the configuration names it
    #[arg(value_name = "STEP")]
    pub step: String,
    /// Only on this server, of several that are asked about
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback abort`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
Of an operation that is under way, or that stands: what it has done is taken back in reverse order,
each step by its undo, the publication by itself. A hook that runs is ended first. The answer says
what is taken back, and what has no undo. The target is kept out until `switchback resume`.

Example:
  switchback abort xmpp-federation --reason 'the wrong pool'

Exit codes:
  0  the service is back where it was (with --no-wait: it goes back)
  1  no daemon answered, or it is not back: an undo failed, and a human is needed
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Abort {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Return as soon as it is taken
    #[arg(long)]
    pub no_wait: bool,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback resume`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = "\
An operation that stands is closed as it is: you have put right by hand what was left of it. The
pools that were kept out are targets again, and the service decides by itself. It may move at once.

Example:
  switchback resume xmpp-federation --reason 'route and services are as they should be'

Exit codes:
  0  done
  1  no daemon answered, or a service that moves because of it did not arrive
  2  the command line is wrong
  3  refused; nothing has changed")]
pub struct Resume {
    /// The service, as the configuration names it
    #[arg(value_name = "SERVICE")]
    pub service: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who and how.
    #[command(flatten)]
    pub by: By,
}

/// `switchback overrides`.
#[derive(Debug, Args)]
#[command(after_help = super::EXIT_CODES, after_long_help = "\
Examples:
  switchback overrides
  switchback overrides --json | jq '.overrides[] | {what, subject, author, expires}'

Exit codes:
  0  the daemon answered
  1  no daemon answered
  2  the command line is wrong")]
pub struct Overrides {
    /// Which daemon.
    #[command(flatten)]
    pub daemon: Daemon,
    /// As one JSON object, for programs
    #[arg(long)]
    pub json: bool,
}
