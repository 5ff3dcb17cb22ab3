//! Random numbers that follow from a seed.

/// SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, 2014).
#[derive(Clone, Debug)]
pub(super) struct Prng(u64);

impl Prng {
    /// The numbers of one episode of a run.
    pub(super) const fn new(seed: u64, episode: u64) -> Self {
        let mut seeded = Self(seed);
        let mixed = seeded.next();
        Self(mixed ^ episode.wrapping_mul(0xd134_2543_de82_ef95))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) const fn between(&mut self, low: u64, high: u64) -> u64 {
        let numbers = high.saturating_sub(low).saturating_add(1);
        // The bias of the remainder is of no consequence here.
        low + self.next() % numbers
    }

    /// A number from 1 to `high`, of every order of magnitude alike.
    pub(super) fn of_any_size(&mut self, high: u64) -> u64 {
        let bits = u64::from(high.max(1).ilog2());
        let top = self.between(0, bits);
        let low = 1_u64.checked_shl(u32::try_from(top).unwrap_or(0)).unwrap_or(1);
        self.between(low, low.saturating_mul(2) - 1).min(high.max(1))
    }

    /// `true` in `percent` of all cases.
    pub(super) const fn chance(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    /// One of `items`; `None` if there are none.
    pub(super) fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(items.len()).ok()?.checked_sub(1)?;
        items.get(usize::try_from(self.between(0, last)).ok()?)
    }

    /// An index into a list of `length` items.
    pub(super) fn index(&mut self, length: usize) -> usize {
        let last = u64::try_from(length.saturating_sub(1)).unwrap_or(0);
        usize::try_from(self.between(0, last)).unwrap_or(0)
    }
}
