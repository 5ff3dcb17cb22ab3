//! Who has used most of their limits: the top clients, and how often somebody came close.
//!
//! A table of fixed size, so that a flood of clients takes neither memory nor series.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use rate_limit_core::{Algorithm, Decision, PolicyOutcome};
use rate_limit_tower::ClientId;

/// How many clients are told.
pub(crate) const TOP: usize = 10;

/// How many are watched, so that the top ones are known when others fall back.
const WATCHED: usize = 256;

/// From which share of its limit on a client is near it, in thousandths.
const NEAR_PERMILLE: u64 = 800;

const USAGE: &str = "rate_limit_current_usage";
const NEAR: &str = "rate_limit_near_limit_total";

/// Who has used most of their limits.
#[derive(Debug, Default)]
pub(crate) struct Usage(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    watched: HashMap<(ClientId, u128), Standing>,
    /// Whoever has used no more than this, in thousandths, is not let in. Zero while there is room.
    floor: u64,
}

/// Where a client stood when it was seen last.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) client: ClientId,
    pub(crate) policy: String,
    pub(crate) limit: u64,
    used: u64,
    seen_millis: u64,
    reset_millis: u64,
    /// Whether units come back one by one, and not all at once.
    comes_back: Return,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Return {
    AtOnce,
    Steadily,
}

impl Standing {
    fn of(one: &PolicyOutcome, now_millis: u64) -> Self {
        let limit = one.policy().capacity();
        let comes_back = match one.policy().algorithm() {
            Algorithm::TokenBucket(_) => Return::Steadily,
            _ => Return::AtOnce,
        };
        Self {
            client: ClientId::of(one.identity()),
            policy: one.policy().name().to_string(),
            limit,
            used: limit.saturating_sub(one.outcome().remaining),
            seen_millis: now_millis,
            reset_millis: one.outcome().reset_nanos / 1_000_000,
            comes_back,
        }
    }

    /// What is used by now, if the client has not come back.
    pub(crate) fn used(&self, now_millis: u64) -> u64 {
        let left_millis = self.resets_in_millis(now_millis);
        match self.comes_back {
            _ if left_millis == 0 => 0,
            Return::AtOnce => self.used,
            // Limits are below 2^32 and times below 2^42 milliseconds.
            Return::Steadily => {
                self.used.saturating_mul(left_millis).div_ceil(self.reset_millis.max(1))
            }
        }
    }

    pub(crate) fn resets_in_millis(&self, now_millis: u64) -> u64 {
        self.reset_millis.saturating_sub(now_millis.saturating_sub(self.seen_millis))
    }

    fn permille(&self, now_millis: u64) -> u64 {
        permille(self.used(now_millis), self.limit)
    }
}

fn permille(used: u64, limit: u64) -> u64 {
    used.saturating_mul(1_000) / limit.max(1)
}

impl Usage {
    /// Describes what is told, so that every series is there from the beginning.
    pub(crate) fn new() -> Self {
        describe_gauge!(USAGE, "The share of their limits that the top clients have used");
        describe_counter!(NEAR, Unit::Count, "Requests after which 80 % of a limit was used");
        let usage = Self::default();
        usage.show(0);
        usage
    }

    /// Looks at what was decided.
    pub(crate) fn observe(&self, decision: &Decision, now_millis: u64) {
        for one in decision.enforced() {
            let limit = one.policy().capacity();
            let used = permille(limit.saturating_sub(one.outcome().remaining), limit);
            if decision.is_allowed() && used >= NEAR_PERMILLE {
                // The names of policies come from the configuration.
                counter!(NEAR, "policy" => one.policy().name().to_string()).increment(1);
            }
            self.table().watch(one, used, now_millis);
        }
    }

    /// The top clients, first the one who has used most.
    pub(crate) fn top(&self, now_millis: u64) -> Vec<Standing> {
        self.table().top(now_millis)
    }

    /// Sets the gauges. Always as many, whoever there is.
    pub(crate) fn show(&self, now_millis: u64) {
        let top = self.top(now_millis);
        for rank in 1..=TOP {
            let used = top.get(rank - 1).map_or(0, |one| one.permille(now_millis));
            #[allow(clippy::cast_precision_loss, reason = "thousandths are small numbers")]
            gauge!(USAGE, "rank" => rank.to_string()).set(used as f64 / 1_000.0);
        }
    }

    /// Nothing that is kept can be half done.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn watch(&mut self, one: &PolicyOutcome, used_permille: u64, now_millis: u64) {
        // Under a flood of clients that have used little, nothing more is done than this.
        if used_permille <= self.floor && self.watched.len() >= WATCHED {
            return;
        }
        let standing = Standing::of(one, now_millis);
        self.watched.insert((standing.client, one.policy().bucket_digest()), standing);
        if self.watched.len() > WATCHED {
            self.make_room(now_millis);
        }
    }

    /// Keeps the upper half.
    fn make_room(&mut self, now_millis: u64) {
        let mut shares: Vec<u64> =
            self.watched.values().map(|it| it.permille(now_millis)).collect();
        shares.sort_unstable();
        let median = shares.get(shares.len() / 2).copied().unwrap_or_default();
        self.watched.retain(|_, standing| standing.permille(now_millis) > median);
        self.floor = median;
    }

    fn top(&mut self, now_millis: u64) -> Vec<Standing> {
        self.watched.retain(|_, standing| standing.used(now_millis) > 0);
        if self.watched.len() < WATCHED / 2 {
            self.floor = 0;
        }
        let mut all: Vec<&Standing> = self.watched.values().collect();
        all.sort_by_key(|one| (std::cmp::Reverse(one.permille(now_millis)), one.client));
        all.into_iter().take(TOP).cloned().collect()
    }
}
