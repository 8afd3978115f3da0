//! `switchback status --watch`: the status as a page that is written anew every second.
//!
//! The terminal is given back as it was on every way out: `q`, ctrl-C, an error, a panic, SIGTERM and
//! SIGHUP, and for as long as ctrl-Z holds it. The signals are read from a descriptor, so no handler
//! runs. A daemon that does not answer is asked by a thread; the keys work meanwhile.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use super::Exit;
use super::output::{CommandError, Out};
use super::when::local;
use crate::admin::status::Status;
use crate::admin::text::{self, Paint};
use crate::admin::{self, Answer, Request};
use crate::clock;
use crate::ids::ServiceName;
use crate::time::Mono;

/// The daemon is asked so often.
const EVERY: Duration = Duration::from_secs(1);
/// What came meanwhile is looked at so often.
const LOOK: u16 = 100;
/// A screen is no smaller for us, whatever it says.
const LEAST: (usize, usize) = (20, 5);

/// Watches until somebody ends it. `None`: there is no terminal for it, which has been said.
pub(super) fn run(socket: &Path, out: &mut Out) -> Result<Option<Exit>, CommandError> {
    let dumb = std::env::var("TERM").map_or(true, |term| term.is_empty() || term == "dumb");
    if !out.is_terminal() || !io::stdin().is_terminal() || dumb {
        let why = if dumb {
            "this terminal (TERM) cannot move its cursor"
        } else {
            "standard input and output are no terminal"
        };
        // If this cannot be said, the status still can.
        let _ = writeln!(
            io::stderr(),
            "switchback: --watch: {why}; here is the status, once"
        );
        return Ok(None);
    }
    let mut screen = Screen::open().map_err(CommandError::failed)?;
    let result = Watch::new(socket).run(&mut screen, out.paint());
    drop(screen);
    result.map(Some)
}

/// The terminal, taken.
struct Screen {
    before: Termios,
    signals: SignalFd,
    mask: SigSet,
}

/// What somebody wants.
enum Key {
    End,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    None,
}

impl Screen {
    fn open() -> io::Result<Screen> {
        let mut mask = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGTSTP,
            Signal::SIGWINCH,
        ] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&mask, flags)?;
        let before = termios::tcgetattr(io::stdin())?;
        let mut screen = Screen {
            before,
            signals,
            mask,
        };
        screen.take()?;
        Ok(screen)
    }

    /// Keys come one by one and are not shown; the page has a screen of its own.
    fn take(&mut self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        write_out("\x1b[?1049h\x1b[?25l")
    }

    fn give_back(&mut self) {
        // Nobody is left to tell if it cannot be given back.
        let _ = write_out("\x1b[?25h\x1b[?1049l");
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }

    /// Stops as ctrl-Z wants it, with the terminal as it was, and goes on when it is continued.
    fn stop(&mut self) -> io::Result<()> {
        self.give_back();
        raise(Signal::SIGSTOP)?;
        self.take()
    }

    fn size() -> (usize, usize) {
        let size = termios::tcgetwinsize(io::stdout());
        let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
        (
            usize::from(columns).max(LEAST.0),
            usize::from(rows).max(LEAST.1),
        )
    }

    /// Waits for a key or a signal, for [`LOOK`] at the most.
    fn wait(&mut self) -> io::Result<Key> {
        let stdin = io::stdin();
        let mut ready = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::from(LOOK)) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Key::None),
            Err(error) => return Err(error.into()),
        }
        let [keys, signals] = ready.map(|ready| ready.revents().unwrap_or(PollFlags::empty()));
        if !signals.is_empty() {
            return self.signal();
        }
        if keys.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            let mut octets = [0; 16];
            let read = stdin.lock().read(&mut octets)?;
            // The terminal is gone.
            if read == 0 {
                return Ok(Key::End);
            }
            return Ok(key(&octets[..read]));
        }
        Ok(Key::None)
    }

    fn signal(&mut self) -> io::Result<Key> {
        let Some(signal) = self.signals.read_signal()? else {
            return Ok(Key::None);
        };
        let is = |wanted: Signal| i32::try_from(signal.ssi_signo) == Ok(wanted as i32);
        if is(Signal::SIGTSTP) {
            self.stop()?;
            return Ok(Key::None);
        }
        Ok(if is(Signal::SIGWINCH) {
            Key::None
        } else {
            Key::End
        })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
        let _ = self.mask.thread_unblock();
    }
}

