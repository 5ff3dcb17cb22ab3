//! Making one connection, and finding out whether its server is ready for decisions.
//!
//! Sockets are opened here rather than by the client library: the socket options, one deadline
//! around everything from the name look-up to the first replies, and the certificate's own error
//! need that, and a connection whose driver is ours can be cut off at once.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError, Value,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::health::AwayReason;
use crate::url::{Credentials, Endpoint};

#[cfg(feature = "tls")]
use super::tls::Encryption;

/// Where a connection leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Address {
    Tcp(Endpoint),
    Socket(Arc<Path>),
}

/// Makes connections, all in the same way.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    pub(crate) credentials: Credentials,
    pub(crate) database: u32,
    /// From the name look-up to the last reply of the readiness check.
    pub(crate) connect_timeout: Duration,
    /// So many calls may wait for being written. Callers are counted elsewhere.
    pub(crate) queue: usize,
    #[cfg(feature = "tls")]
    pub(crate) encryption: Option<Encryption>,
}

/// A connection and the task that drives it.
#[derive(Debug)]
pub(crate) struct Dialed {
    pub(crate) connection: MultiplexedConnection,
    /// Ends when the connection breaks.
    pub(crate) driver: JoinHandle<()>,
}

/// What a server has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expect {
    /// A master that runs our scripts.
    Master,
    /// Anything that replies.
    Anything,
}

/// How long sent data may stay unacknowledged before the system gives the connection up.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const USER_TIMEOUT: Duration = Duration::from_secs(2);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_PROBES: u32 = 3;

/// No script has this digest.
const NO_SCRIPT: &str = "0000000000000000000000000000000000000000";

impl Dialer {
    /// Connects to `address`, within the timeout. `ended` is notified when the connection breaks.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        expect: Expect,
        ended: &Arc<Notify>,
    ) -> Result<Dialed, AwayReason> {
        let attempt = async {
            match self.attempt(address, expect, ended, ProtocolVersion::RESP3).await {
                // Before Redis 6 there is no other protocol.
                Err(Failed::NoResp3) => {
                    self.attempt(address, expect, ended, ProtocolVersion::RESP2).await
                }
                other => other,
            }
        };
        match tokio::time::timeout(self.connect_timeout, attempt).await {
            Ok(Ok(dialed)) => Ok(dialed),
            Ok(Err(Failed::Away(reason))) => Err(reason),
            Ok(Err(Failed::NoResp3)) | Err(_) => Err(AwayReason::Silent),
        }
    }

    async fn attempt(
        &self,
        address: &Address,
        expect: Expect,
        ended: &Arc<Notify>,
        protocol: ProtocolVersion,
    ) -> Result<Dialed, Failed> {
        let mut dialed = match address {
            #[cfg(unix)]
            Address::Socket(path) => {
                let stream = tokio::net::UnixStream::connect(path).await.map_err(unreachable)?;
                self.greet(stream, ended, protocol).await?
            }
            #[cfg(not(unix))]
            Address::Socket(_) => {
                return Err(unreachable(std::io::ErrorKind::Unsupported.into()));
            }
            Address::Tcp(endpoint) => {
                let stream = connect_tcp(endpoint).await.map_err(unreachable)?;
                #[cfg(feature = "tls")]
                if let Some(encryption) = &self.encryption {
                    let stream = encryption.handshake(&endpoint.host, stream).await?;
                    let mut dialed = self.greet(stream, ended, protocol).await?;
                    ready(&mut dialed.connection, expect, protocol).await?;
                    return Ok(dialed);
                }
                self.greet(stream, ended, protocol).await?
            }
        };
        ready(&mut dialed.connection, expect, protocol).await?;
        Ok(dialed)
    }

    /// Says who we are.
    async fn greet<S>(
        &self,
        stream: S,
        ended: &Arc<Notify>,
        protocol: ProtocolVersion,
    ) -> Result<Dialed, Failed>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // What the library calls itself is of no use to operators and needs one more permission.
        let mut info = RedisConnectionInfo::default()
            .set_db(i64::from(self.database))
            .set_protocol(protocol)
            .set_skip_set_lib_name();
        if let Some(username) = &self.credentials.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.credentials.password {
            info = info.set_password(password.reveal());
        }
        // Deadlines are the callers' and ours; one more timer for each call would only cost time.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(self.queue);
        let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = made.map_err(|error| refused(&error))?;
        let ended = Arc::clone(ended);
        let driver = tokio::spawn(async move {
            driver.await;
            ended.notify_one();
        });
        Ok(Dialed { connection, driver })
    }
}

impl Dialed {
    /// Whether the connection has broken.
    pub(super) fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }
}

