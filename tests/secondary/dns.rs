//! Questions to a server on loopback.

use std::net::UdpSocket;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

/// An answer: its code, and the data of its answer section, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: ResponseCode,
    pub(crate) data: Vec<String>,
}

/// Asks the server at `port`; `None` without an answer within half a second.
pub(crate) fn ask(port: u16, name: &str, rtype: RecordType) -> Option<Answer> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    let message = exchange(port, &message.to_vec().unwrap())?;
    let mut data: Vec<String> = message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect();
    data.sort();
    Some(Answer {
        code: message.metadata.response_code,
        data,
    })
}

/// Sends octets over UDP and reads the response.
pub(crate) fn exchange(port: u16, octets: &[u8]) -> Option<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    socket.send_to(octets, ("127.0.0.1", port)).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Message::from_vec(&buffer[..length]).ok()
}
