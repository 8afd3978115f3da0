//! Master file text to tokens: comments, quotes, escapes and parentheses (RFC 1035 section 5.1),
//! each token with its place. What a token means is for [`super::parse()`] and [`super::record`].

/// One word of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The text, without the quotes, escapes as written.
    pub(super) text: &'a [u8],
    /// Whether it stood in quotes.
    pub(super) quoted: bool,
    /// Whether nothing parts it from the token before (`key="value"`).
    pub(super) glued: bool,
    /// The line, from 1.
    pub(super) line: u32,
    /// The column in octets, from 1.
    pub(super) column: u32,
}

/// One logical line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// Whether it began with white space: it has the owner of the record before.
    pub(super) indented: bool,
    /// Its words; at least one.
    pub(super) tokens: Vec<Token<'a>>,
}

/// What is wrong with a logical line, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScanError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: &'static str,
}

/// Walks over a text. Each call takes at least one octet, so it ends.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Scanner<'a> {
        let at = if text.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Scanner {
            text,
            at,
            line: 1,
            line_start: at,
        }
    }

    /// Fills `entry` with the next logical line that has a token. After an error the scan goes
    /// on at the next line.
    pub(super) fn next_entry(&mut self, entry: &mut Entry<'a>) -> Option<Result<(), ScanError>> {
        loop {
            self.peek()?;
            match self.scan_line(entry) {
                Ok(()) if entry.tokens.is_empty() => {}
                Ok(()) => return Some(Ok(())),
                Err(error) => {
                    self.skip_line();
                    return Some(Err(error));
                }
            }
        }
    }

    fn scan_line(&mut self, entry: &mut Entry<'a>) -> Result<(), ScanError> {
        entry.indented = matches!(self.peek(), Some(b' ' | b'\t'));
        entry.tokens.clear();
        let mut open: Vec<ScanError> = Vec::new();
        let mut glued = false;
        loop {
            match self.peek() {
                None => break,
                Some(b'\n') => {
                    self.newline();
                    if open.is_empty() {
                        break;
                    }
                }
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b';') => self.skip_comment(),
                Some(b'(') if open.len() >= MAX_PARENTHESES => {
                    return Err(self.error("parentheses are nested too deeply, remove some"));
                }
                Some(b'(') => {
                    open.push(self.error("'(' is never closed (RFC 1035 section 5.1), add ')'"));
                    self.at += 1;
                }
                Some(b')') => {
                    if open.pop().is_none() {
                        return Err(self.error(
                            "')' closes nothing (RFC 1035 section 5.1), remove it or add '('",
                        ));
                    }
                    self.at += 1;
                }
                Some(b'"') => {
                    let token = self.quoted(glued)?;
                    entry.tokens.push(token);
                    glued = true;
                    continue;
                }
                Some(_) => {
                    let token = self.word(glued)?;
                    entry.tokens.push(token);
                    glued = true;
                    continue;
                }
            }
            glued = false;
        }
        match open.pop() {
            Some(unclosed) => Err(unclosed),
            None => Ok(()),
        }
    }

    fn word(&mut self, glued: bool) -> Result<Token<'a>, ScanError> {
        let here = self.error("");
        let start = self.at;
        while let Some(octet) = self.peek() {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' => self.escape()?,
                _ => self.at += 1,
            }
        }
        Ok(self.token(start, self.at, false, glued, &here))
    }

    fn quoted(&mut self, glued: bool) -> Result<Token<'a>, ScanError> {
        let here = self.error("");
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                None | Some(b'\n') => {
                    return Err(ScanError {
                        message: "the quoted string has no end on its line (RFC 1035 section \
                                  5.1), add '\"'",
                        ..here
                    });
                }
                Some(b'"') => {
                    let end = self.at;
                    self.at += 1;
                    return Ok(self.token(start, end, true, glued, &here));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), ScanError> {
        match self.text.get(self.at + 1) {
            None | Some(b'\n') => Err(self.error(
                "a backslash ends the line (RFC 1035 section 5.1), write '\\\\' for a backslash",
            )),
            Some(_) => {
                self.at += 2;
                Ok(())
            }
        }
    }

    fn token(
        &self,
        start: usize,
        end: usize,
        quoted: bool,
        glued: bool,
        here: &ScanError,
    ) -> Token<'a> {
        Token {
            text: self.text.get(start..end).unwrap_or(&[]),
            quoted,
            glued,
            line: here.line,
            column: here.column,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn newline(&mut self) {
        self.at += 1;
        self.line = self.line.saturating_add(1);
        self.line_start = self.at;
    }

    fn skip_comment(&mut self) {
        while self.peek().is_some_and(|octet| octet != b'\n') {
            self.at += 1;
        }
    }

    fn skip_line(&mut self) {
        self.skip_comment();
        if self.peek().is_some() {
            self.newline();
        }
    }

    fn error(&self, message: &'static str) -> ScanError {
        ScanError {
            line: self.line,
            column: u32::try_from(self.at - self.line_start + 1).unwrap_or(u32::MAX),
            message,
        }
    }
}

/// Nested parentheses mean nothing; one pair is all that anybody writes.
const MAX_PARENTHESES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Result<Vec<String>, (u32, u32)>> {
        let mut scanner = Scanner::new(text.as_bytes());
        let mut entry = Entry::default();
        std::iter::from_fn(|| {
            let read = scanner.next_entry(&mut entry)?;
            Some(read.map(|()| entry.clone()))
        })
        .map(|entry| match entry {
            Ok(entry) => Ok(entry
                .tokens
                .iter()
                .map(|token| String::from_utf8_lossy(token.text).into_owned())
                .collect()),
            Err(error) => Err((error.line, error.column)),
        })
        .collect()
    }

    #[test]
    fn lines_become_words() {
        assert_eq!(
            words("a IN ( ; x\n 1 \"b ; c\"\n) d\\ e\n\n; only this\n\tf"),
            [Ok(vec!["a", "IN", "1", "b ; c", "d\\ e"]), Ok(vec!["f"]),]
                .map(|words: Result<Vec<&str>, (u32, u32)>| words
                    .map(|words| words.into_iter().map(str::to_owned).collect()))
        );
    }

    #[test]
    fn an_error_costs_its_line_and_no_other() {
        assert_eq!(
            words("a )\nb \"c\nd\\\ne (f\ng"),
            [Err((1, 3)), Err((2, 3)), Err((3, 2)), Err((4, 3)),]
        );
        assert_eq!(words("a )\nb").len(), 2);
    }
}
