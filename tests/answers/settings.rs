//! The line `server` of a script: what we say of ourselves, and the same for the others.

use switchback::snapshot::{CookieSecret, Cookies, Settings, ShortText};

/// The secret of the scripts' cookies, that of the examples of RFC 9018.
const SECRET: [u8; 16] = [
    0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f, 0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf,
];

/// `server version=1.0 hostname=ns1 id=ams1 cookies=require udp_payload=512`, each optional;
/// cookies are answered unless they are off.
pub(crate) fn read(words: &[&str]) -> Settings {
    let mut settings = Settings {
        cookies: Some(Cookies {
            active: CookieSecret(SECRET),
            others: Vec::new(),
            required: false,
        }),
        ..Settings::default()
    };
    for word in words {
        match word.split_once('=').unwrap() {
            ("version", text) => settings.version = ShortText::new(text),
            ("hostname", text) => settings.hostname = ShortText::new(text),
            ("id", text) => settings.id = ShortText::new(text),
            ("udp_payload", size) => settings.udp_payload = size.parse().unwrap(),
            ("cookies", "off") => settings.cookies = None,
            ("cookies", "require") => {
                settings.cookies = settings.cookies.map(|cookies| Cookies {
                    required: true,
                    ..cookies
                });
            }
            _ => panic!("what is {word}?"),
        }
    }
    settings
}

/// These settings in the configuration of another server, to be put at its end.
pub(crate) fn of_peer(peer: &str, settings: &Settings) -> String {
    let text = |text: &Option<ShortText>| {
        let octets = text.as_ref().map_or(&[][..], ShortText::octets);
        String::from_utf8(octets.to_vec()).unwrap()
    };
    let (version, id) = (text(&settings.version), text(&settings.id));
    let secret = SECRET.map(|octet| format!("{octet:02x}")).concat();
    match (peer, &settings.cookies) {
        ("nsd", cookies) => {
            let mut config = match (version.as_str(), id.as_str()) {
                ("", "") => "server:\n hide-version: yes\n hide-identity: yes\n".to_owned(),
                _ => format!(
                    "server:\n version: \"{version}\"\n identity: \"{id}\"\n nsid: ascii_{id}\n"
                ),
            };
            if cookies.is_some() {
                config += &format!(" answer-cookie: yes\n cookie-secret: {secret}\n");
            }
            config
        }
        ("knot", None) => format!(
            "server:\n    version: \"{version}\"\n    identity: \"{id}\"\n    nsid: \"{id}\"\n"
        ),
        ("knot", Some(_)) => format!(
            "server:\n    version: \"{version}\"\n    identity: \"{id}\"\n    nsid: \"{id}\"\n\
             mod-cookies:\n  - id: ours\n    secret: 0x{secret}\ntemplate:\n  - id: default\n    \
             global-module: mod-cookies/ours\n"
        ),
        (other, _) => panic!("what is {other}?"),
    }
}
