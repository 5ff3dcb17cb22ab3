//! What a connection is doing, as far as its requests tell, and since when it does nothing.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// Nothing has begun yet, or what had begun has ended.
const IDLE: u8 = 0;
/// A head has begun.
const HEAD: u8 = 1;
/// A request is being answered. Its body has a deadline of its own.
const BUSY: u8 = 2;
/// HTTP/2: many requests are under way at once, or none, and are counted.
const SHARED: u8 = 3;

/// What a connection is doing. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Seen>);

#[derive(Debug)]
struct Seen {
    phase: AtomicU8,
    /// How many requests are being answered.
    under_way: AtomicU32,
    opened: Instant,
    /// When something ended last, in nanoseconds after `opened`.
    last: AtomicU64,
}

/// A request is under way for as long as this lives, also if it is given up.
#[derive(Debug)]
pub(crate) struct UnderWay(Activity);

impl Activity {
    /// That of a connection that was opened just now.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Seen {
            phase: AtomicU8::new(IDLE),
            under_way: AtomicU32::new(0),
            opened: clock::now(),
            last: AtomicU64::new(0),
        }))
    }

    /// Bytes have arrived. Says whether a head begins with them.
    pub(crate) fn receives(&self) -> bool {
        let begins = self.phase() == IDLE;
        if begins {
            self.set(HEAD);
        }
        begins
    }

    /// The connection has turned out to speak HTTP/2.
    pub(crate) fn is_shared(&self) {
        self.touch();
        self.set(SHARED);
    }

    /// A part of an answer was taken. In HTTP/2 that says nothing: a client that asks for nothing can
    /// still have its pings answered for ever.
    pub(crate) fn sends(&self) {
        if self.phase() != SHARED {
            self.touch();
        }
    }

    /// A head has arrived.
    pub(crate) fn begins(&self) -> UnderWay {
        self.0.under_way.fetch_add(1, Ordering::Relaxed);
        if self.phase() != SHARED {
            self.set(BUSY);
        }
        UnderWay(self.clone())
    }

    /// Whether the rest of a head is awaited.
    pub(crate) fn is_in_head(&self) -> bool {
        self.phase() == HEAD
    }

    /// Completes once nothing has been under way for so long.
    ///
    /// Requests leave a note of when they ended and wake nobody, so that an idle connection costs one
    /// timer and a busy one no more than that.
    pub(crate) async fn idle_for(&self, time: Duration) {
        let mut look = pin!(clock::sleep(time));
        loop {
            look.as_mut().await;
            let now = clock::now();
            let end = self.idle_since().unwrap_or(now) + time;
            if end <= now {
                return;
            }
            look.as_mut().reset(end);
        }
    }

    /// `None` while something is under way.
    fn idle_since(&self) -> Option<Instant> {
        // Whoever sees that the last request has ended sees when, too.
        let is_busy = self.0.under_way.load(Ordering::Acquire) > 0 || self.is_in_head();
        let last = Duration::from_nanos(self.0.last.load(Ordering::Relaxed));
        (!is_busy).then(|| self.0.opened + last)
    }

    fn touch(&self) {
        // Enough for centuries.
        let since = clock::now().duration_since(self.0.opened).as_nanos() as u64;
        self.0.last.store(since, Ordering::Relaxed);
    }

    // Relaxed, because the number guards no memory, and one task drives an HTTP/1 connection and its
    // requests.
    fn phase(&self) -> u8 {
        self.0.phase.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.phase.store(phase, Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.touch();
        activity.0.under_way.fetch_sub(1, Ordering::Release);
        if activity.phase() == BUSY {
            activity.set(IDLE);
        }
    }
}
