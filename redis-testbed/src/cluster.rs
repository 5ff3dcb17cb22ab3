//! A cluster: masters with replicas, slots that move, nodes that join.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use crate::error::TestbedError;
use crate::program::Program;
use crate::server::RedisServer;
use crate::wait;

mod slots;

/// The number of hash slots of every cluster.
pub const SLOTS: u16 = 16_384;

/// How long nodes may take to agree on something.
const GOSSIP_DEADLINE: Duration = Duration::from_secs(60);

/// A running cluster. The masters come first, in the order of their slots.
///
/// # Example
///
/// ```no_run
/// use redis_testbed::ClusterBed;
///
/// let cluster = ClusterBed::builder().replicas_per_master(0).start()?;
/// let owner = cluster.owner(7_000)?;
/// assert_eq!(owner.address(), cluster.nodes()[1].address());
/// # Ok::<(), redis_testbed::TestbedError>(())
/// ```
#[derive(Debug)]
pub struct ClusterBed {
    nodes: Vec<RedisServer>,
    builder: ClusterBuilder,
}

/// Options of a cluster that is still to be started.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until `start` is called"]
pub struct ClusterBuilder {
    program: Option<Program>,
    masters: u16,
    replicas_per_master: u16,
    node_timeout: Duration,
    options: Vec<(String, String)>,
}

impl ClusterBed {
    /// Starts three masters with one replica each.
    ///
    /// # Errors
    ///
    /// If a node does not start, or they do not agree.
    pub fn start() -> Result<Self, TestbedError> {
        Self::builder().start()
    }

