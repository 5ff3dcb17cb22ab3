//! A store that would be correct but for one mistake.

use std::sync::Mutex;
use std::thread;

use super::keeping::{Keeping, Key, key};
use super::mistake::Mistake;
use crate::adjustment::Adjustments;
use crate::algorithm::{Healed, Wait};
use crate::charge::{Charge, Charges};
use crate::conformance::simple::{lock, now};
use crate::evaluate::Record;
use crate::manual_clock::ManualClock;
use crate::outcome::{Outcome, PolicyVerdict};
use crate::penalty::PenaltyLadder;
use crate::policy::RateLimitPolicy;
use crate::repository::{Acquire, Answer, RateLimitRepository, Settle};
use crate::time::{Now, TimeAxis, Timestamp};

/// The store.
#[derive(Debug)]
pub(super) struct CarelessRepository {
    pub(super) clock: ManualClock,
    pub(super) mistake: Mistake,
    pub(super) keeping: Mutex<Keeping>,
}

/// One charge of a request, while it is decided.
struct Case<'a> {
    policy: &'a RateLimitPolicy,
    key: Key,
    units: u64,
    record: Record,
    wait: Wait,
    verdict: PolicyVerdict,
    remaining_before: u64,
    charged: Option<Timestamp>,
}

impl CarelessRepository {
    pub(super) fn new(clock: ManualClock, mistake: Mistake) -> Self {
        Self { clock, mistake, keeping: Mutex::default() }
    }

    pub(super) fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// Both instants, and what the store concludes from them.
    pub(super) fn now(&self, keeping: &mut Keeping) -> Now {
        let mut now = now(&self.clock);
        if self.makes(Mistake::ClockInMilliseconds) {
            let rounded = |at: Timestamp| at.minus_nanos(at.as_nanos() % 1_000_000);
            now = Now { monotonic: rounded(now.monotonic), utc: rounded(now.utc) };
        }
        if now.monotonic < keeping.latest {
            match self.mistake {
                Mistake::BelievesAStepBack => keeping.forget_everything(),
                Mistake::NeverSteps => {
                    let ahead = keeping.latest.nanos_since(now.monotonic);
                    let utc = now.utc.plus_nanos(ahead);
                    return Now { monotonic: keeping.latest, utc };
                }
                _ => {}
            }
        }
        keeping.latest = now.monotonic;
        now
    }

    pub(super) fn instant(&self, policy: &RateLimitPolicy, now: Now) -> Timestamp {
        match policy.axis() {
            TimeAxis::Utc if self.makes(Mistake::CountsAlignedOnTheWrongClock) => now.monotonic,
            axis => now.on(axis),
        }
    }

    fn units(&self, charge: &Charge) -> u64 {
        match (self.mistake, charge.units()) {
            (Mistake::IgnoresCost, units) => units.min(1),
            (Mistake::ZeroTakesOne, 0) => 1,
            (Mistake::UnitsIn32Bits, units) => units % (1 << 32),
            (_, units) => units,
        }
    }

