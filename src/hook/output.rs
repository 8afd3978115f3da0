//! **Pure.** What a program printed, bounded: its beginning and its end.

use std::collections::VecDeque;
use std::fmt::Write;

/// So many bytes of the beginning are kept, and as many of the end.
pub(super) const KEPT: usize = 8 * 1024;

/// Collects output as it comes.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Output {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        // Of a large piece only the last bytes can stay.
        let (gone, rest) = rest.split_at(rest.len().saturating_sub(KEPT));
        let over = (self.tail.len() + rest.len()).saturating_sub(KEPT);
        let over = over.max(if gone.is_empty() { 0 } else { self.tail.len() });
        self.tail.drain(..over);
        self.tail.extend(rest);
        self.left_out += u64::try_from(gone.len() + over).unwrap_or(u64::MAX);
    }

    /// The beginning, as it came.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// As text that can be shown on a terminal and kept in a log: what is not UTF-8 is replaced,
    /// control characters other than the end of a line and the tab are written out.
    pub(super) fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.left_out == 0 {
            return shown(&[self.head.as_slice(), &tail].concat());
        }
        format!(
            "{}\n… {} bytes left out …\n{}",
            shown(&self.head),
            self.left_out,
            shown(&tail)
        )
    }
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            // Writing to a String does not fail.
            let _ = write!(text, "{}", c.escape_unicode());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pieces: &[&[u8]]) -> Output {
        let mut output = Output::default();
        for piece in pieces {
            output.push(piece);
        }
        output
    }

    #[test]
    fn short_output_is_kept_whole_also_across_the_seam() {
        let long = "ü".repeat(KEPT);
        assert_eq!(after(&[b"a", long.as_bytes(), b"b"]).left_out, 2);
        let fits = "ü".repeat(KEPT - 1);
        assert_eq!(
            after(&[b"a", fits.as_bytes(), b"b"]).text(),
            format!("a{fits}b")
        );
    }

    #[test]
    fn long_output_keeps_its_beginning_and_its_end_however_it_comes() {
        let all: Vec<u8> = (0..100_000u32)
            .map(|n| b'a' + u8::try_from(n % 23).unwrap())
            .collect();
        for size in [1, 7, KEPT - 1, KEPT, KEPT + 1, 3 * KEPT, 65_536, 100_000] {
            let pieces: Vec<&[u8]> = all.chunks(size).collect();
            let text = after(&pieces).text();
            let (head, tail) = (&all[..KEPT], &all[all.len() - KEPT..]);
            let expected = format!(
                "{}\n… {} bytes left out …\n{}",
                str::from_utf8(head).unwrap(),
                all.len() - 2 * KEPT,
                str::from_utf8(tail).unwrap()
            );
            assert_eq!(text, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn nothing_that_is_printed_reaches_the_terminal_as_a_command() {
        let text = after(&[b"ok\t\x1b[2J\x07\xff\xc2\x9b\r\nend\n"]).text();
        assert_eq!(text, "ok\t\\u{1b}[2J\\u{7}\u{fffd}\\u{9b}\\u{d}\nend\n");
    }
}
