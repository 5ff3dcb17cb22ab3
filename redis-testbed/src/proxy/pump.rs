//! Carries the bytes of one connection, as the network allows at the moment.

use std::future;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::{Control, Replies};

/// Until one side ends, or the connection is reset.
pub(super) async fn run(
    number: u64,
    mut client: TcpStream,
    mut server: TcpStream,
    control: watch::Receiver<Control>,
) {
    let mut watched = control.clone();
    let end = {
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        tokio::select! {
            () = requests(number, client_reads, server_writes, control.clone()) => End::Closed,
            () = replies(number, server_reads, client_writes, control) => End::Closed,
            () = reset(number, &mut watched) => End::Reset,
        }
    };
    if end == End::Reset {
        // A close that does not linger is a reset.
        let _ = client.set_zero_linger();
    }
}

#[derive(Eq, PartialEq)]
enum End {
    Closed,
    Reset,
}

/// Keeps a connection that leads nowhere, until it is reset.
pub(super) async fn hold(number: u64, client: &TcpStream, control: &mut watch::Receiver<Control>) {
    reset(number, control).await;
    let _ = client.set_zero_linger();
}

async fn requests(
    number: u64,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    control: watch::Receiver<Control>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let frozen = control.borrow().frozen_below > number;
        if frozen {
            return future::pending().await;
        }
        let Some(bytes) = buffer.get(..count) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Reading goes on while earlier bytes are still late, so that a delay delays and does not slow.
async fn replies(
    number: u64,
    mut from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    control: watch::Receiver<Control>,
) {
    let (late, queue) = mpsc::unbounded_channel();
    let reading = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let now = *control.borrow();
            if now.frozen_below > number {
                return future::pending().await;
            }
            let due = match now.replies {
                Replies::Pass => Instant::now(),
                Replies::Delay(delay) => Instant::now() + delay,
                Replies::Drop => continue,
            };
            let bytes = buffer.get(..count).unwrap_or_default().to_vec();
            if late.send((due, bytes)).is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = deliver(number, to, queue, control.clone()) => {}
    }
}

/// Bytes never overtake each other: what is due earlier but was sent later waits.
async fn deliver(
    number: u64,
    mut to: WriteHalf<'_>,
    mut queue: mpsc::UnboundedReceiver<(Instant, Vec<u8>)>,
    control: watch::Receiver<Control>,
) {
    while let Some((due, bytes)) = queue.recv().await {
        if due > Instant::now() {
            sleep_until(due).await;
        }
        let frozen = control.borrow().frozen_below > number;
        if frozen {
            return future::pending().await;
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn reset(number: u64, control: &mut watch::Receiver<Control>) {
    // An error means that the proxy has gone, and its connections with it.
    let _ = control.wait_for(|control| control.reset_below > number).await;
}
