//! The life of one connection, and its end.

use std::fmt::Display;
use std::pin::pin;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tracing::debug;

use crate::activity::Activity;
use crate::serving::Bounds;

/// Why a connection is told to end.
enum Farewell {
    /// Nothing was under way for too long.
    Idle,
    /// The server stops, which has a deadline of its own.
    Stopping,
}

/// Serves a connection until it ends, has been idle for too long, or the server stops. In the last two
/// cases what is under way is answered first.
///
/// Idle means that no request is under way. Whoever connects and says nothing is idle, and so is an
/// HTTP/2 client that only acknowledges pings: otherwise either could keep the place of somebody else
/// for ever.
pub(crate) async fn attend<C>(
    connection: C,
    activity: Activity,
    bounds: Bounds,
    mut stopping: watch::Receiver<()>,
) where
    C: GracefulConnection<Error: Display>,
{
    let mut connection = pin!(connection);
    // The connection is asked first, so that a request that has arrived in time counts.
    let farewell = tokio::select! {
        biased;
        ended = connection.as_mut() => return tell(ended),
        _ = stopping.changed() => Farewell::Stopping,
        () = activity.idle_for(bounds.idle_timeout) => Farewell::Idle,
    };
    connection.as_mut().graceful_shutdown();
    match farewell {
        Farewell::Stopping => tell(connection.await),
        // HTTP/2 waits for the client to acknowledge that, and to take its answers. It may do neither.
        Farewell::Idle => tokio::select! {
            biased;
            ended = connection => tell(ended),
            () = activity.idle_for(bounds.head_timeout) => {
                debug!("a connection that had to end did not");
            }
        },
    }
}

fn tell(ended: Result<(), impl Display>) {
    if let Err(error) = ended {
        debug!("a connection ended: {error}");
    }
}
