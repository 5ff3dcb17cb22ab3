//! The sliding window: the counts of two adjoining windows.

use super::bucket::Counter;
use super::{Exact, LimitPerWindow};

/// A sliding window; nothing is kept once neither of its windows counts.
#[derive(Clone, Debug)]
pub(super) struct Sliding {
    rule: LimitPerWindow,
    pair: Option<Pair>,
    /// The number of the latest window. Numbers recognise a charge's window; those of adjoining
    /// windows differ by one.
    number: i128,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    begin: i128,
    current: i128,
    previous: i128,
}

impl Sliding {
    pub(super) const fn new(rule: LimitPerWindow) -> Self {
        Self { rule, pair: None, number: 0 }
    }

    /// Lets time pass. Returns the last instant at which a window ended if one did.
    pub(super) fn catch_up(&mut self, rule: LimitPerWindow, now: i128) -> Option<i128> {
        self.rule = rule;
        let lapsed = self.lapsed_by(now);
        let pair = self.pair.as_mut()?;
        if pair.begin > now {
            pair.begin = now;
            // Neither window can be recognised any more.
            self.number += 2;
            return None;
        }
        let end = pair.begin + rule.window;
        if lapsed == Some(end) && pair.current > 0 {
            *pair = Pair { begin: end, current: 0, previous: pair.current };
            self.number += 1;
        } else if lapsed.is_some() {
            self.pair = None;
        }
        lapsed
    }

    fn usage(&self, now: i128) -> Exact {
        self.pair.map_or(Exact::from_integer(0), |pair| {
            let share = Exact::new(self.rule.window - (now - pair.begin), self.rule.window);
            share * pair.previous + pair.current
        })
    }

    /// How far into the following window the units of a window count for at most `room`.
    fn slides_out(&self, units: i128, room: i128) -> i128 {
        if units <= room {
            return 0;
        }
        // units · (1 − elapsed / window) <= room, solved for elapsed.
        let elapsed = -Exact::new(room * self.rule.window, units) + self.rule.window;
        elapsed.ceil().to_integer()
    }
}

impl Counter for Sliding {
    fn wait(&self, now: i128, units: i128) -> i128 {
        let Some(pair) = self.pair else {
            return 0;
        };
        let most = self.rule.limit - units;
        let fits_at = if pair.current <= most {
            pair.begin + self.slides_out(pair.previous, most - pair.current)
        } else {
            pair.begin + self.rule.window + self.slides_out(pair.current, most)
        };
        (fits_at - now).max(0)
    }

    fn take(&mut self, now: i128, units: i128) -> i128 {
        let pair = self.pair.get_or_insert_with(|| {
            self.number += 2;
            Pair { begin: now, current: 0, previous: 0 }
        });
        pair.current += units;
        self.number
    }

    fn refund(&mut self, _now: i128, mark: i128, charged: i128, units: i128) -> i128 {
        let Some(pair) = self.pair.as_mut() else {
            return 0;
        };
        let count = match self.number - mark {
            0 => &mut pair.current,
            1 => &mut pair.previous,
            _ => return 0,
        };
        let returned = units.min(charged).min(*count);
        *count -= returned;
        if pair.current == 0 && pair.previous == 0 {
            self.pair = None;
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

    fn remaining(&self, now: i128) -> i128 {
        let left = -self.usage(now) + self.rule.limit;
        left.floor().to_integer().max(0)
    }

    fn reset(&self, now: i128) -> i128 {
        self.pair.map_or(0, |pair| {
            let windows = if pair.current > 0 { 2 } else { 1 };
            pair.begin + windows * self.rule.window - now
        })
    }

    fn lapsed_by(&self, latest: i128) -> Option<i128> {
        let end = self.pair?.begin + self.rule.window;
        [end + self.rule.window, end].into_iter().find(|end| *end <= latest)
    }
}