    /// Three masters with a replica each, a node timeout of two seconds, and slots that stay
    /// available while others are not.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder {
            program: None,
            masters: 3,
            replicas_per_master: 1,
            node_timeout: Duration::from_secs(2),
            options: vec![("cluster-require-full-coverage".to_owned(), "no".to_owned())],
        }
    }

    /// All nodes: the first masters, then their replicas in turn, then whoever joined.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The replicas that were given to the master at `index` in the beginning.
    pub fn replicas_of(&self, index: usize) -> impl Iterator<Item = &RedisServer> {
        let masters = usize::from(self.builder.masters);
        let all = masters + masters * usize::from(self.builder.replicas_per_master);
        (masters + index..all).step_by(masters).filter_map(|node| self.nodes.get(node))
    }

    /// The URL that names all nodes.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.nodes.iter().map(|node| node.address().to_string()).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// The node that serves `slot`, as the running nodes see it.
    ///
    /// # Errors
    ///
    /// If no node answers or nobody serves it.
    pub fn owner(&self, slot: u16) -> Result<&RedisServer, TestbedError> {
        let mut failure = unexpected(format!("nobody serves the slot {slot}"));
        for node in self.nodes.iter().filter(|node| node.process_id().is_some()) {
            match slots::served(node) {
                Ok(served) => {
                    let owner = served.iter().find(|served| served.slots.contains(&slot));
                    let address = owner.map(|served| served.master);
                    if let Some(owner) =
                        self.nodes.iter().find(|node| Some(node.address()) == address)
                    {
                        return Ok(owner);
                    }
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Waits until every running node sees `slot` served by somebody else than `old`.
    ///
    /// # Errors
    ///
    /// If that does not happen within `deadline`.
    pub fn await_other_owner(
        &self,
        slot: u16,
        old: SocketAddr,
        deadline: Duration,
    ) -> Result<(), TestbedError> {
        wait::until("another node serves the slot", deadline, || {
            self.running().all(|node| {
                slots::served(node).is_ok_and(|served| {
                    served.iter().any(|served| served.slots.contains(&slot) && served.master != old)
                })
            })
        })
    }

    /// Starts a master without slots and introduces it to the others; returns its index.
    ///
    /// # Errors
    ///
    /// If it does not start or is not accepted.
    pub fn add_node(&mut self) -> Result<usize, TestbedError> {
        let node = self.builder.node()?;
        for other in self.running() {
            meet(&node, other)?;
        }
        let index = self.nodes.len();
        self.nodes.push(node);
        self.await_acquaintance()?;
        if let Some(node) = self.nodes.get(index) {
            // Until it knows who serves which slot, it refuses keys.
            wait::until("the new node finds the cluster well", GOSSIP_DEADLINE, || {
                slots::sees_all_served(node).unwrap_or(false)
            })?;
        }
        Ok(index)
    }

    /// Moves `slots` with all that is in them to the master at index `to`, while they are in use.
    ///
    /// # Errors
    ///
    /// If a node does not answer or refuses.
    pub fn move_slots(&self, slots: Range<u16>, to: usize) -> Result<(), TestbedError> {
        let to = self.nodes.get(to).ok_or_else(|| unexpected(format!("no node {to}")))?;
        for slot in slots {
            let from = self.owner(slot)?;
            if from.address() != to.address() {
                let masters: Vec<&RedisServer> = self.masters();
                slots::migrate(slot, from, to, &masters)?;
            }
        }
        Ok(())
    }

    /// Those that run and are masters at this moment.
    fn masters(&self) -> Vec<&RedisServer> {
        self.running().filter(|node| node.info("role").is_ok_and(|role| role == "master")).collect()
    }

    fn running(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.process_id().is_some())
    }

    fn await_acquaintance(&self) -> Result<(), TestbedError> {
        let count = self.nodes.len();
        for node in self.running() {
            wait::until("every node of the cluster knows all others", GOSSIP_DEADLINE, || {
                slots::acquaintances(node).is_ok_and(|known| known == count)
            })?;
        }
        Ok(())
    }
}

impl ClusterBuilder {
    /// Runs this program instead of the first one that is installed.
    pub fn program(mut self, program: &Program) -> Self {
        self.program = Some(program.clone());
        self
    }

    /// How many masters share the slots; three by default, one makes a cluster with a single node.
    pub fn masters(mut self, count: u16) -> Self {
        self.masters = count.max(1);
        self
    }

    /// How many replicas each master has; one by default.
    pub fn replicas_per_master(mut self, count: u16) -> Self {
        self.replicas_per_master = count;
        self
    }

    /// How long a node is silent before the others call it failed; two seconds by default.
    pub fn node_timeout(mut self, timeout: Duration) -> Self {
        self.node_timeout = timeout;
        self
    }

    /// Adds a line to the configuration file of every node.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts all nodes and waits until each of them calls the cluster well.
    ///
    /// # Errors
    ///
    /// If a node does not start, or they do not agree.
    pub fn start(&self) -> Result<ClusterBed, TestbedError> {
        let count = self.masters * (1 + self.replicas_per_master);
        let nodes = (0..count).map(|_| self.node()).collect::<Result<Vec<_>, _>>()?;
        for (node, epoch) in nodes.iter().zip(1_u16..) {
            // Nodes with equal epochs would have to settle first who is newer.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()])?;
        }
        for (node, index) in nodes.iter().zip(0..self.masters) {
            slots::add(node, share(index, self.masters))?;
        }
        let bed = ClusterBed { nodes, builder: self.clone() };
        for (index, node) in bed.nodes.iter().enumerate() {
            for other in bed.nodes.iter().skip(index + 1) {
                meet(node, other)?;
            }
        }
        bed.await_acquaintance()?;
        let masters = usize::from(self.masters);
        for (index, replica) in bed.nodes.iter().enumerate().skip(masters) {
            if let Some(master) = bed.nodes.get(index % masters) {
                let id = slots::id(master)?;
                replica.command(&["CLUSTER", "REPLICATE", &id])?;
            }
        }
        bed.await_health()?;
        Ok(bed)
    }

    fn node(&self) -> Result<RedisServer, TestbedError> {
        let program = self.program.clone().map_or_else(Program::find, Ok)?;
        let mut node = RedisServer::builder()
            .program(&program)
            .option("cluster-enabled", "yes")
            // A node that has met nobody does not know its own address.
            .option("cluster-announce-ip", "127.0.0.1")
            .option("cluster-node-timeout", &self.node_timeout.as_millis().to_string())
            .option("repl-diskless-sync-delay", "0");
        for (name, value) in &self.options {
            node = node.option(name, value);
        }
        node.start()
    }
}

impl ClusterBed {
    /// Replicas follow, every slot is served, and everybody sees all of that.
    fn await_health(&self) -> Result<(), TestbedError> {
        let masters = usize::from(self.builder.masters);
        for (index, node) in self.nodes.iter().enumerate() {
            wait::until("the cluster is well", GOSSIP_DEADLINE, || {
                let follows = index < masters
                    || node.info("master_link_status").is_ok_and(|status| status == "up");
                follows && slots::is_well(node, self.nodes.len() - masters).unwrap_or(false)
            })?;
        }
        Ok(())
    }
}

fn meet(node: &RedisServer, other: &RedisServer) -> Result<(), TestbedError> {
    let (ip, port) = (other.address().ip().to_string(), other.address().port().to_string());
    node.command(&["CLUSTER", "MEET", &ip, &port]).map(drop)
}

/// The slots of the master at `index` of `count`.
fn share(index: u16, count: u16) -> Range<u16> {
    let bound = |index: u16| {
        let slot = u32::from(SLOTS) * u32::from(index) / u32::from(count);
        u16::try_from(slot).unwrap_or(SLOTS)
    };
    bound(index)..bound(index + 1)
}

fn unexpected(answer: String) -> TestbedError {
    TestbedError::Unexpected { command: "CLUSTER SLOTS", answer }
}
