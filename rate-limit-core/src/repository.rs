//! The port: where buckets live.
//!
//! The port carries data, not code: charges go in, outcomes come out. A closure could not travel
//! to a server, and reading, deciding and writing in separate steps would admit too much.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::adjustment::{Adjustments, Settled};
use crate::charge::Charges;
use crate::outcome::Outcomes;

/// Where buckets live.
///
/// # Contract
///
/// 1. **One atomic step.** [`acquire`](Self::acquire) tests all charges and takes all of them, or
///    none, and no other call sees a state in between. If all enforced policies admit, every one
///    is charged, and each shadow policy with room is charged too. If one denies, nothing is
///    charged.
/// 2. **The same arithmetic.** Verdicts, remaining units, resets and waits are those of
///    [`evaluate`](crate::evaluate), bit for bit.
/// 3. **A denial writes nothing**, with two exceptions: an enforced policy with a penalty ladder
///    writes one strike in the same step, and a state that lies impossibly far in the future is
///    brought back (see [`BucketRule::bring_up_to_date`](crate::BucketRule::bring_up_to_date)).
/// 4. **"Denied" is an answer.** `Err` means that the store did not answer; whether it charged is
///    then unknown, but it charged all or nothing. The caller does not ask again.
/// 5. **One clock.** The instant is read where the state lives, once per call, no earlier than the
///    moment from which nobody else can change the buckets.
/// 6. **Bounded.** Memory has a hard cap; what is as good as new goes first.
/// 7. **Settling** carries out each adjustment by itself, without a test.
/// 8. **Dropping** a pending answer may or may not carry out the call, never a part of it.
///
/// A store that cannot keep a line says so in its documentation. The conformance suite (feature
/// `conformance`) has a scenario for each.
///
/// # Example: asking a store
///
/// ```
/// use rate_limit_core::{Charges, RateLimitRepository, RepositoryError};
///
/// async fn would_pass(store: &dyn RateLimitRepository, charges: &Charges)
///     -> Result<bool, RepositoryError>
/// {
///     let outcomes = store.acquire(charges).await?;
///     Ok(outcomes.iter().all(|outcome| !outcome.is_violated()))
/// }
/// ```
pub trait RateLimitRepository: Send + Sync {
    /// Tests all charges and takes all of them, or none, in one atomic step.
    ///
    /// The answer holds one outcome per charge, in their order.
    fn acquire(&self, charges: &Charges) -> Acquire;

    /// Gives units back or takes more, without a test.
    ///
    /// The answer holds one result per adjustment, in their order.
    fn settle(&self, adjustments: &Adjustments) -> Settle;
}

/// The answer of a store: at once, or later. A [`Future`] either way.
///
/// A store that answers at once costs no allocation and no task switch.
pub enum Answer<T> {
    /// The store answered at once.
    Ready(Result<T, RepositoryError>),
    /// The store is still working.
    Pending(PendingAnswer<T>),
}

/// An answer that is still awaited.
pub type PendingAnswer<T> = Pin<Box<dyn Future<Output = Result<T, RepositoryError>> + Send>>;

/// The answer to [`RateLimitRepository::acquire`].
pub type Acquire = Answer<Outcomes>;

/// The answer to [`RateLimitRepository::settle`].
pub type Settle = Answer<Settled>;

impl<T> Answer<T> {
    /// An answer that came at once.
    #[inline]
    pub const fn ready(answer: T) -> Self {
        Self::Ready(Ok(answer))
    }

    /// An answer that is still awaited.
    pub fn pending(
        answer: impl Future<Output = Result<T, RepositoryError>> + Send + 'static,
    ) -> Self {
        Self::Pending(Box::pin(answer))
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(Ok(_)) => "Answer::Ready(Ok(..))",
            Self::Ready(Err(_)) => "Answer::Ready(Err(..))",
            Self::Pending(_) => "Answer::Pending(..)",
        })
    }
}

impl<T: Unpin> Future for Answer<T> {
    type Output = Result<T, RepositoryError>;

    /// After it has completed, polling again yields an error, never a panic.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(answer) => {
                Poll::Ready(std::mem::replace(answer, Err(RepositoryError::already_answered())))
            }
            Self::Pending(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl<R: RateLimitRepository + ?Sized> RateLimitRepository for Arc<R> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        (**self).acquire(charges)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        (**self).settle(adjustments)
    }
}

impl<R: RateLimitRepository + ?Sized> RateLimitRepository for Box<R> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        (**self).acquire(charges)
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        (**self).settle(adjustments)
    }
}

/// Why a store did not answer.
#[derive(Debug)]
pub struct RepositoryError {
    kind: RepositoryErrorKind,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The families of [`RepositoryError`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RepositoryErrorKind {
    /// The store answered something that is no answer.
    Corrupt,
    /// The store refuses us: credentials, permissions, settings. Somebody has to act.
    Misconfigured,
    /// Too many calls are under way; this one was not sent.
    Overloaded,
    /// The store did not answer within its deadline.
    Timeout,
    /// The store cannot be reached or is not ready.
    Unavailable,
}

impl RepositoryError {
    /// An error of `kind`.
    pub const fn new(kind: RepositoryErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error of `kind` caused by `source`, whose text must not contain secrets.
    pub fn with_source(
        kind: RepositoryErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// Which family the error belongs to.
    pub const fn kind(&self) -> RepositoryErrorKind {
        self.kind
    }

    /// Whether the store is likely to answer again without anybody acting.
    pub const fn is_transient(&self) -> bool {
        !matches!(self.kind, RepositoryErrorKind::Misconfigured)
    }

    fn already_answered() -> Self {
        Self::with_source(RepositoryErrorKind::Unavailable, "the answer was already taken")
    }
}

impl fmt::Display for RepositoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RepositoryErrorKind::Corrupt => "the rate limit store sent no valid answer",
            RepositoryErrorKind::Misconfigured => "the rate limit store refuses this client",
            RepositoryErrorKind::Overloaded => "too many calls to the rate limit store",
            RepositoryErrorKind::Timeout => "the rate limit store did not answer in time",
            RepositoryErrorKind::Unavailable => "the rate limit store is unavailable",
        })
    }
}

impl StdError for RepositoryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
