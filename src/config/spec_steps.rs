//! What may be written of the steps of a service, as `spec` does for all else.

use std::time::Duration;

use super::problem::{At, Notes};
use super::reader::{Fields, FromToml, Item, one_of, wrong_type};
use super::spec::List;
use crate::runbook::{AfterCrash, Condition, Each, OnFailure};

/// `[[service.step]]`.
pub(super) struct StepSpec {
    pub(super) name: Option<At<String>>,
    pub(super) run: Option<At<List<String>>>,
    pub(super) call: Option<At<CallSpec>>,
    pub(super) fence: Option<At<WorkSpec>>,
    pub(super) publish: Option<At<bool>>,
    pub(super) verify: Option<At<Condition>>,
    pub(super) wait: Option<At<WaitSpec>>,
    pub(super) at_least: Option<At<u16>>,
    pub(super) each: Option<At<Each>>,
    pub(super) parallel: Option<At<bool>>,
    pub(super) timeout: Option<At<Duration>>,
    pub(super) retries: Option<At<u16>>,
    pub(super) backoff: Option<At<Duration>>,
    pub(super) on_failure: Option<At<OnFailure>>,
    pub(super) undo: Option<At<WorkSpec>>,
    pub(super) after_crash: Option<At<AfterCrash>>,
}

/// A program with its arguments, or a call.
pub(super) enum WorkSpec {
    Run(List<String>),
    Call(CallSpec),
}

/// `call = { method, url, … }`.
pub(super) struct CallSpec {
    pub(super) method: Option<At<String>>,
    pub(super) url: Option<At<String>>,
    pub(super) headers: Option<At<HeadersSpec>>,
    pub(super) secret_file: Option<At<String>>,
    pub(super) ca_file: Option<At<String>>,
    pub(super) expect: Option<At<List<u16>>>,
}

/// `headers = { Name = "value", Other = { file = "…" } }`.
pub(super) struct HeadersSpec(pub(super) List<(String, HeaderSpec)>);

/// The value of one field.
pub(super) enum HeaderSpec {
    Text(String),
    File(At<String>),
}

/// `wait`.
pub(super) enum WaitSpec {
    For(Duration),
    Ttl,
    Secondaries,
}

impl FromToml for StepSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "[[service.step]]", notes)?;
        let spec = StepSpec {
            name: fields.get("name"),
            run: fields.get("run"),
            call: fields.get("call"),
            fence: fields.get("fence"),
            publish: fields.get("publish"),
            verify: fields.get("verify"),
            wait: fields.get("wait"),
            at_least: fields.get("at_least"),
            each: fields.get("each"),
            parallel: fields.get("parallel"),
            timeout: fields.get("timeout"),
            retries: fields.get("retries"),
            backoff: fields.get("backoff"),
            on_failure: fields.get("on_failure"),
            undo: fields.get("undo"),
            after_crash: fields.get("after_crash"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for WorkSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if item.get_ref().is_array() {
            return FromToml::from_toml(item, notes).map(WorkSpec::Run);
        }
        if !item.get_ref().is_table() {
            let want = "a program with its arguments or a call, [\"…\"] or { url = \"…\" }";
            wrong_type(item, want, notes);
            return None;
        }
        FromToml::from_toml(item, notes).map(WorkSpec::Call)
    }
}

impl FromToml for CallSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let mut fields = Fields::of(item, "a call", notes)?;
        let spec = CallSpec {
            method: fields.get("method"),
            url: fields.need("url"),
            headers: fields.get("headers"),
            secret_file: fields.get("secret_file"),
            ca_file: fields.get("ca_file"),
            expect: fields.get("expect"),
        };
        fields.finish();
        Some(spec)
    }
}

impl FromToml for HeadersSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let Some(table) = item.get_ref().as_table() else {
            wrong_type(item, "a table of header fields", notes);
            return None;
        };
        let read = table.iter().filter_map(|(name, value)| {
            let value = HeaderSpec::from_toml(value, notes)?;
            Some(At {
                value: (name.get_ref().clone().into_owned(), value),
                at: name.span().start,
            })
        });
        Some(HeadersSpec(read.collect()))
    }
}

impl FromToml for HeaderSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        if item.get_ref().is_str() {
            return String::from_toml(item, notes).map(HeaderSpec::Text);
        }
        if !item.get_ref().is_table() {
            wrong_type(item, "a string or { file = \"…\" }", notes);
            return None;
        }
        let mut fields = Fields::of(item, "the value of a header field", notes)?;
        let file = fields.need("file");
        fields.finish();
        file.map(HeaderSpec::File)
    }
}

impl FromToml for WaitSpec {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        match item.get_ref().as_str() {
            Some("ttl") => Some(WaitSpec::Ttl),
            Some("secondaries") => Some(WaitSpec::Secondaries),
            Some(text) if text.starts_with(|first: char| first.is_ascii_digit()) => {
                Duration::from_toml(item, notes).map(WaitSpec::For)
            }
            Some(_) | None => {
                wrong_type(
                    item,
                    "\"ttl\", \"secondaries\" or a time such as \"30s\"",
                    notes,
                );
                None
            }
        }
    }
}

impl FromToml for Each {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [("server", Each::Server), ("operation", Each::Operation)];
        one_of(item, &words, notes)
    }
}

impl FromToml for Condition {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("path", Condition::Path),
            ("open", Condition::Open),
            ("healthy", Condition::Healthy),
        ];
        one_of(item, &words, notes)
    }
}

impl FromToml for OnFailure {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("undo", OnFailure::Undo),
            ("halt", OnFailure::Halt),
            ("continue", OnFailure::Continue),
        ];
        one_of(item, &words, notes)
    }
}

impl FromToml for AfterCrash {
    fn from_toml(item: &Item<'_>, notes: &mut Notes) -> Option<Self> {
        let words = [
            ("retry", AfterCrash::Retry),
            ("verify", AfterCrash::Verify),
            ("ask", AfterCrash::Ask),
        ];
        one_of(item, &words, notes)
    }
}
