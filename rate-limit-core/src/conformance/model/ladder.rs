//! A client's place on a penalty ladder.

use crate::penalty::PenaltyLadder;

/// Strikes, level and ban.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    strikes: u32,
    first_strike: i128,
    level: i128,
    ban_end: i128,
}

impl Place {
    /// No strike and no ban lies in the future, and no ban ends later than the longest one would.
    pub(super) fn catch_up(&mut self, ladder: &PenaltyLadder, now: i128) {
        self.first_strike = self.first_strike.min(now);
        self.ban_end = self.ban_end.min(now + nanos(ladder.max()));
    }

    /// Nanoseconds until the present ban ends.
    pub(super) fn banned(&self, now: i128) -> i128 {
        (self.ban_end - now).max(0)
    }

    /// Writes a strike; returns the length of the ban it leads to.
    pub(super) fn strike(&mut self, ladder: &PenaltyLadder, now: i128) -> Option<i128> {
        let window_is_open = self.strikes > 0 && now < self.first_strike + nanos(ladder.within());
        if !window_is_open {
            self.strikes = 0;
            self.first_strike = now;
        }
        self.strikes += 1;
        if self.strikes < ladder.strikes() {
            return None;
        }
        let forgiven = (now - self.ban_end) / nanos(ladder.decay());
        let level = (self.level - forgiven).max(0);
        let ban = ban(ladder, level);
        *self = Self { strikes: 0, first_strike: now, level: level + 1, ban_end: now + ban };
        Some(ban)
    }

    /// From when on the place says nothing any more.
    pub(super) fn forgotten_at(&self, ladder: &PenaltyLadder) -> i128 {
        let strikes_until = match self.strikes {
            0 => 0,
            _ => self.first_strike + nanos(ladder.within()),
        };
        strikes_until.max(self.ban_end + self.level * nanos(ladder.decay()))
    }
}

/// `first · factor^level`, at most `max`.
fn ban(ladder: &PenaltyLadder, level: i128) -> i128 {
    let max = nanos(ladder.max());
    u32::try_from(level)
        .ok()
        .and_then(|level| i128::from(ladder.factor()).checked_pow(level))
        .and_then(|growth| growth.checked_mul(nanos(ladder.first())))
        .map_or(max, |ban| ban.min(max))
}

fn nanos(duration: std::time::Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}
