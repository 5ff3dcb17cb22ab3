//! The way to the servers.
//!
//! A [`Link`] finds the server that holds the buckets of a slot and runs scripts there. Every
//! server is a [`Node`] with a supervisor task that makes its connection and makes it anew; whoever
//! calls finds it connected or away and waits for nothing but the reply.
//!
//! What may have run is never sent a second time. `NOSCRIPT`, `MOVED`, `ASK` and `TRYAGAIN` prove
//! that nothing ran, and only they are followed.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::guard::breaker::BreakerLimits;
use crate::health::{Health, Reporter};
use crate::script::ScriptCall;
use crate::url::{Place, RedisUrl};

mod cluster;
mod dial;
mod error;
mod live;
mod node;
mod sentinel;
mod slots;
mod supervisor;
#[cfg(feature = "tls")]
mod tls;

use cluster::{Cluster, Keeper};
use dial::{Address, Dialer};
pub(crate) use error::LinkError;
use live::Live;
pub(crate) use node::Node;
use sentinel::Sentinels;
use supervisor::{Supervised, Supervisor, Whereabouts};
#[cfg(feature = "tls")]
pub(crate) use tls::Encryption;
#[cfg(feature = "tls")]
pub use tls::TlsOptions;

/// A slot of a cluster: what decides on which node a key lies.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Slot(u16);

impl Slot {
    /// How many slots a cluster has.
    pub(crate) const COUNT: u16 = 16_384;

    /// Where everything lies on a single server.
    pub(crate) const ONLY: Self = Self(0);

    /// The slot of the keys whose hash tag is `tag`.
    pub(crate) fn of_tag(tag: &[u8]) -> Self {
        Self(crc16::State::<crc16::XMODEM>::calculate(tag) % Self::COUNT)
    }

    /// The number of the slot.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Spreads the slots over a table.
    pub(crate) const fn hash(self) -> u64 {
        (self.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[cfg(test)]
    pub(crate) const fn for_test(number: u16) -> Self {
        Self(number)
    }
}

/// How many servers share the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Topology {
    /// All keys lie on one server; a call may carry keys of any slot.
    OneServer,
    /// Each slot lies on one of several servers; a call may carry keys of one slot.
    Cluster,
}

/// Who ends the waiting for a reply that does not come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Patience {
    /// Each exchange has the deadline of a decision.
    Deadline,
    /// Whoever waits has a deadline of its own, which saves a timer.
    Callers,
    /// An operator waits for a second at least.
    Operators,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
enum Question<'a> {
    /// A script, by its digest, and by its text if the server does not know it.
    Script(&'a ScriptCall),
    /// A command.
    Command(&'a redis::Cmd),
}

/// Whether a node of a cluster has to be told that another one sent us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asking {
    No,
    Yes,
}

/// How to reach the servers.
#[derive(Clone, Debug)]
pub(crate) struct LinkOptions {
    pub(crate) url: RedisUrl,
    /// How long one call may take.
    pub(crate) deadline: Duration,
    /// From the name look-up until a connection is ready.
    pub(crate) connect_timeout: Duration,
    /// So many calls are under way at most.
    pub(crate) max_in_flight: usize,
    pub(crate) breaker: BreakerLimits,
    #[cfg(feature = "tls")]
    pub(crate) encryption: Option<Encryption>,
}

/// The way to the servers. Copies share everything; the last one ends the tasks.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    servers: Servers,
    reporter: Arc<Reporter>,
    runtime: Handle,
}

#[derive(Debug)]
enum Servers {
    One { node: Arc<Node>, _supervised: Supervised },
    Cluster { cluster: Arc<Cluster>, _keeper: Keeper },
}

impl Link {
    /// Starts to connect and returns at once. Tasks run on `runtime`.
    pub(crate) fn open(options: LinkOptions, runtime: &Handle, reporter: Arc<Reporter>) -> Self {
        let LinkOptions { url, deadline, connect_timeout, max_in_flight, breaker, .. } = options;
        let breaker = breaker.for_calls_of(deadline);
        let dialer = Dialer {
            credentials: url.credentials,
            database: url.database,
            connect_timeout,
            queue: max_in_flight,
            #[cfg(feature = "tls")]
            encryption: options.encryption,
        };
        let (name, whereabouts) = match url.place {
            Place::Cluster { seeds } => {
                let reporter_too = Arc::clone(&reporter);
                let runtime = runtime.clone();
                let at = runtime.clone();
                let cluster = Cluster::new(seeds, at, dialer, breaker, deadline, reporter_too);
                let cluster = Arc::new(cluster);
                let keeper = cluster.keep();
                let servers = Servers::Cluster { cluster, _keeper: keeper };
                return Self { inner: Arc::new(Inner { servers, reporter, runtime }) };
            }
            Place::Server(endpoint) => {
                (endpoint.to_string(), Whereabouts::Fixed(Address::Tcp(endpoint)))
            }
            Place::Socket(path) => {
                let name = path.display().to_string();
                (name, Whereabouts::Fixed(Address::Socket(Arc::from(path))))
            }
            Place::Sentinel { sentinels, master, credentials } => {
                let dialer = Dialer { credentials, database: 0, ..dialer.clone() };
                let sentinels = Sentinels::new(sentinels, master.clone(), dialer);
                (master, Whereabouts::Sentinels(Box::new(sentinels)))
            }
        };
        let node = Node::new(Arc::from(name), breaker, deadline, Arc::clone(&reporter));
        let node = Arc::new(node);
        let supervised = Supervisor {
            node: Arc::clone(&node),
            whereabouts,
            dialer,
            reporter: Arc::clone(&reporter),
            checked: None,
            troubled: Arc::new(Notify::new()),
        }
        .start(runtime);
        let servers = Servers::One { node, _supervised: supervised };
        Self { inner: Arc::new(Inner { servers, reporter, runtime: runtime.clone() }) }
    }

