//! Who waits for a call, who makes one, and how many it carries.
//!
//! A pure state machine under the coalescer's lock: it sends nothing and awaits nothing.

use std::collections::VecDeque;

/// Calls under way at once, of callers or of tasks. Apart from the one that the server works on,
/// others lie ready for it, so it does not wait until this process has read an answer and prepared
/// the next call. Measured: with four it waits now and then, and with six calls are smaller than
/// pays.
const CALLS: usize = 5;

/// If fewer than one part in so many of a share wait, they are left to another task.
const PARTS: usize = 4;

/// The most keys of one call, unless a single request has more. A call keeps the server busy for a
/// quarter of a millisecond at most, and nobody behind it waits longer.
const MAX_WEIGHT: usize = 96;

/// The requests for one slot, and on a single server all requests.
#[derive(Debug)]
pub(super) struct Lane<W> {
    waiting: VecDeque<W>,
    /// Requests whose calls have not returned.
    under_way: usize,
    /// Callers that make a call of their own.
    leaders: usize,
    /// Tasks that make one call after the other.
    tasks: usize,
}

/// What waits for a call.
pub(super) trait Waits {
    /// How many keys it has, about.
    fn weight(&self) -> usize;

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
}

impl<W: Waits> Lane<W> {
    pub(super) const fn new() -> Self {
        Self { waiting: VecDeque::new(), under_way: 0, leaders: 0, tasks: 0 }
    }

    /// Whether nobody needs the lane.
    pub(super) const fn is_idle(&self) -> bool {
        self.leaders == 0 && self.tasks == 0
    }

    /// Whether a request that has just arrived makes its call by itself.
    pub(super) const fn lead(&mut self) -> bool {
        let leads = self.tasks == 0 && self.leaders < CALLS;
        if leads {
            self.leaders += 1;
            self.under_way += 1;
        }
        leads
    }

    /// The caller that made a call by itself has its answer, or has gone away.
    pub(super) const fn stop_leading(&mut self) {
        self.leaders = self.leaders.saturating_sub(1);
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Lets a request wait. Whether a task is to be started.
    ///
    /// Whoever waits has a task to send it: a caller that leads may be slow to go on.
    pub(super) fn wait(&mut self, request: W) -> bool {
        self.waiting.push_back(request);
        let starts = self.tasks == 0 || self.tasks < CALLS && self.waiting.len() >= self.share();
        if starts {
            self.tasks += 1;
        }
        starts
    }

    /// A call of a task has returned with so many answers. Whether a full share waits already.
    pub(super) fn returned(&mut self, answers: usize) -> bool {
        self.under_way = self.under_way.saturating_sub(answers);
        self.waiting.len() >= self.share()
    }

    /// What a task sends next; if nothing, it has to end.
    pub(super) fn next(&mut self) -> Vec<W> {
        let share = self.share();
        let (mut next, mut weight) = (Vec::with_capacity(share.min(MAX_WEIGHT)), 0);
        if self.tasks == 1 || self.waiting.len() * PARTS >= share {
            while next.len() < share
                && let Some(request) = self.waiting.pop_front()
            {
                if request.is_abandoned() {
                    continue;
                }
                let heavier = weight + request.weight();
                if heavier > MAX_WEIGHT && !next.is_empty() {
                    self.waiting.push_front(request);
                    break;
                }
                weight = heavier;
                next.push(request);
            }
        }
        self.under_way += next.len();
        if next.is_empty() {
            self.tasks = self.tasks.saturating_sub(1);
        }
        next
    }

    /// How many requests a call carries when all calls carry the same.
    fn share(&self) -> usize {
        (self.waiting.len() + self.under_way).div_ceil(CALLS)
    }
}

#[cfg(test)]
mod tests;
