//! DNS over HTTPS: requests, their statuses, and what HTTP is told about caching.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::rr::RecordType;
use switchback::server::Patience;

use crate::fixture::{SRV, ZONE, query};
use crate::house::{House, ask_udp, eventually};

/// An HTTP response, taken apart.
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Sends the head of a request and its body over HTTP/1.1, and reads the response.
pub(crate) fn exchange(stream: &mut (impl Read + Write), head: &str, body: &[u8]) -> Reply {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let request = format!("{head}\r\nhost: edge.test\r\n{length}\r\n");
    stream
        .write_all(&[request.as_bytes(), body].concat())
        .unwrap();
    read_reply(stream, head.starts_with("HEAD"))
}

fn read_reply(stream: &mut impl Read, is_head: bool) -> Reply {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream
            .read_exact(&mut octet)
            .expect("the head of a response");
        head.push(octet[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut reply = Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: Vec::new(),
    };
    let length = reply.field("content-length").unwrap_or("0");
    reply.body = vec![0; if is_head { 0 } else { length.parse().unwrap() }];
    stream.read_exact(&mut reply.body).unwrap();
    reply
}

/// A GET that carries `query`.
pub(crate) fn get(query: &[u8]) -> String {
    let text = BASE64URL_NOPAD.encode(query);
    format!("GET /dns-query?dns={text} HTTP/1.1\r\naccept: application/dns-message")
}

const POST: &str = "POST /dns-query HTTP/1.1\r\ncontent-type: application/dns-message";

#[test]
fn get_and_post_carry_the_same_answer_and_say_how_long_it_keeps() {
    let house = House::open();
    let mut stream = house.secure(house.https(), b"http/1.1");
    // The service's TTL; the zone's; the SOA's, for what is not there; what must not be kept.
    let questions = [
        (SRV, RecordType::SRV, "max-age=5"),
        ("www.contoso.test.", RecordType::A, "max-age=300"),
        ("www.contoso.test.", RecordType::AAAA, "max-age=300"),
        ("nowhere.contoso.test.", RecordType::A, "max-age=300"),
        ("fabrikam.test.", RecordType::A, "no-store"),
    ];
    for (name, rtype, caching) in questions {
        let question = query(0, name, rtype, None);
        let expected = ask_udp(house.dns(), &question);
        let head = get(&question);
        for (head, body) in [(head.as_str(), &[][..]), (POST, &question)] {
            let reply = exchange(&mut stream, head, body);
            assert_eq!(reply.status, 200, "{head}");
            assert_eq!(reply.field("content-type"), Some("application/dns-message"));
            assert_eq!(
                reply.field("cache-control"),
                Some(caching),
                "{name} {rtype}"
            );
            assert_eq!(reply.body, expected, "{head}");
        }
        let reply = exchange(&mut stream, &head.replacen("GET", "HEAD", 1), &[]);
        assert_eq!((reply.status, reply.body.len()), (200, 0));
    }
    assert_eq!(house.serving().counters().https.responses, 15);
}

#[test]
fn what_carries_no_query_gets_a_status_that_says_why() {
    let house = House::open();
    let question = query(0, SRV, RecordType::SRV, None);
    let padded = format!("{}==", BASE64URL_NOPAD.encode(&question));
    let long = "A".repeat(6000);
    let cases: [(&str, &[u8], u16); 12] = [
        ("GET / HTTP/1.1", b"", 404),
        ("GET /dns-query HTTP/1.1", b"", 400),
        ("GET /dns-query?dns= HTTP/1.1", b"", 400),
        ("GET /dns-query?dns=%%% HTTP/1.1", b"", 400),
        (&format!("GET /dns-query?dns={padded} HTTP/1.1"), b"", 400),
        (&format!("GET /dns-query?dns={long} HTTP/1.1"), b"", 414),
        ("PUT /dns-query HTTP/1.1", &question, 405),
        ("DELETE /dns-query HTTP/1.1", b"", 405),
        ("POST /dns-query HTTP/1.1", &question, 415),
        (
            "POST /dns-query HTTP/1.1\r\ncontent-type: application/json",
            &question,
            415,
        ),
        (POST, &question[..7], 400),
        (POST, &[0; 5000], 413),
    ];
    for (head, body, status) in cases {
        // What is refused may be refused before it is read, and ends the connection then.
        let mut stream = house.secure(house.https(), b"http/1.1");
        let reply = exchange(&mut stream, head, body);
        assert_eq!(reply.status, status, "{head}");
        assert_eq!(reply.field("cache-control"), Some("no-store"));
        if status == 405 {
            assert_eq!(reply.field("allow"), Some("GET, HEAD, POST"));
        }
    }
    let counters = house.serving().counters().https;
    assert_eq!((counters.queries, counters.dropped), (12, 12));
}

#[test]
fn a_body_or_a_head_that_never_ends_is_given_up() {
    let house = House::at(&[(Ipv4Addr::LOCALHOST, 0).into()], |listeners| {
        listeners.with_patience(Patience {
            query: Duration::from_millis(300),
            write: Duration::from_millis(300),
        })
    });
    for sent in [
        String::new(),
        "GET /dns-query".to_owned(),
        format!("{POST}\r\nhost: edge.test\r\ncontent-length: 50\r\n\r\nhalf"),
    ] {
        let mut stream = house.secure(house.https(), b"http/1.1");
        stream.write_all(sent.as_bytes()).unwrap();
        stream.flush().unwrap();
        // It may say so (408), and then it ends.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let mut silent = house.secure(house.https(), b"h2");
    silent
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    let _ = silent.read_to_end(&mut Vec::new());
    eventually("all places are free", || {
        house.serving().counters().https.connections == 0
    });
}

#[test]
fn curl_understands_http_2_and_http_1() {
    let house = House::open();
    let SocketAddr::V4(address) = house.https() else {
        panic!("127.0.0.1 is IPv4");
    };
    let question = query(0, ZONE, RecordType::SOA, None);
    let expected = ask_udp(house.dns(), &question);
    let body = house.files.path().join("query");
    std::fs::write(&body, &question).unwrap();
    let port = address.port();
    let resolve = format!("edge.test:{port}:127.0.0.1");
    let url = format!("https://edge.test:{port}/dns-query");
    let by_get = format!("{url}?dns={}", BASE64URL_NOPAD.encode(&question));
    let data = format!("@{}", body.display());
    let post = [
        "-H",
        "content-type: application/dns-message",
        "--data-binary",
        &data,
        &url,
    ];
    for version in ["--http2", "--http1.1"] {
        for arguments in [&post[..], &[&by_get]] {
            let mut curl = Command::new("curl");
            curl.args([
                "-s",
                "-m",
                "20",
                "-w",
                "%{http_version}",
                "--resolve",
                &resolve,
            ]);
            curl.arg("--cacert").arg(house.pem()).arg(version);
            let output = match curl.args(arguments).output() {
                Ok(output) => output,
                Err(error) => {
                    eprintln!("left out: curl: {error}");
                    return;
                }
            };
            let spoken = if version == "--http2" { "2" } else { "1.1" };
            let expected = [&expected, spoken.as_bytes()].concat();
            assert_eq!(output.stdout, expected, "{arguments:?}: {output:?}");
        }
    }
}

#[test]
fn an_exchange_under_way_at_the_stop_is_finished() {
    let mut house = House::open();
    let question = query(0, SRV, RecordType::SRV, None);
    let mut stream = house.secure(house.https(), b"http/1.1");
    exchange(&mut stream, &get(&question), &[]);
    let head = format!(
        "{POST}\r\nhost: edge.test\r\ncontent-length: {}\r\n\r\n",
        question.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.flush().unwrap();
    eventually("the request is under way", || {
        house.serving().counters().https.queries == 2
    });
    let serving = house.serving.take().unwrap();
    let stopped = house.runtime.spawn(serving.shut_down());
    stream.write_all(&question).unwrap();
    let reply = read_reply(&mut stream, false);
    assert_eq!(reply.status, 200);
    let counters = house.runtime.block_on(stopped).unwrap();
    assert_eq!(counters.https.responses, 2);
}
