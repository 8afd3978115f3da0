//! `[server]`: what a reload changes of what the server says of itself.

use domain::base::Message;
use domain::base::opt::UnknownOptData;

use crate::house::House;

const NSID: u16 = 3;
const COOKIE: u16 = 10;
const BADCOOKIE: u16 = 23;
const OLD: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const NEW: &str = "445536bcd2513298075a5d379663c962";

/// What one answer says.
struct Said {
    rcode: u16,
    id: String,
    cookie: Vec<u8>,
}

/// Asks for the zone's SOA, with a cookie, and for the name of the server.
fn ask(house: &House, cookie: &[u8]) -> Said {
    let length = u8::try_from(cookie.len()).unwrap();
    let mut packet = b"\x12\x34\0\0\0\x01\0\0\0\0\0\x01\x07contoso\x04test\0\0\x06\0\x01".to_vec();
    packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, length + 8, 0, 3, 0, 0]);
    packet.extend_from_slice(&[0, 10, 0, length]);
    packet.extend_from_slice(cookie);
    let response = house.exchange(&packet).expect("an answer");
    let message = Message::from_octets(response).unwrap();
    let opt = message.opt().expect("an OPT");
    let option = |code| {
        let mut options = opt.opt().iter::<UnknownOptData<_>>().flatten();
        let found = options.find(|option| option.code().to_int() == code);
        found.map_or_else(Vec::new, |option| option.data().to_vec())
    };
    Said {
        rcode: opt.rcode(message.header()).to_int(),
        id: String::from_utf8(option(NSID)).unwrap(),
        cookie: option(COOKIE),
    }
}

fn settings(house: &House, id: &str, secrets: &[&str]) {
    house.write("secrets", &secrets.join("\n"));
    let server = format!(
        "[server]\nid = \"{id}\"\ncookies = \"require\"\ncookie_secret_file = \"secrets\"\n"
    );
    house.write("switchback.toml", &house.config(&server));
}

#[test]
fn a_reload_rolls_the_secret_over_without_a_bad_cookie_and_tells_the_new_id() {
    let mut house = House::build("");
    settings(&house, "one", &[OLD]);
    house.serve();
    let first = ask(&house, &[7; 8]);
    assert_eq!((first.rcode, first.id.as_str()), (BADCOOKIE, "one"));
    let known = ask(&house, &first.cookie);
    assert_eq!((known.rcode, &known.cookie), (0, &first.cookie));

    // RFC 9018 section 5: all know the new one, all make it, none takes the old one any more.
    settings(&house, "two", &[OLD, NEW]);
    assert!(house.reload().0);
    let known = ask(&house, &first.cookie);
    assert_eq!(
        (known.rcode, known.id.as_str(), &known.cookie),
        (0, "two", &first.cookie)
    );
    settings(&house, "two", &[NEW, OLD]);
    assert!(house.reload().0);
    let renewed = ask(&house, &first.cookie);
    assert_eq!(renewed.rcode, 0);
    assert_ne!(renewed.cookie, first.cookie);
    settings(&house, "two", &[NEW]);
    assert!(house.reload().0);
    assert_eq!(ask(&house, &renewed.cookie).rcode, 0);
    assert_eq!(ask(&house, &first.cookie).rcode, BADCOOKIE);

    // What is wrong changes nothing.
    settings(&house, "three", &["short"]);
    let (taken, said) = house.reload();
    assert!(!taken && said.contains("cookie secret"), "{said}");
    assert_eq!(ask(&house, &renewed.cookie).id, "two");
}
