//! `[[key]]`, and who may transfer a zone and who is told of its changes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use super::names;
use super::paths::Base;
use super::probes::within;
use super::problem::{At, Notes};
use super::spec::List;
use super::spec_transfers::{KeySpec, PermitSpec, SecondariesTable, TargetSpec};
use crate::files;
use crate::snapshot::{Network, Permit, Target};
use crate::tsig::{Algorithm, Key, Keys};
use crate::zone::Name;

/// Where name servers listen.
const DNS_PORT: u16 = 53;
/// A file with a secret is no longer than this.
const MAX_SECRET: u64 = 4096;

/// The histories of all zones take so much unless it is said.
const HISTORY_MIB: u16 = 64;
/// So long a secondary may be silent unless it is said: NOTIFY has been repeated seven times.
const ALARM_AFTER: Duration = Duration::from_secs(120);
const ALARMS_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// The secondaries of one zone, or of all zones of a directory.
#[derive(Clone, Debug, Default)]
pub struct Secondaries {
    /// Who may transfer it.
    pub permits: Arc<[Permit]>,
    /// Who is told.
    pub targets: Arc<[Target]>,
}

/// The keys that could be read, and the names of all.
pub(super) struct NamedKeys {
    keys: Arc<Keys>,
    /// With the place of each.
    names: BTreeMap<Name, usize>,
}

impl NamedKeys {
    /// Those that could be read.
    pub(super) fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }
}

/// Reads all keys.
pub(super) fn keys(specs: &List<KeySpec>, base: &Base, notes: &mut Notes) -> NamedKeys {
    let (mut read, mut names) = (Vec::new(), BTreeMap::new());
    for spec in specs {
        let KeySpec {
            name,
            algorithm,
            secret,
            secret_file,
        } = &spec.value;
        let name = name.as_ref().and_then(|name| key_name(name, notes));
        if let Some(name) = &name
            && let Some(earlier) = names.insert(name.clone(), spec.at)
        {
            let line = notes.line(earlier);
            notes.error(
                spec.at,
                format!(
                    "key '{name}' is there already (line {line}), a name is one key, remove one"
                ),
            );
        }
        let algorithm = algorithm.as_ref().and_then(|text| {
            let parsed = text.value.parse::<Algorithm>();
            parsed
                .map_err(|error| notes.error(text.at, error.to_string()))
                .ok()
        });
        let secret = match (secret, secret_file) {
            (Some(secret), None) => Some(secret.clone()),
            (None, Some(path)) => read_secret(path, base, notes),
            (Some(_), Some(_)) | (None, None) => {
                notes.error(
                    spec.at,
                    "a [[key]] has either 'secret' or 'secret_file', write one of them",
                );
                None
            }
        };
        if let (Some(name), Some(algorithm), Some(secret)) = (name, algorithm, secret) {
            match Key::from_base64(&name, algorithm, &secret.value) {
                Ok(key) => read.push(key),
                Err(error) => notes.error(secret.at, error.to_string()),
            }
        }
    }
    NamedKeys {
        keys: Arc::new(read.into_iter().collect()),
        names,
    }
}

/// A key's name: the final dot may be left out, as everywhere where keys are written.
fn key_name(name: &At<String>, notes: &mut Notes) -> Option<Name> {
    let value = format!("{}.", name.value.trim_end_matches('.'));
    names::absolute(&At { value, at: name.at }, notes).map(|name| name.to_lower())
}

fn read_secret(path: &At<String>, base: &Base, notes: &mut Notes) -> Option<At<String>> {
    let resolved = base.resolve(&path.value);
    let shown = resolved.display();
    let found = files::read_text(&resolved, MAX_SECRET)
        .and_then(|text| Ok((std::fs::metadata(&resolved)?, text)));
    match found {
        Ok((found, value)) => {
            if found.permissions().mode() & 0o007 != 0 {
                notes.warn(
                    path.at,
                    format!("'{shown}' is open to every user, a secret is for the daemon alone, run chmod o= on it"),
                );
            }
            Some(At { value, at: path.at })
        }
        Err(error) => {
            notes.error(
                path.at,
                format!("'{shown}' cannot be read ({error}), it holds the key's secret in base64, correct the path or the file"),
            );
            None
        }
    }
}

