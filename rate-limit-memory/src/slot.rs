//! One bucket in 48 bytes.

use rate_limit_core::{
    Algorithm, BucketState, FixedWindowState, Now, SlidingWindowState, TimeAxis, Timestamp,
    TokenBucketState,
};

use crate::key::Key;

/// One bucket: its key, its state in packed form, and its place in the queue of the forgettable.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) packed: Packed,
    /// The instant under which the slot is queued: never later than the instant at which it may be
    /// forgotten, and earlier only because charging does not touch the queue.
    pub(crate) queued_at: Timestamp,
    /// Index in the queue.
    pub(crate) queue_index: u32,
    /// How much of the cap the bucket takes: 1, or the entries of its log.
    pub(crate) weight: u16,
    pub(crate) axis: TimeAxis,
    /// Whether the state lies in the side table.
    pub(crate) is_aside: bool,
}

/// The state of a bucket in 16 bytes.
///
/// `full_at` and the counts say everything about a token bucket, a fixed and a sliding window. What
/// does not fit (a log, a place on a penalty ladder) lies in the side table, and only its
/// `full_at` is kept here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Packed {
    /// When the bucket is as good as new, on its axis.
    pub(crate) full_at: Timestamp,
    counts: [u32; 2],
}

/// Where the state of a bucket is.
#[derive(Clone, Debug)]
pub(crate) enum Unpacked {
    Here(BucketState),
    InSideTable,
}

impl Packed {
    /// Packs a state; `None` if it does not fit.
    pub(crate) fn new(algorithm: &Algorithm, state: &BucketState) -> Option<Self> {
        let counts = match state {
            BucketState::TokenBucket(_) => [0, 0],
            BucketState::FixedWindow(state) => [count(state.used), 0],
            BucketState::SlidingWindow(state) => [count(state.current), count(state.previous)],
            _ => return None,
        };
        Some(Self { full_at: algorithm.full_at(state), counts })
    }

    /// The state as the algorithm knows it.
    pub(crate) fn unpack(self, algorithm: &Algorithm) -> Unpacked {
        let Self { full_at, counts: [first, second] } = self;
        Unpacked::Here(match algorithm {
            Algorithm::TokenBucket(_) => BucketState::TokenBucket(TokenBucketState { full_at }),
            Algorithm::FixedWindow(rule) => BucketState::FixedWindow(FixedWindowState {
                start: full_at.minus_nanos(rule.window_nanos()),
                used: first.into(),
            }),
            Algorithm::SlidingWindow(rule) => {
                let windows = match (first, second) {
                    (0, 0) => 0,
                    (0, _) => 1,
                    _ => 2,
                };
                BucketState::SlidingWindow(SlidingWindowState {
                    start: full_at.minus_nanos(rule.window_nanos() * windows),
                    current: first.into(),
                    previous: second.into(),
                })
            }
            _ => return Unpacked::InSideTable,
        })
    }
}

/// Counts never exceed a limit, and limits fit 32 bits.
fn count(units: u64) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

impl Slot {
    pub(crate) const fn new(key: Key, packed: Packed, axis: TimeAxis, weight: u16) -> Self {
        let queued_at = packed.full_at;
        Self { key, packed, queued_at, queue_index: 0, weight, axis, is_aside: false }
    }

    /// For a bucket whose state lies in the side table.
    pub(crate) const fn aside(key: Key, full_at: Timestamp, axis: TimeAxis, weight: u16) -> Self {
        let slot = Self::new(key, Packed { full_at, counts: [0; 2] }, axis, weight);
        Self { is_aside: true, ..slot }
    }

    /// The monotonic instant from which the slot may be forgotten.
    pub(crate) fn forgettable_at(&self, now: Now) -> Timestamp {
        match self.axis {
            TimeAxis::Monotonic => self.packed.full_at,
            // The time of day may be stepped, so the distance is taken anew each time.
            TimeAxis::Utc => now.monotonic.plus_nanos(self.packed.full_at.nanos_since(now.utc)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rate_limit_core::RateLimitPolicy;

    use super::*;

    #[test]
    fn a_slot_takes_48_bytes() {
        assert_eq!(size_of::<Slot>(), 48);
    }

    #[test]
    fn packing_loses_nothing() {
        let at = Timestamp::from_nanos;
        let policies = [
            RateLimitPolicy::per_minute(7),
            RateLimitPolicy::per_minute(u64::from(u32::MAX) / 100_000).fixed_window(),
            RateLimitPolicy::per_minute(7).aligned_window(),
            RateLimitPolicy::per_minute(7).sliding_window(),
        ];
        for policy in policies.map(|builder| builder.build().unwrap()) {
            let algorithm = policy.algorithm();
            let mut state = algorithm.fresh(at(600_000_000_000));
            for (now, units) in [(600_000_000_000, 3), (630_000_000_001, 2), (665_000_000_000, 1)] {
                algorithm.bring_up_to_date(&mut state, at(now));
                algorithm.charge(&mut state, at(now), units);
                let packed = Packed::new(algorithm, &state).unwrap();
                let Unpacked::Here(unpacked) = packed.unpack(algorithm) else { panic!("fits") };
                assert_eq!(unpacked, state, "{policy}");
            }
        }
    }
}
