//! What may be written of alerts.

use std::time::Duration;

use super::problem::{At, Notes};
use super::reader::{Fields, FromToml, Item, one_of};
use super::spec::List;
use super::spec_steps::CallSpec;
use crate::alert::Topic;

/// `[[alert]]`.
pub(super) struct AlertSpec {
    pub(super) name: Option<At<String>>,
    pub(super) call: Option<At<CallSpec>>,
    pub(super) run: Option<At<List<String>>>,
    pub(super) on: Option<At<List<Topic>>>,
    pub(super) timeout: Option<At<Duration>>,
    pub(super) per_hour: Option<At<u32>>,
    pub(super) certificate_days: Option<At<u32>>,
}

impl FromToml for AlertSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[[alert]]", notes)?;
        let spec = AlertSpec {
            name: fields.need("name"),
            call: fields.get("call"),
            run: fields.get("run"),
            on: fields.get("on"),
            timeout: fields.get("timeout"),
            per_hour: fields.get("per_hour"),
            certificate_days: fields.get("certificate_days"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for Topic {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = Topic::CHOOSABLE.map(|topic| (topic.word(), topic));
        one_of(item, &words, notes)
    }
}
