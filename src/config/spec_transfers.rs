//! What may be written of transfers, in and out: keys, primaries, permits, targets.

use std::time::Duration;

use super::problem::{At, Notes};
use super::reader::{Fields, FromToml, Item, wrong_type};

/// One entry of `primary`: an address, or a table with one.
pub(super) struct PrimarySpec {
    pub(super) address: Option<At<String>>,
    pub(super) key: Option<At<String>>,
    pub(super) tls: Option<At<String>>,
    pub(super) ca_file: Option<At<String>>,
}

/// `[[key]]`.
pub(super) struct KeySpec {
    pub(super) name: Option<At<String>>,
    pub(super) algorithm: Option<At<String>>,
    pub(super) secret: Option<At<String>>,
    pub(super) secret_file: Option<At<String>>,
}

/// `[secondaries]`.
pub(super) struct SecondariesTable {
    pub(super) history_mib: Option<At<u16>>,
    pub(super) alarm_after: Option<At<Duration>>,
}

/// One entry of `transfer`.
pub(super) struct PermitSpec {
    pub(super) address: Option<At<String>>,
    pub(super) key: Option<At<String>>,
}

/// One entry of `notify`.
pub(super) struct TargetSpec {
    pub(super) address: Option<At<String>>,
    pub(super) key: Option<At<String>>,
}

impl FromToml for SecondariesTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[secondaries]", notes)?;
        let spec = SecondariesTable {
            history_mib: fields.get("history_mib"),
            alarm_after: fields.get("alarm_after"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for PrimarySpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if item.get_ref().is_str() {
            let value = String::from_toml(item, notes)?;
            let at = item.span().start;
            return Some(PrimarySpec {
                address: Some(At { value, at }),
                key: None,
                tls: None,
                ca_file: None,
            });
        }
        if !item.get_ref().is_table() {
            wrong_type(item, "an address or { address = \"192.0.2.1\", … }", notes);
            return None;
        }
        let mut fields = Fields::of(item, "a primary", notes)?;
        let spec = PrimarySpec {
            address: fields.need("address"),
            key: fields.get("key"),
            tls: fields.get("tls"),
            ca_file: fields.get("ca_file"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for KeySpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[[key]]", notes)?;
        let spec = KeySpec {
            name: fields.need("name"),
            algorithm: fields.need("algorithm"),
            secret: fields.get("secret"),
            secret_file: fields.get("secret_file"),
        };
        fields.finish();
        Some(spec)
    }
}

/// An address alone, as a string.
fn address_alone(item: &Item<'_>, notes: &mut Notes) -> Option<At<String>> {
    item.get_ref().as_str()?;
    let value = String::from_toml(item, notes)?;
    let at = item.span().start;
    Some(At { value, at })
}

impl FromToml for PermitSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if let Some(address) = address_alone(item, notes) {
            return Some(PermitSpec {
                address: Some(address),
                key: None,
            });
        }
        let mut fields = Fields::of(item, "an entry of 'transfer'", notes)?;
        let spec = PermitSpec {
            address: fields.get("address"),
            key: fields.get("key"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for TargetSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if let Some(address) = address_alone(item, notes) {
            return Some(TargetSpec {
                address: Some(address),
                key: None,
            });
        }
        let mut fields = Fields::of(item, "an entry of 'notify'", notes)?;
        let spec = TargetSpec {
            address: fields.need("address"),
            key: fields.get("key"),
        };
        fields.finish();
        Some(spec)
    }
}
