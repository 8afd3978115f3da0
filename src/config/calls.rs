//! `call = { … }` to a call over HTTP.

use std::fs::File;

use super::paths::Base;
use super::problem::{At, Notes};
use super::spec_steps::{CallSpec, HeaderSpec};
use crate::http::{Secret, Target, check_header};
use crate::runbook::{Call, Word};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Reads a call.
pub(super) fn read(spec: &CallSpec, base: &Base, notes: &mut Notes) -> Option<Call> {
    let CallSpec {
        method,
        url,
        headers,
        secret_file,
        ca_file,
        expect,
    } = spec;
    let url = url.as_ref()?;
    match Target::parse(&url.value) {
        Err(error) => notes.error(url.at, error.to_string()),
        Ok(target) if !target.is_tls() && !target.is_loopback() => notes.warn(
            url.at,
            "a call without TLS, whoever is on the way can read it and send it again, write https",
        ),
        Ok(_) => {}
    }
    if let Some(At { value, at }) = method
        && !METHODS.contains(&value.as_str())
    {
        let message = format!("'{value}' is none of {}", METHODS.join(", "));
        notes.error(*at, message);
    }
    let fields = headers.iter().flat_map(|headers| &headers.value.0);
    let headers = fields.map(|field| header(field, base, notes)).collect();
    let secret_file = secret_file.as_ref().map(|file| {
        let path = base.resolve(&file.value);
        if let Err(error) = Secret::read(&path) {
            notes.error(file.at, error.to_string());
        }
        path.display().to_string()
    });
    let ca_file = ca_file
        .as_ref()
        .map(|file| base.certificates(file, notes).display().to_string());
    let expect = expect.as_ref().map(|list| &list.value[..]);
    let expect = expect.unwrap_or_default().iter().map(|status| {
        if !(200..600).contains(&status.value) {
            let message = format!(
                "{} is no status of an answer, write 200 to 599",
                status.value
            );
            notes.error(status.at, message);
        }
        status.value
    });
    Some(Call {
        method: method
            .as_ref()
            .map_or_else(|| "POST".to_owned(), |method| method.value.clone()),
        url: url.value.clone(),
        headers,
        secret_file,
        ca_file,
        expect: expect.collect(),
    })
}

fn header(field: &At<(String, HeaderSpec)>, base: &Base, notes: &mut Notes) -> (String, Word) {
    let (name, value) = &field.value;
    let (shown, word) = match value {
        HeaderSpec::Text(text) => (text.as_str(), Word::Text(text.clone())),
        HeaderSpec::File(file) => {
            let path = base.resolve(&file.value);
            if let Err(error) = File::open(&path) {
                let message = format!(
                    "'{}' cannot be read ({error}), correct the path or its owner",
                    path.display()
                );
                notes.error(file.at, message);
            }
            ("", Word::File(path.display().to_string()))
        }
    };
    if let Err(why) = check_header(name, shown) {
        notes.error(field.at, why);
    }
    (name.clone(), word)
}
