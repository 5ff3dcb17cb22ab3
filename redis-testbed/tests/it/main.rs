//! The testbed itself: what it starts, stops and breaks, and that it leaves nothing behind.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests"
)]

mod cluster;
mod network;
mod sentinel;
mod server;
mod tls;

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Counts, and hears nothing for a while. The connection is left to that, as what hears nothing
/// knows no end; it ends with the other side.
fn counts_unheard(mut connection: redis::Connection) -> bool {
    let (sender, answer) = channel();
    thread::spawn(move || {
        let _ = sender.send(redis::cmd("INCR").arg("count").query::<u64>(&mut connection));
    });
    answer.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout)
}
