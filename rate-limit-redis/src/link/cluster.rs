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

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::dial::{Address, Dialer};
use super::error::LinkError;
use super::node::{LEISURE, Node};
use super::slots::{Owners, redirected};
use super::supervisor::{Supervised, Supervisor, Whereabouts};
use super::{Asking, Patience, Question, Slot, ask_on};
use crate::clock::{now, pause};
use crate::guard::breaker::BreakerLimits;
use crate::health::{AwayReason, Reporter, ServerHealth};
use crate::url::Endpoint;

mod keeping;

pub(super) use keeping::Keeper;

/// So often a call is sent on. A slot moves once; a loop is a fault of the cluster.
const REDIRECTIONS: usize = 8;
/// How long to wait before a call is tried again: so long at first, and twice as long each time.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(1);
const TRY_AGAIN_AFTER_MOST: Duration = Duration::from_millis(5);

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
        }
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

    /// The masters that own slots, if anybody has told them.
    pub(super) fn nodes(&self) -> Result<Vec<Arc<Node>>, LinkError> {
        match &**self.map.load() {
            Map::Unknown(reason) => Err(LinkError::Away(reason.clone())),
            Map::Known { nodes, .. } => Ok(nodes.clone()),
        }
    }

    pub(super) fn health(&self) -> Vec<ServerHealth> {
        let nodes = self.nodes().unwrap_or_default();
        nodes.iter().map(|node| node.health()).collect()
    }

    /// Asks where `slot` is, wherever the cluster sends us.
    pub(super) async fn ask(
        &self,
        slot: Slot,
        question: Question<'_>,
        patience: Patience,
    ) -> Result<Value, LinkError> {
        let started = now();
        let limit = match patience {
            Patience::Deadline | Patience::Callers => self.deadline,
            Patience::Operators => self.deadline.max(LEISURE),
        };
        let mut node = self.node(slot)?;
        let mut live = node.live()?;
        let mut asking = Asking::No;
        let mut wait = TRY_AGAIN_AFTER;
        let mut redirections = 0;
        while redirections < REDIRECTIONS {
            let error = match ask_on(&node, &live, question, asking, patience).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let LinkError::Refused { code, detail } = &error else { return Err(error) };
            match &**code {
                "MOVED" | "ASK" => {
                    redirections += 1;
                    let asked = endpoint_of(node.name());
                    let Some(next) = redirected(detail, &asked) else { return Err(error) };
                    asking = if &**code == "ASK" { Asking::Yes } else { Asking::No };
                    if asking == Asking::No {
                        self.stale.notify_one();
                    }
                    node = self.member(&next);
                    let left = limit.saturating_sub(started.elapsed());
                    live = timeout(left, node.live_soon()).await.map_err(|_| error)?;
                }
                "TRYAGAIN" => {
                    if started.elapsed() + wait >= limit {
                        return Err(LinkError::SlotMoving);
                    }
                    pause(wait).await;
                    wait = TRY_AGAIN_AFTER_MOST.min(wait * 2);
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
            checked: None,
            troubled: Arc::clone(&self.stale),
        }
        .start(&self.runtime);
        let member = Member { node: Arc::clone(&node), needed: now(), _supervised: supervised };
        members.insert(endpoint.clone(), member);
        node
    }

    fn members(&self) -> MutexGuard<'_, HashMap<Endpoint, Member>> {
        // Held while the map of members changes, never while anybody waits.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a node of a cluster, which is also its name.
fn endpoint_of(name: &str) -> Endpoint {
    let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Endpoint { host: host.to_owned(), port: port.parse().unwrap_or(0) }
}
