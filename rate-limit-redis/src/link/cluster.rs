//! A cluster: a map of slots to nodes, and a node for each master.
//!
//! # Why not the client library's own cluster connection
//!
//! It retries calls whose connection broke, and those may have run: a decision would charge twice.
//! Without retries it does not follow redirections either. It has one queue for all nodes, and no
//! place for a breaker for each. So slots are looked up here, and every master is a [`Node`] like
//! a single server, with a supervisor, a connection, a deadline and a breaker of its own: a master
//! that hangs slows down nobody but the slots it owns.
//!
//! # What is followed
//!
//! `MOVED`, `ASK` and `TRYAGAIN` prove that nothing ran. They are followed within the deadline of
//! the call, to a node that was not known as well: that is the only case in which a call waits for
//! a connection, because the cluster has just said that this node is the one to ask. While several
//! keys of a slot are on two nodes, the cluster answers `TRYAGAIN`; what it still says when the
//! deadline is near is not counted against the node.
//!
//! # How the map is kept
//!
//! A task asks for it at the start, when a redirection or a lost connection shows that it has
//! changed, five times in a second while some master is away, and every ten seconds otherwise. It asks
//! the masters it knows, in random order, and the hosts of the URL if none answers.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::dial::{Address, Dialer, Expect};
use super::error::LinkError;
use super::node::Node;
use super::slots::{Owners, redirected};
use super::supervisor::{Supervised, Supervisor, Whereabouts};
use super::{Slot, evaluate_on};
use crate::clock::{now, pause};
use crate::guard::breaker::BreakerLimits;
use crate::health::{AwayReason, HealthEvent, Reporter, ServerHealth};
use crate::script::ScriptCall;
use crate::url::Endpoint;

/// How often the map is asked for while all is well.
const CALM: Duration = Duration::from_secs(10);
/// How often it is asked for while some master is away.
const TROUBLED: Duration = Duration::from_millis(200);
/// The least time between two questions, however many calls are redirected.
const BREATH: Duration = Duration::from_millis(50);
/// A node that nobody needs for so long is forgotten.
const UNNEEDED: Duration = Duration::from_secs(60);
/// So often a call is sent on. A slot moves once; a loop is a fault of the cluster.
const REDIRECTIONS: usize = 8;
const TRY_AGAIN_FIRST: Duration = Duration::from_millis(1);

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Cluster {
    /// What callers look at.
    map: ArcSwap<Map>,
    /// Every node there is a supervisor for.
    members: Mutex<HashMap<Endpoint, Member>>,
    /// Wakes the task that keeps the map.
    stale: Arc<Notify>,
    seeds: Vec<Endpoint>,
    /// For events that concern no single node.
    name: Arc<str>,
    runtime: Handle,
    dialer: Dialer,
    limits: BreakerLimits,
    deadline: Duration,
    reporter: Arc<Reporter>,
    is_eviction_checked: Arc<AtomicBool>,
}

/// The owners of the slots, each with its node.
#[derive(Debug)]
enum Map {
    /// No node has told the owners yet.
    Unknown(AwayReason),
    Known {
        owners: Owners,
        nodes: Vec<Arc<Node>>,
    },
}

#[derive(Debug)]
struct Member {
    node: Arc<Node>,
    needed: Instant,
    _supervised: Supervised,
}

/// The task that keeps the map. Dropping it ends the task.
#[derive(Debug)]
pub(super) struct Keeper {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    pub(super) fn new(
        seeds: Vec<Endpoint>,
        runtime: Handle,
        dialer: Dialer,
        limits: BreakerLimits,
        deadline: Duration,
        reporter: Arc<Reporter>,
    ) -> Self {
        let names: Vec<_> = seeds.iter().map(ToString::to_string).collect();
        Self {
            map: ArcSwap::from_pointee(Map::Unknown(AwayReason::Connecting)),
            members: Mutex::new(HashMap::new()),
            stale: Arc::new(Notify::new()),
            seeds,
            name: Arc::from(names.join(",")),
            runtime,
            dialer,
            limits,
            deadline,
            reporter,
            is_eviction_checked: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Starts the task that keeps the map.
    pub(super) fn keep(self: &Arc<Self>) -> Keeper {
        let cluster = Arc::clone(self);
        Keeper { task: self.runtime.spawn(async move { cluster.keep_map().await }) }
    }

    /// The node that owns `slot`.
    pub(super) fn node(&self, slot: Slot) -> Result<Arc<Node>, LinkError> {
        match &**self.map.load() {
            Map::Unknown(reason) => Err(LinkError::Away(reason.clone())),
            Map::Known { owners, nodes } => owners
                .owner(slot)
                .and_then(|place| nodes.get(place))
                .cloned()
                .ok_or(LinkError::Away(AwayReason::SlotWithoutOwner)),
        }
    }

    /// The masters that own slots.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        match &**self.map.load() {
            Map::Unknown(_) => Vec::new(),
            Map::Known { nodes, .. } => nodes.clone(),
        }
    }

    pub(super) fn health(&self) -> Vec<ServerHealth> {
        self.nodes().iter().map(|node| node.health()).collect()
    }

