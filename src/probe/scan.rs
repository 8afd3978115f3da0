//! Reads what a server says on an XMPP stream, piece by piece, and keeps almost nothing of it.
//!
//! This is no XML parser: it finds tags, their depth, their local names and the text of their
//! attributes, which is what is needed to see features, an error, or the answer to
//! `<starttls/>`, whatever prefix the server chose. Whoever sends something that is not XML
//! enough gets [`Fault`]. It holds one tag at a time, of [`LONGEST_TAG`] at most.

use std::borrow::Cow;

/// The longest tag that is read.
const LONGEST_TAG: usize = 2048;

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// `<stream:features>` has ended, or was empty.
    Features { starttls: bool },
    /// A stream error, with its condition (RFC 6120 section 4.9.3).
    Error(String),
    /// `<proceed/>` (RFC 6120 section 5.4.2.3).
    Proceed,
    /// `<failure/>` (section 5.4.2.2).
    Failure,
    /// `</stream:stream>`.
    End,
}

/// Why it is not XMPP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault(pub(super) Cow<'static, str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Text,
    Tag { quote: Option<u8> },
    Instruction { mark: bool },
}

/// What the element at depth 1 is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Child {
    Features { starttls: bool },
    Error { condition: Option<String> },
    Proceed,
    Failure,
    Other,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Scanner {
    place: Place,
    depth: u32,
    tag: Vec<u8>,
    child: Child,
}

impl Scanner {
    pub(super) fn new() -> Scanner {
        Scanner {
            place: Place::Text,
            depth: 0,
            tag: Vec::new(),
            child: Child::Other,
        }
    }

    /// Reads `input` up to the first thing said; returns it with the number of octets read.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, Option<Said>), Fault> {
        for (at, &octet) in input.iter().enumerate() {
            if let Some(said) = self.step(octet).map_err(|fault| match fault {
                Some(fault) => fault,
                None => Fault(Cow::Owned(format!("it says `{}`", printable(input, 60)))),
            })? {
                return Ok((at + 1, Some(said)));
            }
        }
        Ok((input.len(), None))
    }

    /// Lets go of the buffer, for a stream that is only watched.
    pub(super) fn idle(&mut self) {
        self.tag = Vec::new();
    }

    /// `Err(None)` means that the input is not XML at all: it is shown as it came.
    fn step(&mut self, octet: u8) -> Result<Option<Said>, Option<Fault>> {
        match self.place {
            Place::Text if octet == b'<' => self.place = Place::Tag { quote: None },
            Place::Text => {
                if self.depth == 0 && !octet.is_ascii_whitespace() {
                    return Err(None);
                }
            }
            Place::Instruction { mark: true } if octet == b'>' => self.place = Place::Text,
            Place::Instruction { .. } => {
                self.place = Place::Instruction {
                    mark: octet == b'?',
                }
            }
            Place::Tag { quote: None } if octet == b'>' => {
                self.place = Place::Text;
                let tag = std::mem::take(&mut self.tag);
                let said = self.tag_ended(&tag);
                self.tag = tag;
                self.tag.clear();
                return said.map_err(Some);
            }
            Place::Tag { quote } => {
                if self.tag.is_empty() && octet == b'?' {
                    self.place = Place::Instruction { mark: false };
                    return Ok(None);
                }
                if self.tag.is_empty() && octet == b'!' {
                    // RFC 6120 section 11.1 forbids comments and declarations.
                    return Err(None);
                }
                if self.tag.len() >= LONGEST_TAG {
                    return Err(Some(Fault(Cow::Borrowed("a tag is longer than 2 KiB"))));
                }
                self.tag.push(octet);
                self.place = Place::Tag {
                    quote: match quote {
                        Some(open) if open == octet => None,
                        None if octet == b'"' || octet == b'\'' => Some(octet),
                        same => same,
                    },
                };
            }
        }
        Ok(None)
    }

    fn tag_ended(&mut self, tag: &[u8]) -> Result<Option<Said>, Fault> {
        if tag.first() == Some(&b'/') {
            self.depth = self.depth.saturating_sub(1);
            return Ok(match self.depth {
                0 => Some(Said::End),
                1 => self.child_ended(),
                _ => None,
            });
        }
        let empty = tag.last() == Some(&b'/');
        let name = local_name(tag);
        match self.depth {
            0 => root(name, tag, empty)?,
            1 => {
                self.child = match name {
                    b"features" => Child::Features { starttls: false },
                    b"error" => Child::Error { condition: None },
                    b"proceed" => Child::Proceed,
                    b"failure" => Child::Failure,
                    _ => Child::Other,
                };
                if empty {
                    return Ok(self.child_ended());
                }
            }
            2 => match &mut self.child {
                Child::Features { starttls } => *starttls |= name == b"starttls",
                Child::Error { condition } if condition.is_none() && name != b"text" => {
                    *condition = Some(printable(name, 40));
                }
                Child::Error { .. } | Child::Proceed | Child::Failure | Child::Other => {}
            },
            _ => {}
        }
        if !empty {
            self.depth += 1;
        }
        Ok(None)
    }

    fn child_ended(&mut self) -> Option<Said> {
        match std::mem::replace(&mut self.child, Child::Other) {
            Child::Features { starttls } => Some(Said::Features { starttls }),
            Child::Error { condition } => Some(Said::Error(
                condition.unwrap_or_else(|| "undefined-condition".to_owned()),
            )),
            Child::Proceed => Some(Said::Proceed),
            Child::Failure => Some(Said::Failure),
            Child::Other => None,
        }
    }
}

