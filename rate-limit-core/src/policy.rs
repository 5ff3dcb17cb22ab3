//! Policies: what is allowed, under which name, and what happens otherwise.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::penalty::PenaltyLadder;
use crate::time::TimeAxis;
use crate::token_bucket::TokenBucket;

mod builder;
mod error;
mod name;

pub(crate) use builder::Asked;
pub use builder::RateLimitPolicyBuilder;
pub use error::PolicyError;
pub use name::PolicyName;

/// The longest time a bucket may take to become full, in nanoseconds: 36,525 days.
pub const MAX_TIME_TO_FULL_NANOS: u64 = 36_525 * DAY_NANOS;
/// The longest window: 366 days.
pub const MAX_WINDOW: Duration = Duration::from_secs(366 * 24 * 3_600);
pub(crate) const DAY_NANOS: u64 = 24 * 3_600 * 1_000_000_000;

/// Whether a policy decides or only watches.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// The policy decides.
    #[default]
    Enforce,
    /// The policy is counted and reports what it would have denied, but never denies, and never
    /// shows in headers, bodies or waits.
    Shadow,
}

/// What a request gets while the store does not answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FailureMode {
    /// Let requests pass up to the policy's own full burst and rate in this process, then answer
    /// that the service cannot decide (503).
    Allow,
    /// Let every request pass, however many. An outage of the store lifts the limit.
    AllowUnlimited,
    /// Answer that the service cannot decide (503), and charge nothing.
    Deny,
    /// Enforce the policy's share in this process: burst and rate divided by the number of nodes.
    #[default]
    Local,
}

/// A named limit: an algorithm with its parameters, a mode, and what happens when the store fails.
///
/// A policy is built once and shared; a request carries an [`Arc`] of it. Its name is part of the
/// key of every bucket, so renaming a policy starts all its buckets anew, while changing its limit
/// keeps what was used.
///
/// # Example: constructors that say what they mean
///
/// ```
/// use std::time::Duration;
/// use rate_limit_core::RateLimitPolicy;
///
/// let api = RateLimitPolicy::per_minute(100).named("api").build()?;
/// assert_eq!(api.limit(), 100);
/// assert_eq!(api.window(), Duration::from_secs(60));
/// assert_eq!(api.capacity(), 100, "the burst is the limit unless another one is asked for");
///
/// let per_second = RateLimitPolicy::per_second(60).build()?;
/// assert_eq!(per_second.limit(), 60, "sixty per second, not one every sixty seconds");
/// # Ok::<(), rate_limit_core::PolicyError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RateLimitPolicy {
    name: PolicyName,
    algorithm: Algorithm,
    /// That of the algorithm, which every decision asks for, more than once.
    axis: TimeAxis,
    limit: u64,
    window_nanos: u64,
    mode: Mode,
    failure_mode: FailureMode,
    penalty: Option<PenaltyLadder>,
    bucket: BucketName,
}

/// The part of a bucket's key that comes from the policy.
#[derive(Clone, Debug, Eq, PartialEq)]
struct BucketName {
    text: Arc<str>,
    digest: u128,
}

impl RateLimitPolicy {
    /// At most `limit` units per second. See [`per`](Self::per) for what is accepted.
    ///
    /// ```
    /// # use rate_limit_core::RateLimitPolicy;
    /// # use std::time::Duration;
    /// let policy = RateLimitPolicy::per_second(10).build()?;
    /// assert_eq!((policy.limit(), policy.window()), (10, Duration::from_secs(1)));
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub fn per_second(limit: u64) -> RateLimitPolicyBuilder {
        Self::per(limit, Duration::from_secs(1))
    }

    /// At most `limit` units per minute. See [`per`](Self::per) for what is accepted.
    ///
    /// ```
    /// # use rate_limit_core::RateLimitPolicy;
    /// # use std::time::Duration;
    /// let policy = RateLimitPolicy::per_minute(10).build()?;
    /// assert_eq!((policy.limit(), policy.window()), (10, Duration::from_secs(60)));
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub fn per_minute(limit: u64) -> RateLimitPolicyBuilder {
        Self::per(limit, Duration::from_secs(60))
    }

    /// At most `limit` units per hour. See [`per`](Self::per) for what is accepted.
    ///
    /// ```
    /// # use rate_limit_core::RateLimitPolicy;
    /// # use std::time::Duration;
    /// let policy = RateLimitPolicy::per_hour(10).build()?;
    /// assert_eq!((policy.limit(), policy.window()), (10, Duration::from_secs(3_600)));
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub fn per_hour(limit: u64) -> RateLimitPolicyBuilder {
        Self::per(limit, Duration::from_secs(3_600))
    }

    /// At most `limit` units per 24 hours. For the calendar day in UTC, add
    /// [`aligned_window`](RateLimitPolicyBuilder::aligned_window). See [`per`](Self::per) for what is
    /// accepted.
    ///
    /// ```
    /// # use rate_limit_core::RateLimitPolicy;
    /// # use std::time::Duration;
    /// let policy = RateLimitPolicy::per_day(10).build()?;
    /// assert_eq!((policy.limit(), policy.window()), (10, Duration::from_secs(86_400)));
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub fn per_day(limit: u64) -> RateLimitPolicyBuilder {
        Self::per(limit, Duration::from_secs(24 * 3_600))
    }

