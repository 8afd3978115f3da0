//! Random numbers that are the same on every run.

/// xorshift64*.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of `seed`. Seeds that lie side by side give numbers that have nothing to do
    /// with one another.
    pub(crate) fn new(seed: u64) -> Random {
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mut random = Random((mixed ^ (mixed >> 29)) | 1);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let high = self.next() >> 16;
        usize::try_from(high % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    /// Whether something happens that does so in `percent` of all cases.
    #[allow(
        dead_code,
        reason = "not every test that includes this file asks for it"
    )]
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    #[allow(
        dead_code,
        reason = "not every test that includes this file asks for it"
    )]
    pub(crate) fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    /// One of `all`.
    #[allow(
        dead_code,
        reason = "not every test that includes this file asks for it"
    )]
    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// One of `all`.
    #[allow(
        dead_code,
        reason = "not every test that includes this file asks for it"
    )]
    pub(crate) fn word(&mut self, all: &[&'static str]) -> &'static str {
        all[self.below(all.len())]
    }
}