    /// Runs a script where `slot` is, wherever the cluster sends us.
    pub(super) async fn evaluate(&self, slot: Slot, call: &ScriptCall) -> Result<Value, LinkError> {
        let started = now();
        let mut node = self.node(slot)?;
        let mut live = node.live()?;
        let mut asking = Asking::No;
        let mut wait = TRY_AGAIN_FIRST;
        for _ in 0..REDIRECTIONS {
            let error = match evaluate_on(&node, &live, call, asking).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let LinkError::Refused { code, detail } = &error else { return Err(error) };
            match &**code {
                "MOVED" | "ASK" => {
                    let asked = endpoint_of(node.name());
                    let Some(next) = redirected(detail, &asked) else { return Err(error) };
                    asking = if &**code == "ASK" { Asking::Yes } else { Asking::No };
                    if asking == Asking::No {
                        self.stale.notify_one();
                    }
                    node = self.member(&next);
                    let left = self.deadline.saturating_sub(started.elapsed());
                    live = timeout(left, node.live_soon()).await.map_err(|_| error)?;
                }
                "TRYAGAIN" => {
                    if started.elapsed() + wait >= self.deadline {
                        return Err(LinkError::SlotMoving);
                    }
                    pause(wait).await;
                    wait *= 2;
                }
                "CLUSTERDOWN" => {
                    self.stale.notify_one();
                    return Err(error);
                }
                _ => return Err(error),
            }
        }
        Err(LinkError::SlotMoving)
    }

    /// The node at `endpoint`, with a supervisor.
    fn member(&self, endpoint: &Endpoint) -> Arc<Node> {
        let mut members = self.members();
        if let Some(member) = members.get_mut(endpoint) {
            member.needed = now();
            return Arc::clone(&member.node);
        }
        let name = Arc::from(endpoint.to_string());
        let reporter = Arc::clone(&self.reporter);
        let node = Arc::new(Node::new(name, self.limits, self.deadline, reporter));
        let supervised = Supervisor {
            node: Arc::clone(&node),
            whereabouts: Whereabouts::Fixed(Address::Tcp(endpoint.clone())),
            dialer: self.dialer.clone(),
            reporter: Arc::clone(&self.reporter),
            is_eviction_checked: Arc::clone(&self.is_eviction_checked),
            troubled: Arc::clone(&self.stale),
        }
        .start(&self.runtime);
        let member = Member { node: Arc::clone(&node), needed: now(), _supervised: supervised };
        members.insert(endpoint.clone(), member);
        node
    }

    async fn keep_map(&self) {
        loop {
            self.ask_for_map().await;
            pause(BREATH).await;
            let is_well = {
                let nodes = self.nodes();
                !nodes.is_empty() && nodes.iter().all(|node| node.health().is_well())
            };
            let interval = if is_well { CALM } else { TROUBLED };
            let _ = timeout(interval, self.stale.notified()).await;
        }
    }

    async fn ask_for_map(&self) {
        let mut known: Vec<_> = {
            let members = self.members();
            members.iter().map(|(place, of)| (place.clone(), Arc::clone(&of.node))).collect()
        };
        fastrand::shuffle(&mut known);
        for (endpoint, node) in known {
            let Ok(live) = node.live() else { continue };
            if let Ok(reply) = node.ask(&live, &question()).await
                && let Some(owners) = Owners::read(&reply, &endpoint)
            {
                return self.adopt(owners);
            }
        }
        let mut seeds = self.seeds.clone();
        fastrand::shuffle(&mut seeds);
        let mut reason = AwayReason::Silent;
        for seed in seeds {
            match self.ask_seed(&seed).await {
                Ok(owners) => return self.adopt(owners),
                Err(why) => reason = why,
            }
        }
        self.lament(reason);
    }

    async fn ask_seed(&self, seed: &Endpoint) -> Result<Owners, AwayReason> {
        let unheeded = Arc::new(Notify::new());
        let address = Address::Tcp(seed.clone());
        let mut dialed = self.dialer.dial(&address, Expect::Anything, &unheeded).await?;
        let question = question();
        let reply = dialed.connection.send_packed_command(&question);
        let reply = timeout(self.dialer.connect_timeout, reply).await;
        let reply = reply.map_err(|_| AwayReason::Silent)?;
        let reply = reply.map_err(|error| AwayReason::Lost { cause: error.to_string().into() })?;
        if let Value::ServerError(error) = &reply {
            return Err(why_no_map(error));
        }
        Owners::read(&reply, seed).ok_or(AwayReason::SlotWithoutOwner)
    }

    /// Uses what a node has told.
    fn adopt(&self, owners: Owners) {
        let nodes = owners.masters.iter().map(|master| self.member(master)).collect();
        let before = self.map.swap(Arc::new(Map::Known { owners, nodes }));
        if let Map::Unknown(reason) = &*before
            && *reason != AwayReason::Connecting
        {
            self.reporter.report(&self.name, HealthEvent::Connected);
        }
        let kept = |member: &Member| member.needed.elapsed() < UNNEEDED;
        self.members().retain(|_, member| kept(member));
    }

    /// Nobody has told the owners. What was told before stays in force.
    fn lament(&self, reason: AwayReason) {
        if let Map::Unknown(before) = &**self.map.load()
            && !before.is_like(&reason)
        {
            self.map.store(Arc::new(Map::Unknown(reason.clone())));
            self.reporter.report(&self.name, HealthEvent::Away(reason));
        }
    }

    fn members(&self) -> MutexGuard<'_, HashMap<Endpoint, Member>> {
        // Held while the map of members changes, never while anybody waits.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the node has to be told that we were sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Asking {
    No,
    Yes,
}

fn question() -> redis::Cmd {
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    question
}

fn why_no_map(error: &redis::ServerError) -> AwayReason {
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "NOPERM" => AwayReason::NoPermission { detail: detail.into() },
        "LOADING" => AwayReason::Loading,
        "ERR" if detail.contains("cluster support disabled") => AwayReason::NotACluster,
        code => AwayReason::Refused { code: code.into(), detail: detail.into() },
    }
}

/// The place of a node of a cluster, which is also its name.
fn endpoint_of(name: &str) -> Endpoint {
    let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Endpoint { host: host.to_owned(), port: port.parse().unwrap_or(0) }
}
