//! **Pure.** All that is needed to answer any query, immutable (a stand-in).

/// One generation of everything that is served.
#[derive(Debug, Default)]
pub struct Snapshot {}
