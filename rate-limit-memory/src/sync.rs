//! The primitives that loom and shuttle replace in their models of this crate.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard};

use std::sync::PoisonError;

/// Locks, also after another thread has panicked while it held the lock.
///
/// Nothing in this crate panics under a lock. Should it happen all the same, each bucket is still
/// one of its states before or after some decision, and a limiter that keeps deciding is worth more
/// than one that panics with every further request.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for another thread to finish what takes a few instructions.
///
/// Each round takes twice as long as the one before, the first about as long as a cache line needs
/// from one processor to another: whoever looks again at once takes the line away from the thread
/// that is waited for. That thread may also have been taken off its processor, so after a few rounds
/// this one offers its own.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    rounds: u32,
}

impl Backoff {
    /// Rounds of spinning before the processor is offered to others.
    const SPINNING_ROUNDS: u32 = 4;

    /// Pauses of the processor in the first of them.
    #[cfg(not(any(loom, shuttle)))]
    const FIRST_PAUSES: u32 = 4;

    #[cold]
    pub(crate) fn wait(&mut self) {
        #[cfg(loom)]
        loom::thread::yield_now();
        #[cfg(shuttle)]
        shuttle::thread::yield_now();
        #[cfg(not(any(loom, shuttle)))]
        if self.rounds < Self::SPINNING_ROUNDS {
            (0..Self::FIRST_PAUSES << self.rounds).for_each(|_| std::hint::spin_loop());
        } else {
            std::thread::yield_now();
        }
        self.rounds = self.rounds.saturating_add(1).min(Self::SPINNING_ROUNDS);
    }
}

/// `count` zeros, of which the operating system provides none before it is touched. `None` if there
/// is no such memory.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn zeros(count: usize) -> Option<Box<[AtomicU64]>> {
    use zerocopy::FromZeros;
    <[AtomicU64]>::new_box_zeroed_with_elems(count).ok()
}

/// `count` zeros.
#[cfg(any(loom, shuttle))]
#[allow(clippy::unnecessary_wraps, reason = "the signature is that of the real one")]
pub(crate) fn zeros(count: usize) -> Option<Box<[AtomicU64]>> {
    Some(std::iter::repeat_with(|| AtomicU64::new(0)).take(count).collect())
}
