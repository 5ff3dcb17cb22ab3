//! The token bucket as a level of tokens that rises continuously.

use super::Exact;
use super::bucket::Counter;

/// How a token bucket fills.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refill {
    pub(super) burst: i128,
    /// Nanoseconds per token.
    pub(super) interval: i128,
}

/// A bucket of tokens; no level is kept of a full one.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    refill: Refill,
    level: Option<Level>,
}

/// How many tokens there were at an instant.
#[derive(Clone, Copy, Debug)]
struct Level {
    tokens: Exact,
    at: i128,
}

impl Tokens {
    pub(super) const fn new(refill: Refill) -> Self {
        Self { refill, level: None }
    }

    /// Lets time pass, from now on under `refill`. Returns the instant at which the bucket became
    /// full if it did.
    pub(super) fn catch_up(&mut self, refill: Refill, now: i128) -> Option<i128> {
        if self.refill != refill {
            // What is missing keeps the time that it takes to refill, whatever the rate now is.
            let missing = self.missing_nanos() / refill.interval;
            self.refill = refill;
            if let Some(level) = &mut self.level {
                level.tokens = Exact::from_integer(refill.burst) - missing;
            }
        }
        let full_at = self.full_at()?;
        if full_at <= now {
            self.level = None;
            return Some(full_at);
        }
        let level = self.level.as_mut()?;
        // A clock that stepped back takes away what had been refilled since, but no bucket is more
        // than empty.
        let gained = Exact::new(now - level.at, refill.interval);
        level.tokens = (level.tokens + gained).max(Exact::from_integer(0));
        level.at = now;
        None
    }

    fn tokens(&self) -> Exact {
        self.level.map_or(Exact::from_integer(self.refill.burst), |level| level.tokens)
    }

    fn missing_nanos(&self) -> Exact {
        (Exact::from_integer(self.refill.burst) - self.tokens()) * self.refill.interval
    }

    fn full_at(&self) -> Option<i128> {
        self.level.map(|level| level.at + self.missing_nanos().ceil().to_integer())
    }

    fn change(&mut self, now: i128, by: Exact) {
        self.level = Some(Level { tokens: self.tokens() + by, at: now });
    }
}

impl Counter for Tokens {
    fn wait(&self, _now: i128, units: i128) -> i128 {
        let short = Exact::from_integer(units) - self.tokens();
        (short * self.refill.interval).ceil().to_integer().max(0)
    }

    /// The mark is the instant of the charge: time pays for it from then on.
    fn take(&mut self, now: i128, units: i128) -> i128 {
        self.change(now, Exact::from_integer(-units));
        now
    }

    fn refund(&mut self, now: i128, mark: i128, charged: i128, units: i128) -> i128 {
        let paid = Exact::new((now - mark).max(0), self.refill.interval);
        let unpaid = Exact::from_integer(charged) - paid;
        let missing = Exact::from_integer(self.refill.burst) - self.tokens();
        let given = Exact::from_integer(units).min(unpaid).min(missing);
        if given <= Exact::from_integer(0) {
            return 0;
        }
        self.change(now, given);
        given.ceil().to_integer()
    }

    fn add(&mut self, now: i128, units: i128) -> i128 {
        let tokens = self.tokens();
        let taken = Exact::from_integer(units).min(tokens);
        if taken > Exact::from_integer(0) {
            self.change(now, -taken);
        }
        (units - tokens.floor().to_integer()).max(0)
    }

    fn remaining(&self, _now: i128) -> i128 {
        self.tokens().floor().to_integer()
    }

    fn reset(&self, _now: i128) -> i128 {
        self.missing_nanos().ceil().to_integer()
    }

    fn lapsed_by(&self, latest: i128) -> Option<i128> {
        self.full_at().filter(|full_at| *full_at <= latest)
    }
}
