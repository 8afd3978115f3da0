//! A lean generator of queries: a fixed number outstanding over a few sockets, `sendmmsg` and
//! `recvmmsg`, no allocation on the way. Every answer's rcode and number of records is compared
//! with what its question must get.

#![allow(
    dead_code,
    reason = "not every benchmark that includes this file looks at all of it"
)]

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use switchback::clock;
use switchback::time::Mono;

/// So many sockets: to the server, so many clients.
pub(crate) const SOCKETS: usize = 8;
/// Places for questions under way on one socket; a power of two, for an ID is a place and a count.
const PLACES: usize = 16;
/// The longest question.
const QUESTION: usize = 320;
/// The longest answer looked at.
const ANSWER: usize = 1500;
/// Without an answer for so long a question is lost.
const PATIENCE: Duration = Duration::from_millis(500);
/// So many looks at sockets without an answer, then it sleeps until there is one.
const LOOKS: u32 = 200;

/// One question, and what every right answer to it has.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The whole query; its ID is written over.
    pub(crate) wire: Vec<u8>,
    /// Where letters are drawn anew each time it is asked.
    pub(crate) random: std::ops::Range<usize>,
    pub(crate) rcode: u8,
    /// ANCOUNT.
    pub(crate) answers: u8,
}

/// What is asked of whom.
pub(crate) struct Load<'a> {
    pub(crate) server: SocketAddr,
    /// In turn, from the first again after the last.
    pub(crate) questions: &'a [Question],
    /// So many are under way at a time, over all sockets.
    pub(crate) outstanding: usize,
    pub(crate) lasts: Duration,
    /// Whether the answers mean anything: those of a server that does nothing do not.
    pub(crate) checked: bool,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    pub(crate) wrong: u64,
    /// How the first wrong one was wrong.
    pub(crate) fault: Option<String>,
    pub(crate) took: Duration,
    /// How many answers took so many microseconds; the last place has all that took longer.
    latencies: Vec<u64>,
}

impl Outcome {
    pub(crate) fn per_second(&self) -> f64 {
        real(self.answered) / self.took.as_secs_f64().max(1e-9)
    }

    /// In microseconds.
    pub(crate) fn percentile(&self, per_mille: u64) -> f64 {
        let mut missing = self.answered * per_mille / 1000;
        for (microseconds, &count) in self.latencies.iter().enumerate() {
            if missing < count {
                return real(u64::try_from(microseconds).unwrap_or(u64::MAX));
            }
            missing -= count;
        }
        f64::NAN
    }
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss, reason = "2^53 queries are not reached")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// One question under way.
#[derive(Clone, Copy, Default)]
struct Place {
    sent: Option<Mono>,
    /// Grows with each use, so that a late answer is known as such.
    uses: u16,
    question: usize,
}

/// One socket and its questions.
struct Lane {
    socket: UdpSocket,
    places: [Place; PLACES],
    /// How many of the places are used.
    width: usize,
    questions: Box<[[u8; QUESTION]]>,
    answers: Box<[[u8; ANSWER]]>,
    outbound: MultiHeaders<SockaddrStorage>,
    inbound: MultiHeaders<SockaddrStorage>,
}

/// Asks until the time is over, then waits for what is under way.
pub(crate) fn ask(load: &Load<'_>) -> Outcome {
    let mut lanes: Vec<Lane> = (0..SOCKETS)
        .map(|at| {
            let width = (load.outstanding + at) / SOCKETS;
            Lane::new(load.server, width.clamp(1, PLACES))
        })
        .collect();
    let mut source = Source {
        questions: load.questions,
        next: 0,
        random: 0x9e37_79b9_7f4a_7c15,
    };
    let mut outcome = Outcome {
        latencies: vec![0; 100_000],
        ..Outcome::default()
    };
    let begun = clock::mono();
    let mut looks = 0;
    loop {
        let now = clock::mono();
        let is_over = now.since(begun) >= load.lasts;
        if is_over && lanes.iter().all(Lane::is_idle) {
            break;
        }
        let mut received = 0;
        for lane in &mut lanes {
            if !is_over {
                lane.send(&mut source, now);
            }
            received += lane.receive(load, &mut outcome);
        }
        looks = if received == 0 { looks + 1 } else { 0 };
        if looks > LOOKS {
            rest(&lanes);
            let now = clock::mono();
            for lane in &mut lanes {
                outcome.lost += lane.give_up(now);
            }
        }
    }
    // Losses at the end are waited for, and are not part of the time that answers took.
    outcome.took = load.lasts;
    outcome
}

/// Sleeps until one of the sockets has something, a millisecond at most.
fn rest(lanes: &[Lane]) {
    let mut watched: [PollFd<'_>; SOCKETS] =
        array::from_fn(|at| PollFd::new(lanes[at].socket.as_fd(), PollFlags::POLLIN));
    let _ = poll(&mut watched, PollTimeout::from(1u8));
}

/// The questions, in turn.
struct Source<'a> {
    questions: &'a [Question],
    next: usize,
    random: u64,
}

