//! Waits that differ a little, so that clients do not all come back at once.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use crate::error::LayerError;

/// By how much at most a client is told to wait longer than it has to. Never shorter: who waits as
/// long as it was told is still admitted.
///
/// # Example: up to a tenth longer
///
/// ```
/// # #[cfg(feature = "memory")] {
/// use rate_limit_tower::{RateLimitLayer, RateLimitPolicy, RetryJitter};
///
/// let limit = RateLimitLayer::in_memory()
///     .per_ip(RateLimitPolicy::per_minute(100))
///     .retry_jitter(RetryJitter::up_to_percent(10))
///     .build()?;
/// # }
/// # Ok::<(), rate_limit_tower::LayerError>(())
/// ```
pub struct RetryJitter {
    percent: u8,
    numbers: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl RetryJitter {
    /// The most that is accepted: 10.
    pub const MAX_PERCENT: u8 = 10;

    /// Waits longer by up to this part, 0 to 10 percent.
    pub fn up_to_percent(percent: u8) -> Self {
        Self { percent, numbers: Box::new(random) }
    }

    /// Where the random numbers come from, each of which may be any number. For tests.
    #[must_use]
    pub fn from_source(mut self, numbers: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.numbers = Box::new(numbers);
        self
    }

    pub(crate) fn check(&self) -> Result<(), LayerError> {
        let (percent, max) = (self.percent, Self::MAX_PERCENT);
        if percent > max { Err(LayerError::Jitter { percent, max }) } else { Ok(()) }
    }

    /// By how many thousandths to wait longer this time.
    pub(crate) fn permille(&self) -> u64 {
        match u64::from(self.percent) * 10 {
            0 => 0,
            most => (self.numbers)() % (most + 1),
        }
    }
}

/// The keys of each new hasher differ in a way that nobody outside can predict, which is more than
/// is needed here.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl fmt::Debug for RetryJitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryJitter").field("percent", &self.percent).finish_non_exhaustive()
    }
}
