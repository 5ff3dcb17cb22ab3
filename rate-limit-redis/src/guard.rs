//! What keeps a slow or absent server from slowing down requests: a deadline around each decision,
//! a bulkhead, and a breaker for each server.
//!
//! In this order, and each of the first three costs a lookup and no wait:
//!
//! 1. Is there a connection to the server that holds the buckets? If not, the answer is ready.
//! 2. Does the server's [breaker] let this decision through? If not, the answer is ready.
//! 3. Is a place free among the decisions under way? If not, the answer is ready.
//! 4. The decision is made, queue included, within the deadline. What becomes of it is reported to
//!    the breaker of that server, and to no other one's.
//!
//! A caller who goes away says nothing about the server. Its place and its probe become free.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rate_limit_core::Answer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::now;
use crate::link::{Link, LinkError, Node, Slot};

pub(crate) mod breaker;
mod window;

use breaker::{Report, Ticket};

/// Watches over decisions.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    link: Link,
    places: Arc<Semaphore>,
    limit: Duration,
}

/// When a decision has to be there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

/// The runtime's timer counts in milliseconds and rings up to one too late, never too early.
const LATENESS: Duration = Duration::from_millis(1);

impl Deadline {
    /// The deadline of what begins at `since` and may last for `limit`.
    fn of(limit: Duration, since: Instant) -> Self {
        // Set that much earlier, as far as a short limit allows it: otherwise whoever is given an
        // answer at the deadline would be given it after that.
        Self { at: since + limit.saturating_sub(LATENESS.min(limit / 10)), limit }
    }
}

impl Guard {
    /// Lets `max_in_flight` decisions be under way at once, each for at most `limit`.
    pub(crate) fn new(link: Link, max_in_flight: usize, limit: Duration) -> Self {
        Self { link, places: Arc::new(Semaphore::new(max_in_flight)), limit }
    }

    /// The deadline of a decision that begins now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::of(self.limit, now())
    }

    /// Lets `work` be done on the node that owns `slot`.
    pub(crate) fn protect<T: Send + 'static>(
        &self,
        slot: Slot,
        work: impl Future<Output = Result<T, LinkError>> + Send + 'static,
    ) -> Answer<T> {
        match self.admit(slot) {
            Err(error) => Answer::Ready(Err(error.into())),
            Ok(pass) => {
                let deadline = Deadline::of(self.limit, pass.since);
                let link = self.link.clone();
                // Whoever awaits it may have another runtime than ours, or none.
                Answer::pending(async move { Ok(link.inside(pass.finish(deadline, work)).await?) })
            }
        }
    }

    /// Lets `work` be done on the node that owns `slot`, as one step of a decision that several
    /// nodes have a part in and that has begun already.
    pub(crate) async fn protect_step<T>(
        &self,
        deadline: Deadline,
        slot: Slot,
        work: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        self.admit(slot)?.finish(deadline, work).await
    }

    fn admit(&self, slot: Slot) -> Result<Pass, LinkError> {
        let node = self.link.node(slot)?;
        if let Some(absence) = node.absence() {
            return Err(absence);
        }
        let since = now();
        let ticket = node.admit(since)?;
        let mut pass = Pass { node, since, ticket: Some(ticket), place: None };
        // Taken last: then a refused decision holds no place. Without one, the dropped pass gives
        // the ticket back.
        let place = Arc::clone(&self.places).try_acquire_owned();
        pass.place = Some(place.map_err(|_| LinkError::BulkheadFull)?);
        Ok(pass)
    }
}

/// The permission to make one decision.
#[derive(Debug)]
struct Pass {
    node: Arc<Node>,
    since: Instant,
    ticket: Option<Ticket>,
    place: Option<OwnedSemaphorePermit>,
}

impl Pass {
    async fn finish<T>(
        mut self,
        deadline: Deadline,
        work: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        let outcome = tokio::time::timeout_at(deadline.at.into(), work).await;
        let outcome = outcome.unwrap_or(Err(LinkError::TimedOut));
        let report = match &outcome {
            Ok(_) => Report::Success,
            // A step that other steps left little time says little about its own server.
            Err(LinkError::TimedOut) if self.since.elapsed() < deadline.limit / 2 => {
                Report::Inconclusive
            }
            Err(error) => error.report(),
        };
        self.report(report, outcome.as_ref().err());
        outcome
    }

    fn report(&mut self, report: Report, error: Option<&LinkError>) {
        if let Some(ticket) = self.ticket.take() {
            self.node.report(ticket, report, error);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.report(Report::Inconclusive, None);
    }
}

#[cfg(test)]
mod tests;
