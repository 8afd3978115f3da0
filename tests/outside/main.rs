//! A service from outside: `verify` against a root, a parent, secondaries of several makes, a
//! resolver and edges, each on a host of its own. A tool that is missing is said, and the test is
//! left out.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod alerts;
#[path = "../federation/certificates.rs"]
mod certificates;
mod drill;
mod lab;
#[path = "../federation/namespaces.rs"]
#[allow(dead_code, reason = "another test's hosts, not all that they can do")]
mod namespaces;
#[path = "../federation/patience.rs"]
#[allow(dead_code, reason = "another test's ways to wait, not all of them")]
mod patience;
mod verify;
