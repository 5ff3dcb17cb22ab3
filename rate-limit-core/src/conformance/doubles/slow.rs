//! A store whose answers come when a test says so.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::adjustment::Adjustments;
use crate::charge::Charges;
use crate::repository::{Acquire, Answer, RateLimitRepository, Settle};

/// A store that lets another one work, and keeps the answers back until they are released.
///
/// The work is done when the call is made, as by a server whose reply is late: whoever gives up
/// waiting has been charged all the same.
///
/// # Example: a reply that comes too late for one poll
///
/// ```
/// use std::pin::pin;
/// use std::task::{Context, Poll, Waker};
/// use rate_limit_core::conformance::{SimpleRepository, doubles::SlowRepository};
/// use rate_limit_core::{Charges, ManualClock, RateLimitRepository};
///
/// let (store, release) = SlowRepository::around(SimpleRepository::new(ManualClock::new()));
/// let mut answer = pin!(store.acquire(&Charges::new()));
/// let mut context = Context::from_waker(Waker::noop());
/// assert!(answer.as_mut().poll(&mut context).is_pending());
/// release.one();
/// assert!(matches!(answer.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
/// ```
#[derive(Debug)]
pub struct SlowRepository<R> {
    inner: R,
    release: Release,
}

/// Lets the answers of a [`SlowRepository`] go. Clones release the same store.
#[derive(Clone, Debug, Default)]
pub struct Release(Arc<Mutex<Gate>>);

#[derive(Debug, Default)]
struct Gate {
    released: Released,
    waiting: Vec<Waker>,
}

#[derive(Debug)]
enum Released {
    /// This many answers, whichever are asked for first.
    Answers(u64),
    /// All, from now on.
    All,
}

impl Default for Released {
    fn default() -> Self {
        Self::Answers(0)
    }
}

impl<R> SlowRepository<R> {
    /// A store that works like `inner` and answers when it is released.
    pub fn around(inner: R) -> (Self, Release) {
        let release = Release::default();
        (Self { inner, release: release.clone() }, release)
    }

    /// The store that does the work.
    pub const fn inner(&self) -> &R {
        &self.inner
    }

    fn hold<T: Send + Unpin + 'static>(&self, answer: Answer<T>) -> Answer<T> {
        let release = self.release.clone();
        Answer::pending(async move {
            poll_fn(|context| release.poll(context)).await;
            answer.await
        })
    }
}

impl Release {
    /// Releases one answer: the first one that is polled from now on, or is waiting already.
    pub fn one(&self) {
        let mut gate = self.gate();
        if let Released::Answers(number) = &mut gate.released {
            *number = number.saturating_add(1);
        }
        gate.wake();
    }

    /// Releases all answers, those of calls still to come included.
    pub fn all(&self) {
        let mut gate = self.gate();
        gate.released = Released::All;
        gate.wake();
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut gate = self.gate();
        match &mut gate.released {
            Released::All => Poll::Ready(()),
            Released::Answers(0) => {
                gate.waiting.push(context.waker().clone());
                Poll::Pending
            }
            Released::Answers(number) => {
                *number -= 1;
                Poll::Ready(())
            }
        }
    }
}

impl Gate {
    /// Whoever finds nothing released after all goes on waiting.
    fn wake(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

impl<R: RateLimitRepository> RateLimitRepository for SlowRepository<R> {
    fn acquire(&self, charges: &Charges) -> Acquire {
        self.hold(self.inner.acquire(charges))
    }

    fn settle(&self, adjustments: &Adjustments) -> Settle {
        self.hold(self.inner.settle(adjustments))
    }
}
