//! What is known of one bucket, and what can be said of a charge on it.

use std::sync::Arc;

use rate_limit_core::{
    Algorithm, BucketRule, Charge, Outcome, PolicyVerdict, RateLimitPolicy, Timestamp,
    TokenBucketState, Wait,
};

/// How long anything is believed at most: one second.
const HOLD_NANOS: u64 = 1_000_000_000;

/// What the store said of a bucket when it denied a request.
pub(super) struct Entry {
    policy: Arc<RateLimitPolicy>,
    verdict: PolicyVerdict,
    /// The least cost that was denied; the cost that was not, if this bucket did not deny.
    units: u64,
    remaining: u64,
    reset_at: Timestamp,
    /// When the units fit; `None` if never.
    fits_at: Option<Timestamp>,
    /// When the answer came. A clock that shows less has been set back.
    arrived: Timestamp,
    /// Until when the answer is repeated.
    holds_until: Timestamp,
    /// Until when the store would surely repeat it, if nobody changed the bucket.
    denies_until: Timestamp,
}

/// What can be said of a charge.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// This, now.
    Holds(Outcome),
    /// This a second ago. There was no reason yet why it should have changed.
    Lapsed(PolicyVerdict),
    /// Nothing.
    Nothing,
}

impl Entry {
    /// What is worth remembering of `outcome`, part of a denial that was asked for at `sent` and
    /// came at `arrived`. `None` if the store has to see every such charge.
    pub(super) fn new(
        charge: &Charge,
        outcome: &Outcome,
        sent: Timestamp,
        arrived: Timestamp,
    ) -> Option<Self> {
        let policy = charge.policy();
        // Before the ban every denial is a strike.
        let strikes = policy.striking_penalty().is_some();
        match outcome.verdict {
            PolicyVerdict::Deny if strikes => return None,
            PolicyVerdict::Ban if !is_the_bans_own(charge, outcome) => return None,
            _ => {}
        }
        let (fits_at, denies_until) = match outcome.wait {
            Wait::Now | Wait::Never => (None, Timestamp::LAST),
            // The clocks of two machines differ by less than a thousandth, even while one of them
            // is slewed.
            Wait::After(nanos) => {
                (Some(arrived.plus_nanos(nanos)), sent.plus_nanos(nanos - nanos / 1_000))
            }
        };
        Some(Self {
            policy: policy.clone(),
            verdict: outcome.verdict,
            units: charge.units(),
            remaining: outcome.remaining,
            reset_at: arrived.plus_nanos(outcome.reset_nanos),
            fits_at,
            arrived,
            holds_until: denies_until.min(sent.plus_nanos(HOLD_NANOS)),
            denies_until,
        })
    }

    /// Until when the entry is of use.
    pub(super) const fn holds_until(&self) -> Timestamp {
        self.holds_until
    }

    /// Whether `newer` says less, so that this entry stays: it denies more of what may be asked.
    pub(super) fn outranks(&self, newer: &Self) -> bool {
        let now = newer.arrived;
        let holds = (self.arrived..self.holds_until).contains(&now) && self.is_about(&newer.policy);
        let denies_more = match newer.verdict {
            PolicyVerdict::Admit => newer.units < self.units,
            PolicyVerdict::Deny => self.units < newer.units,
            PolicyVerdict::Ban => false,
        };
        holds && self.verdict == PolicyVerdict::Deny && denies_more
    }

    /// What can be said of `charge` at `now`.
    pub(super) fn tell(&self, charge: &Charge, now: Timestamp) -> Known {
        if now < self.arrived || now >= self.denies_until || !self.is_about(charge.policy()) {
            return Known::Nothing;
        }
        let Some((verdict, wait)) = self.judge(charge.units(), now) else {
            return Known::Nothing;
        };
        if now >= self.holds_until {
            return Known::Lapsed(verdict);
        }
        let reset_nanos = self.reset_at.nanos_since(now);
        let remaining = self.remaining(now);
        Known::Holds(Outcome { verdict, remaining, reset_nanos, wait, charged: None })
    }

    /// A policy that was changed may admit more. Versions that are equal are usually one.
    fn is_about(&self, policy: &Arc<RateLimitPolicy>) -> bool {
        Arc::ptr_eq(&self.policy, policy) || self.policy == *policy
    }

    /// What the store would say of `units`, as far as that follows from what it said.
    fn judge(&self, units: u64, now: Timestamp) -> Option<(PolicyVerdict, Wait)> {
        let violated = self.verdict != PolicyVerdict::Admit;
        if violated && units == self.units {
            return Some((self.verdict, self.rest_of(now)));
        }
        // What other costs would hear of a ban depends on the bucket behind it.
        if self.verdict == PolicyVerdict::Ban {
            return None;
        }
        if units <= self.remaining(now) {
            return Some((PolicyVerdict::Admit, Wait::Now));
        }
        if violated && units > self.units {
            return Some((PolicyVerdict::Deny, self.longer_wait(units, now)?));
        }
        None
    }

    /// What is left of the told wait.
    fn rest_of(&self, now: Timestamp) -> Wait {
        // Never zero, because an entry ends before its wait does.
        self.fits_at.map_or(Wait::Never, |fits_at| Wait::After(fits_at.nanos_since(now).max(1)))
    }

    /// The wait of a larger cost than the one that was denied, where it follows from what is known.
    fn longer_wait(&self, units: u64, now: Timestamp) -> Option<Wait> {
        if units > self.policy.capacity() {
            return Some(Wait::Never);
        }
        match self.policy.algorithm() {
            Algorithm::TokenBucket(rule) => {
                Some(rule.wait(&self.level(), now, units)).filter(|wait| *wait != Wait::Now)
            }
            // Whatever does not fit any more has to wait for the next window.
            Algorithm::FixedWindow(_) => Some(self.rest_of(now)),
            _ => None,
        }
    }

    /// A token bucket refills while it denies; of the others the figure stands still or is at most
    /// a second old.
    fn remaining(&self, now: Timestamp) -> u64 {
        match self.policy.algorithm() {
            Algorithm::TokenBucket(rule) => rule.remaining(&self.level(), now),
            _ => self.remaining,
        }
    }

    const fn level(&self) -> TokenBucketState {
        TokenBucketState { full_at: self.reset_at }
    }
}

/// Whether the told wait is that of the ban. The longer of two waits is told, and if that is the
/// bucket's own, the ban may end before it; from then on every denial is a strike again.
fn is_the_bans_own(charge: &Charge, outcome: &Outcome) -> bool {
    // No bucket lets anybody wait longer than until it is full, unless for ever.
    let full = Wait::After(outcome.reset_nanos);
    let ends = outcome.wait != Wait::Never;
    ends && (charge.units() <= outcome.remaining || outcome.wait > full)
}
