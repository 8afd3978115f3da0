//! A primary that says what a test wants, right or wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use switchback::zone::Name;
use switchback::zone::rdata::rtype;

use crate::primary::ORIGIN;

/// A record: owner, type, data.
pub(crate) type Record = (&'static str, u16, Vec<u8>);

/// What it says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) serial: u32,
    /// The records between the two SOAs.
    pub(crate) records: Vec<Record>,
    /// Close the connection before the last SOA.
    pub(crate) cut: bool,
    /// Answer transfers with this code and nothing else.
    pub(crate) refuse: Option<u8>,
}

/// It runs until the test ends.
pub(crate) struct Hostile {
    pub(crate) port: u16,
    script: Arc<Mutex<Script>>,
}

impl Hostile {
    pub(crate) fn start(script: Script) -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = Arc::new(Mutex::new(script));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let script = shared.lock().unwrap().clone();
                // A client that went away has had its answer.
                let _ = serve(stream, &script);
            }
        });
        Hostile { port, script }
    }

    pub(crate) fn say(&self, script: Script) {
        *self.script.lock().unwrap() = script;
    }
}

fn serve(mut stream: TcpStream, script: &Script) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query)?;
        let soa = (ORIGIN, rtype::SOA, soa(script.serial));
        let origin: Name = ORIGIN.parse().unwrap();
        let question = 12 + origin.wire().len() + 4;
        let is_soa = query[question - 3] == 6;
        if is_soa {
            send(&mut stream, &query[..question], 0, &[soa])?;
        } else if let Some(code) = script.refuse {
            send(&mut stream, &query[..question], code, &[])?;
        } else {
            send(
                &mut stream,
                &query[..question],
                0,
                std::slice::from_ref(&soa),
            )?;
            send(&mut stream, &query[..question], 0, &script.records)?;
            if script.cut {
                return Ok(());
            }
            send(&mut stream, &query[..question], 0, &[soa])?;
        }
    }
}

/// The SOA data with timers that make a secondary ask often and keep long.
fn soa(serial: u32) -> Vec<u8> {
    let mut data = b"\0\0".to_vec();
    for number in [serial, 1, 1, 3600, 60] {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data
}

fn send(stream: &mut TcpStream, query: &[u8], code: u8, records: &[Record]) -> std::io::Result<()> {
    let mut message = query.to_vec();
    message[2] = 0x84;
    message[3] = code;
    message[7] = u8::try_from(records.len()).unwrap();
    message[9] = 0;
    for (owner, rtype, data) in records {
        message.extend_from_slice(owner.parse::<Name>().unwrap().wire());
        message.extend_from_slice(&rtype.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        message.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend_from_slice(data);
    }
    stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())?;
    stream.write_all(&message)
}
