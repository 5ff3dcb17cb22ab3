//! The decision on packed states, held to the one on records.
//!
//! The seeds in `tests/proptest-regressions/packed.txt` are cases by which mistakes were found that
//! were made on purpose: a unit taken although a later policy says no, a shadow that denies, a first
//! denial that is forgotten, a healed state that is not written.

use std::sync::Arc;

use proptest::prelude::*;
use rate_limit_core::{
    Charge, Charges, ClientIdentity, Now, Outcome, PackedState, RateLimitPolicy,
    RateLimitPolicyBuilder, Record, Timestamp, Wait, evaluate, evaluate_packed_few,
};

const SECOND_NANOS: u64 = 1_000_000_000;

/// One policy of a request, what its bucket has been through, and what is asked of it.
#[derive(Clone, Debug)]
struct Asked {
    algorithm: u8,
    limit: u64,
    is_shadow: bool,
    /// Seconds before now at which units were taken, and how many.
    taken: Vec<(u64, u64)>,
    /// Whether the state has been replaced by one that cannot be.
    is_corrupt: bool,
    units: u64,
}

fn asked() -> impl Strategy<Value = Asked> {
    let taken = prop::collection::vec((0..150_u64, 1..6_u64), 0..4);
    (0..4_u8, 1..8_u64, any::<bool>(), taken, prop::bool::weighted(0.1), 0..10_u64).prop_map(
        |(algorithm, limit, is_shadow, taken, is_corrupt, units)| Asked {
            algorithm,
            limit,
            is_shadow,
            taken,
            is_corrupt,
            units,
        },
    )
}

impl Asked {
    fn policy(&self, number: usize) -> RateLimitPolicy {
        let name = format!("p{number}");
        let builder: RateLimitPolicyBuilder = RateLimitPolicy::per_minute(self.limit).named(name);
        let builder = match self.algorithm {
            0 => builder.token_bucket(),
            1 => builder.fixed_window(),
            2 => builder.aligned_window(),
            _ => builder.sliding_window(),
        };
        if self.is_shadow { builder.shadow() } else { builder }.build().expect("a valid policy")
    }

    /// The state of the bucket; `None` if nothing was ever taken from it.
    fn stored(&self, policy: &RateLimitPolicy, now: Now) -> Option<PackedState> {
        let algorithm = policy.algorithm();
        let now = now.on(policy.axis());
        let mut taken = self.taken.clone();
        taken.sort_by_key(|(ago, _)| std::cmp::Reverse(*ago));
        let mut state = None;
        for (ago, units) in taken {
            let then = now.minus_nanos(ago * SECOND_NANOS);
            let state = state.get_or_insert_with(|| algorithm.fresh(then));
            algorithm.bring_up_to_date(state, then);
            if algorithm.wait(state, then, units) == Wait::Now {
                algorithm.charge(state, then, units);
            }
        }
        let sound = algorithm.pack(&state?)?;
        let never = Timestamp::from_nanos(u64::MAX / 2);
        Some(if self.is_corrupt {
            PackedState::from_words([never.as_nanos(), sound.to_words()[1]])
        } else {
            sound
        })
    }
}

/// What is decided, and what each bucket is to hold if it changes.
type Decided = Vec<(Outcome, Option<PackedState>)>;

fn on_records(charges: &Charges, stored: &[Option<PackedState>], now: Now) -> Decided {
    let unpack = |(charge, stored): (&Charge, &Option<PackedState>)| Record {
        bucket: stored.and_then(|stored| charge.policy().algorithm().unpack(stored)),
        ..Record::EMPTY
    };
    let mut records: Vec<Record> = charges.iter().zip(stored).map(unpack).collect();
    let outcomes = evaluate(charges, &mut records, now);
    let packed = |(charge, record): (&Charge, &Record)| {
        let algorithm = charge.policy().algorithm();
        record.bucket.as_ref().filter(|_| record.bucket_changed).and_then(|it| algorithm.pack(it))
    };
    outcomes.iter().copied().zip(charges.iter().zip(&records).map(packed)).collect()
}

fn on_packed<const N: usize>(
    charges: &Charges,
    stored: &[Option<PackedState>],
    now: Now,
) -> Decided {
    let stored = stored.first_chunk::<N>().expect("as many as charges");
    let charges = charges.exactly::<N>().expect("so many charges");
    evaluate_packed_few(charges, *stored, now).expect("all of them are packed").to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn packed_states_are_decided_on_as_records_are(all in prop::collection::vec(asked(), 1..=4)) {
        let now = Timestamp::from_nanos(1_000_000 * SECOND_NANOS + 7);
        let now = Now { monotonic: now, utc: now.plus_nanos(SECOND_NANOS / 3) };
        let policies: Vec<_> = (0..).zip(&all).map(|(number, one)| one.policy(number)).collect();
        let stored: Vec<_> =
            all.iter().zip(&policies).map(|(one, policy)| one.stored(policy, now)).collect();
        let charge = |(one, policy): (&Asked, RateLimitPolicy)| {
            Charge::new(ClientIdentity::GLOBAL, Arc::new(policy), one.units)
        };
        let charges: Charges = all.iter().zip(policies).map(charge).collect();
        let packed = match charges.len() {
            1 => on_packed::<1>(&charges, &stored, now),
            2 => on_packed::<2>(&charges, &stored, now),
            3 => on_packed::<3>(&charges, &stored, now),
            _ => on_packed::<4>(&charges, &stored, now),
        };
        prop_assert_eq!(packed, on_records(&charges, &stored, now));
    }
}
