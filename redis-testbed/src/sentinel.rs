//! A master, two replicas, and three Sentinels that watch them.

use std::net::SocketAddr;
use std::time::Duration;

use redis::Value;

use crate::error::TestbedError;
use crate::program::Program;
use crate::proxy::Proxy;
use crate::server::{RedisServer, ServerBuilder, words_of};
use crate::wait;

/// The name under which the Sentinels know the master.
pub const MASTER_NAME: &str = "limits";

const REPLICAS: usize = 2;
const SENTINELS: usize = 3;

/// How long the Sentinels may take to find each other and the replicas.
const DISCOVERY_DEADLINE: Duration = Duration::from_secs(60);

/// Three data servers, one of them the master, and three Sentinels with a quorum of two.
///
/// # Example
///
/// ```no_run
/// use std::time::Duration;
/// use redis_testbed::SentinelBed;
///
/// let bed = SentinelBed::start(Duration::from_millis(1_000))?;
/// let old = bed.master()?.address();
/// bed.master()?.kill()?;
/// bed.await_other_master(old, Duration::from_secs(30))?;
/// # Ok::<(), redis_testbed::TestbedError>(())
/// ```
#[derive(Debug)]
pub struct SentinelBed {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
    /// In front of the first master, if it was asked for.
    proxy: Option<Proxy>,
}

impl SentinelBed {
    /// Starts all six; `down_after` is how long a master is silent before a Sentinel calls it down.
    ///
    /// # Errors
    ///
    /// If one of them does not start, or they do not find each other.
    pub fn start(down_after: Duration) -> Result<Self, TestbedError> {
        Self::start_with(&Program::find()?, down_after, |server| server)
    }

    /// The same with a certain program, and with options of the data servers.
    ///
    /// # Errors
    ///
    /// If one of them does not start, or they do not find each other.
    pub fn start_with(
        program: &Program,
        down_after: Duration,
        options: impl Fn(ServerBuilder) -> ServerBuilder,
    ) -> Result<Self, TestbedError> {
        Self::launch(program, down_after, options, |_| Ok(None))
    }

    /// The same with a network between the first master and everybody who asks a Sentinel for it:
    /// Sentinels, replicas and clients. Who knows the [first server](Self::servers) by its own
    /// address still reaches it when the [proxy](Self::proxy) is broken.
    ///
    /// # Errors
    ///
    /// If one of them does not start, or they do not find each other.
    pub fn start_behind_proxy(
        down_after: Duration,
        options: impl Fn(ServerBuilder) -> ServerBuilder,
    ) -> Result<Self, TestbedError> {
        Self::launch(&Program::find()?, down_after, options, |master| {
            Proxy::start(master.address()).map(Some)
        })
    }

    fn launch(
        program: &Program,
        down_after: Duration,
        options: impl Fn(ServerBuilder) -> ServerBuilder,
        proxy: impl FnOnce(&RedisServer) -> Result<Option<Proxy>, TestbedError>,
    ) -> Result<Self, TestbedError> {
        let server = || {
            // A replica does not wait five seconds for others who want the same snapshot.
            let builder = RedisServer::builder().program(program);
            options(builder.option("repl-diskless-sync-delay", "0"))
        };
        let master = server().start()?;
        let proxy = proxy(&master)?;
        let at = proxy.as_ref().map_or_else(|| master.address(), Proxy::address);
        let mut servers = vec![master];
        for _ in 0..REPLICAS {
            let place = format!("{} {}", at.ip(), at.port());
            servers.push(server().option("replicaof", &place).start()?);
        }
        for replica in servers.iter().skip(1) {
            wait::until("a replica follows its master", DISCOVERY_DEADLINE, || {
                replica.info("master_link_status").is_ok_and(|status| status == "up")
            })?;
        }
        let mut sentinels = Vec::new();
        for _ in 0..SENTINELS {
            sentinels.push(sentinel(program, at, down_after)?);
        }
        let bed = Self { servers, sentinels, proxy };
        bed.await_discovery()?;
        Ok(bed)
    }

