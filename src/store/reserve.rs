//! **Pure.** The arithmetic of numbers that never go back: blocks, reserved before they are used.
//!
//! A [`Block`] is a stretch of serials that the disk already counts as used. Numbers are handed
//! out from it without touching the disk; when it runs low the next stretch is reserved along
//! with whatever is written anyway. After a restart all of the block counts as used.

use crate::ids::Serial;
use crate::time::Wall;

/// So many numbers are reserved at a time.
pub const BLOCK: u32 = 256;

/// Below so many left, the next block is asked for.
pub const LOW: u32 = BLOCK / 2;

/// How far ahead a floor may be. RFC 1982 orders serials less than 2³¹ apart; of the blocks
/// reserved we do not know which number a secondary saw last, so that much is kept clear.
const REACH: u32 = (1 << 31) - 4 * BLOCK;

/// Serials `next`, `next + 1` … (`left` of them, around the wrap) are reserved and unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    next: Serial,
    left: u32,
    /// Whether any serial before `next` may have been seen by somebody.
    used: bool,
}

impl Block {
    /// After a restart: everything before `end` counts as used, nothing is reserved.
    pub(super) fn resumed(end: Serial) -> Block {
        Block {
            next: end,
            left: 0,
            used: true,
        }
    }

    /// With no state: from the Unix time, so that even a lost disk goes forward. (The first
    /// floor lifts it, if that is the greater.)
    pub(super) fn begun(now: Wall) -> Block {
        let seconds = now.unix_seconds() % (1 << 32);
        Block {
            next: Serial(u32::try_from(seconds).unwrap_or_default()),
            left: 0,
            used: false,
        }
    }

    /// The first serial not yet used that is not older than `floor`. A floor so far ahead that
    /// a secondary could take it for older than what it has is no floor: never back.
    fn start(self, floor: Serial) -> Serial {
        let ahead = floor.0.wrapping_sub(self.next.0);
        // Nobody has seen anything yet: any floor that is not older will do, and of two that
        // RFC 1982 leaves unordered the file's is the one that somebody may know.
        let reach = if self.used { REACH } else { 1 << 31 };
        if ahead <= reach { floor } else { self.next }
    }

    /// Hands out the next serial, not older than `floor`; `None` if it is not reserved.
    pub(super) fn take(&mut self, floor: Serial) -> Option<Serial> {
        let start = self.start(floor);
        let skipped = start.0.wrapping_sub(self.next.0);
        let left = self.left.checked_sub(skipped)?.checked_sub(1)?;
        *self = Block {
            next: start.plus(1),
            left,
            used: true,
        };
        Some(start)
    }

    /// The end (exclusive) that should be made durable, if fewer than [`LOW`] numbers are left
    /// from `floor` on; and the start, to be confirmed together.
    pub(super) fn wanted(self, floor: Serial) -> Option<(Serial, Serial)> {
        let start = self.start(floor);
        let skipped = start.0.wrapping_sub(self.next.0);
        let left = self.left.saturating_sub(skipped);
        (left < LOW).then(|| (start, start.plus(left).plus(BLOCK)))
    }

    /// Whether no number from `floor` on is left.
    pub(super) fn is_used_up(mut self, floor: Serial) -> bool {
        self.take(floor).is_none()
    }

    /// `start` and `end`, as [`Block::wanted`] gave them, are durable. Numbers may have been
    /// taken meanwhile.
    pub(super) fn confirm(&mut self, start: Serial, end: Serial) {
        let next = if start.is_newer_than(self.next) || !self.used {
            start
        } else {
            self.next
        };
        *self = Block {
            next,
            left: end.0.wrapping_sub(next.0),
            used: self.used,
        };
    }