    fn open<'a>(&self, charge: &'a Charge, record: Record, now: Now) -> Case<'a> {
        let policy = charge.policy().as_ref();
        let key = key(self.mistake, charge.identity(), policy);
        let units = self.units(charge);
        let mut case = Case {
            policy,
            key,
            units,
            record,
            wait: Wait::Now,
            verdict: PolicyVerdict::Admit,
            remaining_before: 0,
            charged: None,
        };
        let at = self.instant(policy, now);
        let algorithm = policy.algorithm();
        let bucket = case.record.bucket.get_or_insert_with(|| algorithm.fresh(at));
        let healed = algorithm.bring_up_to_date(bucket, at) == Healed::Yes;
        case.record.bucket_changed |= healed && !self.makes(Mistake::HealsWithoutWriting);
        case.remaining_before = algorithm.remaining(bucket, at);
        let asks_for_nothing = units == 0 && !self.makes(Mistake::ZeroIsDenied);
        if !asks_for_nothing {
            case.wait = algorithm.wait(bucket, at, units.max(1));
        }
        if self.makes(Mistake::PromisesNeverAsLater) && case.wait == Wait::Never {
            case.wait = Wait::After(algorithm.reset_nanos(bucket, at).max(1));
        }
        if case.wait != Wait::Now {
            case.verdict = PolicyVerdict::Deny;
        }
        if self.makes(Mistake::ForgetsLadderWithTheBucket)
            && case.remaining_before == policy.capacity()
        {
            case.record.ladder = case.record.ladder.filter(|it| it.banned_until > now.monotonic);
            case.record.ladder_changed = true;
        }
        self.consult_ladder(&mut case, now);
        case
    }

    fn consult_ladder(&self, case: &mut Case<'_>, now: Now) {
        let (Some(ladder), Some(state)) = (self.ladder(case.policy), &mut case.record.ladder)
        else {
            return;
        };
        case.record.ladder_changed |= ladder.heal(state, now.monotonic);
        let banned_nanos = PenaltyLadder::banned_nanos(state, now.monotonic);
        let spared = self.makes(Mistake::BanSparesTheCurious) && case.units == 0;
        if banned_nanos > 0 && !spared {
            case.verdict = PolicyVerdict::Ban;
            let ban = Wait::nanos(banned_nanos);
            let alone = self.makes(Mistake::BanIsItsOnlyWait);
            case.wait = if alone { ban } else { case.wait.max(ban) };
        }
    }

    fn ladder<'a>(&self, policy: &'a RateLimitPolicy) -> Option<&'a PenaltyLadder> {
        let strikes = policy.is_enforced() || self.makes(Mistake::ShadowStrikes);
        policy.penalty().filter(|_| strikes)
    }

    fn objects(&self, case: &Case<'_>) -> bool {
        let decides = case.policy.is_enforced() || self.makes(Mistake::ShadowDenies);
        decides && case.verdict != PolicyVerdict::Admit
    }

    fn charge(&self, case: &mut Case<'_>, allowed: bool, now: Now) {
        let (policy, at) = (case.policy, self.instant(case.policy, now));
        let fits = case.verdict == PolicyVerdict::Admit;
        let charges = match (self.mistake, policy.is_enforced()) {
            (Mistake::SkipsShadow, false) => false,
            (Mistake::ChargesShadowWithoutRoom, false) => allowed,
            (Mistake::ChargesShadowOfDenied, false) => fits,
            (Mistake::AsksOnlyTheFirstPolicy | Mistake::ChargesOneByOne, _) if !fits => false,
            (Mistake::ChargesOneByOne, _) => true,
            _ => allowed && fits,
        };
        let Some(bucket) = case.record.bucket.as_mut().filter(|_| case.units > 0) else {
            return;
        };
        if charges && fits {
            case.record.bucket_changed = true;
            case.charged = Some(policy.algorithm().charge(bucket, at, case.units));
        } else if charges || (self.makes(Mistake::ChargesOnDenial) && !allowed) {
            case.record.bucket_changed = true;
            policy.algorithm().add(bucket, at, case.units.min(policy.capacity()));
        } else if self.makes(Mistake::LosesPartsOfUnits) && case.remaining_before == 0 {
            // Full debt, as if the bucket had been looked at for the first time just now.
            case.record.bucket_changed = true;
            policy.algorithm().add(bucket, at, 1);
        }
    }

    fn strike(&self, case: &mut Case<'_>, now: Now) {
        let Some(ladder) = self.ladder(case.policy) else {
            return;
        };
        let empty_handed = case.units == 0 && case.remaining_before == 0;
        let strikes = match self.mistake {
            Mistake::StrikesOnAsking if empty_handed => true,
            Mistake::StrikesDuringBan if case.verdict == PolicyVerdict::Ban => true,
            Mistake::StrikesForOthers if case.verdict == PolicyVerdict::Admit => true,
            _ => case.verdict == PolicyVerdict::Deny && case.units > 0,
        };
        if !strikes {
            return;
        }
        let state = case.record.ladder.get_or_insert_default();
        case.record.ladder_changed = true;
        if self.makes(Mistake::ForgivesNoLevel) {
            state.banned_until = state.banned_until.max(now.monotonic);
        }
        if self.makes(Mistake::StrikeWindowSlides)
            && now.monotonic.nanos_since(state.since)
                < crate::time::saturating_nanos(ladder.within())
        {
            state.since = now.monotonic;
        }
        if let Some(nanos) = ladder.strike(state, now.monotonic) {
            case.verdict = PolicyVerdict::Ban;
            case.wait = case.wait.max(Wait::nanos(nanos));
        }
    }

    fn outcome(&self, case: &Case<'_>, now: Now) -> Outcome {
        let (algorithm, at) = (case.policy.algorithm(), self.instant(case.policy, now));
        let bucket = case.record.bucket.clone().unwrap_or_else(|| algorithm.fresh(at));
        let mut reset_nanos = algorithm.reset_nanos(&bucket, at);
        if self.makes(Mistake::ResetOfAnEmptyBucket) && reset_nanos > 0 {
            reset_nanos = crate::time::saturating_nanos(case.policy.capacity_window());
        }
        let wait = match (self.mistake, case.wait) {
            (Mistake::RoundsWaitsDown, Wait::After(nanos)) => {
                Wait::After((nanos - nanos % 1_000).max(1))
            }
            (Mistake::RoundsWaitsUp, Wait::After(nanos)) => {
                Wait::After(nanos.div_ceil(1_000) * 1_000)
            }
            (_, wait) => wait,
        };
        let remaining = match self.mistake {
            Mistake::RemainingBeforeTheCharge => case.remaining_before,
            _ => algorithm.remaining(&bucket, at),
        };
        Outcome { verdict: case.verdict, remaining, reset_nanos, wait, charged: case.charged }
    }
}