fn root(name: &[u8], tag: &[u8], empty: bool) -> Result<(), Fault> {
    const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
    let in_namespace = tag.windows(STREAMS.len()).any(|window| window == STREAMS);
    if name == b"stream" && in_namespace && !empty {
        return Ok(());
    }
    let name = printable(name, 40);
    Err(Fault(Cow::Owned(format!(
        "it opens with `<{name}>`, not with a stream"
    ))))
}

/// The name of a tag without its prefix.
fn local_name(tag: &[u8]) -> &[u8] {
    let end = tag
        .iter()
        .position(|octet| octet.is_ascii_whitespace() || *octet == b'/')
        .unwrap_or(tag.len());
    let name = &tag[..end];
    name.iter()
        .position(|octet| *octet == b':')
        .map_or(name, |colon| &name[colon + 1..])
}

/// The first line of `text`, at most `longest` characters of it, without anything that a log
/// or a terminal could take for more than text.
pub(super) fn printable(text: &[u8], longest: usize) -> String {
    text.iter()
        .take_while(|octet| !matches!(octet, b'\r' | b'\n'))
        .take(longest)
        .map(|octet| match octet {
            b' '..=b'~' => char::from(*octet),
            _ => '.',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
        xmlns:stream='http://etherx.jabber.org/streams' id='a>b' version='1.0'>";

    /// Reads the text as a whole and octet by octet; both must say the same.
    fn all(text: &str) -> Result<Vec<Said>, Fault> {
        let run = |size: usize| -> Result<Vec<Said>, Fault> {
            let (mut scanner, mut said) = (Scanner::new(), Vec::new());
            for mut piece in text.as_bytes().chunks(size) {
                while !piece.is_empty() {
                    let (read, word) = scanner.read(piece)?;
                    said.extend(word);
                    piece = &piece[read..];
                }
            }
            Ok(said)
        };
        let whole = run(usize::MAX);
        assert_eq!(run(1).is_ok(), whole.is_ok());
        if let (Ok(whole), Ok(single)) = (&whole, run(1)) {
            assert_eq!(*whole, single);
        }
        whole
    }

    fn after_head(text: &str) -> Vec<Said> {
        all(&format!("{HEAD}{text}")).unwrap()
    }

    #[test]
    fn features_are_found_under_any_prefix_and_in_any_form() {
        let with = [Said::Features { starttls: true }];
        let without = [Said::Features { starttls: false }];
        assert_eq!(after_head("<stream:features/>"), without);
        assert_eq!(after_head("<stream:features></stream:features>"), without);
        assert_eq!(
            after_head(
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>\
                 <required/></starttls><dialback xmlns=\"urn:xmpp:features:dialback\"/>\
                 </stream:features>"
            ),
            with
        );
        let other = "<x:stream xmlns:x=\"http://etherx.jabber.org/streams\" a='/>'>\
                     <x:features ><starttls /></x:features >";
        assert_eq!(all(other).unwrap(), with);
    }

    #[test]
    fn errors_give_their_condition() {
        let said = after_head(
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text>no such host</text></stream:error></stream:stream>",
        );
        assert_eq!(said, [Said::Error("host-unknown".into()), Said::End]);
        let said = after_head("<stream:error/>");
        assert_eq!(said, [Said::Error("undefined-condition".into())]);
        let said = after_head("<stream:error><text>1</text><\u{1b}[31m/></stream:error>");
        assert_eq!(said, [Said::Error(".[31m".into())]);
    }

    #[test]
    fn the_answer_to_starttls_is_found_between_other_words() {
        let said = after_head("<stream:features/><other><proceed/></other><proceed xmlns='x'/>");
        assert_eq!(said, [Said::Features { starttls: false }, Said::Proceed]);
        assert_eq!(after_head("<failure></failure>"), [Said::Failure]);
    }

    #[test]
    fn what_is_not_xmpp_is_refused() {
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "<!DOCTYPE html><html>",
            "<html><body>",
            "<stream>",
            "<stream xmlns='http://etherx.jabber.org/streams'/>",
            "\u{15}\u{3}\u{1}",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
        let fault = Scanner::new().read(b"HTTP/1.1 400 Bad\x07\r\nServer: x");
        assert_eq!(fault, Err(Fault("it says `HTTP/1.1 400 Bad.`".into())));
    }

    #[test]
    fn no_tag_is_kept_past_its_bound() {
        let mut scanner = Scanner::new();
        scanner.read(HEAD.as_bytes()).unwrap();
        assert!(
            scanner
                .read(&[b"<a ".to_vec(), vec![b'x'; 5000]].concat())
                .is_err()
        );
        assert!(scanner.tag.capacity() <= 2 * LONGEST_TAG);
        let (mut scanner, deep) = (Scanner::new(), "<a>".repeat(30_000));
        scanner.read(HEAD.as_bytes()).unwrap();
        assert_eq!(scanner.read(deep.as_bytes()).unwrap(), (90_000, None));
    }
}
