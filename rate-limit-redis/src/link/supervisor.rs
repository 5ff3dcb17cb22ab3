//! The task that makes connections to one server, watches over them and makes them anew.
//!
//! - Nobody waits for it. While it connects, callers are told at once that the server is away.
//! - A connection counts only when its server has loaded its data, is a master, and runs scripts
//!   for us.
//! - It waits a random time between attempts, up to half a second, or up to five seconds where
//!   somebody has to act first.
//! - An idle connection is asked for a sign of life each second. While the breaker is open
//!   because of silence, the server is asked more often, so that service resumes soon after health
//!   does, and also when nobody calls.
//! - Behind Sentinels, one of them is asked each second whether the master is still the same. A
//!   former master on the wrong side of a split network takes decisions no longer than it takes to
//!   come to a Sentinel that knows.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Patience;
use super::dial::{Address, Dialer, Expect};
use super::live::Live;
use super::node::Node;
use super::sentinel::Sentinels;
use crate::backoff::{Backoff, full_jitter};
use crate::clock::{now, pause};
use crate::guard::breaker::Report;
use crate::health::{AwayReason, HealthEvent, Reporter};

/// How often a connection is looked after.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often a server is asked whether it is back, and up to so much more at random.
const KNOCK: Duration = Duration::from_millis(100);
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// With the time of one attempt it stays below a second, so that service resumes within one.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// Where somebody has to act first, nobody is in a hurry.
const LONGEST_WAIT_REFUSED: Duration = Duration::from_secs(5);
/// A connection that lived shorter than this was none: the next waits go on growing.
const PROVEN: Duration = Duration::from_secs(1);

/// Where the server is.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// At a fixed address; a name is looked up anew for each connection.
    Fixed(Address),
    /// Wherever the Sentinels say.
    Sentinels(Box<Sentinels>),
}

/// What a supervisor needs.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) node: Arc<Node>,
    pub(super) whereabouts: Whereabouts,
    pub(super) dialer: Dialer,
    pub(super) reporter: Arc<Reporter>,
    /// The server that was asked last for its eviction policy.
    pub(super) checked: Option<Address>,
    /// Wakes whoever keeps the map of a cluster: a connection is gone.
    pub(super) troubled: Arc<Notify>,
}

/// A running supervisor. Dropping it ends the task and the connection.
#[derive(Debug)]
pub(super) struct Supervised {
    task: JoinHandle<()>,
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Supervisor {
    /// Starts the task.
    pub(super) fn start(self, runtime: &tokio::runtime::Handle) -> Supervised {
        Supervised { task: runtime.spawn(self.run()) }
    }

    async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut backoff_refused = Backoff::new(LONGEST_WAIT, LONGEST_WAIT_REFUSED);
        loop {
            let refused = match self.connect().await {
                Ok(live) => {
                    self.watch_over(&live).await;
                    if live.age() >= PROVEN {
                        backoff.reset();
                    }
                    backoff_refused.reset();
                    false
                }
                Err(reason) => {
                    let refused = reason.needs_action();
                    self.node.stay_away(reason);
                    refused
                }
            };
            self.troubled.notify_one();
            let wait = if refused { backoff_refused.next_wait() } else { backoff.next_wait() };
            pause(wait).await;
        }
    }

    async fn connect(&mut self) -> Result<Arc<Live>, AwayReason> {
        let address = match &mut self.whereabouts {
            Whereabouts::Fixed(address) => address.clone(),
            Whereabouts::Sentinels(sentinels) => Address::Tcp(sentinels.master().await?),
        };
        // If it is not ready, another Sentinel is asked the next time, who may know more.
        let dialed = self.dialer.dial(&address, Expect::Master, self.node.wake()).await?;
        let live = self.node.connect(dialed);
        self.check_eviction(address, &live).await;
        Ok(live)
    }

    /// Returns when the connection is out of use.
    async fn watch_over(&mut self, live: &Arc<Live>) {
        let mut random = fastrand::Rng::new();
        loop {
            let is_unheard = self.node.is_unheard();
            let wait = if is_unheard { KNOCK + full_jitter(&mut random, KNOCK) } else { HEARTBEAT };
            if live.has_ended() {
                self.node.lose(live, AwayReason::Lost { cause: Arc::from("closed by the server") });
            }
            if live.is_doubted() && !live.shows_life().await {
                self.node.lose(live, AwayReason::Silent);
            }
            if !self.node.uses(live) {
                return;
            }
            if timeout(wait, self.node.wake().notified()).await.is_ok() {
                continue;
            }
            if self.node.is_unheard() {
                self.knock(live).await;
            } else if live.quiet_for() >= HEARTBEAT {
                // What is heard or not is counted where every reply is.
                let _ = self.node.ask(live, &redis::cmd("PING"), Patience::Deadline).await;
            }
            self.follow_sentinels(live, is_unheard).await;
        }
    }

    /// Asks a server that was silent whether it is back, and takes the probe if nobody else does.
    async fn knock(&self, live: &Arc<Live>) {
        let ping = redis::cmd("PING");
        let Ok(ticket) = self.node.admit(now()) else {
            if self.node.ask(live, &ping, Patience::Deadline).await.is_ok() {
                self.node.heard();
            }
            return;
        };
        match self.node.ask(live, &ping, Patience::Deadline).await {
            Ok(_) => self.node.report(ticket, Report::Success, None),
            Err(error) => self.node.report(ticket, error.report(), Some(&error)),
        }
    }

    async fn follow_sentinels(&mut self, live: &Arc<Live>, is_unheard: bool) {
        let Whereabouts::Sentinels(sentinels) = &mut self.whereabouts else { return };
        // A server that is being knocked at is looked after several times in a second.
        if is_unheard && !sentinels.is_due(HEARTBEAT) {
            return;
        }
        if sentinels.has_moved().await {
            self.node.lose(live, AwayReason::Replaced);
        }
    }

    /// Warns, once for each server, if it may evict what clients owe. Asks only if that is
    /// permitted, and says nothing if it is not: the request path needs no such permission.
    async fn check_eviction(&mut self, address: Address, live: &Arc<Live>) {
        if self.checked.as_ref() == Some(&address) {
            return;
        }
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg("maxmemory-policy");
        // Without a reply the next connection asks again.
        let Some(reply) = live.ask_patiently(&question).await else { return };
        self.checked = Some(address);
        let Ok(settings) = redis::from_redis_value::<Vec<String>>(flat(reply)) else { return };
        let Some(policy) = settings.get(1) else { return };
        if !matches!(&**policy, "noeviction" | "volatile-ttl") {
            let event = HealthEvent::EvictsDebt { policy: Arc::from(&**policy) };
            self.reporter.report(self.node.name(), event);
        }
    }
}

/// The reply to `CONFIG GET` is a map or a list, depending on the protocol.
fn flat(reply: Value) -> Value {
    match reply {
        Value::Map(entries) => {
            Value::Array(entries.into_iter().flat_map(|(name, value)| [name, value]).collect())
        }
        other => other,
    }
}
