//! Queries while a large zone is on its way over the same connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hickory_proto::rr::RecordType;
use socket2::{Domain, Socket, Type};

use crate::daemon::Daemon;
use crate::fixture::{ZONE, query};
use crate::house::{BOUND, connect_tls_on, framed, read_answer};

/// So many that no system's buffers hold the whole transfer, of about 25 MB.
const RECORDS: usize = 100_000;
/// The IDs of the two questions.
const TRANSFER: u16 = 1;
const QUERY: u16 = 77;

/// The zone of the other tests of the daemon, and much more.
fn large_zone() -> String {
    let mut text = crate::daemon::ZONE.to_owned();
    for number in 0..RECORDS {
        text.push_str(&format!("t{number} TXT \"{number:0>200}\"\n"));
    }
    text
}

/// A connection that takes little at a time.
fn narrow(server: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&server.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Records in the answer section of a message.
fn answers(message: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([message[6], message[7]]))
}

/// Asks for the zone, and for something else once the transfer has begun: whether the other
/// answer came before the transfer's end, and how many records the transfer had.
fn overtakes(stream: &mut (impl Read + Write)) -> (bool, usize) {
    let axfr = query(TRANSFER, ZONE, RecordType::AXFR, None);
    stream.write_all(&framed(&axfr)).unwrap();
    let mut records = answers(&read_answer(stream).unwrap());
    let other = query(QUERY, ZONE, RecordType::SOA, None);
    stream.write_all(&framed(&other)).unwrap();
    stream.flush().unwrap();
    let (mut overtook, mut answered) = (false, false);
    // The SOA twice, NS and the address of the name server.
    while records < RECORDS + 4 || !answered {
        let message = read_answer(stream).unwrap();
        match u16::from_be_bytes([message[0], message[1]]) {
            TRANSFER => records += answers(&message),
            QUERY => {
                assert_eq!(answers(&message), 1);
                answered = true;
                overtook = records < RECORDS;
            }
            other => panic!("nobody asked {other}"),
        }
    }
    (overtook, records)
}

#[test]
fn a_query_is_answered_while_a_zone_is_on_its_way() {
    let daemon = Daemon::start_with(
        "transfer = [{ address = \"127.0.0.0/8\" }]\n",
        &large_zone(),
    );
    let address = daemon.address("dns").parse().unwrap();
    assert_eq!(overtakes(&mut narrow(address)), (true, RECORDS + 4), "TCP");
    let address = daemon.address("tls").parse().unwrap();
    let mut stream = connect_tls_on(&daemon.path("server.pem"), narrow(address), b"dot");
    assert_eq!(overtakes(&mut stream), (true, RECORDS + 4), "TLS");
}

#[test]
fn several_transfers_of_one_connection_all_come_whole() {
    let daemon = Daemon::start_with(
        "transfer = [{ address = \"127.0.0.0/8\" }]\n",
        &large_zone(),
    );
    let address = daemon.address("dns").parse().unwrap();
    let mut stream = narrow(address);
    // More than the server keeps in line.
    for id in 0..8 {
        let axfr = query(id, ZONE, RecordType::AXFR, None);
        stream.write_all(&framed(&axfr)).unwrap();
    }
    // The client has said all; what it asked for still comes.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut records = [0; 8];
    while let Ok(message) = read_answer(&mut stream) {
        records[usize::from(message[1])] += answers(&message);
    }
    assert_eq!(records, [RECORDS + 4; 8]);
}
