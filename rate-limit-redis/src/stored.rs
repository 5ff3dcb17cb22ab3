//! How states are kept in Redis, and how they are read.
//!
//! | kind | value |
//! | --- | --- |
//! | token bucket `tb` | the instant of fullness |
//! | fixed window `fw`, aligned `fa` | its beginning, units in 4 bytes |
//! | sliding window `sw` | the beginning of the present window, units in it and in the one before, in 2 or 4 bytes each |
//! | sliding log `sl` | all units in 2 bytes, then for each charge its instant and its units in 2 bytes |
//! | penalty ladder `pl` | strikes and level in 4 bytes each, the beginning of the window of strikes, the end of the last ban |
//!
//! Numbers are big-endian. An instant has 8 bytes: the upper 34 bits are whole seconds since 1970,
//! the lower 30 bits nanoseconds. The scripts answer with the values that they have read, a sliding
//! window always with 4 bytes and of a log only what a decision needs, headed by the number of
//! entries.

use std::sync::Arc;

use rate_limit_core::{
    Algorithm, Alignment, BucketState, FixedWindowState, LadderState, LogEntry, Now,
    RateLimitPolicy, Record, SlidingLogState, SlidingWindowState, Timestamp, TokenBucketState,
};

pub(crate) const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// Nanoseconds that no instant has: there was no value.
const ABSENT: u64 = u64::MAX;
/// Likewise: the value was no state.
const CORRUPT: u64 = u64::MAX - 1;

/// What is kept under a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    TokenBucket = 1,
    FixedWindow = 2,
    AlignedWindow = 3,
    SlidingWindow = 4,
    SlidingLog = 5,
    Ladder = 6,
}

impl Kind {
    /// What is kept for buckets of `algorithm`; `None` if the scripts do not know it.
    pub(crate) const fn of(algorithm: &Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::TokenBucket(_) => Some(Self::TokenBucket),
            Algorithm::FixedWindow(window) => match window.alignment() {
                Alignment::FirstRequest => Some(Self::FixedWindow),
                Alignment::Utc => Some(Self::AlignedWindow),
            },
            Algorithm::SlidingWindow(_) => Some(Self::SlidingWindow),
            Algorithm::SlidingLog(_) => Some(Self::SlidingLog),
            _ => None,
        }
    }

    /// The number by which the scripts know it.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// An instant as it is stored. The year 2514 is the last that fits.
pub(crate) fn instant_bytes(instant: Timestamp) -> [u8; 8] {
    let (seconds, nanos) =
        (instant.as_nanos() / NANOS_PER_SECOND, instant.as_nanos() % NANOS_PER_SECOND);
    ((seconds.min((1 << 34) - 1) << 30) | nanos).to_be_bytes()
}

/// A duration as the scripts expect it: seconds and nanoseconds, 4 bytes each. What would not fit
/// is longer than any bucket takes to become full.
pub(crate) fn duration_bytes(nanos: u64) -> [u8; 8] {
    let seconds = (nanos / NANOS_PER_SECOND).min(u64::from(u32::MAX));
    ((seconds << 32) | (nanos % NANOS_PER_SECOND)).to_be_bytes()
}

/// What a script answered, read from its beginning.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn instant(&mut self) -> Option<Timestamp> {
        self.u64().map(instant)
    }

    /// Both axes of the server's one clock.
    pub(crate) fn now(&mut self) -> Option<Now> {
        self.instant().map(|now| Now { monotonic: now, utc: now })
    }
}

fn instant(bits: u64) -> Timestamp {
    let (seconds, nanos) = (bits >> 30, bits & ((1 << 30) - 1));
    Timestamp::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos))
}

/// The states under the keys of one call, in the form that core decides on.
#[derive(Debug)]
pub(crate) enum State {
    Bucket(Option<BucketState>),
    Ladder(Option<LadderState>),
}

/// Reads the state under one key. `policy` is that of the first charge on it: a corrupt value
/// counts as full debt under this policy. `None` if the answer is none.
pub(crate) fn read_state(
    reader: &mut Reader<'_>,
    kind: Kind,
    policy: &Arc<RateLimitPolicy>,
    now: Now,
) -> Option<State> {
    if kind == Kind::SlidingLog {
        return read_log(reader).map(|log| State::Bucket(Some(BucketState::SlidingLog(log))));
    }
    let bits = match kind {
        Kind::Ladder => return read_ladder(reader).map(State::Ladder),
        _ => reader.u64()?,
    };
    let start = instant(bits);
    let corrupt = bits == CORRUPT;
    let limit = policy.limit();
    let at = now.on(policy.axis());
    let bucket = match kind {
        Kind::TokenBucket => {
            // Core brings an instant beyond all reason back to full debt.
            let full_at = if corrupt { Timestamp::LAST } else { start };
            BucketState::TokenBucket(TokenBucketState { full_at })
        }
        Kind::SlidingWindow => {
            let (current, previous) = (reader.u32()?.into(), reader.u32()?.into());
            BucketState::SlidingWindow(match corrupt {
                true => SlidingWindowState { start: at, current: limit, previous: 0 },
                false => SlidingWindowState { start, current, previous },
            })
        }
        _ => {
            let used = reader.u32()?.into();
            BucketState::FixedWindow(match corrupt {
                true => FixedWindowState { start: at, used: limit },
                false => FixedWindowState { start, used },
            })
        }
    };
    Some(State::Bucket((bits != ABSENT).then_some(bucket)))
}

fn read_log(reader: &mut Reader<'_>) -> Option<SlidingLogState> {
    let entries = (0..reader.u16()?).map(|_| {
        let at = reader.instant()?;
        Some(LogEntry { at, units: reader.u16()?.into() })
    });
    entries.collect::<Option<Vec<_>>>().map(SlidingLogState::from_entries)
}

fn read_ladder(reader: &mut Reader<'_>) -> Option<Option<LadderState>> {
    let counts = reader.u64()?;
    let [strikes, level] = [counts >> 32, counts & u64::from(u32::MAX)];
    let (since, banned_until) = (reader.instant()?, reader.instant()?);
    let [strikes, level] = [strikes, level].map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    Some((counts != ABSENT).then_some(LadderState { strikes, level, since, banned_until }))
}

/// Which states belong to one charge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) bucket: u16,
    pub(crate) ladder: Option<u16>,
}

/// Lends the states at `place` to core.
pub(crate) fn lend(states: &mut [State], place: Place) -> Record {
    let mut record = Record::EMPTY;
    if let Some(State::Bucket(state)) = states.get_mut(usize::from(place.bucket)) {
        record.bucket = state.take();
    }
    let ladder = place.ladder.and_then(|ladder| states.get_mut(usize::from(ladder)));
    if let Some(State::Ladder(state)) = ladder {
        record.ladder = state.take();
    }
    record
}

/// Takes back what was lent, for the next charge on it.
pub(crate) fn give_back(states: &mut [State], place: Place, record: Record) {
    if let Some(State::Bucket(state)) = states.get_mut(usize::from(place.bucket)) {
        *state = record.bucket;
    }
    let ladder = place.ladder.and_then(|ladder| states.get_mut(usize::from(ladder)));
    if let Some(State::Ladder(state)) = ladder {
        *state = record.ladder;
    }
}