    /// At most `limit` units per `window`.
    ///
    /// Accepted are limits of 1 to 4,294,967,295 units (10,000 for a
    /// [log](RateLimitPolicyBuilder::sliding_log)), windows of one microsecond to [366
    /// days](MAX_WINDOW), at most 1,000,000 units per second, and bursts that refill within a hundred
    /// years. Anything else is an error of [`build`](RateLimitPolicyBuilder::build).
    ///
    /// ```
    /// # use rate_limit_core::RateLimitPolicy;
    /// # use std::time::Duration;
    /// let policy = RateLimitPolicy::per(5, Duration::from_millis(50)).build()?;
    /// assert_eq!(policy.to_string(), "default: 5 per 50ms, burst 5");
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    pub fn per(limit: u64, window: Duration) -> RateLimitPolicyBuilder {
        RateLimitPolicyBuilder::new(limit, window, TokenBucket::from_asked)
    }

    /// The name under which the policy counts and is reported.
    pub const fn name(&self) -> &PolicyName {
        &self.name
    }

    /// Units per [`window`](Self::window).
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// The time in which [`limit`](Self::limit) units are allowed.
    pub const fn window(&self) -> Duration {
        Duration::from_nanos(self.window_nanos)
    }

    /// The most units one request can take: the burst of a token bucket, the limit of a window.
    pub fn capacity(&self) -> u64 {
        self.algorithm.capacity()
    }

    /// The window over which [`capacity`](Self::capacity) units are allowed in the long run:
    /// `burst · window / limit` of a token bucket, the length of a window.
    pub fn capacity_window(&self) -> Duration {
        let nanos = u128::from(self.capacity()) * u128::from(self.window_nanos)
            / u128::from(self.limit.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How units are counted.
    pub const fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// Whether the policy decides or only watches.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether the policy decides.
    pub fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// The same policy, deciding or only watching. Both count in the same buckets.
    ///
    /// # Example: enforced for some clients, tried out on the others
    ///
    /// ```
    /// use rate_limit_core::{Mode, RateLimitPolicy};
    ///
    /// let enforced = RateLimitPolicy::per_minute(100).build()?;
    /// let tried_out = enforced.in_mode(Mode::Shadow);
    /// assert!(!tried_out.is_enforced());
    /// assert_eq!(tried_out.bucket_name(), enforced.bucket_name());
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    #[must_use]
    pub fn in_mode(&self, mode: Mode) -> Self {
        Self { mode, ..self.clone() }
    }

    /// What a request gets while the store does not answer.
    pub const fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }

    /// The ladder of bans, if there is one, also while the policy only watches.
    pub const fn penalty(&self) -> Option<&PenaltyLadder> {
        self.penalty.as_ref()
    }

    /// The ladder of bans on which a violation of this policy is a strike: that of
    /// [`penalty`](Self::penalty) if the policy decides, none if it only watches.
    ///
    /// # Example: a store keeps places on a ladder for policies that decide
    ///
    /// ```
    /// use std::time::Duration;
    /// use rate_limit_core::{Mode, PenaltyLadder, RateLimitPolicy};
    ///
    /// let ladder = PenaltyLadder::after(3, Duration::from_secs(60));
    /// let login = RateLimitPolicy::per_minute(5).penalty(ladder).build()?;
    /// assert!(login.striking_penalty().is_some());
    /// let tried_out = login.in_mode(Mode::Shadow);
    /// assert!(tried_out.penalty().is_some() && tried_out.striking_penalty().is_none());
    /// # Ok::<(), rate_limit_core::PolicyError>(())
    /// ```
    #[inline]
    pub fn striking_penalty(&self) -> Option<&PenaltyLadder> {
        self.penalty.as_ref().filter(|_| self.is_enforced())
    }

    /// The axis of the clock on which the policy's buckets live.
    pub const fn axis(&self) -> TimeAxis {
        self.axis
    }

    /// What names the policy's buckets in every store: `format/name`. Policies with the same
    /// bucket name share their buckets; they are versions of each other.
    pub fn bucket_name(&self) -> &str {
        &self.bucket.text
    }

    /// A digest of [`bucket_name`](Self::bucket_name) for stores in this process. It is not keyed,
    /// since names come from the operator, and not stable between programs: never store it.
    pub const fn bucket_digest(&self) -> u128 {
        self.bucket.digest
    }

    /// The share of this policy that one of `nodes` processes enforces by itself while the shared
    /// store is away: capacity and rate divided by `nodes`, the capacity rounded up to at least 1.
    ///
    /// `nodes = 0` counts as 1. A share of less than one token a century is one token a century: its
    /// limit is then 1 and its window a hundred years.
    #[must_use]
    pub fn share_of(&self, nodes: u32) -> Self {
        let nodes = u64::from(nodes.max(1));
        let algorithm = self.algorithm.share_of(nodes);
        // A token bucket has a rate besides its capacity. Dividing the rate by stretching the window
        // keeps it exact; a window's limit is its capacity.
        let (limit, window_nanos) = match algorithm {
            Algorithm::TokenBucket(bucket) if bucket.interval_nanos() == MAX_TIME_TO_FULL_NANOS => {
                (1, MAX_TIME_TO_FULL_NANOS)
            }
            Algorithm::TokenBucket(_) => (self.limit, self.window_nanos.saturating_mul(nodes)),
            _ => (algorithm.capacity(), self.window_nanos),
        };
        Self { algorithm, limit, window_nanos, ..self.clone() }
    }
}

impl BucketName {
    fn new(algorithm: &Algorithm, name: &PolicyName) -> Self {
        // The format contains no `/`, so the first one ends it whatever the name contains.
        let text = format!("{}/{name}", algorithm.format());
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Self { digest: half(0) << 64 | half(1), text: text.into() }
    }
}

impl fmt::Display for RateLimitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, limit, algorithm, .. } = self;
        write!(f, "{name}: {limit} per {:?}, {}", self.window(), algorithm.describe())?;
        match self.mode {
            Mode::Enforce => Ok(()),
            Mode::Shadow => f.write_str(", shadow"),
        }
    }
}

#[cfg(test)]
mod tests;