    /// The first serial not used: what may be written at an orderly end in place of the end of
    /// the block, so that a restart costs no numbers.
    pub(super) fn next(self) -> Serial {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Around zero, the wrap, the halves, and the block sizes.
    fn edges() -> Vec<u32> {
        let mut edges = Vec::new();
        for middle in [0u32, 1 << 31, 1_795_473_459, 2_026_112_301, REACH, !REACH] {
            for off in [
                0,
                1,
                2,
                LOW - 1,
                LOW,
                BLOCK - 1,
                BLOCK,
                BLOCK + 1,
                5 * BLOCK,
            ] {
                edges.push(middle.wrapping_add(off));
                edges.push(middle.wrapping_sub(off));
            }
        }
        edges
    }

    fn reserve(block: &mut Block, floor: Serial) -> Option<Serial> {
        let (start, end) = block.wanted(floor)?;
        block.confirm(start, end);
        Some(end)
    }

    #[test]
    fn every_serial_is_newer_than_all_before_whatever_the_floor_and_the_restarts() {
        for first in edges() {
            for floor in edges() {
                let mut block = Block::resumed(Serial(first));
                let mut durable = Serial(first);
                // Whoever asked before the first restart saw this at the latest, or this much
                // earlier, had the block hardly been used.
                let mut last = Serial(first.wrapping_sub(1));
                let earliest = Serial(first.wrapping_sub(BLOCK));
                for round in 0..4 {
                    for _ in 0..3 {
                        durable = reserve(&mut block, Serial(floor)).unwrap_or(durable);
                        let taken = block.take(Serial(floor)).unwrap();
                        assert!(taken.is_newer_than(last), "{first} {floor}: {taken}");
                        assert!(
                            round > 0 || taken.is_newer_than(earliest),
                            "{first} {floor}: {taken} would look old"
                        );
                        assert!(durable.is_newer_than(taken), "used before it was durable");
                        last = taken;
                    }
                    block = Block::resumed(durable);
                }
            }
        }
    }

    #[test]
    fn a_fresh_start_takes_the_greater_of_floor_and_unix_time() {
        for now in edges() {
            for floor in edges() {
                let mut block = Block::begun(Wall(u64::from(now) * 1000));
                reserve(&mut block, Serial(floor));
                let taken = block.take(Serial(floor)).unwrap();
                let greater = if Serial(now).is_newer_than(Serial(floor)) {
                    now
                } else {
                    floor
                };
                assert_eq!(taken, Serial(greater), "now {now}, file {floor}");
            }
        }
    }

    #[test]
    fn a_clock_that_went_back_changes_nothing_once_there_is_state() {
        let mut block = Block::begun(Wall(2_000_000_000_000));
        let end = reserve(&mut block, Serial(7)).unwrap();
        let before = block.take(Serial(7)).unwrap();
        // The clock is not even asked.
        let mut block = Block::resumed(end);
        reserve(&mut block, Serial(7));
        assert!(block.take(Serial(7)).unwrap().is_newer_than(before));
    }

    #[test]
    fn a_file_whose_serial_is_ahead_lifts_the_counter_and_an_older_one_does_not() {
        let mut block = Block::resumed(Serial(100));
        reserve(&mut block, Serial(0));
        assert_eq!(block.take(Serial(0)), Some(Serial(100)));
        assert_eq!(block.take(Serial(110)), Some(Serial(110)));
        assert_eq!(block.take(Serial(50)), Some(Serial(111)));
        assert_eq!(
            block.take(Serial(5000)),
            None,
            "beyond what the disk counts as used"
        );
        assert_eq!(block.take(Serial(0)), Some(Serial(112)));
        reserve(&mut block, Serial(5000));
        assert_eq!(block.take(Serial(5000)), Some(Serial(5000)));
    }

    #[test]
    fn without_a_new_block_the_rest_is_handed_out_and_then_nothing() {
        let mut block = Block::resumed(Serial(u32::MAX - 10));
        assert_eq!(block.take(Serial(0)), None);
        reserve(&mut block, Serial(u32::MAX - 10));
        for step in 0..BLOCK {
            let floor = block.next();
            assert_eq!(block.take(floor), Some(Serial(u32::MAX - 10).plus(step)));
        }
        let floor = block.next();
        assert_eq!(block.take(floor), None);
    }

    #[test]
    fn numbers_taken_between_the_question_and_the_answer_are_not_handed_out_twice() {
        let mut block = Block::resumed(Serial(0));
        reserve(&mut block, Serial(0));
        for _ in 0..=LOW {
            block.take(Serial(0));
        }
        let (start, end) = block.wanted(Serial(0)).unwrap();
        let last = block.take(Serial(0)).unwrap();
        block.confirm(start, end);
        assert_eq!(block.take(Serial(0)), Some(last.plus(1)));
        let mut count = 1;
        while block.take(Serial(0)).is_some() {
            count += 1;
        }
        assert_eq!(
            last.plus(1).plus(count),
            end,
            "all that is reserved is used"
        );
    }
}
