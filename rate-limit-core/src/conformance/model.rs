//! An independent model of the contract, in exact rational arithmetic.
//!
//! It is written from the definitions and shares no arithmetic with the rest of the crate: a token
//! bucket is a level of tokens that rises continuously, a window is a count with a beginning, a log
//! is a list of charges, and charges are recognised by a serial number instead of an instant. That
//! the stores agree with it in every field, over millions of random steps, is the evidence that
//! neither has misunderstood the definitions.

use std::sync::{Mutex, PoisonError};

use crate::adjustment::Adjustments;
use crate::charge::Charges;
use crate::manual_clock::ManualClock;
use crate::repository::{Acquire, Answer, RateLimitRepository, Settle};
use crate::time::{Clock, Now, TimeAxis, Timestamp};

mod bucket;
mod fixed;
mod ladder;
mod log;
mod sliding;
mod state;
mod tokens;

/// An exact number.
type Exact = num_rational::Ratio<i128>;

/// The parameters of a sliding window or log.
#[derive(Clone, Copy, Debug)]
struct LimitPerWindow {
    limit: i128,
    window: i128,
}

/// The reference model as a store. It answers at once, grows without bound, and is not fast.
///
/// # Example: a second opinion
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use rate_limit_core::conformance::{ModelRepository, block_on};
/// use rate_limit_core::*;
///
/// let clock = ManualClock::new();
/// let model = ModelRepository::new(clock.clone());
/// let third = Arc::new(RateLimitPolicy::per_second(3).burst(1).build()?);
/// let charges = [Charge::new(ClientIdentity::GLOBAL, third, 1)].into_iter().collect();
///
/// assert_eq!(block_on(model.acquire(&charges))?.get(0).unwrap().wait, Wait::Now);
/// assert_eq!(block_on(model.acquire(&charges))?.get(0).unwrap().wait, Wait::After(333_333_334));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ModelRepository {
    clock: ManualClock,
    state: Mutex<state::State>,
}

impl ModelRepository {
    /// An empty model on `clock`.
    pub fn new(clock: ManualClock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// The earliest instant on `axis` to which the clock may step back without any store being
    /// entitled to another answer: beyond it lies a state that has become as good as new, which
    /// some stores have forgotten and others have not.
    pub(super) fn earliest_common_past(&self, axis: TimeAxis, latest: Timestamp) -> Timestamp {
        let earliest = self.lock().earliest_common_past(axis, nanos(latest));
        Timestamp::from_nanos(u64::try_from(earliest).unwrap_or(0))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, state::State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        Now { monotonic: self.clock.now(), utc: self.clock.utc_now() }
    }
}

impl RateLimitRepository for ModelRepository {
    fn acquire(&self, charges: &Charges) -> Acquire {
        let mut state = self.lock();
        Answer::ready(state.acquire(charges, self.now()))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        let mut state = self.lock();
        Answer::ready(state.settle(adjustments, self.now()))
    }
}

fn nanos(instant: Timestamp) -> i128 {
    i128::from(instant.as_nanos())
}

/// A count of the model as one of the port. The model keeps its counts in range.
fn count(units: i128) -> u64 {
    u64::try_from(units).unwrap_or(if units < 0 { 0 } else { u64::MAX })
}
