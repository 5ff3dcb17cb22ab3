//! The examples and the layer over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// Many connections from many addresses at once.
#[cfg(target_os = "linux")]
mod addresses;
/// Many streams of one HTTP/2 connection.
mod http2;
/// A server without a web framework.
mod plain_hyper;
/// The program a newcomer runs first.
mod quickstart;
/// Clients of the other modules.
mod support;
