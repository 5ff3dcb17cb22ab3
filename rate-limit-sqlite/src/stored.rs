//! How states are kept in a row.
//!
//! | tag | kind | what follows the tag and the instant of fullness |
//! | --- | --- | --- |
//! | 1 | token bucket | nothing |
//! | 2 | fixed window | its beginning, units in 4 bytes |
//! | 3 | sliding window | the beginning of the present window, units in it and in the one before, in 4 bytes each |
//! | 4 | sliding log | for each charge its instant and its units in 4 bytes, oldest first |
//! | 5 | penalty ladder | strikes and level in 4 bytes each, the beginning of the window of strikes, the end of the last ban |
//!
//! Numbers are big-endian, instants are nanoseconds since 1970 in 8 bytes. The instant from which a
//! state is as good as new comes first, so that rows can be cleared by whoever does not know their
//! policy.

use rate_limit_core::{
    Algorithm, BucketState, FixedWindowState, LadderState, LogEntry, PenaltyLadder,
    SlidingLogState, SlidingWindowState, Timestamp, TokenBucketState,
};

/// A state as it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stored {
    /// When the state is as good as new, on its axis.
    pub(crate) full_at: Timestamp,
    /// How much of the cap it takes: 1, or the entries of its log.
    pub(crate) weight: u32,
    pub(crate) bytes: Vec<u8>,
}

const TOKEN_BUCKET: u8 = 1;
const FIXED_WINDOW: u8 = 2;
const SLIDING_WINDOW: u8 = 3;
const SLIDING_LOG: u8 = 4;
const LADDER: u8 = 5;

/// Bytes of the tag and of the instant of fullness.
const HEAD: usize = 9;

impl Stored {
    /// The state of a bucket; `None` if this version does not know how to keep it.
    pub(crate) fn bucket(algorithm: &Algorithm, state: &BucketState) -> Option<Self> {
        let full_at = algorithm.full_at(state);
        let mut weight = 1;
        let bytes = match state {
            BucketState::TokenBucket(_) => Writer::new(TOKEN_BUCKET, full_at),
            BucketState::FixedWindow(window) => {
                Writer::new(FIXED_WINDOW, full_at).instant(window.start).count(window.used)
            }
            BucketState::SlidingWindow(window) => Writer::new(SLIDING_WINDOW, full_at)
                .instant(window.start)
                .count(window.current)
                .count(window.previous),
            BucketState::SlidingLog(log) => {
                weight = u32::try_from(log.entries().len()).unwrap_or(u32::MAX).max(1);
                log.entries().fold(Writer::new(SLIDING_LOG, full_at), |bytes, entry| {
                    bytes.instant(entry.at).count(entry.units.into())
                })
            }
            _ => return None,
        };
        Some(Self { full_at, weight, bytes: bytes.0 })
    }

    /// A place on a penalty ladder.
    pub(crate) fn ladder(ladder: &PenaltyLadder, state: &LadderState) -> Self {
        let full_at = ladder.forgotten_at(state);
        let bytes = Writer::new(LADDER, full_at)
            .count(state.strikes.into())
            .count(state.level.into())
            .instant(state.since)
            .instant(state.banned_until);
        Self { full_at, weight: 1, bytes: bytes.0 }
    }
}

/// When the state in a row is as good as new. A row that is none is so at once.
pub(crate) fn full_at(bytes: &[u8]) -> Timestamp {
    let head = bytes.get(1..HEAD).and_then(|head| <[u8; 8]>::try_from(head).ok());
    Timestamp::from_nanos(head.map_or(0, u64::from_be_bytes))
}

/// Reads the state of a bucket. What is no state of `algorithm` counts as full debt at `now`, which
/// core lets end after one refill: neither does damage lock anybody out, nor does it open a limit.
pub(crate) fn read_bucket(algorithm: &Algorithm, bytes: &[u8], now: Timestamp) -> BucketState {
    try_read_bucket(algorithm, bytes).unwrap_or_else(|| full_debt(algorithm, now))
}