/// What concerns the secondaries of all zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// What the histories of all zones may have together, in memory and on the disk.
    pub history_octets: usize,
    /// An alarm is raised about a secondary that has not followed a change for so long.
    pub alarm_after: Duration,
}

impl Default for Following {
    fn default() -> Following {
        Following {
            history_octets: usize::from(HISTORY_MIB) << 20,
            alarm_after: ALARM_AFTER,
        }
    }
}

/// Reads `[secondaries]`.
pub(super) fn following(spec: Option<At<SecondariesTable>>, notes: &mut Notes) -> Following {
    let Some(At { value: spec, .. }) = spec else {
        return Following::default();
    };
    let SecondariesTable {
        history_mib,
        alarm_after,
    } = spec;
    if let Some(zero) = history_mib.as_ref().filter(|mib| mib.value == 0) {
        notes.error(
            zero.at,
            "'history_mib' is 0, the history of one zone may take 1 MiB, write 1 or more",
        );
    }
    let mib = history_mib.map_or(HISTORY_MIB, |mib| mib.value);
    Following {
        history_octets: usize::from(mib) << 20,
        alarm_after: within("alarm_after", alarm_after, ALARM_AFTER, ALARMS_AFTER, notes),
    }
}

/// Reads the secondaries of a `[[zone]]`.
pub(super) fn secondaries(
    transfer: Option<&At<List<PermitSpec>>>,
    notify: Option<&At<List<TargetSpec>>>,
    keys: &NamedKeys,
    notes: &mut Notes,
) -> Secondaries {
    let permits = transfer.map_or(&[][..], |list| &list.value);
    let targets = notify.map_or(&[][..], |list| &list.value);
    let permits: Vec<Permit> = permits
        .iter()
        .filter_map(|spec| permit(spec, keys, notes))
        .collect();
    let targets: Vec<Target> = targets
        .iter()
        .filter_map(|spec| target(spec, keys, notes))
        .collect();
    if let Some(list) = notify.filter(|_| permits.is_empty() && !targets.is_empty()) {
        notes.warn(
            list.at,
            "'notify' tells of changes that nobody may fetch, add 'transfer'",
        );
    }
    Secondaries {
        permits: permits.into(),
        targets: targets.into(),
    }
}

fn permit(spec: &At<PermitSpec>, keys: &NamedKeys, notes: &mut Notes) -> Option<Permit> {
    let PermitSpec { address, key } = &spec.value;
    if address.is_none() && key.is_none() {
        notes.error(
            spec.at,
            "a permit without 'address' and 'key' would be for everybody, write one of them",
        );
        return None;
    }
    let network = match address {
        Some(address) => match address.value.parse::<Network>() {
            Ok(network) => Some(network),
            Err(error) => {
                notes.error(address.at, format!("'{}': {error}", address.value));
                return None;
            }
        },
        None => None,
    };
    let key = match key {
        Some(key) => Some(known_key(key, keys, notes)?),
        None => None,
    };
    Some(Permit { network, key })
}

fn target(spec: &At<TargetSpec>, keys: &NamedKeys, notes: &mut Notes) -> Option<Target> {
    let TargetSpec { address, key } = &spec.value;
    let address = address.as_ref()?;
    let Some(socket) = socket_address(&address.value) else {
        let message = format!(
            "'{}' is no address, write 192.0.2.5, 192.0.2.5:53, 2001:db8::5 or [2001:db8::5]:53",
            address.value
        );
        notes.error(address.at, message);
        return None;
    };
    let key = match key {
        Some(key) => Some(known_key(key, keys, notes)?),
        None => None,
    };
    Some(Target {
        address: socket,
        key,
    })
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    let bare = text.parse::<IpAddr>();
    text.parse()
        .ok()
        .or_else(|| bare.ok().map(|address| SocketAddr::new(address, DNS_PORT)))
}

fn known_key(key: &At<String>, keys: &NamedKeys, notes: &mut Notes) -> Option<Name> {
    let name = key_name(key, notes)?;
    if !keys.names.contains_key(&name) {
        notes.error(
            key.at,
            format!(
                "'{}' is the name of no [[key]], add the key or correct the name",
                key.value
            ),
        );
        return None;
    }
    Some(name)
}
