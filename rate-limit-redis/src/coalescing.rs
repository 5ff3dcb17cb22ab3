//! Concurrent requests travel together.
//!
//! A request that finds fewer than two calls under way is sent at once. Requests that find two wait
//! for the first of these to return, and then travel in one call: no timer delays anybody, an idle
//! store answers as fast as without coalescing, and a busy one shares the cost of a call among as many
//! requests as have come meanwhile. Each stays all or nothing by itself.
//!
//! What a call costs both sides, whatever it carries, is as much as ten decisions. So while requests
//! keep coming, a task sends one call after the other, whoever has been answered may ask again before
//! the next one leaves, and a second task helps only while many wait.
//!
//! # Dropping
//!
//! A caller that goes away while it waits is not sent. One that goes away while its request is under
//! way may have been charged, entirely or not at all. Calls on behalf of others are made by a task
//! of their own, so nobody's answer depends on another's patience: a caller that leads hands over when
//! it leaves, whether it has its answer or not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rate_limit_core::{Clock, Now};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::key::KeyRing;
use crate::link::{Link, LinkError, Slot};
use crate::script::ScriptCall;

/// Calls under way at once for each slot. With two, the server works on one while this process reads
/// the answer of the other and prepares the next.
const CALLS: usize = 2;

/// So many requests have to wait before a second task sends calls.
const MANY: usize = 16;

/// If fewer wait when a call returns, they are left to the other task.
const FEW: usize = 4;

/// The most keys of one call, unless a single request has more. A call keeps the server busy for a
/// quarter of a millisecond at most, and nobody behind it waits longer.
const MAX_WEIGHT: usize = 96;

/// Something of which several can be asked in one call.
pub(crate) trait Request: Send + Sync + Sized + 'static {
    /// The answer to one.
    type Answer: Send + 'static;
    /// What is needed to read the answers.
    type Plan: Send;

    /// How many keys it has, about.
    fn weight(&self) -> usize;

    /// One call for all of them. `now` is given by tests only.
    fn call(requests: &[&Self], ring: &KeyRing, now: Option<Now>) -> (ScriptCall, Self::Plan);

    /// The answer to each of them; `None` if `reply` is none.
    fn answers(
        requests: &[&Self],
        plan: Self::Plan,
        now: Option<Now>,
        reply: &[u8],
    ) -> Option<Vec<Result<Self::Answer, LinkError>>>;
}

/// Sends requests, together where they meet.
pub(crate) struct Coalescer<R: Request> {
    link: Link,
    ring: KeyRing,
    clock: Option<Arc<dyn Clock>>,
    runtime: Handle,
    /// Held for a few instructions, never while anything is awaited.
    lanes: Mutex<HashMap<Slot, Lane<R>>>,
}

/// The requests for one slot, and on a single server all requests.
struct Lane<R: Request> {
    calls: usize,
    /// Tasks that send one call after the other. Each has one of the calls.
    tasks: usize,
    waiting: VecDeque<Waiting<R>>,
}

struct Waiting<R: Request> {
    request: R,
    answer: oneshot::Sender<Result<R::Answer, LinkError>>,
}

/// What a request does on arrival.
enum Turn<R: Request> {
    Lead(R),
    Wait(oneshot::Receiver<Result<R::Answer, LinkError>>),
}

impl<R: Request> Coalescer<R> {
    /// Sends requests over `link`. Instants are the server's, unless a test brings a clock.
    pub(crate) fn new(
        link: Link,
        ring: KeyRing,
        clock: Option<Arc<dyn Clock>>,
        runtime: Handle,
    ) -> Self {
        Self { link, ring, clock, runtime, lanes: Mutex::default() }
    }

    /// Asks for the answer to `request`, whose keys all lie in `slot`.
    pub(crate) async fn ask(
        self: Arc<Self>,
        slot: Slot,
        request: R,
    ) -> Result<R::Answer, LinkError> {
        match self.take_turn(slot, request) {
            // In a box, because it is large, and whoever waits for others would be as large: moving
            // that to where it is polled would cost more than the rest of asking.
            Turn::Lead(request) => Box::pin(self.lead(slot, request)).await,
            // The sender is dropped only with the runtime.
            Turn::Wait(answer) => answer.await.unwrap_or_else(|_| no_answer()),
        }
    }

    /// Makes a call for one request.
    async fn lead(self: Arc<Self>, slot: Slot, request: R) -> Result<R::Answer, LinkError> {
        let leading = Leading { coalescer: self, slot };
        let answers = leading.coalescer.send(slot, &[&request]).await?;
        drop(leading);
        answers.into_iter().next().unwrap_or_else(no_answer)
    }

