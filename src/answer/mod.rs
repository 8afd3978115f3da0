//! **Pure.** From a query and a snapshot to an answer (a stand-in: it refuses every query).

use crate::snapshot::Snapshot;

/// What carries the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams: answers are cut to what the client takes.
    Udp,
    /// TCP.
    Stream,
    /// TLS, HTTPS or QUIC.
    Encrypted,
}

/// Answers `packet` into `out`; `false` means that nothing is sent.
pub fn respond(_: &Snapshot, packet: &[u8], _: Transport, out: &mut Vec<u8>) -> bool {
    out.clear();
    if packet.len() < 12 || packet[2] & 0x80 != 0 {
        return false;
    }
    out.extend_from_slice(packet);
    out[2] |= 0x80;
    out[3] = 5;
    true
}