    /// How many servers share the keys.
    pub(crate) fn topology(&self) -> Topology {
        match &self.inner.servers {
            Servers::One { .. } => Topology::OneServer,
            Servers::Cluster { .. } => Topology::Cluster,
        }
    }

    /// Runs a script on the node that owns `slot`; sends its text if the server does not know it.
    pub(crate) async fn evaluate(
        &self,
        slot: Slot,
        call: &ScriptCall,
        patience: Patience,
    ) -> Result<Value, LinkError> {
        self.ask(slot, Question::Script(call), patience).await
    }

    async fn ask(
        &self,
        slot: Slot,
        question: Question<'_>,
        patience: Patience,
    ) -> Result<Value, LinkError> {
        match &self.inner.servers {
            Servers::One { node, .. } => {
                let live = node.live()?;
                ask_on(node, &live, question, Asking::No, patience).await
            }
            Servers::Cluster { cluster, .. } => cluster.ask(slot, question, patience).await,
        }
    }

    /// The server that holds the buckets of `slot`.
    pub(crate) fn node(&self, slot: Slot) -> Result<Arc<Node>, LinkError> {
        match &self.inner.servers {
            Servers::One { node, .. } => Ok(Arc::clone(node)),
            Servers::Cluster { cluster, .. } => cluster.node(slot),
        }
    }

    /// Has an operator's command carried out by the node that owns `slot`, once.
    pub(crate) async fn command(
        &self,
        slot: Slot,
        command: &redis::Cmd,
    ) -> Result<Value, LinkError> {
        self.inside(self.ask(slot, Question::Command(command), Patience::Operators)).await
    }

    /// Sends an operator's command to one server, once.
    pub(crate) async fn command_on(
        &self,
        node: &Node,
        command: &redis::Cmd,
    ) -> Result<Value, LinkError> {
        let live = node.live()?;
        self.inside(node.ask(&live, command, Patience::Operators)).await
    }

    /// Does `work` as if inside of the runtime, whose timers it needs, wherever it is awaited.
    pub(crate) async fn inside<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _inside = self.inner.runtime.enter();
            work.as_mut().poll(context)
        })
        .await
    }

    /// Every server that holds buckets.
    ///
    /// # Errors
    ///
    /// If no node of a cluster has told which ones there are.
    pub(crate) fn nodes(&self) -> Result<Vec<Arc<Node>>, LinkError> {
        match &self.inner.servers {
            Servers::One { node, .. } => Ok(vec![Arc::clone(node)]),
            Servers::Cluster { cluster, .. } => cluster.nodes(),
        }
    }

    /// How the servers are doing.
    pub(crate) fn health(&self) -> Health {
        Health {
            servers: match &self.inner.servers {
                Servers::One { node, .. } => vec![node.health()],
                Servers::Cluster { cluster, .. } => cluster.health(),
            },
        }
    }

    /// Where changes are reported.
    pub(crate) fn reporter(&self) -> &Arc<Reporter> {
        &self.inner.reporter
    }
}

/// Asks over one connection.
async fn ask_on(
    node: &Node,
    live: &Arc<Live>,
    question: Question<'_>,
    asking: Asking,
    patience: Patience,
) -> Result<Value, LinkError> {
    let send = async |command: &redis::Cmd| match asking {
        Asking::No => node.ask(live, command, patience).await,
        Asking::Yes => {
            let mut commands = redis::Pipeline::with_capacity(2);
            commands.cmd("ASKING");
            commands.add_command(command.clone());
            node.ask_second(live, &commands, patience).await
        }
    };
    let call = match question {
        Question::Command(command) => return send(command).await,
        Question::Script(call) => call,
    };
    match send(&call.evalsha()).await {
        // The reply proves that nothing ran, so sending it again charges nothing twice. The text
        // goes to this one node and needs no permission to load scripts.
        Err(error) if error.code() == Some("NOSCRIPT") => send(&call.eval()).await,
        other => other,
    }
}

#[cfg(test)]
mod tests;