impl RateLimitRepository for CarelessRepository {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let mut keeping = lock(&self.keeping);
        let now = self.now(&mut keeping);
        let load =
            |charge: &Charge| keeping.load(&key(self.mistake, charge.identity(), charge.policy()));
        let mut cases: Vec<Case<'_>> =
            charges.iter().map(|charge| self.open(charge, load(charge), now)).collect();
        let objecting = match self.mistake {
            Mistake::AsksOnlyTheFirstPolicy => cases.iter().take(1).any(|case| self.objects(case)),
            _ => cases.iter().any(|case| self.objects(case)),
        };
        if matches!(self.mistake, Mistake::ReadsThenWrites | Mistake::DecidesThenCharges) {
            drop(keeping);
            // Others have their turn, as they would during a round trip to a server.
            (0..20).for_each(|_| thread::yield_now());
            keeping = lock(&self.keeping);
            if self.makes(Mistake::DecidesThenCharges) {
                for case in &mut cases {
                    let fresh = keeping.load(&case.key);
                    case.record.bucket = fresh.bucket.or(case.record.bucket.take());
                }
            }
        }
        for case in &mut cases {
            self.charge(case, !objecting, now);
            if objecting || case.units == 0 || self.makes(Mistake::ShadowStrikes) {
                self.strike(case, now);
            }
        }
        let mut outcomes: Vec<Outcome> = cases.iter().map(|case| self.outcome(case, now)).collect();
        if self.makes(Mistake::ReversesOutcomes) {
            outcomes.reverse();
        }
        for case in cases {
            keeping.save(self.mistake, case.key, case.record);
        }
        Answer::ready(outcomes.into_iter().collect())
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let mut keeping = lock(&self.keeping);
        let now = self.now(&mut keeping);
        let mut first = true;
        let settled = adjustments.iter().map(|adjustment| {
            let skip = self.makes(Mistake::SettlesOnlyTheFirst) && !first;
            first = false;
            if skip { Default::default() } else { self.adjust(&mut keeping, adjustment, now) }
        });
        Answer::ready(settled.collect())
    }
}
