//! `[server]`: how answers are given.

use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::paths::Base;
use super::problem::{At, Notes};
use super::spec::{CookieWord, List, ServerTable};
use crate::files;
use crate::snapshot::{CookieSecret, Cookies, Settings, ShortText, UDP_PAYLOAD};

/// So many secrets are good at a time: that of now, and those of before and after a change.
const MOST_SECRETS: usize = 4;
/// RFC 6891 section 6.2.3 and 6.2.5: less is not taken, and more than 4096 is of no use.
const PAYLOADS: std::ops::RangeInclusive<u16> = 512..=4096;

/// The secret of those who configure none. It lives as long as the process, so that a reload
/// keeps it. The error is the system's.
static OWN_SECRET: LazyLock<Result<CookieSecret, String>> = LazyLock::new(|| {
    let mut secret = [0; 16];
    match getrandom::fill(&mut secret) {
        Ok(()) => Ok(CookieSecret(secret)),
        Err(error) => Err(error.to_string()),
    }
});

/// The meaning of the table, without a rate limit, which has a table of its own; what is wrong with
/// it is noted.
pub(super) fn read(spec: Option<At<ServerTable>>, base: &Base, notes: &mut Notes) -> Settings {
    let (spec, at) = spec.map_or_else(Default::default, |spec| (spec.value, spec.at));
    let ServerTable {
        version,
        hostname,
        id,
        udp_payload,
        cookies,
        cookie_secrets,
        cookie_secret_file,
    } = spec;
    if let Some(size) = &udp_payload
        && !PAYLOADS.contains(&size.value)
    {
        let message = format!(
            "'udp_payload' is {}, an answer over UDP has 512 octets in any case (RFC 6891 section \
             6.2.5) and more than 4096 never arrive, write 512 to 4096",
            size.value
        );
        notes.error(size.at, message);
    }
    let secrets = match (cookie_secrets, cookie_secret_file) {
        (Some(_), Some(file)) => {
            notes.error(
                file.at,
                "[server] has both 'cookie_secrets' and 'cookie_secret_file', secrets have one \
                 place, remove one",
            );
            Vec::new()
        }
        (Some(list), None) => from_list(&list, notes),
        (None, Some(file)) => from_file(&file, base, notes),
        (None, None) => match &*OWN_SECRET {
            Ok(secret) => vec![*secret],
            Err(error) => {
                let message = format!(
                    "the system has no random numbers ({error}), a cookie needs a secret, set \
                     'cookie_secrets'"
                );
                notes.error(at, message);
                Vec::new()
            }
        },
    };
    let word = cookies.map_or(CookieWord::Answer, |word| word.value);
    let cookies = secrets.split_first().map(|(active, others)| Cookies {
        active: *active,
        others: others.to_vec(),
        required: word == CookieWord::Require,
    });
    Settings {
        version: short_text("version", version, notes),
        hostname: short_text("hostname", hostname, notes),
        id: short_text("id", id, notes),
        cookies: cookies.filter(|_| word != CookieWord::Off),
        udp_payload: udp_payload.map_or(UDP_PAYLOAD, |size| size.value),
        rate_limit: None,
    }
}

fn short_text(key: &str, text: Option<At<String>>, notes: &mut Notes) -> Option<ShortText> {
    let text = text?;
    let short = ShortText::new(&text.value);
    if short.is_none() {
        let message = format!(
            "'{key}' has {} octets, it travels in every answer that asks for it, write 1 to {}, \
             or leave the key out to tell nothing",
            text.value.len(),
            ShortText::LONGEST
        );
        notes.error(text.at, message);
    }
    short
}

fn from_list(list: &At<List<String>>, notes: &mut Notes) -> Vec<CookieSecret> {
    let mut secrets = Vec::new();
    for text in &list.value {
        match secret(&text.value) {
            Some(secret) => secrets.push(secret),
            // The value may be a secret with a slip in it: it is not repeated.
            None => notes.error(text.at, NO_SECRET),
        }
    }
    check_number(list.value.len(), list.at, notes);
    secrets
}

/// One secret a line, the active one first, as NSD keeps its own; `#` begins a comment.
fn from_file(path: &At<String>, base: &Base, notes: &mut Notes) -> Vec<CookieSecret> {
    let resolved = base.resolve(&path.value);
    let shown = resolved.display();
    let text = match files::read_text(&resolved, files::SMALL) {
        Ok(text) => text,
        Err(error) => {
            let message =
                format!("'{shown}' cannot be read ({error}), correct the path or the file");
            notes.error(path.at, message);
            return Vec::new();
        }
    };
    let open_to_all = |mode: u32| mode & 0o004 != 0;
    if resolved
        .metadata()
        .is_ok_and(|it| open_to_all(it.permissions().mode()))
    {
        let message = format!(
            "'{shown}' can be read by every user, whoever knows the secret can make cookies, run \
             chmod o-r on it"
        );
        notes.warn(path.at, message);
    }
    let mut secrets = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match secret(line) {
            Some(secret) => secrets.push(secret),
            None if line.is_empty() => {}
            None => notes.error(
                path.at,
                format!("'{shown}', line {}: {NO_SECRET}", number + 1),
            ),
        }
    }
    if notes.is_clean() {
        check_number(secrets.len(), path.at, notes);
    }
    secrets
}

const NO_SECRET: &str = "this is no cookie secret, which is 128 bits (RFC 9018 section 4.4), \
                         write 32 hexadecimal digits, as 'openssl rand -hex 16' prints them";

fn check_number(count: usize, at: usize, notes: &mut Notes) {
    if !(1..=MOST_SECRETS).contains(&count) {
        let message = format!(
            "{count} cookie secrets, the first makes cookies and the others are good too while a \
             change spreads (RFC 9018 section 5), write 1 to {MOST_SECRETS}"
        );
        notes.error(at, message);
    }
}

fn secret(text: &str) -> Option<CookieSecret> {
    let octets = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    octets.try_into().ok().map(CookieSecret)
}