fn try_read_bucket(algorithm: &Algorithm, bytes: &[u8]) -> Option<BucketState> {
    let (tag, mut rest) = (bytes.first()?, Reader(bytes.get(HEAD..)?));
    let state = match (algorithm, *tag) {
        (Algorithm::TokenBucket(_), TOKEN_BUCKET) => {
            BucketState::TokenBucket(TokenBucketState { full_at: full_at(bytes) })
        }
        (Algorithm::FixedWindow(_), FIXED_WINDOW) => BucketState::FixedWindow(FixedWindowState {
            start: rest.instant()?,
            used: rest.count()?.into(),
        }),
        (Algorithm::SlidingWindow(_), SLIDING_WINDOW) => {
            BucketState::SlidingWindow(SlidingWindowState {
                start: rest.instant()?,
                current: rest.count()?.into(),
                previous: rest.count()?.into(),
            })
        }
        (Algorithm::SlidingLog(_), SLIDING_LOG) => {
            let mut entries = Vec::with_capacity(rest.0.len() / 12);
            while !rest.0.is_empty() {
                entries.push(LogEntry { at: rest.instant()?, units: rest.count()? });
            }
            BucketState::SlidingLog(SlidingLogState::from_entries(entries))
        }
        _ => return None,
    };
    rest.0.is_empty().then_some(state)
}

fn full_debt(algorithm: &Algorithm, now: Timestamp) -> BucketState {
    match algorithm {
        // Core brings an instant beyond all reason back to full debt.
        Algorithm::TokenBucket(_) => {
            BucketState::TokenBucket(TokenBucketState { full_at: Timestamp::LAST })
        }
        Algorithm::FixedWindow(rule) => {
            BucketState::FixedWindow(FixedWindowState { start: now, used: rule.limit() })
        }
        Algorithm::SlidingWindow(rule) => BucketState::SlidingWindow(SlidingWindowState {
            start: now,
            current: rule.limit(),
            previous: 0,
        }),
        Algorithm::SlidingLog(rule) => {
            let units = u32::try_from(rule.limit()).unwrap_or(u32::MAX);
            let entry = LogEntry { at: now, units };
            BucketState::SlidingLog(SlidingLogState::from_entries([entry]))
        }
        _ => algorithm.fresh(now),
    }
}

/// Whether a row is a place on a penalty ladder, and no bucket.
pub(crate) fn is_ladder(bytes: &[u8]) -> bool {
    bytes.first() == Some(&LADDER)
}

/// Reads a place on a penalty ladder. What is none counts as no strikes and no ban.
pub(crate) fn read_ladder(bytes: &[u8]) -> Option<LadderState> {
    let mut rest = Reader(bytes.get(HEAD..).filter(|_| is_ladder(bytes))?);
    let (strikes, level) = (rest.count()?, rest.count()?);
    let (since, banned_until) = (rest.instant()?, rest.instant()?);
    rest.0.is_empty().then_some(LadderState { strikes, level, since, banned_until })
}

/// Bytes, written one number after the other.
struct Writer(Vec<u8>);

impl Writer {
    fn new(tag: u8, full_at: Timestamp) -> Self {
        let mut bytes = Vec::with_capacity(32);
        bytes.push(tag);
        Self(bytes).instant(full_at)
    }

    fn instant(mut self, instant: Timestamp) -> Self {
        self.0.extend_from_slice(&instant.as_nanos().to_be_bytes());
        self
    }

    /// Counts never exceed a limit, and limits fit 32 bits.
    fn count(mut self, units: u64) -> Self {
        self.0.extend_from_slice(&u32::try_from(units).unwrap_or(u32::MAX).to_be_bytes());
        self
    }
}

