//! Parameters of SVCB and HTTPS records (RFC 9460): `domain` reads and writes them.

use domain::base::Name as DomainName;
use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};

use super::scan::Token;

/// The parameters that these words are, or which word is wrong, and how; one past the last for
/// their end.
pub(super) fn parameters(words: &[Token<'_>]) -> Result<Vec<u8>, (usize, String)> {
    let mut line = b". 0 IN SVCB 1 .".to_vec();
    let mut columns = Vec::with_capacity(words.len());
    for (index, token) in words.iter().enumerate() {
        if !token.glued || index == 0 {
            line.push(b' ');
        }
        columns.push(line.len() + 1);
        copy(token, &mut line);
    }
    line.push(b'\n');
    let rdata = compose(&line).map_err(|(column, message)| {
        let word = columns.iter().take_while(|start| **start <= column).count();
        let past = column > line.len();
        (
            if past {
                columns.len()
            } else {
                word.saturating_sub(1)
            },
            message,
        )
    })?;
    // Without the priority and the target, which is the root.
    Ok(rdata.get(3..).unwrap_or(&[]).to_vec())
}

/// Copies a word; octets outside ASCII become escapes, as `domain` reads text as UTF-8.
fn copy(token: &Token<'_>, line: &mut Vec<u8>) {
    if token.quoted {
        line.push(b'"');
    }
    let mut octets = token.text.iter();
    while let Some(&octet) = octets.next() {
        match octet {
            b'\\' => match octets.next() {
                Some(&escaped @ 0x21..=0x7e) => line.extend_from_slice(&[b'\\', escaped]),
                Some(&escaped) => line.extend_from_slice(format!("\\{escaped:03}").as_bytes()),
                None => {}
            },
            0x21..=0x7e => line.push(octet),
            b' ' if token.quoted => line.push(b' '),
            _ => line.extend_from_slice(format!("\\{octet:03}").as_bytes()),
        }
    }
    if token.quoted {
        line.push(b'"');
    }
}

/// The RDATA of the one record in `line`, or the column and what is wrong there.
fn compose(line: &[u8]) -> Result<Vec<u8>, (usize, String)> {
    let mut file = Zonefile::from(line);
    file.set_origin(DomainName::root_bytes());
    match file.next_entry() {
        Ok(Some(Entry::Record(record))) => {
            let mut rdata = Vec::new();
            record
                .data()
                .compose_rdata(&mut rdata)
                .map_err(|error| (line.len(), error.to_string()))?;
            Ok(rdata)
        }
        Ok(Some(Entry::Include { .. }) | None) => Err((line.len(), "no record".to_owned())),
        Err(error) => {
            // `line:column: message`; there is no other way to the column.
            let text = error.to_string();
            let mut parts = text.splitn(3, ':');
            let in_line = parts.next() == Some("1");
            let column = parts.next().and_then(|column| column.parse().ok());
            let message = parts.next().map_or(text.as_str(), str::trim).to_owned();
            // Past the line feed, it wanted more words or did not like the last one.
            let column = match column {
                Some(column) if in_line => column,
                _ if message.starts_with("unexpected end") => usize::MAX,
                _ => line.len(),
            };
            Err((column, message))
        }
    }
}
