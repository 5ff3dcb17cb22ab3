//! Concurrent requests travel together.
//!
//! A request that finds few calls under way is sent at once, by its own caller. Others wait for a call
//! to return and then travel together: no timer delays anybody, an idle store answers as fast as
//! without coalescing, and a busy one shares the cost of a call, which is that of ten decisions, among
//! as many requests as have come meanwhile. Each stays all or nothing by itself.
//!
//! While requests keep coming, tasks send one call after the other. Each takes its share and no more,
//! so all calls are of about one size: with large and small ones the server would wait while this process
//! reads the answers of a large one, and this process while the server works on it. Whoever has been
//! answered may ask again before the task's next call leaves.
//!
//! # Dropping
//!
//! A caller that goes away while it waits is not sent. One that goes away while its request is under
//! way may have been charged, entirely or not at all. Calls on behalf of others are made by tasks, so
//! nobody's answer depends on another's patience, nor on whether another one goes on at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use rate_limit_core::{Clock, Now};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::key::KeyRing;
use crate::link::{Link, LinkError, Patience, Slot};
use crate::script::ScriptCall;

mod lane;

use lane::{Lane, Waits};

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
    lanes: Mutex<Lanes<R>>,
}

type Lanes<R> = HashTable<(Slot, Lane<Waiting<R>>)>;

type Answered<R> = Result<<R as Request>::Answer, LinkError>;

struct Waiting<R: Request> {
    request: Box<R>,
    answer: oneshot::Sender<Answered<R>>,
}

impl<R: Request> Waits for Waiting<R> {
    fn weight(&self) -> usize {
        self.request.weight()
    }

    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}

/// What a request does on arrival.
enum Turn<R: Request> {
    Lead(Box<R>),
    Wait(oneshot::Receiver<Answered<R>>),
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

    /// Asks for the answer to `request`, whose keys all lie in `slot`. Whoever asks has a deadline of
    /// its own.
    pub(crate) async fn ask(self: Arc<Self>, slot: Slot, request: Box<R>) -> Answered<R> {
        match self.take_turn(slot, request) {
            // In a box, because it is large, and whoever waits for others would be as large: moving
            // that to where it is polled would cost more than the rest of asking.
            Turn::Lead(request) => Box::pin(self.lead(slot, request)).await,
            // The sender is dropped only with the runtime.
            Turn::Wait(answer) => answer.await.unwrap_or_else(|_| no_answer()),
        }
    }

    /// Makes a call for one request.
    async fn lead(self: Arc<Self>, slot: Slot, request: Box<R>) -> Answered<R> {
        let leading = Leading { coalescer: self, slot };
        let answers = leading.coalescer.send(slot, &[&request], Patience::Callers).await?;
        drop(leading);
        answers.into_iter().next().unwrap_or_else(no_answer)
    }

    fn take_turn(self: &Arc<Self>, slot: Slot, request: Box<R>) -> Turn<R> {
        let mut lanes = self.lanes();
        let lane = lanes.entry(slot.hash(), |(of, _)| *of == slot, |(of, _)| of.hash());
        let (_, lane) = lane.or_insert_with(|| (slot, Lane::new())).into_mut();
        if lane.lead() {
            return Turn::Lead(request);
        }
        let (sender, answer) = oneshot::channel();
        if lane.wait(Waiting { request, answer: sender }) {
            drop(lanes);
            self.runtime.spawn(self.clone().drain(slot));
        }
        Turn::Wait(answer)
    }

    /// Sends one call after the other until nobody waits.
    async fn drain(self: Arc<Self>, slot: Slot) {
        loop {
            let waiting = self.with_lane(slot, Lane::next).unwrap_or_default();
            if waiting.is_empty() {
                return;
            }
            let requests: Vec<&R> = waiting.iter().map(|waiting| &*waiting.request).collect();
            let answers = self.send(slot, &requests, Patience::Deadline).await;
            drop(requests);
            let goes_on = self.with_lane(slot, |lane| lane.returned(waiting.len()));
            match answers {
                Ok(answers) => waiting.into_iter().zip(answers).for_each(|(waiting, answer)| {
                    // Whoever has gone away meanwhile does not need it.
                    _ = waiting.answer.send(answer);
                }),
                Err(error) => waiting.into_iter().for_each(|waiting| {
                    _ = waiting.answer.send(Err(error.clone()));
                }),
            }
            if goes_on != Some(true) {
                // Those who have their answers are ready to run, and some of them will ask again.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Changes a lane. A lane that is idle after that is forgotten.
    fn with_lane<T>(
        &self,
        slot: Slot,
        change: impl FnOnce(&mut Lane<Waiting<R>>) -> T,
    ) -> Option<T> {
        let mut lanes = self.lanes();
        let mut entry = lanes.find_entry(slot.hash(), |(of, _)| *of == slot).ok()?;
        let (_, lane) = entry.get_mut();
        let changed = change(lane);
        if lane.is_idle() {
            entry.remove();
        }
        Some(changed)
    }

    /// One call, from requests to answers.
    pub(crate) async fn send(
        &self,
        slot: Slot,
        requests: &[&R],
        patience: Patience,
    ) -> Result<Vec<Answered<R>>, LinkError> {
        let now =
            self.clock.as_ref().map(|clock| Now { monotonic: clock.now(), utc: clock.utc_now() });
        let (call, plan) = R::call(requests, &self.ring, now);
        let reply = self.link.evaluate(slot, &call, patience).await?;
        let redis::Value::BulkString(bytes) = reply else {
            return Err(LinkError::Corrupt("expected a string"));
        };
        R::answers(requests, plan, now, &bytes)
            .ok_or(LinkError::Corrupt("the string ends before the last answer"))
    }

    /// Nothing panics under this lock; should it happen all the same, every lane is still a list of
    /// requests and a few numbers.
    fn lanes(&self) -> MutexGuard<'_, Lanes<R>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held while a caller makes a call.
struct Leading<R: Request> {
    coalescer: Arc<Coalescer<R>>,
    slot: Slot,
}

impl<R: Request> Drop for Leading<R> {
    fn drop(&mut self) {
        self.coalescer.with_lane(self.slot, Lane::stop_leading);
    }
}

fn no_answer<A>() -> Result<A, LinkError> {
    Err(LinkError::Lost("the runtime has ended".into()))
}