    /// The URL that names all Sentinels and the master.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{MASTER_NAME}", addresses.join(","))
    }

    /// The data servers, whatever their roles.
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The Sentinels.
    pub fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The network in front of the first master, if it was asked for.
    pub const fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The data server at an address that the Sentinels name.
    fn server_at(&self, address: SocketAddr) -> Option<&RedisServer> {
        match &self.proxy {
            Some(proxy) if proxy.address() == address => self.servers.first(),
            _ => self.servers.iter().find(|server| server.address() == address),
        }
    }

    /// The data server that the Sentinels name as master, which need not run.
    ///
    /// # Errors
    ///
    /// If no Sentinel answers, or it names somebody else's server.
    pub fn master(&self) -> Result<&RedisServer, TestbedError> {
        let address = self.master_address()?;
        self.server_at(address).ok_or_else(|| TestbedError::Unexpected {
            command: ASK,
            answer: format!("{address} is not ours"),
        })
    }

    /// Whom the Sentinels name as master.
    ///
    /// # Errors
    ///
    /// If no Sentinel answers.
    pub fn master_address(&self) -> Result<SocketAddr, TestbedError> {
        let mut failure = TestbedError::Unexpected { command: ASK, answer: "nothing".to_owned() };
        for sentinel in &self.sentinels {
            match named_by(sentinel) {
                Ok(address) => return Ok(address),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Waits until all running Sentinels name the same master, which is not `old`, and it says so
    /// itself.
    ///
    /// # Errors
    ///
    /// If that does not happen within `deadline`.
    pub fn await_other_master(
        &self,
        old: SocketAddr,
        deadline: Duration,
    ) -> Result<SocketAddr, TestbedError> {
        wait::until_some("the Sentinels agree on another master", deadline, || {
            let mut named = self
                .sentinels
                .iter()
                .filter(|sentinel| sentinel.process_id().is_some())
                .map(named_by);
            let address = named.next()?.ok().filter(|address| *address != old)?;
            let agreed = named.all(|other| other.is_ok_and(|other| other == address));
            let master = self.server_at(address)?;
            let accepted = master.info("role").is_ok_and(|role| role == "master");
            (agreed && accepted).then_some(address)
        })
    }

    /// Asks a Sentinel for a failover although the master is well, and does not wait for it.
    ///
    /// # Errors
    ///
    /// If the Sentinel refuses, for instance because there just was one.
    pub fn fail_over(&self) -> Result<(), TestbedError> {
        match self.sentinels.first() {
            Some(sentinel) => sentinel.command(&["SENTINEL", "FAILOVER", MASTER_NAME]).map(drop),
            None => Ok(()),
        }
    }

    /// A failover needs a Sentinel that knows the others and the replicas. They tell each other
    /// every two seconds and ask the master every ten; for the discovery alone that is hurried.
    fn await_discovery(&self) -> Result<(), TestbedError> {
        let pace = |publish: &str, info: &str| {
            for sentinel in &self.sentinels {
                // Servers before the seventh major version have no such command and take longer.
                let debug = ["SENTINEL", "DEBUG", "publish-period", publish, "info-period", info];
                let _ = sentinel.command(&debug);
            }
        };
        pace("50", "50");
        for sentinel in &self.sentinels {
            wait::until("the Sentinels know each other", DISCOVERY_DEADLINE, || {
                knows_everybody(sentinel).unwrap_or(false)
            })?;
        }
        pace("2000", "10000");
        Ok(())
    }
}

const ASK: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME";

fn sentinel(
    program: &Program,
    master: SocketAddr,
    down_after: Duration,
) -> Result<RedisServer, TestbedError> {
    let (ip, port) = (master.ip(), master.port());
    RedisServer::builder()
        .sentinel()
        .program(program)
        .option("sentinel monitor", &format!("{MASTER_NAME} {ip} {port} 2"))
        .option(
            "sentinel down-after-milliseconds",
            &format!("{MASTER_NAME} {}", down_after.as_millis()),
        )
        // One Sentinel that dies in the middle of a failover must not cost three minutes.
        .option("sentinel failover-timeout", &format!("{MASTER_NAME} 10000"))
        .start()
}

fn named_by(sentinel: &RedisServer) -> Result<SocketAddr, TestbedError> {
    let named: Option<(String, String)> =
        sentinel.ask(words_of(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME]))?;
    let (ip, port) = named.unwrap_or_default();
    format!("{ip}:{port}")
        .parse()
        .map_err(|_| TestbedError::Unexpected { command: ASK, answer: format!("{ip}:{port}") })
}

fn knows_everybody(sentinel: &RedisServer) -> Result<bool, TestbedError> {
    let answer = sentinel.command(&["SENTINEL", "MASTER", MASTER_NAME])?;
    let field = |name: &str| field(&answer, name);
    let count = |name: &str| field(name).and_then(|count| count.parse::<usize>().ok());
    if count("num-slaves") != Some(REPLICAS) || count("num-other-sentinels") != Some(SENTINELS - 1)
    {
        return Ok(false);
    }
    // A replica whose state the Sentinel has not read yet cannot be promoted.
    let replicas = sentinel.command(&["SENTINEL", "REPLICAS", MASTER_NAME])?;
    let Value::Array(replicas) = replicas else { return Ok(false) };
    Ok(replicas
        .iter()
        .all(|replica| self::field(replica, "master-link-status").as_deref() == Some("ok")))
}

/// One field of an answer that lists names and values in turn.
fn field(answer: &Value, name: &str) -> Option<String> {
    let text = |value: &Value| redis::from_redis_value_ref::<String>(value).ok();
    let Value::Array(items) = answer else { return None };
    let mut items = items.iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        if text(key).as_deref() == Some(name) {
            return text(value);
        }
    }
    None
}
