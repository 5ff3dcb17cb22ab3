//! Starts real Redis servers for tests, examples and benchmarks, and breaks them on purpose.
//!
//! | what | type |
//! | --- | --- |
//! | one server: options, ACL users, password, Unix socket, TLS, clock | [`RedisServer`] |
//! | a master, two replicas, three Sentinels | [`SentinelBed`] |
//! | three masters with replicas, slots that move | [`ClusterBed`] |
//! | a network that delays, freezes, loses, resets, refuses | [`Proxy`] |
//! | certificates: good, expired, for another name | [`Certificates`] |
//! | waiting for a condition instead of for time to pass | [`until`] |
//!
//! Every server runs on ports of the loopback network that it holds for as long as it lives, keeps
//! its files in a folder of its own, and is ended by its process id when its owner is dropped, also
//! by a panic. If the whole test process is killed, a watchdog ends its servers.
//!
//! The program is `REDIS_SERVER_PROGRAM`, or else `redis-server` or `valkey-server` from `PATH`.
//! [`Program::installed`] lists all of them, so that a suite can run on each.
//!
//! # Example
//!
//! ```
//! use redis_testbed::RedisServer;
//!
//! let server = RedisServer::start()?;
//! server.command(&["SET", "answer", "42"])?;
//! // The same port and folder, but Redis was told to keep nothing on disk.
//! server.kill()?;
//! server.restart()?;
//! assert_eq!(server.command(&["GET", "answer"])?, redis::Value::Nil);
//! # Ok::<(), redis_testbed::TestbedError>(())
//! ```
//!
//! All calls block for the few milliseconds that a server takes. A server that is kept in a
//! `static` is never dropped; share it through an `Arc` instead.

mod clock;
pub mod cluster;
pub mod error;
pub mod port;
mod process;
pub mod program;
pub mod proxy;
pub mod sentinel;
pub mod server;
pub mod tls;
pub mod wait;

pub use cluster::ClusterBed;
pub use error::TestbedError;
pub use program::Program;
pub use proxy::Proxy;
pub use sentinel::SentinelBed;
pub use server::{RedisServer, ServerBuilder};
pub use tls::Certificates;
pub use wait::until;
