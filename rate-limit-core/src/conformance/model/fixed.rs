//! The fixed window: a count with a beginning.

use super::bucket::Counter;
use crate::fixed_window::Alignment;

/// The parameters of a fixed window.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedRule {
    pub(super) limit: i128,
    pub(super) window: i128,
    pub(super) alignment: Alignment,
}

/// A fixed window; nothing is kept of one that has ended.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    rule: FixedRule,
    open: Option<Open>,
    /// Windows that this bucket has opened. Their numbers recognise a charge's window.
    opened: i128,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    number: i128,
    begin: i128,
    used: i128,
}

impl Fixed {
    pub(super) const fn new(rule: FixedRule) -> Self {
        Self { rule, open: None, opened: 0 }
    }

    /// Lets time pass. Returns the instant at which the window ended if it did.
    pub(super) fn catch_up(&mut self, rule: FixedRule, now: i128) -> Option<i128> {
        self.rule = rule;
        let open = self.open.as_mut()?;
        if open.begin > now && open.used == 0 {
            // Nothing is used, so nothing is left of it.
            self.open = None;
            return None;
        }
        if open.begin > now {
            // Set back beyond its beginning, the window begins anew and keeps its count.
            self.opened += 1;
            *open = Open { number: self.opened, begin: now, used: open.used };
            return None;
        }
        let end = self.lapsed_by(now)?;
        self.open = None;
        Some(end)
    }
}

impl Counter for Fixed {
    fn wait(&self, now: i128, units: i128) -> i128 {
        match self.open {
            Some(open) if open.used + units > self.rule.limit => {
                open.begin + self.rule.window - now
            }
            _ => 0,
        }
    }

    fn take(&mut self, now: i128, units: i128) -> i128 {
        let begin = match self.rule.alignment {
            Alignment::FirstRequest => now,
            Alignment::Utc => now - now.rem_euclid(self.rule.window),
        };
        let open = self.open.get_or_insert_with(|| {
            self.opened += 1;
            Open { number: self.opened, begin, used: 0 }
        });
        open.used += units;
        open.number
    }

    fn refund(&mut self, _now: i128, mark: i128, charged: i128, units: i128) -> i128 {
        let Some(open) = self.open.as_mut().filter(|open| open.number == mark) else {
            return 0;
        };
        let returned = units.min(charged).min(open.used);
        open.used -= returned;
        let is_on_grid = open.begin.rem_euclid(self.rule.window) == 0;
        if open.used == 0 && (self.rule.alignment == Alignment::FirstRequest || !is_on_grid) {
            // Nobody has taken anything, so the next one to do so is the first.
            self.open = None;
        }
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
        let used = self.open.map_or(0, |open| open.used);
        (self.rule.limit - used).max(0)
    }

    fn reset(&self, now: i128) -> i128 {
        match (self.open, self.rule.alignment) {
            (Some(open), _) => open.begin + self.rule.window - now,
            (None, Alignment::FirstRequest) => 0,
            (None, Alignment::Utc) => self.rule.window - now.rem_euclid(self.rule.window),
        }
    }

    fn lapsed_by(&self, latest: i128) -> Option<i128> {
        self.open.map(|open| open.begin + self.rule.window).filter(|end| *end <= latest)
    }
}
