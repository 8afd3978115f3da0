//! The daemon as it looks from outside, and what became of it over time.

use std::fmt;
use std::fs;

use super::world::World;

/// What it held in one second.
pub(crate) struct Look {
    memory_kib: u64,
    descriptors: u64,
    store_kib: u64,
}

impl Look {
    pub(crate) fn at(world: &World) -> Look {
        let process = format!("/proc/{}", world.process());
        let status = fs::read_to_string(format!("{process}/status")).unwrap();
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        let sizes = fs::read_dir(world.state()).unwrap().filter_map(|entry| {
            let data = entry.ok()?.metadata().ok()?;
            data.is_file().then_some(data.len())
        });
        Look {
            memory_kib: resident.unwrap().parse().unwrap(),
            descriptors: number(fs::read_dir(format!("{process}/fd")).unwrap().count()),
            store_kib: sizes.sum::<u64>() / 1024,
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

/// One quantity: the most of it in the second quarter of the time, and in the last one.
pub(crate) struct Trend {
    name: &'static str,
    early: u64,
    late: u64,
    /// So much more is no growth.
    slack: u64,
}

impl Trend {
    pub(crate) fn all(looks: &[Look]) -> [Trend; 3] {
        let quarter = looks.len() / 4;
        let (second, last) = (&looks[quarter..2 * quarter], &looks[3 * quarter..]);
        let trend = |name, of: fn(&Look) -> u64, slack: fn(u64) -> u64| {
            let most = |looks: &[Look]| looks.iter().map(of).max().unwrap_or(0);
            let early = most(second);
            Trend {
                name,
                early,
                late: most(last),
                slack: slack(early),
            }
        };
        [
            trend(
                "memory, KiB",
                |look| look.memory_kib,
                |early| early / 10 + 4096,
            ),
            trend("descriptors", |look| look.descriptors, |_| 8),
            trend(
                "store, KiB",
                |look| look.store_kib,
                |early| early / 10 + 2048,
            ),
        ]
    }

    pub(crate) fn fault(&self) -> Option<String> {
        let grew = self.late > self.early + self.slack;
        grew.then(|| format!("{} grew from {} to {}", self.name, self.early, self.late))
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trend {
            name, early, late, ..
        } = self;
        write!(
            out,
            "{name:<12} {early:>8} at most in the second quarter, {late:>8} in the last"
        )
    }
}