    fn take_turn(self: &Arc<Self>, slot: Slot, request: R) -> Turn<R> {
        let mut lanes = self.lanes();
        let lane = lanes.entry(slot).or_default();
        if lane.calls < CALLS && lane.tasks == 0 {
            lane.calls += 1;
            return Turn::Lead(request);
        }
        let (sender, answer) = oneshot::channel();
        lane.waiting.push_back(Waiting { request, answer: sender });
        if lane.calls < CALLS && lane.waiting.len() >= MANY {
            lane.calls += 1;
            lane.tasks += 1;
            drop(lanes);
            self.runtime.spawn(self.clone().drain(slot));
        }
        Turn::Wait(answer)
    }

    /// Sends one call after the other until nobody waits.
    async fn drain(self: Arc<Self>, slot: Slot) {
        loop {
            let waiting = self.next(slot);
            if waiting.is_empty() {
                return;
            }
            let requests: Vec<&R> = waiting.iter().map(|waiting| &waiting.request).collect();
            let answers = self.send(slot, &requests).await;
            drop(requests);
            match answers {
                Ok(answers) => waiting.into_iter().zip(answers).for_each(|(waiting, answer)| {
                    // Whoever has gone away meanwhile does not need it.
                    _ = waiting.answer.send(answer);
                }),
                Err(error) => waiting.into_iter().for_each(|waiting| {
                    _ = waiting.answer.send(Err(error.clone()));
                }),
            }
            // Those who have their answers are ready to run, and some of them will ask again.
            tokio::task::yield_now().await;
        }
    }

    /// The requests of a task's next call. If there are none, or few for the second of two tasks, the
    /// task ends.
    fn next(&self, slot: Slot) -> Vec<Waiting<R>> {
        let mut lanes = self.lanes();
        let Some(lane) = lanes.get_mut(&slot) else {
            return Vec::new();
        };
        if lane.tasks > 1 && lane.waiting.len() < FEW {
            lane.tasks -= 1;
            lane.calls = lane.calls.saturating_sub(1);
            return Vec::new();
        }
        let (mut next, mut weight) = (Vec::with_capacity(lane.waiting.len().min(MAX_WEIGHT)), 0);
        while let Some(waiting) = lane.waiting.pop_front() {
            if waiting.answer.is_closed() {
                continue;
            }
            let heavier = weight + waiting.request.weight();
            if heavier > MAX_WEIGHT && !next.is_empty() {
                lane.waiting.push_front(waiting);
                break;
            }
            weight = heavier;
            next.push(waiting);
        }
        if next.is_empty() {
            lane.tasks = lane.tasks.saturating_sub(1);
            lane.calls = lane.calls.saturating_sub(1);
            if lane.calls == 0 {
                lanes.remove(&slot);
            }
        }
        next
    }

    /// One call, from requests to answers.
    pub(crate) async fn send(
        &self,
        slot: Slot,
        requests: &[&R],
    ) -> Result<Vec<Result<R::Answer, LinkError>>, LinkError> {
        let now =
            self.clock.as_ref().map(|clock| Now { monotonic: clock.now(), utc: clock.utc_now() });
        let (call, plan) = R::call(requests, &self.ring, now);
        let reply = self.link.evaluate(slot, &call).await?;
        let redis::Value::BulkString(bytes) = reply else {
            return Err(LinkError::Corrupt("expected a string"));
        };
        R::answers(requests, plan, now, &bytes)
            .ok_or(LinkError::Corrupt("the string ends before the last answer"))
    }

    /// Nothing panics under this lock; should it happen all the same, every lane is still a list of
    /// requests and a number of calls.
    fn lanes(&self) -> MutexGuard<'_, HashMap<Slot, Lane<R>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a caller makes a call; whoever waits is taken care of when it leaves.
struct Leading<R: Request> {
    coalescer: Arc<Coalescer<R>>,
    slot: Slot,
}

impl<R: Request> Drop for Leading<R> {
    fn drop(&mut self) {
        let mut lanes = self.coalescer.lanes();
        let Some(lane) = lanes.get_mut(&self.slot) else {
            return;
        };
        if lane.waiting.is_empty() || lane.tasks > 0 && lane.waiting.len() < FEW {
            lane.calls = lane.calls.saturating_sub(1);
            if lane.calls == 0 {
                lanes.remove(&self.slot);
            }
            return;
        }
        lane.tasks += 1;
        drop(lanes);
        self.coalescer.runtime.spawn(self.coalescer.clone().drain(self.slot));
    }
}

impl<R: Request> Default for Lane<R> {
    fn default() -> Self {
        Self { calls: 0, tasks: 0, waiting: VecDeque::new() }
    }
}

fn no_answer<A>() -> Result<A, LinkError> {
    Err(LinkError::Lost("the runtime has ended".into()))
}
