//! `[sandbox]`: what the daemon gives up once everything is bound.

use super::problem::{At, Notes};
use super::reader::{Fields, FromToml, Item, one_of};
use crate::sandbox::Wish;

/// What the daemon gives up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confined {
    /// Who it becomes.
    pub user: Option<String>,
    /// Who its hooks and other programs run as; without it, the same.
    pub hooks_user: Option<String>,
    /// Files, by Landlock.
    pub landlock: Wish,
    /// System calls, by seccomp.
    pub seccomp: Wish,
}

/// `[sandbox]`.
#[derive(Default)]
pub(super) struct SandboxTable {
    user: Option<At<String>>,
    hooks_user: Option<At<String>>,
    landlock: Option<At<Wish>>,
    seccomp: Option<At<Wish>>,
}

impl FromToml for SandboxTable {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[sandbox]", notes)?;
        let spec = SandboxTable {
            user: fields.get("user"),
            hooks_user: fields.get("hooks_user"),
            landlock: fields.get("landlock"),
            seccomp: fields.get("seccomp"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for Wish {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("on", Wish::On),
            ("best-effort", Wish::BestEffort),
            ("off", Wish::Off),
        ];
        one_of(item, &words, notes)
    }
}

/// The meaning of the table; what is wrong with it is noted.
pub(super) fn read(spec: Option<At<SandboxTable>>, notes: &mut Notes) -> Confined {
    let SandboxTable {
        user,
        hooks_user,
        landlock,
        seccomp,
    } = spec.map_or_else(Default::default, |it| it.value);
    let named = [("user", user), ("hooks_user", hooks_user)];
    let [user, hooks_user] = named.map(|(key, name)| {
        let At { value, at } = name?;
        if value.is_empty() || value.contains(['\0', ':', '/']) {
            let message = format!("'{key}' is '{value}', which no account is called, name one");
            notes.error(at, message);
        }
        Some(value)
    });
    Confined {
        user,
        hooks_user,
        landlock: landlock.map_or_else(Wish::default, |wish| wish.value),
        seccomp: seccomp.map_or_else(Wish::default, |wish| wish.value),
    }
}
