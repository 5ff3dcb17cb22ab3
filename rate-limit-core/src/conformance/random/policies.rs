//! Random policies, and the versions they go through.

use std::sync::Arc;
use std::time::Duration;

use super::prng::Prng;
use crate::conformance::trial::{Checked, Policy};
use crate::penalty::PenaltyLadder;
use crate::policy::{RateLimitPolicy, RateLimitPolicyBuilder};

const DAY: u64 = 86_400 * 1_000_000_000;

/// A policy and its versions, which all count in the same bucket.
pub(super) struct Family {
    name: String,
    count: fn(RateLimitPolicyBuilder) -> RateLimitPolicyBuilder,
    /// `None` for a token bucket, whose versions may have any window.
    window: Option<Duration>,
    max_limit: u64,
    /// The same in all versions: how long strikes and levels are kept is known only to the version
    /// that wrote them.
    ladder: Option<PenaltyLadder>,
    pub(super) versions: Vec<Policy>,
}

impl Family {
    /// A policy with one version.
    pub(super) fn new(random: &mut Prng, number: usize) -> Checked<Self> {
        let some_window = window(random);
        let (count, window, max_limit): (fn(_) -> _, _, _) = match random.between(1, 100) {
            1..=15 => (RateLimitPolicyBuilder::fixed_window, Some(some_window), u64::MAX),
            16..=30 => {
                let parts = *random.one_of(&[1, 24, 24 * 60, 24 * 3_600, 96, 250]).unwrap_or(&1);
                let divides_a_day = Duration::from_nanos(DAY / parts);
                (RateLimitPolicyBuilder::aligned_window, Some(divides_a_day), u64::MAX)
            }
            31..=45 => (RateLimitPolicyBuilder::sliding_window, Some(some_window), u64::MAX),
            // A log of many entries is slow to compare and shows nothing that a short one does not.
            46..=60 => (RateLimitPolicyBuilder::sliding_log, Some(some_window), 50),
            _ => (RateLimitPolicyBuilder::token_bucket, None, u64::MAX),
        };
        let name = format!("policy-{number}");
        let ladder = if random.chance(30) { Some(some_ladder(random)) } else { None };
        let mut family = Self { name, count, window, max_limit, ladder, versions: Vec::new() };
        family.add_version(random)?;
        Ok(family)
    }

    /// Gives the policy another limit, another burst, another mode, or the same again.
    pub(super) fn add_version(&mut self, random: &mut Prng) -> Checked {
        let built = (0..10).find_map(|_| self.version(random).build().ok());
        let version = match built {
            Some(version) => version,
            // Every attempt had a burst that takes too long to refill.
            None => (self.count)(RateLimitPolicy::per_hour(1).named(&self.name)).build()?,
        };
        if self.versions.len() > 3 {
            self.versions.remove(0);
        }
        self.versions.push(Arc::new(version));
        Ok(())
    }

    fn version(&self, random: &mut Prng) -> RateLimitPolicyBuilder {
        let window = self.window.unwrap_or_else(|| window(random));
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let highest_rate = (nanos / 1_000).min(u64::from(u32::MAX)).min(self.max_limit);
        let limit = match random.between(1, 10) {
            1..=7 => random.of_any_size(highest_rate.min(20)),
            _ => random.of_any_size(highest_rate),
        };
        let mut builder = (self.count)(RateLimitPolicy::per(limit, window).named(&self.name));
        if self.window.is_none() && random.chance(50) {
            let highest = *random.one_of(&[1, 3, 30, u64::from(u32::MAX)]).unwrap_or(&1);
            builder = builder.burst(random.of_any_size(highest));
        }
        if random.chance(20) {
            builder = builder.shadow();
        }
        if let Some(ladder) = self.ladder {
            builder = builder.penalty(ladder);
        }
        builder
    }

    /// Usually the newest version, sometimes an older one that still runs somewhere.
    pub(super) fn some_version(&self, random: &mut Prng) -> Option<&Policy> {
        if random.chance(90) { self.versions.last() } else { random.one_of(&self.versions) }
    }
}

fn window(random: &mut Prng) -> Duration {
    let usual = [
        Duration::from_micros(1),
        Duration::from_millis(1),
        Duration::from_secs(1),
        Duration::from_secs(7),
        Duration::from_secs(60),
        Duration::from_secs(3_600),
        Duration::from_secs(86_400),
        Duration::from_secs(366 * 86_400),
    ];
    match random.one_of(&usual) {
        Some(window) if random.chance(70) => *window,
        _ => Duration::from_nanos(random.of_any_size(DAY).max(1_000)),
    }
}

fn some_ladder(random: &mut Prng) -> PenaltyLadder {
    let strikes = u32::try_from(random.between(1, 4)).unwrap_or(1);
    let mut some_time = || Duration::from_nanos(random.of_any_size(DAY).max(1_000_000));
    let (within, decay, [first, max]) = (some_time(), some_time(), {
        let mut bans = [some_time(), some_time()];
        bans.sort();
        bans
    });
    PenaltyLadder::after(strikes, within)
        .first_ban(first)
        .up_to(max)
        .decaying_every(decay)
        .growing_by(u32::try_from(random.between(1, 4)).unwrap_or(1))
}
