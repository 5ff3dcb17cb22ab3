//! All buckets of the model, and the decision over several of them.

use std::collections::HashMap;

use super::bucket::{Bucket, Kind, Rule};
use super::ladder::Place;
use super::{count, nanos};
use crate::adjustment::{Adjusted, Adjustment, Adjustments, Change, Settled};
use crate::algorithm::Wait;
use crate::charge::{Charge, Charges};
use crate::identity::ClientIdentity;
use crate::outcome::{Outcome, Outcomes, PolicyVerdict};
use crate::penalty::PenaltyLadder;
use crate::policy::{PolicyName, RateLimitPolicy};
use crate::time::{Now, TimeAxis, Timestamp};

/// Every bucket by its owner, and what has expired.
#[derive(Debug, Default)]
pub(super) struct State {
    seats: HashMap<(PolicyName, Kind, ClientIdentity), Seat>,
    monotonic: Lapses,
    utc: Lapses,
}

/// The last instant at which anything expired.
#[derive(Clone, Copy, Debug, Default)]
struct Lapses(i128);

/// A client's bucket and its place on the ladder.
#[derive(Clone, Debug)]
struct Seat {
    bucket: Bucket,
    place: Option<(PenaltyLadder, Place)>,
    axis: TimeAxis,
}

/// What a policy says before anything is taken.
struct Opinion {
    wait: Wait,
    banned: bool,
}

impl State {
    pub(super) fn acquire(&mut self, charges: &Charges, now: Now) -> Outcomes {
        let mut allowed = true;
        for charge in charges.iter() {
            let opinion = self.opinion(charge, now);
            allowed &= opinion.wait == Wait::Now || !charge.policy().is_enforced();
        }
        // Asking again at the same instant gives the same opinions.
        charges.iter().map(|charge| self.conclude(charge, allowed, now)).collect()
    }

    pub(super) fn settle(&mut self, adjustments: &Adjustments, now: Now) -> Settled {
        adjustments.iter().map(|adjustment| self.adjust(adjustment, now)).collect()
    }

    pub(super) fn earliest_common_past(&mut self, axis: TimeAxis, latest: i128) -> i128 {
        let seats = self.seats.values_mut();
        let ended = seats.flat_map(|seat| seat.lapsed_by(axis, latest)).max();
        ended.unwrap_or(0).max(self.lapses(axis).0)
    }

    fn lapses(&mut self, axis: TimeAxis) -> &mut Lapses {
        match axis {
            TimeAxis::Monotonic => &mut self.monotonic,
            TimeAxis::Utc => &mut self.utc,
        }
    }

    /// The bucket of a client under a policy, brought up to date.
    fn seat(&mut self, who: &ClientIdentity, policy: &RateLimitPolicy, now: Now) -> &mut Seat {
        let rule = Rule::of(policy);
        let key = (policy.name().clone(), rule.kind(), who.clone());
        let axis = policy.axis();
        let seat = self.seats.entry(key).or_insert_with(|| Seat {
            bucket: Bucket::new(rule),
            place: None,
            axis,
        });
        let lapses = match axis {
            TimeAxis::Monotonic => &mut self.monotonic,
            TimeAxis::Utc => &mut self.utc,
        };
        if let Some(instant) = seat.bucket.catch_up(rule, nanos(now.on(axis))) {
            lapses.0 = lapses.0.max(instant);
        }
        seat
    }

    fn opinion(&mut self, charge: &Charge, now: Now) -> Opinion {
        let policy = charge.policy();
        let seat = self.seat(charge.identity(), policy, now);
        let units = i128::from(charge.units());
        let bucket_wait = if units == 0 {
            Wait::Now
        } else if units > Rule::of(policy).capacity() {
            Wait::Never
        } else {
            wait(seat.bucket.counter().wait(nanos(now.on(policy.axis())), units))
        };
        let mut ban = Wait::Now;
        if let (Some(ladder), Some((known, place))) = (ladder(policy), &mut seat.place) {
            *known = *ladder;
            place.catch_up(ladder, nanos(now.monotonic));
            ban = wait(place.banned(nanos(now.monotonic)));
        }
        Opinion { wait: bucket_wait.max(ban), banned: ban != Wait::Now }
    }

    /// Takes the units if the request is allowed, or writes a strike if this policy denies it.
    fn conclude(&mut self, charge: &Charge, allowed: bool, now: Now) -> Outcome {
        let opinion = self.opinion(charge, now);
        let policy = charge.policy();
        let seat = self.seat(charge.identity(), policy, now);
        let at = nanos(now.on(policy.axis()));
        let mut outcome = Outcome {
            verdict: match opinion {
                Opinion { banned: true, .. } => PolicyVerdict::Ban,
                Opinion { wait: Wait::Now, .. } => PolicyVerdict::Admit,
                Opinion { .. } => PolicyVerdict::Deny,
            },
            remaining: 0,
            reset_nanos: 0,
            wait: opinion.wait,
            charged: None,
        };
        let asks_for_something = charge.units() > 0;
        if allowed && asks_for_something && outcome.verdict == PolicyVerdict::Admit {
            let mark = seat.bucket.counter().take(at, charge.units().into());
            outcome.charged = Some(Timestamp::from_nanos(count(mark)));
        }
        if let (Some(ladder), PolicyVerdict::Deny) = (ladder(policy), outcome.verdict) {
            let (_, place) = seat.place.get_or_insert((*ladder, Place::default()));
            if let Some(ban) = place.strike(ladder, nanos(now.monotonic)) {
                outcome.verdict = PolicyVerdict::Ban;
                outcome.wait = outcome.wait.max(wait(ban));
            }
        }
        outcome.remaining = count(seat.bucket.counter().remaining(at));
        outcome.reset_nanos = count(seat.bucket.counter().reset(at));
        outcome
    }

    fn adjust(&mut self, adjustment: &Adjustment, now: Now) -> Adjusted {
        let Adjustment { identity, policy, charged, units, change } = adjustment;
        let at = nanos(now.on(policy.axis()));
        let counter = self.seat(identity, policy, now).bucket.counter();
        let units = i128::from(*units);
        match *change {
            Change::Add(more) => {
                Adjusted { returned: 0, excess: count(counter.add(at, more.into())) }
            }
            Change::Refund(back) => {
                let back = i128::from(back).min(units);
                let returned = counter.refund(at, nanos(*charged), units, back);
                Adjusted { returned: count(returned), excess: 0 }
            }
        }
    }
}

impl Seat {
    fn lapsed_by(&mut self, axis: TimeAxis, latest: i128) -> Option<i128> {
        let bucket = match self.axis == axis {
            true => self.bucket.counter().lapsed_by(latest),
            false => None,
        };
        let place = self
            .place
            .filter(|_| axis == TimeAxis::Monotonic)
            .map(|(ladder, place)| place.forgotten_at(&ladder))
            .filter(|instant| *instant <= latest);
        bucket.max(place)
    }
}

/// The ladder of a policy; one that only watches bans nobody.
fn ladder(policy: &RateLimitPolicy) -> Option<&PenaltyLadder> {
    policy.penalty().filter(|_| policy.is_enforced())
}

fn wait(nanos: i128) -> Wait {
    if nanos == 0 { Wait::Now } else { Wait::After(count(nanos)) }
}
