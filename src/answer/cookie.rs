//! DNS Cookies (RFC 7873). The server's part is made as RFC 9018 says, so that servers of any
//! make that share a secret take each other's.

use std::net::IpAddr;

use domain::base::Serial;
use domain::base::opt::cookie::{ClientCookie, StandardServerCookie};

use crate::snapshot::{CookieSecret, Cookies};
use crate::time::Wall;

/// How old a cookie may be, in seconds, and how far ahead of our clock (RFC 9018 section 4.3).
const OLDEST: u32 = 3600;
const AHEAD: u32 = 300;
/// A cookie older than this is replaced, so that it does not expire in use (ibid.).
const REPLACED: u32 = 1800;
/// The version of the cookies of RFC 9018.
const VERSION: u8 = 1;

/// The COOKIE option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'p> {
    client: [u8; 8],
    /// Empty, or 8 to 32 octets.
    server: &'p [u8],
}

/// What a cookie proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing yet: the client has none of ours.
    FirstContact,
    /// Nothing: it is not ours, too old, or another client's.
    Bad,
    /// The client reads what is sent to its address.
    Good,
}

/// A cookie of a query, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) proof: Proof,
    /// The option that goes back.
    pub(super) reply: [u8; 24],
}

impl<'p> Cookie<'p> {
    /// Reads the option; `None` if its length is none of those allowed (RFC 7873 section 5.2.2).
    pub(super) fn read(option: &'p [u8]) -> Option<Cookie<'p>> {
        let (client, server) = option.split_first_chunk::<8>()?;
        let well_formed = matches!(server.len(), 0 | 8..=32);
        well_formed.then_some(Cookie {
            client: *client,
            server,
        })
    }

    /// Holds it against our secrets.
    pub(super) fn judge(&self, cookies: &Cookies, client: IpAddr, now: Wall) -> Judged {
        // An IPv4 client has one address, whichever kind of socket it came through.
        let client = client.to_canonical();
        // A timestamp is 32 bits of serial number arithmetic (RFC 9018 section 4.3).
        let [.., t0, t1, t2, t3] = now.unix_seconds().to_be_bytes();
        let now = u32::from_be_bytes([t0, t1, t2, t3]);
        let own = ClientCookie::from(self.client);
        let fresh = || {
            let CookieSecret(secret) = &cookies.active;
            StandardServerCookie::calculate(own, Serial(now), client, secret)
        };
        let Some(shown) = self.of_our_kind() else {
            let proof = match self.server {
                [] => Proof::FirstContact,
                _ => Proof::Bad,
            };
            return self.judged(proof, fresh());
        };
        let age = now.wrapping_sub(shown.timestamp().into_int());
        let in_time = age <= OLDEST || age.wrapping_neg() <= AHEAD;
        let made_with = |secret: &CookieSecret| shown.check_hash(own, client, &secret.0);
        if !in_time {
            self.judged(Proof::Bad, fresh())
        } else if made_with(&cookies.active) {
            let young = age <= REPLACED;
            self.judged(Proof::Good, if young { shown } else { fresh() })
        } else if cookies.others.iter().any(made_with) {
            self.judged(Proof::Good, fresh())
        } else {
            self.judged(Proof::Bad, fresh())
        }
    }

    /// The server's part, if it has the form of RFC 9018.
    fn of_our_kind(&self) -> Option<StandardServerCookie> {
        let octets: &[u8; 16] = self.server.try_into().ok()?;
        let [version, r0, r1, r2, t0, t1, t2, t3, hash @ ..] = *octets;
        let timestamp = Serial(u32::from_be_bytes([t0, t1, t2, t3]));
        // What is reserved is part of the hash and otherwise ignored (RFC 9018 section 4.2).
        let read = StandardServerCookie::new(version, [r0, r1, r2], timestamp, hash);
        (version == VERSION).then_some(read)
    }

    fn judged(&self, proof: Proof, server: StandardServerCookie) -> Judged {
        let mut reply = [0; 24];
        let (client, place) = reply.split_at_mut(8);
        client.copy_from_slice(&self.client);
        let [r0, r1, r2] = server.reserved();
        place[..4].copy_from_slice(&[server.version(), r0, r1, r2]);
        place[4..8].copy_from_slice(&server.timestamp().into_int().to_be_bytes());
        place[8..].copy_from_slice(&server.hash());
        Judged { proof, reply }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let octet = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        assert_eq!(text.len(), 2 * N);
        std::array::from_fn(octet)
    }

    fn cookies(active: &str, others: &[&str]) -> Cookies {
        Cookies {
            active: CookieSecret(hex(active)),
            others: others.iter().map(|text| CookieSecret(hex(text))).collect(),
            required: false,
        }
    }

    fn judge(cookies: &Cookies, query: &[u8], client: &str, seconds: u64) -> Judged {
        let cookie = Cookie::read(query).unwrap();
        cookie.judge(cookies, client.parse().unwrap(), Wall(seconds * 1000))
    }

    const FIRST: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
    const CLIENT: &str = "198.51.100.100";

    #[test]
    fn the_examples_of_rfc_9018_come_out() {
        let ours = cookies(FIRST, &[]);
        // Appendix A.1: a first contact.
        let learned = judge(&ours, &hex::<8>("2464c4abcf10c957"), CLIENT, 1_559_731_985);
        let expected = hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        assert_eq!(
            (learned.proof, learned.reply),
            (Proof::FirstContact, expected)
        );
        // A.2: the same client 40 minutes later gets a new one.
        let renewed = judge(&ours, &expected, CLIENT, 1_559_734_385);
        let expected = hex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
        assert_eq!((renewed.proof, renewed.reply), (Proof::Good, expected));
        // A.3: reserved octets that are not 0 count for the hash alone. The new one is made when
        // the old one is past its hour.
        let shown = hex::<24>("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
        let reserved = judge(&ours, &shown, "203.0.113.203", 1_559_728_000);
        assert_eq!((reserved.proof, reserved.reply), (Proof::Good, shown));
        let expected = hex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
        let reserved = judge(&ours, &shown, "203.0.113.203", 1_559_734_700);
        assert_eq!((reserved.proof, reserved.reply), (Proof::Bad, expected));
        // A.4: IPv6, and a secret that has just been replaced.
        let rolled = cookies(
            "445536bcd2513298075a5d379663c962",
            &["dd3bdf9344b678b185a6f5cb60fca715"],
        );
        let shown = hex::<24>("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let client = "2001:db8:220:1:59de:d0f4:8769:82b8";
        let replaced = judge(&rolled, &shown, client, 1_559_741_961);
        let expected = hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a");
        assert_eq!((replaced.proof, replaced.reply), (Proof::Good, expected));
    }

    #[test]
    fn a_cookie_is_good_for_its_client_its_secret_and_its_hour() {
        let ours = cookies(FIRST, &[]);
        let made = 1_800_000_000;
        let shown = judge(&ours, &[7; 8], CLIENT, made).reply;
        let proof = |client: &str, seconds| judge(&ours, &shown, client, seconds).proof;
        assert_eq!(proof(CLIENT, made + 3600), Proof::Good);
        assert_eq!(proof(CLIENT, made + 3601), Proof::Bad);
        assert_eq!(proof(CLIENT, made - 300), Proof::Good);
        assert_eq!(proof(CLIENT, made - 301), Proof::Bad);
        assert_eq!(proof("198.51.100.101", made), Proof::Bad);
        assert_eq!(proof("::ffff:198.51.100.100", made), Proof::Good);
        assert_eq!(judge(&ours, &shown, CLIENT, made + 1800).reply, shown);
        assert_ne!(judge(&ours, &shown, CLIENT, made + 1801).reply, shown);
        let others = cookies("00000000000000000000000000000000", &[]);
        assert_eq!(judge(&others, &shown, CLIENT, made).proof, Proof::Bad);
        let mut forged = shown;
        forged[8] = 2;
        assert_eq!(judge(&ours, &forged, CLIENT, made).proof, Proof::Bad);
        assert_eq!(judge(&ours, &shown[..20], CLIENT, made).proof, Proof::Bad);
    }

    #[test]
    fn lengths_that_the_rfc_does_not_know_do_not_read() {
        for length in 0..=64 {
            let reads = Cookie::read(&vec![0; length]).is_some();
            assert_eq!(
                reads,
                length == 8 || (16..=40).contains(&length),
                "{length}"
            );
        }
    }
}