/// Bytes, read one number after the other.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn instant(&mut self) -> Option<Timestamp> {
        self.array().map(u64::from_be_bytes).map(Timestamp::from_nanos)
    }

    fn count(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rate_limit_core::RateLimitPolicy;

    use super::*;

    fn policies() -> Vec<RateLimitPolicy> {
        let per_minute = || RateLimitPolicy::per_minute(7);
        let all = [
            per_minute(),
            per_minute().fixed_window(),
            per_minute().aligned_window(),
            per_minute().sliding_window(),
            per_minute().sliding_log(),
        ];
        all.into_iter().map(|builder| builder.build().unwrap()).collect()
    }

    #[test]
    fn writing_and_reading_loses_nothing() {
        for policy in policies() {
            let algorithm = policy.algorithm();
            let start = Timestamp::from_nanos(600_000_000_000);
            let mut state = algorithm.fresh(start);
            for (seconds, units) in [(0, 3), (30, 2), (65, 1)] {
                let now = start.saturating_add(Duration::from_secs(seconds));
                algorithm.bring_up_to_date(&mut state, now);
                algorithm.charge(&mut state, now, units);
                let stored = Stored::bucket(algorithm, &state).unwrap();
                assert_eq!(full_at(&stored.bytes), algorithm.full_at(&state), "{policy}");
                assert_eq!(read_bucket(algorithm, &stored.bytes, now), state, "{policy}");
            }
        }
    }

    #[test]
    fn a_ladder_is_read_as_it_was_written() {
        let ladder = PenaltyLadder::after(3, Duration::from_secs(60));
        let at = Timestamp::from_nanos;
        let state = LadderState { strikes: 2, level: 5, since: at(7), banned_until: at(9) };
        let stored = Stored::ladder(&ladder, &state);
        assert_eq!(read_ladder(&stored.bytes), Some(state));
        assert_eq!(full_at(&stored.bytes), ladder.forgotten_at(&state));
    }

    /// Damage may leave any count behind. The next strike is one too many, and core says so.
    #[test]
    fn counts_on_a_ladder_that_cannot_be_lead_to_a_ban() {
        use rate_limit_core::{
            Charge, ClientIdentity, Now, PolicyVerdict, Record, Wait, evaluate_one,
        };
        let ladder = PenaltyLadder::after(3, Duration::from_secs(60));
        let login = RateLimitPolicy::per_minute(1).penalty(ladder).build().unwrap();
        let at = Timestamp::from_nanos(600_000_000_000);
        let state = LadderState {
            strikes: u32::MAX,
            level: u32::MAX,
            since: at,
            banned_until: Timestamp::ORIGIN,
        };
        let stored = Stored::ladder(&ladder, &state);
        let mut record = Record { ladder: read_ladder(&stored.bytes), ..Record::EMPTY };
        let too_much = Charge::new(ClientIdentity::GLOBAL, login.into(), 2);
        let outcome = evaluate_one(&too_much, &mut record, Now { monotonic: at, utc: at });
        assert_eq!((outcome.verdict, outcome.wait), (PolicyVerdict::Ban, Wait::Never));
        let left = record.ladder.unwrap();
        assert_eq!((left.strikes, left.level), (0, u32::MAX));
    }

    /// Neither a lock-out nor an open door, and never a panic.
    #[test]
    fn damaged_bytes_are_full_debt_for_one_refill() {
        let now = Timestamp::from_nanos(600_000_000_000);
        for policy in policies() {
            let algorithm = policy.algorithm();
            let mut state = algorithm.fresh(now);
            algorithm.charge(&mut state, now, 3);
            let good = Stored::bucket(algorithm, &state).unwrap().bytes;
            let mut wrong_tag = good.clone();
            wrong_tag[0] = 99;
            let too_long = [&*good, &[0]].concat();
            for bytes in [&*wrong_tag, &too_long, &good[..good.len() - 1], &[]] {
                let mut state = read_bucket(algorithm, bytes, now);
                algorithm.bring_up_to_date(&mut state, now);
                assert_eq!(algorithm.remaining(&state, now), 0, "{policy}: {bytes:?}");
                let later = now.saturating_add(Duration::from_secs(120));
                algorithm.bring_up_to_date(&mut state, later);
                assert_eq!(algorithm.remaining(&state, later), 7, "{policy}: {bytes:?}");
            }
        }
        assert_eq!(read_ladder(&[LADDER, 0, 0]), None);
    }
}