fn key(octets: &[u8]) -> Key {
    match octets {
        b"q" | b"Q" | b"\x03" | b"\x04" => Key::End,
        b"k" | b"\x1b[A" | b"\x1bOA" => Key::Up,
        b"j" | b"\x1b[B" | b"\x1bOB" => Key::Down,
        b"\x1b[5~" | b"b" => Key::PageUp,
        b"\x1b[6~" | b" " => Key::PageDown,
        b"g" | b"\x1b[H" => Key::Top,
        _ => Key::None,
    }
}

type Asked = Result<Box<Status>, String>;

struct Watch<'a> {
    socket: &'a Path,
    /// A question under way.
    asked: Option<Receiver<Asked>>,
    ask_at: Mono,
    status: Option<Box<Status>>,
    /// Since when the daemon has not answered, and why.
    silent: Option<(Mono, String)>,
    /// How long old answers lived at first, for each service that moved.
    longest: BTreeMap<ServiceName, Duration>,
    /// The first line of the page that is shown.
    top: usize,
}

impl<'a> Watch<'a> {
    fn new(socket: &'a Path) -> Watch<'a> {
        Watch {
            socket,
            asked: None,
            ask_at: clock::mono(),
            status: None,
            silent: None,
            longest: BTreeMap::new(),
            top: 0,
        }
    }

    fn run(&mut self, screen: &mut Screen, paint: Paint) -> Result<Exit, CommandError> {
        loop {
            self.ask();
            self.hear();
            let (columns, rows) = Screen::size();
            let page = self.page(paint);
            let shown = self.shown(&page, columns, rows, paint);
            write_out(&shown)?;
            let step = rows.saturating_sub(3).max(1);
            match screen.wait()? {
                Key::End => break,
                Key::Up => self.top = self.top.saturating_sub(1),
                Key::Down => self.top += 1,
                Key::PageUp => self.top = self.top.saturating_sub(step),
                Key::PageDown => self.top += step,
                Key::Top => self.top = 0,
                Key::None => {}
            }
        }
        let well = self.silent.is_none()
            && self
                .status
                .as_ref()
                .is_some_and(|status| !status.needs_a_human());
        Ok(if well { Exit::Well } else { Exit::NotWell })
    }

    /// Asks, if it is time, and no question is under way.
    fn ask(&mut self) {
        let now = clock::mono();
        if self.asked.is_some() || now < self.ask_at {
            return;
        }
        self.ask_at = now + EVERY;
        let (answer, asked) = sync_channel(1);
        let socket = self.socket.to_owned();
        let asking = std::thread::Builder::new().spawn(move || {
            let said = match admin::ask(&socket, &Request::Status) {
                Ok(Answer::Status(status)) => Ok(status),
                Ok(_) => Err("the daemon answered another question".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            // Nobody may be watching any more.
            let _ = answer.send(said);
        });
        if asking.is_ok() {
            self.asked = Some(asked);
        }
    }

    fn hear(&mut self) {
        let Some(said) = self.asked.as_ref().and_then(|asked| asked.try_recv().ok()) else {
            return;
        };
        self.asked = None;
        match said {
            Ok(status) => {
                self.silent = None;
                self.note_drains(&status);
                self.status = Some(status);
            }
            Err(why) => {
                let since = self
                    .silent
                    .take()
                    .map_or_else(clock::mono, |(since, _)| since);
                self.silent = Some((since, why));
            }
        }
    }

    fn note_drains(&mut self, status: &Status) {
        for service in &status.services {
            match service.cached_until {
                Some(until) if until > status.now => {
                    let left = until.since(status.now);
                    let longest = self.longest.entry(service.name.clone()).or_default();
                    *longest = left.max(*longest);
                }
                Some(_) | None => {
                    self.longest.remove(&service.name);
                }
            }
        }
    }

    /// All of it: what is under way first, then the page of `status`.
    fn page(&self, paint: Paint) -> String {
        let Some(status) = &self.status else {
            return String::new();
        };
        let mut page = String::new();
        for service in &status.services {
            let under_way = service.operation.as_ref().filter(|it| it.ended.is_none());
            let drain = service.cached_until.zip(self.longest.get(&service.name));
            if under_way.is_some() || drain.is_some() {
                page += &format!("{}\n", paint.head(service.name.as_str()));
            }
            if let Some(operation) = under_way {
                page += &format!("{}\n", text::progress(operation, status.now, paint));
            }
            if let Some((until, longest)) = drain {
                page += &format!("{}\n", text::drain(until, status.now, *longest, paint));
            }
        }
        if !page.is_empty() {
            page.push('\n');
        }
        page + &text::status(status, paint)
    }

    /// What goes to the terminal: a head, as much of the page as there is room for, a foot.
    fn shown(&mut self, page: &str, columns: usize, rows: usize, paint: Paint) -> String {
        let lines: Vec<&str> = page.lines().collect();
        let room = rows - 2;
        self.top = self.top.min(lines.len().saturating_sub(room));
        let head = match (&self.silent, &self.status) {
            (Some((since, why)), _) => {
                let why = why.lines().next().unwrap_or_default();
                let silent = text::duration(clock::mono().since(*since));
                paint.loud(&format!("NO ANSWER for {silent}: {}", text::tame(why)))
            }
            (None, Some(status)) => paint.quiet(&local(status.now)),
            (None, None) => paint.quiet("asking"),
        };
        let more = lines.len().saturating_sub(self.top + room);
        let foot = if self.top + more > 0 {
            let last = (self.top + room).min(lines.len());
            format!(
                "q ends, j and k scroll: lines {} to {last} of {}",
                self.top + 1,
                lines.len()
            )
        } else {
            "q ends".to_owned()
        };
        let mut shown = String::from("\x1b[H");
        let visible = lines.iter().skip(self.top).take(room).copied();
        for line in std::iter::once(head.as_str()).chain(visible) {
            shown += &fit(line, columns);
            shown += "\x1b[K\r\n";
        }
        let blank = room.saturating_sub(lines.len() - self.top);
        shown += &"\x1b[K\r\n".repeat(blank);
        shown + &fit(&paint.quiet(&foot), columns) + "\x1b[K"
    }
}

/// A line that is no wider than the screen. Colours take no room.
fn fit(line: &str, columns: usize) -> String {
    let (mut fitted, mut width, mut coloured) = (String::new(), 0, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            coloured = true;
            fitted.push(c);
            for c in chars.by_ref() {
                fitted.push(c);
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
            continue;
        }
        if width == columns {
            break;
        }
        fitted.push(c);
        width += 1;
    }
    if coloured {
        fitted += "\x1b[0m";
    }
    fitted
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_at_the_edge_and_its_colours_end() {
        assert_eq!(fit("abcdef", 4), "abcd");
        assert_eq!(fit("\x1b[31mabcdef\x1b[0m", 3), "\x1b[31mabc\x1b[0m");
        assert_eq!(fit("ab·d", 4), "ab·d");
    }

    #[test]
    fn a_page_that_is_too_long_scrolls_no_further_than_its_end() {
        let mut watch = Watch::new(Path::new("x"));
        let page = "1\n2\n3\n4\n5\n6\n7\n8\n";
        watch.top = 99;
        let shown = watch.shown(page, 80, 6, Paint::Plain);
        assert_eq!(watch.top, 4);
        assert!(shown.contains("lines 5 to 8 of 8"), "{shown}");
        assert_eq!(shown.matches("\r\n").count(), 5, "as many lines as rows");
    }
}
