//! A network between a client and a server that can be made slow, deaf, mute or absent.
//!
//! It runs on a thread of its own, so it neither needs nor disturbs the runtime of a test.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

use crate::error::TestbedError;
use crate::port::ReservedPort;

mod pump;

/// A TCP proxy in front of one server. All connections end when it is dropped.
///
/// # Example: replies that get lost
///
/// ```
/// use std::time::Duration;
///
/// use redis_testbed::{Proxy, RedisServer, proxy::Replies, until};
///
/// let server = RedisServer::start()?;
/// let proxy = Proxy::start(server.address())?;
/// let client = redis::Client::open(format!("redis://{}", proxy.address()))?;
/// let mut connection = client.get_connection()?;
///
/// proxy.set_replies(Replies::Drop);
/// connection.set_read_timeout(Some(Duration::from_millis(50)))?;
/// assert!(redis::cmd("INCR").arg("count").exec(&mut connection).is_err());
/// // The command runs all the same.
/// let one = redis::Value::BulkString(b"1".into());
/// until("it has run", Duration::from_secs(30), || {
///     server.command(&["GET", "count"]).is_ok_and(|count| count == one)
/// })?;
/// # Ok::<(), redis_testbed::TestbedError>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    port: ReservedPort,
    control: watch::Sender<Control>,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What happens to the bytes of the server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replies {
    /// They arrive.
    #[default]
    Pass,
    /// They arrive, that much later.
    Delay(Duration),
    /// They never arrive. Connections stay open, requests reach the server.
    Drop,
}

/// The state of the network, which every connection watches.
#[derive(Clone, Copy, Debug)]
struct Control {
    replies: Replies,
    doors: Doors,
    /// Connections with a smaller number are frozen: open, but nothing passes in either direction.
    frozen_below: u64,
    /// Connections with a smaller number have been reset.
    reset_below: u64,
}

/// What happens to new connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doors {
    Open,
    /// Nobody listens.
    Closed,
    /// Somebody accepts and is never heard of again.
    BlackHole,
}

#[derive(Debug)]
struct Shared {
    accepted: AtomicU64,
    /// Whether the listener has followed the last word about doors.
    listening: watch::Sender<bool>,
}

impl Proxy {
    /// Starts a proxy that passes everything on to `server`.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub fn start(server: SocketAddr) -> Result<Self, TestbedError> {
        let failed = "cannot start the proxy";
        let port = ReservedPort::reserve()?;
        let (control, watched) = watch::channel(Control {
            replies: Replies::Pass,
            doors: Doors::Open,
            frozen_below: 0,
            reset_below: 0,
        });
        let shared =
            Arc::new(Shared { accepted: AtomicU64::new(0), listening: watch::Sender::new(false) });
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(TestbedError::system(failed))?;
        let work = accept(port.address(), server, watched, shared.clone());
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = work => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(TestbedError::system(failed))?;
        let proxy = Self { port, control, shared, stop: Some(stop), thread: Some(thread) };
        proxy.await_listening(true)?;
        Ok(proxy)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The URL for the default user without a password.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// How many connections were ever accepted.
    pub fn accepted(&self) -> u64 {
        // Relaxed, because the number guards no memory.
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// What happens to replies from now on, on all connections.
    pub fn set_replies(&self, replies: Replies) {
        self.control.send_modify(|control| control.replies = replies);
    }

    /// Freezes the present connections for ever: they stay open, but nothing passes any more, as
    /// if the other machine had lost its power. New ones are not concerned.
    pub fn freeze_existing(&self) {
        let number = self.accepted();
        self.control.send_modify(|control| control.frozen_below = number);
    }

    /// Resets the present connections (`RST`). New ones are not concerned.
    pub fn reset_existing(&self) {
        let number = self.accepted();
        self.control.send_modify(|control| control.reset_below = number);
    }

    /// Resets the present connections and refuses new ones, as if the server had ended. Returns
    /// when nobody listens any more.
    ///
    /// # Errors
    ///
    /// If the proxy's thread has ended.
    pub fn refuse(&self) -> Result<(), TestbedError> {
        self.control.send_modify(|control| control.doors = Doors::Closed);
        self.await_listening(false)?;
        // A process that this one is just starting has a copy of the socket until it becomes another
        // program, and for so long the system accepts connections all the same.
        crate::wait::until("the proxy's port refuses", Duration::from_secs(30), || {
            std::net::TcpStream::connect(self.address())
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        })?;
        self.reset_existing();
        Ok(())
    }

    /// Freezes the present connections and lets new ones vanish as well: they are accepted, and
    /// nobody ever answers.
    ///
    /// # Errors
    ///
    /// If the proxy's thread has ended.
    pub fn black_hole(&self) -> Result<(), TestbedError> {
        self.control.send_modify(|control| control.doors = Doors::BlackHole);
        self.await_listening(true)?;
        self.freeze_existing();
        Ok(())
    }

    /// Accepts connections again and passes replies on. Frozen connections stay frozen.
    ///
    /// # Errors
    ///
    /// If the proxy's thread has ended.
    pub fn heal(&self) -> Result<(), TestbedError> {
        self.control.send_modify(|control| {
            control.replies = Replies::Pass;
            control.doors = Doors::Open;
        });
        self.await_listening(true)
    }

    fn await_listening(&self, expected: bool) -> Result<(), TestbedError> {
        crate::wait::until("the proxy opens or closes its port", Duration::from_secs(30), || {
            *self.shared.listening.borrow() == expected
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Listens while the doors are open, and gives every connection a task.
async fn accept(
    at: SocketAddr,
    server: SocketAddr,
    mut control: watch::Receiver<Control>,
    shared: Arc<Shared>,
) {
    loop {
        let doors = control.borrow_and_update().doors;
        if doors == Doors::Closed {
            shared.listening.send_replace(false);
            if control.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Ok(listener) = listen(at) else {
            // The last connections of a listener that has just been closed may linger.
            tokio::task::yield_now().await;
            continue;
        };
        shared.listening.send_replace(true);
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((client, _)) = accepted {
                        // Relaxed, because the number guards no memory.
                        let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
                        tokio::spawn(serve(number, client, server, control.clone()));
                    }
                }
                changed = control.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if control.borrow_and_update().doors == Doors::Closed {
                        break;
                    }
                }
            }
        }
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(1_024)
}

async fn serve(
    number: u64,
    client: TcpStream,
    server: SocketAddr,
    mut control: watch::Receiver<Control>,
) {
    if control.borrow_and_update().doors == Doors::BlackHole {
        // Held open until it is reset or the proxy ends.
        pump::hold(number, &client, &mut control).await;
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        // As if the server itself had refused.
        let _ = client.set_zero_linger();
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    pump::run(number, client, server, control).await;
}
