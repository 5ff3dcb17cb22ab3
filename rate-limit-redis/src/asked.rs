//! What a charge or a correction asks for, in the bytes that the scripts expect.

use rate_limit_core::{Adjustment, Algorithm, Change, PenaltyLadder, RateLimitPolicy};

use crate::keyed::Ladder;
use crate::stored::{Kind, duration_bytes, instant_bytes};

const ENFORCED: u8 = 1;
const TAKES: u8 = 2;
const NEVER: u8 = 4;

const ADDS: u8 = 1;
const ADDS_TOO_MUCH: u8 = 3;

/// Writes what a charge of `units` under `policy` asks for.
pub(crate) fn write_charge(
    policy: &RateLimitPolicy,
    kind: Kind,
    units: u64,
    ladder: Ladder,
    to: &mut Vec<u8>,
) {
    let fits = units <= policy.capacity();
    let mut flags = 0;
    if policy.is_enforced() {
        flags |= ENFORCED;
    }
    if units > 0 {
        flags |= TAKES;
    }
    if !fits {
        flags |= NEVER;
    }
    to.extend_from_slice(&[kind.code(), flags]);
    // What can never fit only asks for the state.
    write_units(policy.algorithm(), if fits { units } else { 0 }, to);
    if let (Ladder::Asked, Some(ladder)) = (ladder, policy.penalty()) {
        write_ladder(ladder, to);
    }
}

/// Writes what a correction of a charge under `key` asks for.
pub(crate) fn write_adjustment(adjustment: &Adjustment, kind: Kind, key: u16, to: &mut Vec<u8>) {
    let Adjustment { policy, charged, units, change, .. } = adjustment;
    let (flags, changed) = match *change {
        Change::Refund(back) => (0, back.min(*units)),
        Change::Add(more) if more <= policy.capacity() => (ADDS, more),
        Change::Add(more) => (ADDS_TOO_MUCH, more),
    };
    to.extend_from_slice(&[kind.code(), flags]);
    write_units(policy.algorithm(), changed, to);
    to.extend_from_slice(&key.to_be_bytes());
    to.extend_from_slice(&instant_bytes(*charged));
    let charged = match policy.algorithm() {
        Algorithm::TokenBucket(bucket) => {
            duration_bytes(units.saturating_mul(bucket.interval_nanos()))
        }
        _ => number_pair(*units, 0),
    };
    to.extend_from_slice(&charged);
}

/// Two fields of each 8 bytes: of a bucket the time to full and the time that the units cost, of a
/// window its length, and its limit beside the units.
fn write_units(algorithm: &Algorithm, units: u64, to: &mut Vec<u8>) {
    let (time, amount) = match algorithm {
        Algorithm::TokenBucket(bucket) => {
            let cost = units.saturating_mul(bucket.interval_nanos());
            (bucket.time_to_full_nanos(), duration_bytes(cost))
        }
        Algorithm::FixedWindow(window) => {
            (window.window_nanos(), number_pair(window.limit(), units))
        }
        Algorithm::SlidingWindow(window) => {
            (window.window_nanos(), number_pair(window.limit(), units))
        }
        Algorithm::SlidingLog(log) => (log.window_nanos(), number_pair(log.limit(), units)),
        // `Kind::of` has refused every other one.
        _ => (0, [0; 8]),
    };
    to.extend_from_slice(&duration_bytes(time));
    to.extend_from_slice(&amount);
}

/// No limit and no count is larger than fits; more units than that are as good as the most.
fn number_pair(one: u64, other: u64) -> [u8; 8] {
    let capped = |number: u64| number.min(u64::from(u32::MAX));
    (capped(one) << 32 | capped(other)).to_be_bytes()
}

fn write_ladder(ladder: &PenaltyLadder, to: &mut Vec<u8>) {
    to.extend_from_slice(&ladder.strikes().to_be_bytes());
    let nanos = |duration: std::time::Duration| {
        duration_bytes(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    };
    for duration in [ladder.within(), ladder.max(), ladder.decay()] {
        to.extend_from_slice(&nanos(duration));
    }
    // With a factor of one all are alike, with any other the longest is reached after 63 at most.
    for level in 0..64 {
        let ban = ladder.ban(level);
        to.extend_from_slice(&nanos(ban));
        if ban == ladder.max() || ladder.factor() == 1 {
            break;
        }
    }
}
