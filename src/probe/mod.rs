//! **IO.** Looks at the edge servers, and says what it saw.
//!
//! | file | what |
//! | --- | --- |
//! | `spec` | what to look at and how: the shapes that `config` builds |
//! | `prober` | all watches of this process: [`Prober`] |
//! | `thread` | the thread that all watches share |
//! | `watch` | the watch over one endpoint under one probe |
//! | `schedule` | when it looks: a state machine without a clock |
//! | `look` | one look: phases, one deadline, a verdict |
//! | `tcp`, `xmpp`, `tls`, `exec` | a kind each |
//! | `scan` | reads an XMPP stream without keeping it |
//! | `held` | the idle stream that sees a crash at once |
//! | [`mod@reference`] | is it our own uplink? |
//!
//! A watch is one task. What it holds between looks is a schedule, a timer, and perhaps one
//! idle socket without a buffer: a thousand servers are a matter of a few megabytes. Of the
//! servers' words never more than one tag is kept, no more than 64 KiB of them are read in a
//! look, and a look has one deadline, however slowly they come.

mod exec;
mod held;
mod look;
mod phases;
mod prober;
pub mod reference;
mod scan;
mod schedule;
mod spec;
mod tcp;
mod thread;
mod tls;
mod watch;
mod xmpp;

pub use look::{Look, Phase, look};
pub use phases::PHASES;
pub use prober::{ProbeError, Prober};
pub use spec::{Assignment, Kind, ProbeSpec, Roots};
pub use tls::RootsError;