impl Drop for Dialed {
    fn drop(&mut self) {
        // Whatever still waits for a reply on this connection fails at once.
        self.driver.abort();
    }
}

/// Why an attempt failed.
pub(super) enum Failed {
    Away(AwayReason),
    NoResp3,
}

impl From<AwayReason> for Failed {
    fn from(reason: AwayReason) -> Self {
        Self::Away(reason)
    }
}

async fn connect_tcp(endpoint: &Endpoint) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((&*endpoint.host, endpoint.port)).await?;
    // Off by default, which delays small packets: and ours are all small.
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(stream)
}

fn unreachable(error: std::io::Error) -> Failed {
    Failed::Away(AwayReason::Unreachable { cause: Arc::from(error.to_string()) })
}

/// Why the server did not accept who we are.
fn refused(error: &RedisError) -> Failed {
    let detail = || -> Arc<str> { Arc::from(error.detail().unwrap_or_default()) };
    Failed::Away(match (error.kind(), error.code()) {
        (ErrorKind::RESP3NotSupported, _) | (_, Some("NOPROTO")) => return Failed::NoResp3,
        (_, Some("ERR")) if detail().starts_with("unknown command 'HELLO'") => {
            return Failed::NoResp3;
        }
        (ErrorKind::AuthenticationFailed, code) => {
            AwayReason::WrongCredentials { code: Arc::from(code.unwrap_or("WRONGPASS")) }
        }
        (_, Some(code)) => from_code(code, detail()),
        (_, None) => AwayReason::Lost { cause: Arc::from(error.to_string()) },
    })
}

/// What an error code means for the connection.
fn from_code(code: &str, detail: Arc<str>) -> AwayReason {
    match code {
        "LOADING" => AwayReason::Loading,
        "NOAUTH" | "WRONGPASS" => AwayReason::WrongCredentials { code: Arc::from(code) },
        "NOPERM" => AwayReason::NoPermission { detail },
        "READONLY" | "MASTERDOWN" => AwayReason::NotMaster,
        code => AwayReason::Refused { code: Arc::from(code), detail },
    }
}

/// Asks whether the server is ready for decisions: loaded, a master, and ours to run scripts on.
/// Needs no permission that decisions do not need as well.
async fn ready(
    connection: &mut MultiplexedConnection,
    expect: Expect,
    protocol: ProtocolVersion,
) -> Result<(), Failed> {
    if expect == Expect::Anything {
        return Ok(());
    }
    let mut questions = redis::pipe();
    // For operators who look at CLIENT LIST; the others are decisive.
    questions.cmd("CLIENT").arg("SETNAME").arg("rate-limit");
    // HELLO tells the role as well, and needs no permission beyond those for connecting.
    match protocol {
        ProtocolVersion::RESP3 => questions.cmd("HELLO").arg(3),
        _ => questions.cmd("ROLE"),
    };
    questions.cmd("PING");
    questions.cmd("EVALSHA").arg(NO_SCRIPT).arg(0);
    questions.cmd("EVAL").arg("return 1").arg(0);
    let replies = connection.send_packed_commands(&questions, 0, 5).await;
    let replies = replies.map_err(|error| refused(&error))?;
    let [_named, role, pong, no_script, one] = <[Value; 5]>::try_from(replies).map_err(|_| {
        AwayReason::Refused { code: Arc::from("ERR"), detail: Arc::from("too few replies") }
    })?;
    // Of several refusals the first one is told, and being busy loading causes others.
    for reply in [&pong, &role, &one] {
        if let Value::ServerError(error) = reply {
            let detail = Arc::from(error.details().unwrap_or_default());
            return Err(from_code(error.code(), detail).into());
        }
    }
    if let Value::ServerError(error) = &no_script
        && error.code() != "NOSCRIPT"
    {
        let detail = Arc::from(error.details().unwrap_or_default());
        return Err(from_code(error.code(), detail).into());
    }
    if !is_master(&role) {
        return Err(AwayReason::NotMaster.into());
    }
    Ok(())
}

/// Whether the reply to `HELLO` or `ROLE` comes from a master.
fn is_master(reply: &Value) -> bool {
    match reply {
        Value::Map(entries) => entries
            .iter()
            .find(|(name, _)| is_text(name, b"role"))
            .is_some_and(|(_, role)| is_text(role, b"master")),
        Value::Array(parts) => parts.first().is_some_and(|role| is_text(role, b"master")),
        _ => false,
    }
}

fn is_text(value: &Value, text: &[u8]) -> bool {
    match value {
        Value::BulkString(bytes) => bytes == text,
        Value::SimpleString(string) => string.as_bytes() == text,
        _ => false,
    }
}