impl Source<'_> {
    /// Writes the next question with this ID. Gives its number and its length.
    fn write(&mut self, id: u16, to: &mut [u8; QUESTION]) -> (usize, usize) {
        let at = self.next;
        let question = &self.questions[at];
        self.next = (at + 1) % self.questions.len();
        let length = question.wire.len();
        to[..length].copy_from_slice(&question.wire);
        to[..2].copy_from_slice(&id.to_be_bytes());
        if !question.random.is_empty() {
            // xorshift64: five bits for each letter are enough for twelve letters.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let mut bits = self.random;
            for letter in &mut to[question.random.clone()] {
                *letter =
                    b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(bits.to_le_bytes()[0] & 31)];
                bits >>= 5;
            }
        }
        (at, length)
    }
}

impl Lane {
    fn new(server: SocketAddr, width: usize) -> Lane {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_nonblocking(true).unwrap();
        Lane {
            socket,
            places: [Place::default(); PLACES],
            width,
            questions: vec![[0; QUESTION]; PLACES].into(),
            answers: vec![[0; ANSWER]; PLACES].into(),
            outbound: MultiHeaders::preallocate(PLACES, None),
            inbound: MultiHeaders::preallocate(PLACES, None),
        }
    }

    fn is_idle(&self) -> bool {
        self.places.iter().all(|place| place.sent.is_none())
    }

    /// Fills every free place.
    fn send(&mut self, source: &mut Source<'_>, now: Mono) {
        let mut filled = [(0, 0); PLACES];
        let mut count = 0;
        for (at, place) in self.places[..self.width].iter_mut().enumerate() {
            if place.sent.is_none() {
                place.uses = place.uses.wrapping_add(1);
                let (question, length) = source.write(id_of(at, place), &mut self.questions[at]);
                (place.sent, place.question) = (Some(now), question);
                filled[count] = (at, length);
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let slices: [[IoSlice<'_>; 1]; PLACES] = array::from_fn(|at| {
            let (place, length) = filled[at];
            [IoSlice::new(&self.questions[place][..length])]
        });
        let none = [None::<SockaddrStorage>; PLACES];
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(
            self.socket.as_raw_fd(),
            &mut self.outbound,
            &slices[..count],
            &none[..count],
            [],
            flags,
        );
        let sent = sent.map_or(0, Iterator::count);
        // What the system did not take is asked in the next turn.
        for (at, _) in &filled[sent..count] {
            self.places[*at].sent = None;
        }
    }

    /// Takes the answers that are there. Gives how many datagrams came.
    fn receive(&mut self, load: &Load<'_>, outcome: &mut Outcome) -> usize {
        let mut buffers = self.answers.iter_mut();
        let mut slices: [[IoSliceMut<'_>; 1]; PLACES] = array::from_fn(|_| {
            [IoSliceMut::new(
                buffers.next().map_or(&mut [][..], |all| &mut all[..]),
            )]
        });
        let flags = MsgFlags::MSG_DONTWAIT;
        let socket = self.socket.as_raw_fd();
        let Ok(received) = recvmmsg(socket, &mut self.inbound, slices.iter_mut(), flags, None)
        else {
            return 0;
        };
        let now = clock::mono();
        let mut count = 0;
        for datagram in received {
            count += 1;
            let Some(answer) = datagram.iovs().next().filter(|answer| answer.len() >= 12) else {
                continue;
            };
            let at = usize::from(answer[1]) % PLACES;
            let place = &mut self.places[at];
            let Some(sent) = place
                .sent
                .filter(|_| answer[..2] == id_of(at, place).to_be_bytes())
            else {
                continue;
            };
            place.sent = None;
            outcome.answered += 1;
            let microseconds = usize::try_from(now.since(sent).as_micros()).unwrap_or(usize::MAX);
            let last = outcome.latencies.len() - 1;
            outcome.latencies[microseconds.min(last)] += 1;
            if load.checked {
                outcome.check(&load.questions[place.question], answer);
            }
        }
        count
    }

    /// Forgets what has had no answer for too long. Gives how many these are.
    fn give_up(&mut self, now: Mono) -> u64 {
        let mut lost = 0;
        for place in &mut self.places {
            if place.sent.is_some_and(|sent| now.since(sent) > PATIENCE) {
                place.sent = None;
                lost += 1;
            }
        }
        lost
    }
}

impl Outcome {
    fn check(&mut self, question: &Question, answer: &[u8]) {
        let is_response = answer[2] & 0x80 != 0;
        let (rcode, answers) = (answer[3] & 15, u16::from_be_bytes([answer[6], answer[7]]));
        if !is_response || rcode != question.rcode || answers != u16::from(question.answers) {
            self.wrong += 1;
            self.fault.get_or_insert_with(|| {
                format!(
                    "rcode {rcode} with {answers} records instead of {} with {}",
                    question.rcode, question.answers
                )
            });
        }
    }
}

/// Twelve bits of use, four of place.
fn id_of(at: usize, place: &Place) -> u16 {
    place.uses << 4 | u16::try_from(at).unwrap_or(0)
}
