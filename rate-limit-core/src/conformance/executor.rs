//! The smallest executor: one future, one thread.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on the present thread, without any runtime.
///
/// # Example: awaiting a store in a plain test
///
/// ```
/// use rate_limit_core::conformance::{ModelRepository, block_on};
/// use rate_limit_core::{Charges, ManualClock, RateLimitRepository};
///
/// let store = ModelRepository::new(ManualClock::new());
/// let outcomes = block_on(store.acquire(&Charges::new()))?;
/// assert!(outcomes.is_empty());
/// # Ok::<(), rate_limit_core::RepositoryError>(())
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // A wake that came before this call makes it return at once, so none is lost.
        std::thread::park();
    }
}
