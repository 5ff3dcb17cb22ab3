//! From what somebody asks for to a policy that can work.

use std::time::Duration;

use super::error::PolicyError;
use super::{BucketName, FailureMode, MAX_WINDOW, Mode, PolicyName, RateLimitPolicy};
use crate::algorithm::{Algorithm, MAX_UNITS};
use crate::penalty::PenaltyLadder;

/// A policy in the making. Nothing is checked before [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built or handed to a layer"]
pub struct RateLimitPolicyBuilder {
    name: String,
    limit: u64,
    window: Duration,
    pub(crate) burst: Option<u64>,
    algorithm: MakeAlgorithm,
    mode: Mode,
    failure_mode: FailureMode,
    penalty: Option<PenaltyLadder>,
}

/// How an algorithm is made of what was asked for; each algorithm's file has its own.
type MakeAlgorithm = fn(&Asked<'_>) -> Result<Algorithm, PolicyError>;

/// What was asked for, with limit, window and rate already found to be in range.
pub(crate) struct Asked<'a> {
    pub(crate) policy: &'a str,
    pub(crate) limit: u64,
    pub(crate) window_nanos: u64,
    pub(crate) burst: Option<u64>,
}

impl Asked<'_> {
    pub(crate) const fn window(&self) -> Duration {
        Duration::from_nanos(self.window_nanos)
    }

    /// For algorithms whose capacity is the limit.
    pub(crate) fn refuse_burst(&self) -> Result<(), PolicyError> {
        match self.burst {
            None => Ok(()),
            Some(burst) => {
                let policy = self.policy.to_owned();
                Err(PolicyError::BurstWithoutTokenBucket { policy, burst })
            }
        }
    }
}

impl RateLimitPolicyBuilder {
    /// The name of a policy that was not given one.
    pub const DEFAULT_NAME: &'static str = "default";

    pub(super) fn new(limit: u64, window: Duration, algorithm: MakeAlgorithm) -> Self {
        Self {
            name: Self::DEFAULT_NAME.to_owned(),
            limit,
            window,
            burst: None,
            algorithm,
            mode: Mode::Enforce,
            failure_mode: FailureMode::Local,
            penalty: None,
        }
    }

    /// Chooses the algorithm.
    pub(crate) const fn counting(mut self, algorithm: MakeAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Names the policy: 1 to 64 of the characters `A-Z a-z 0-9 _ - . :`, and `default` unless named.
    /// The name is part of every bucket's key.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Only watches: see [`Mode::Shadow`].
    pub const fn shadow(mut self) -> Self {
        self.mode = Mode::Shadow;
        self
    }

    /// What a request gets while the store does not answer. [`FailureMode::Local`] by default.
    pub const fn on_failure(mut self, failure_mode: FailureMode) -> Self {
        self.failure_mode = failure_mode;
        self
    }

    /// Bans clients who violate the policy again and again.
    pub const fn penalty(mut self, ladder: PenaltyLadder) -> Self {
        self.penalty = Some(ladder);
        self
    }

    /// Checks everything and builds the policy.
    ///
    /// # Errors
    ///
    /// A [`PolicyError`] that carries the first value that cannot work.
    ///
    /// # Example: the error says what was wrong and what was expected
    ///
    /// ```
    /// use rate_limit_core::RateLimitPolicy;
    ///
    /// let error = RateLimitPolicy::per_second(0).named("api").build().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "policy `api`: limit 0 is out of range; expected 1 to 4294967295",
    /// );
    /// ```
    pub fn build(self) -> Result<RateLimitPolicy, PolicyError> {
        let name = PolicyName::new(&self.name)?;
        let window_nanos = self.checked_window_nanos()?;
        self.check_limit()?;
        self.check_rate(window_nanos)?;
        let algorithm = (self.algorithm)(&Asked {
            policy: &self.name,
            limit: self.limit,
            window_nanos,
            burst: self.burst,
        })?;
        if let Some(ladder) = &self.penalty {
            self.check_penalty(ladder)?;
        }
        Ok(RateLimitPolicy {
            bucket: BucketName::new(&algorithm, &name),
            name,
            axis: algorithm.axis(),
            algorithm,
            limit: self.limit,
            window_nanos,
            mode: self.mode,
            failure_mode: self.failure_mode,
            penalty: self.penalty,
        })
    }

    fn checked_window_nanos(&self) -> Result<u64, PolicyError> {
        let accepted = Duration::from_micros(1)..=MAX_WINDOW;
        u64::try_from(self.window.as_nanos())
            .ok()
            .filter(|_| accepted.contains(&self.window))
            .ok_or_else(|| PolicyError::Window { policy: self.name.clone(), window: self.window })
    }

    fn check_limit(&self) -> Result<(), PolicyError> {
        if (1..=MAX_UNITS).contains(&self.limit) {
            return Ok(());
        }
        let policy = self.name.clone();
        Err(PolicyError::Limit { policy, limit: self.limit, max: MAX_UNITS })
    }

    /// The window is at most 366 days, so only the upper end of the rate is left to check: a
    /// million per second is a thousand nanoseconds per unit.
    fn check_rate(&self, window_nanos: u64) -> Result<(), PolicyError> {
        if self.limit * 1_000 <= window_nanos {
            return Ok(());
        }
        Err(PolicyError::Rate { policy: self.name.clone(), limit: self.limit, window: self.window })
    }

    fn check_penalty(&self, ladder: &PenaltyLadder) -> Result<(), PolicyError> {
        let refused = |parameter, value, expected| {
            Err(PolicyError::Penalty { policy: self.name.clone(), parameter, value, expected })
        };
        if ladder.strikes() == 0 {
            return refused("strikes", "0".to_owned(), "1 or more");
        }
        if ladder.factor() == 0 {
            return refused("factor", "0".to_owned(), "1 or more");
        }
        let durations = [
            ("window of strikes", ladder.within()),
            ("first ban", ladder.first()),
            ("longest ban", ladder.max()),
            ("decay", ladder.decay()),
        ];
        for (parameter, duration) in durations {
            if !(Duration::from_millis(1)..=MAX_WINDOW).contains(&duration) {
                return refused(parameter, format!("{duration:?}"), "1ms to 366 days");
            }
        }
        if ladder.first() > ladder.max() {
            let value = format!("{:?}", ladder.first());
            return refused("first ban", value, "at most the longest ban");
        }
        Ok(())
    }
}

impl TryFrom<RateLimitPolicyBuilder> for RateLimitPolicy {
    type Error = PolicyError;

    fn try_from(builder: RateLimitPolicyBuilder) -> Result<Self, PolicyError> {
        builder.build()
    }
}
