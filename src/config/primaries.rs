//! `primary` of a `[[zone]]`: where it is transferred from.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::paths::Base;
use super::problem::{At, Notes};
use super::spec::List;
use super::spec_transfers::PrimarySpec;
use crate::secondary::{Primary, PrimaryTls};
use crate::tsig::{Key, Keys};
use crate::zone::Name;

/// DNS (RFC 1035) and DNS over TLS (RFC 7858).
const PORTS: [u16; 2] = [53, 853];

/// The primaries of one zone; `None` only where an error was noted.
pub(super) fn read(
    list: &At<List<PrimarySpec>>,
    keys: &Keys,
    base: &Base,
    notes: &mut Notes,
) -> Option<Arc<[Primary]>> {
    if list.value.is_empty() {
        let message = "'primary' is empty, a zone comes from somewhere, name a primary";
        notes.error(list.at, message);
    }
    let read = list.value.iter().map(|spec| one(spec, keys, base, notes));
    let primaries: Option<Arc<[Primary]>> = read.collect::<Vec<_>>().into_iter().collect();
    primaries.filter(|primaries| !primaries.is_empty())
}

fn one(spec: &At<PrimarySpec>, keys: &Keys, base: &Base, notes: &mut Notes) -> Option<Primary> {
    let PrimarySpec {
        address,
        key,
        tls,
        ca_file,
    } = &spec.value;
    if let (Some(ca_file), None) = (ca_file, tls) {
        let message = "'ca_file' stands without 'tls', it says whom to believe over TLS, add \
                       'tls' with the name in the primary's certificate, or remove it";
        notes.error(ca_file.at, message);
    }
    let key = match key {
        None => None,
        Some(key) => Some(key_of(key, keys, notes)?),
    };
    let tls = match tls {
        None => None,
        Some(name) => Some(PrimaryTls {
            name: name_of(name, notes)?,
            ca_file: ca_file.as_ref().map(|file| base.certificates(file, notes)),
        }),
    };
    let address = address_of(address.as_ref()?, PORTS[usize::from(tls.is_some())], notes)?;
    Some(Primary { address, key, tls })
}

fn key_of(name: &At<String>, keys: &Keys, notes: &mut Notes) -> Option<Arc<Key>> {
    let absolute = format!("{}.", name.value.trim_end_matches('.'));
    let key = absolute
        .parse()
        .ok()
        .and_then(|name: Name| keys.get(&name).cloned());
    if key.is_none() {
        let message = format!(
            "'{}' is the name of no [[key]], a primary's key is one of them, add it or correct \
             the name",
            name.value
        );
        notes.error(name.at, message);
    }
    key
}

fn address_of(text: &At<String>, port: u16, notes: &mut Notes) -> Option<SocketAddr> {
    let bare = text
        .value
        .parse::<IpAddr>()
        .map(|address| (address, port).into());
    let address = text.value.parse().or(bare).ok();
    if address.is_none() {
        let message = format!(
            "'{}' is not an address, write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53",
            text.value
        );
        notes.error(text.at, message);
    }
    address
}

fn name_of(text: &At<String>, notes: &mut Notes) -> Option<String> {
    let name = text.value.trim_end_matches('.');
    let is_name = rustls::pki_types::ServerName::try_from(name).is_ok();
    if !is_name {
        let message = format!(
            "'{}' is not a name that a certificate can have, 'tls' is the name in the primary's \
             certificate (RFC 9103 section 9.3.1), write for example ns1.contoso.test",
            text.value
        );
        notes.error(text.at, message);
    }
    is_name.then(|| name.to_owned())
}
