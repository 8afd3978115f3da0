//! Names that a configuration gives: labels for operators, host names, domains.

use super::problem::{At, Notes};
use crate::ids::ServerName;
use crate::zone::Name;

/// The text, if it can be typed after a command and stand in a metric: letters, digits, `.`,
/// `_` and `-`, at most 63.
pub(super) fn label<'t>(what: &str, text: &'t At<String>, notes: &mut Notes) -> Option<&'t str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let value = text.value.as_str();
    if value.is_empty() || value.len() > 63 || !value.chars().all(plain) {
        let message = format!(
            "'{value}' is no name for a {what}, which is 1 to 63 letters, digits, '.', '_' or '-', \
             choose another"
        );
        notes.error(text.at, message);
        return None;
    }
    Some(value)
}

/// An absolute name in lower case.
pub(super) fn absolute(text: &At<String>, notes: &mut Notes) -> Option<Name> {
    match Name::from_text(text.value.as_bytes(), None) {
        Ok(name) => Some(name.to_lower()),
        Err(error) => {
            notes.error(text.at, format!("'{}': {error}", text.value));
            None
        }
    }
}

/// The name of a host, absolute, in lower case.
pub(super) fn host(text: &At<String>, notes: &mut Notes) -> Option<(ServerName, Name)> {
    let name = absolute(text, notes)?;
    if !name.labels().all(is_host_label) || name.labels().next().is_none() {
        let message = format!(
            "'{}' is no host name, whose labels are letters, digits and inner hyphens (RFC 1123 \
             section 2.1), correct it",
            text.value
        );
        notes.error(text.at, message);
        return None;
    }
    Some((ServerName::from(name.to_string().as_str()), name))
}

/// A domain as it stands in a stream and in a certificate: in lower case, without a final dot.
pub(super) fn domain(text: &At<String>, notes: &mut Notes) -> Option<String> {
    let bare = text.value.trim_end_matches('.').to_ascii_lowercase();
    let dotted = At {
        value: format!("{bare}."),
        at: text.at,
    };
    host(&dotted, notes).map(|_| bare)
}

fn is_host_label(label: &[u8]) -> bool {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'-';
    label.iter().all(plain) && label.first() != Some(&b'-') && label.last() != Some(&b'-')
}
