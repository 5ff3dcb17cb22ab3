//! The sliding log: the list of charges that are less than one window old.

use std::collections::VecDeque;

use super::LimitPerWindow;
use super::bucket::Counter;

/// The remembered charges, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Log {
    rule: LimitPerWindow,
    charges: VecDeque<Logged>,
    numbered: i128,
}

#[derive(Clone, Copy, Debug)]
struct Logged {
    /// By which a refund recognises the charge; `None` once it can no longer be recognised.
    number: Option<i128>,
    at: i128,
    units: i128,
}

impl Log {
    pub(super) const fn new(rule: LimitPerWindow) -> Self {
        Self { rule, charges: VecDeque::new(), numbered: 0 }
    }

    /// Lets time pass. Returns the last instant at which a charge expired if one did.
    pub(super) fn catch_up(&mut self, rule: LimitPerWindow, now: i128) -> Option<i128> {
        self.rule = rule;
        let lapsed = self.lapsed_by(now);
        self.charges.retain(|charge| now < charge.at + rule.window);
        for charge in self.charges.iter_mut().filter(|charge| charge.at > now) {
            *charge = Logged { number: None, at: now, units: charge.units };
        }
        lapsed
    }

    fn used(&self) -> i128 {
        self.charges.iter().map(|charge| charge.units).sum()
    }
}

impl Counter for Log {
    fn wait(&self, now: i128, units: i128) -> i128 {
        let mut used = self.used();
        let mut fits_at = now;
        for charge in &self.charges {
            if used + units <= self.rule.limit {
                break;
            }
            used -= charge.units;
            fits_at = charge.at + self.rule.window;
        }
        fits_at - now
    }

    fn take(&mut self, now: i128, units: i128) -> i128 {
        self.numbered += 1;
        self.charges.push_back(Logged { number: Some(self.numbered), at: now, units });
        self.numbered
    }

    fn refund(&mut self, _now: i128, mark: i128, charged: i128, units: i128) -> i128 {
        let Some(charge) = self.charges.iter_mut().find(|it| it.number == Some(mark)) else {
            return 0;
        };
        let returned = units.min(charged).min(charge.units);
        charge.units -= returned;
        self.charges.retain(|charge| charge.units > 0);
        returned
    }

    fn add(&mut self, now: i128, units: i128) -> i128 {
        let taken = units.min(self.remaining(now));
        if taken > 0 {
            self.take(now, taken);
        }
        units - taken
    }

    fn remaining(&self, _now: i128) -> i128 {
        (self.rule.limit - self.used()).max(0)
    }

    fn reset(&self, now: i128) -> i128 {
        self.charges.back().map_or(0, |newest| newest.at + self.rule.window - now)
    }

    fn lapsed_by(&self, latest: i128) -> Option<i128> {
        let ends = self.charges.iter().map(|charge| charge.at + self.rule.window);
        ends.filter(|end| *end <= latest).max()
    }
}
