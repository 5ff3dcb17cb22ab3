//! One server: whether there is a connection to it, whether it is asked, and asking it.
//!
//! Callers see "connected" or "away" and never wait for a connection to be made; making one is
//! the [supervisor](super::supervisor)'s work.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::Notify;

use super::Patience;
use super::dial::Dialed;
use super::error::LinkError;
use super::live::{Live, Outstanding};
use crate::clock::now;
use crate::guard::breaker::{
    Admission, Breaker, BreakerLimits, Failure, Phase, Report, Ticket, Turn,
};
use crate::health::{AwayReason, BreakerState, HealthEvent, Reporter, ServerHealth};

/// How long an operator waits for one reply.
pub(super) const LEISURE: Duration = Duration::from_secs(1);

/// One server.
#[derive(Debug)]
pub(crate) struct Node {
    name: Arc<str>,
    state: ArcSwap<State>,
    /// Taken while the state changes, so that changes are reported in their order and once.
    changing: Mutex<()>,
    breaker: Mutex<Breaker>,
    /// How long a call may take.
    deadline: Duration,
    reporter: Arc<Reporter>,
    /// Wakes the supervisor: the connection is gone, has ended, or is doubted.
    wake: Arc<Notify>,
    /// Wakes those who follow a redirection to a node that is just being connected.
    connected: Notify,
}

/// What callers see.
#[derive(Debug)]
enum State {
    Connected(Arc<Live>),
    Away(AwayReason),
}

