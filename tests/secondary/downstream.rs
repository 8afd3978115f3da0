//! Knot as an ordinary secondary behind switchback.

use std::fs;
use std::path::Path;

use crate::primary::ORIGIN;
use crate::programs::{Process, installed};

/// It ends with the value.
pub(crate) struct Downstream {
    _process: Process,
    pub(crate) port: u16,
}

impl Downstream {
    /// Starts it on `port`, with the server at `from` as its primary.
    pub(crate) fn start(folder: &Path, port: u16, from: u16) -> Downstream {
        let folder = folder.join("downstream");
        fs::create_dir_all(&folder).unwrap();
        let shown = folder.display();
        let config = format!(
            "server:\n    rundir: {shown}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    \
             tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: {shown}\nremote:\n  \
             - id: primary\n    address: 127.0.0.1@{from}\nacl:\n  - id: notify\n    address: \
             127.0.0.1\n    action: notify\nzone:\n  - domain: {ORIGIN}\n    storage: {shown}\n    \
             master: primary\n    acl: notify\n    zonefile-sync: -1\n    journal-content: all\n"
        );
        let path = folder.join("server.conf");
        fs::write(&path, config).unwrap();
        let program = installed("knotd").unwrap();
        let process = Process::start(&program, &["-c"], &path, &folder);
        Downstream {
            _process: process,
            port,
        }
    }
}
