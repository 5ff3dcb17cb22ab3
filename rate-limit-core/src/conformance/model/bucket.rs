//! One bucket, whatever its kind.

use super::LimitPerWindow;
use super::fixed::{Fixed, FixedRule};
use super::log::Log;
use super::sliding::Sliding;
use super::tokens::{Refill, Tokens};
use crate::algorithm::Algorithm;
use crate::fixed_window::Alignment;
use crate::policy::RateLimitPolicy;

/// What can be asked of a bucket that was brought up to date at the same instant.
///
/// Instants and lengths of time are whole nanoseconds. Units fit into the capacity unless it says
/// otherwise.
pub(super) trait Counter {
    /// Nanoseconds until `units` fit.
    fn wait(&self, now: i128, units: i128) -> i128;

    /// Takes `units`, which fit; returns the mark of the charge.
    fn take(&mut self, now: i128, units: i128) -> i128;

    /// Gives back up to `units` of a charge, as far as time has not; returns the units for which
    /// anything was given back.
    fn refund(&mut self, now: i128, mark: i128, charged: i128, units: i128) -> i128;

    /// Takes up to `units`, whatever their number; returns those that found no room.
    fn add(&mut self, now: i128, units: i128) -> i128;

    /// Units that fit now.
    fn remaining(&self, now: i128) -> i128;

    /// Nanoseconds until the bucket is full again or its window ends.
    fn reset(&self, now: i128) -> i128;

    /// The last instant up to `latest` at which something expires.
    fn lapsed_by(&self, latest: i128) -> Option<i128>;
}

/// How a bucket counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    Fixed(FixedRule),
    Log(LimitPerWindow),
    Sliding(LimitPerWindow),
    Tokens(Refill),
}

/// Versions of a policy with the same kind of rule count in the same bucket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Kind {
    Fixed(i128, Alignment),
    Log(i128),
    Sliding(i128),
    Tokens,
}

/// What is kept of a bucket.
#[derive(Clone, Debug)]
pub(super) enum Bucket {
    Fixed(Fixed),
    Log(Log),
    Sliding(Sliding),
    Tokens(Tokens),
}

impl Rule {
    pub(super) fn of(policy: &RateLimitPolicy) -> Self {
        let per_window = |limit: u64, window_nanos: u64| LimitPerWindow {
            limit: limit.into(),
            window: window_nanos.into(),
        };
        match policy.algorithm() {
            Algorithm::FixedWindow(rule) => Self::Fixed(FixedRule {
                limit: rule.limit().into(),
                window: rule.window_nanos().into(),
                alignment: rule.alignment(),
            }),
            Algorithm::SlidingLog(rule) => Self::Log(per_window(rule.limit(), rule.window_nanos())),
            Algorithm::SlidingWindow(rule) => {
                Self::Sliding(per_window(rule.limit(), rule.window_nanos()))
            }
            Algorithm::TokenBucket(rule) => Self::Tokens(Refill {
                burst: rule.burst().into(),
                interval: rule.interval_nanos().into(),
            }),
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        match *self {
            Self::Fixed(rule) => Kind::Fixed(rule.window, rule.alignment),
            Self::Log(rule) => Kind::Log(rule.window),
            Self::Sliding(rule) => Kind::Sliding(rule.window),
            Self::Tokens(_) => Kind::Tokens,
        }
    }

    /// The most units that one request can take.
    pub(super) const fn capacity(&self) -> i128 {
        match *self {
            Self::Fixed(rule) => rule.limit,
            Self::Log(rule) | Self::Sliding(rule) => rule.limit,
            Self::Tokens(refill) => refill.burst,
        }
    }
}

impl Bucket {
    pub(super) const fn new(rule: Rule) -> Self {
        match rule {
            Rule::Fixed(rule) => Self::Fixed(Fixed::new(rule)),
            Rule::Log(rule) => Self::Log(Log::new(rule)),
            Rule::Sliding(rule) => Self::Sliding(Sliding::new(rule)),
            Rule::Tokens(refill) => Self::Tokens(Tokens::new(refill)),
        }
    }

    /// Lets time pass, from now on under `rule`. Returns the last instant at which something
    /// expired if anything did.
    pub(super) fn catch_up(&mut self, rule: Rule, now: i128) -> Option<i128> {
        match (&mut *self, rule) {
            (Self::Fixed(bucket), Rule::Fixed(rule)) => bucket.catch_up(rule, now),
            (Self::Log(bucket), Rule::Log(rule)) => bucket.catch_up(rule, now),
            (Self::Sliding(bucket), Rule::Sliding(rule)) => bucket.catch_up(rule, now),
            (Self::Tokens(bucket), Rule::Tokens(refill)) => bucket.catch_up(refill, now),
            // Cannot be, since the kind is part of the key.
            _ => {
                *self = Self::new(rule);
                None
            }
        }
    }

    pub(super) fn counter(&mut self) -> &mut dyn Counter {
        match self {
            Self::Fixed(bucket) => bucket,
            Self::Log(bucket) => bucket,
            Self::Sliding(bucket) => bucket,
            Self::Tokens(bucket) => bucket,
        }
    }
}