impl Node {
    pub(crate) fn new(
        name: Arc<str>,
        limits: BreakerLimits,
        deadline: Duration,
        reporter: Arc<Reporter>,
    ) -> Self {
        Self {
            name,
            state: ArcSwap::from_pointee(State::Away(AwayReason::Connecting)),
            changing: Mutex::new(()),
            breaker: Mutex::new(Breaker::new(limits)),
            deadline,
            reporter,
            wake: Arc::new(Notify::new()),
            connected: Notify::new(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How the server is doing.
    pub(crate) fn health(&self) -> ServerHealth {
        let away = match &**self.state.load() {
            State::Connected(_) => None,
            State::Away(reason) => Some(reason.clone()),
        };
        let breaker = match self.breaker().phase() {
            Phase::Closed => BreakerState::Closed,
            Phase::Open(_) => BreakerState::Open,
            Phase::HalfOpen(_) => BreakerState::HalfOpen,
        };
        ServerHealth { server: Arc::clone(&self.name), away, breaker }
    }

    /// The connection, if there is one.
    pub(super) fn live(&self) -> Result<Arc<Live>, LinkError> {
        match &**self.state.load() {
            State::Connected(live) => Ok(Arc::clone(live)),
            State::Away(reason) => Err(LinkError::Away(reason.clone())),
        }
    }

    /// Why nothing can be sent, if that is so.
    pub(crate) fn absence(&self) -> Option<LinkError> {
        match &**self.state.load() {
            State::Connected(_) => None,
            State::Away(reason) => Some(LinkError::Away(reason.clone())),
        }
    }

    /// The connection, as soon as there is one. Only for a server that another one has just sent
    /// us to; the caller's deadline ends the waiting.
    pub(super) async fn live_soon(&self) -> Arc<Live> {
        loop {
            let connected = self.connected.notified();
            if let Ok(live) = self.live() {
                return live;
            }
            connected.await;
        }
    }

    /// Sends one command and waits for its reply.
    pub(super) async fn ask(
        &self,
        live: &Arc<Live>,
        command: &Cmd,
        patience: Patience,
    ) -> Result<Value, LinkError> {
        let mut connection = live.connection();
        let reply = pin!(connection.send_packed_command(command));
        self.exchange(self.limit(patience), live, reply).await
    }

    /// Sends two commands at once and waits for the reply to the second one.
    pub(super) async fn ask_second(
        &self,
        live: &Arc<Live>,
        commands: &Pipeline,
        patience: Patience,
    ) -> Result<Value, LinkError> {
        let mut connection = live.connection();
        let second = pin!(async move {
            let replies = connection.send_packed_commands(commands, 0, 2).await?;
            Ok(replies.into_iter().nth(1).unwrap_or(Value::Nil))
        });
        self.exchange(self.limit(patience), live, second).await
    }

    /// For how long a reply is awaited.
    fn limit(&self, patience: Patience) -> Option<Duration> {
        match patience {
            Patience::Deadline => Some(self.deadline),
            Patience::Callers => None,
            Patience::Operators => Some(self.deadline.max(LEISURE)),
        }
    }

    async fn exchange(
        &self,
        limit: Option<Duration>,
        live: &Arc<Live>,
        reply: Pin<&mut impl Future<Output = RedisResult<Value>>>,
    ) -> Result<Value, LinkError> {
        let outstanding = Outstanding::new(live, limit.unwrap_or(self.deadline), &self.wake);
        let reply = match limit {
            Some(limit) => {
                tokio::time::timeout(limit, reply).await.map_err(|_| LinkError::TimedOut)?
            }
            None => reply.await,
        };
        let error = match reply {
            Ok(Value::ServerError(error)) => {
                outstanding.answered();
                LinkError::from_reply(&error)
            }
            Ok(value) => {
                outstanding.answered();
                return Ok(value);
            }
            Err(error) => {
                outstanding.broken();
                LinkError::from_transport(&error)
            }
        };
        if let Some(reason) = error.ends_connection() {
            self.lose(live, reason);
        }
        Err(error)
    }

    /// There is a connection now.
    pub(super) fn connect(&self, dialed: Dialed) -> Arc<Live> {
        let live = Arc::new(Live::new(dialed));
        {
            let _changing = self.changing();
            self.state.store(Arc::new(State::Connected(Arc::clone(&live))));
            self.reporter.report(&self.name, HealthEvent::Connected);
        }
        self.breaker().reconnected(now());
        self.connected.notify_waiters();
        live
    }

    /// Takes `live` out of use, unless that has happened already.
    pub(super) fn lose(&self, live: &Arc<Live>, reason: AwayReason) {
        {
            let _changing = self.changing();
            match &**self.state.load() {
                State::Connected(current) if Arc::ptr_eq(current, live) => {}
                _ => return,
            }
            self.store_away(reason);
        }
        live.cut();
        self.wake.notify_one();
    }

    /// An attempt to connect has failed.
    pub(super) fn stay_away(&self, reason: AwayReason) {
        let _changing = self.changing();
        match &**self.state.load() {
            State::Connected(_) => {}
            State::Away(before) if before.is_like(&reason) => {
                // Not a change; only the text may be newer.
                self.state.store(Arc::new(State::Away(reason)));
            }
            State::Away(_) => self.store_away(reason),
        }
    }

    /// What is notified when the supervisor should look at the connection.
    pub(super) const fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// Whether callers are given this connection.
    pub(super) fn uses(&self, live: &Arc<Live>) -> bool {
        matches!(&**self.state.load(), State::Connected(current) if Arc::ptr_eq(current, live))
    }

    /// Whether a decision may be asked for.
    pub(crate) fn admit(&self, now: Instant) -> Result<Ticket, LinkError> {
        let mut breaker = self.breaker();
        let (admission, turn) = breaker.admit(now);
        if let Some(turn) = turn {
            // Reported while the breaker is locked, so that turns are reported in their order.
            self.turned(turn, None);
        }
        match admission {
            Admission::Admit(ticket) => Ok(ticket),
            Admission::Refuse => Err(LinkError::BreakerOpen),
        }
    }

    /// What became of an admitted call, and by which error.
    pub(crate) fn report(&self, ticket: Ticket, report: Report, error: Option<&LinkError>) {
        let mut breaker = self.breaker();
        if let Some(turn) = breaker.report(ticket, report, now()) {
            self.turned(turn, error);
        }
    }

    /// Whether the breaker is not closed, and silence is why.
    pub(super) fn is_unheard(&self) -> bool {
        matches!(
            self.breaker().phase(),
            Phase::Open(Failure::Silence) | Phase::HalfOpen(Failure::Silence)
        )
    }

    /// The server was heard outside of a decision.
    pub(super) fn heard(&self) {
        self.breaker().heard(now());
    }

    fn turned(&self, turn: Turn, error: Option<&LinkError>) {
        let event = match turn {
            Turn::Opened(_) => {
                // From now on the server is asked often whether it is back.
                self.wake.notify_one();
                let cause = Arc::from(error.map(ToString::to_string).unwrap_or_default());
                HealthEvent::BreakerOpened { cause }
            }
            Turn::HalfOpened => HealthEvent::BreakerHalfOpened,
            Turn::Closed => HealthEvent::BreakerClosed,
        };
        self.reporter.report(&self.name, event);
    }

    fn store_away(&self, reason: AwayReason) {
        self.state.store(Arc::new(State::Away(reason.clone())));
        self.reporter.report(&self.name, HealthEvent::Away(reason));
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        // Held for a few comparisons, and while a change is reported. What a panicking thread
        // leaves behind is a valid state, so a poisoned lock is recovered.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
