//! Server cookies of NSD, Knot and ours, made with one secret, are good everywhere (RFC 9018).

use switchback::clock;

use super::peers::{KNOT, NSD};
use super::question::{Question, hex, options};
use super::script::Script;
use super::{folder, settings, sources};

const SERVER: &str = "zone contoso.test. contoso.test.zone\nserver id=one";
const FIRST: &str = "2464c4abcf10c957";

fn question(cookie: &str) -> Question {
    let cookie = format!("cookie={cookie}");
    Question::new("www.contoso.test.", "A", &[&cookie])
}

/// The cookie of a response, with whether that has an answer.
fn cookie(response: &[u8]) -> (String, bool) {
    let all = options(response);
    let found = all.iter().find(|(code, _)| *code == 10);
    let (_, octets) = found.unwrap_or_else(|| panic!("no cookie in {}", hex(response)));
    (hex(octets), response[6..8] != [0, 0])
}

#[test]
fn servers_that_share_a_secret_take_each_others_cookies() {
    let ours = Script::read(SERVER).snapshot(&folder());
    let strict = Script::read(&format!("{SERVER} cookies=require")).snapshot(&folder());
    for peer in [NSD, KNOT] {
        let script = Script::read(SERVER);
        let more = settings::of_peer(peer.name, &script.settings);
        let Some(server) = peer.start_with(&sources(&script), &more) else {
            eprintln!("left out: {} is not installed", peer.name);
            continue;
        };
        // A cookie that we do not know gets BADCOOKIE here, so an answer says that it is good;
        // and as it is young, it goes back as it came.
        let (theirs, _) = cookie(&server.ask(&question(FIRST).packet, false).unwrap());
        assert_eq!((theirs.len(), &theirs[16..18]), (48, "01"), "{}", peer.name);
        let seen = cookie(&question(&theirs).respond_at(&strict, clock::wall()));
        assert_eq!(seen, (theirs, true), "the cookie of {}", peer.name);
        let (made, _) = cookie(&question(FIRST).respond_at(&ours, clock::wall()));
        let seen = cookie(&server.ask(&question(&made).packet, false).unwrap());
        assert_eq!(seen, (made, true), "our cookie at {}", peer.name);
        // And it is no accident: a cookie with another hash is replaced.
        let forged = format!("{FIRST}01000000{}0000000000000000", &seen.0[24..32]);
        let (replaced, _) = cookie(&server.ask(&question(&forged).packet, false).unwrap());
        assert_ne!(replaced, forged, "{}", peer.name);
    }
}
