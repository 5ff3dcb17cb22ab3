//! Connections: how many, how patient, and how they end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulConnection;
use rate_limit_tower::PeerAddress;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service;
use tracing::{Instrument, info, info_span, warn};

use crate::activity::Activity;
use crate::patience::Patient;
use crate::request_id::{REQUEST_ID, RequestIds};
use crate::{clock, connection};

/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Requests that are under way at once on one connection.
const MAX_STREAMS: u32 = 128;

/// How long is waited when no connection can be accepted, such as for want of file descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_connections: u32,
    /// How long the head of a request may take.
    pub(crate) head_timeout: Duration,
    /// How long a connection may be idle, and may take nothing of its answers.
    pub(crate) idle_timeout: Duration,
    /// How long requests may take to end once the server is told to stop.
    pub(crate) grace: Duration,
}

/// Serves until `stop` completes, and then ends what is under way.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    ids: RequestIds,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    let connections = Connections { routes, ids: Arc::new(ids), builder: builder(), bounds };
    let room = Arc::new(Semaphore::new(bounds.max_connections as usize));
    // Every connection holds a receiver until it has ended.
    let (stopping, _) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let next = async {
            // Who finds no room waits in the queue of the operating system.
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let activity = Activity::new();
                let opened = connections.open(stream, peer, activity.clone());
                let served = connection::attend(opened, activity, bounds, stopping.subscribe());
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!("no connection can be accepted: {error}");
                clock::wait(ACCEPT_AGAIN).await;
            }
        }
    }
    // Nobody is kept waiting for an answer that will not come.
    drop(listener);
    let open = stopping.receiver_count();
    info!(open, "stopping");
    // It fails only if nobody is connected.
    let _ = stopping.send(());
    tokio::select! {
        () = stopping.closed() => info!("stopped"),
        () = clock::wait(bounds.grace) => warn!("stopped before all requests had ended"),
    }
}

struct Connections {
    routes: Router,
    ids: Arc<RequestIds>,
    builder: Builder<TokioExecutor>,
    bounds: Bounds,
}

impl Connections {
    fn open(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        activity: Activity,
    ) -> impl GracefulConnection<Error: std::fmt::Display> + use<> {
        // Answers are short, and nobody should wait for more of them. It only costs time if not.
        let _ = stream.set_nodelay(true);
        let (routes, ids) = (self.routes.clone(), Arc::clone(&self.ids));
        let Bounds { head_timeout, idle_timeout, .. } = self.bounds;
        let stream = Patient::new(stream, activity.clone(), head_timeout, idle_timeout);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let under_way = activity.begins();
            let id = ids.of(request.headers());
            let span = info_span!("request", request_id = id.to_str().unwrap_or_default());
            request.extensions_mut().insert(PeerAddress(peer));
            // A router is always ready.
            let answer = routes.clone().call(request);
            let answer = async move {
                let mut response = answer.await?;
                drop(under_way);
                response.headers_mut().insert(&REQUEST_ID, id);
                Ok::<_, std::convert::Infallible>(response)
            };
            answer.instrument(span)
        });
        self.builder.serve_connection(TokioIo::new(stream), service).into_owned()
    }
}

/// The bounds of the protocols. Deadlines are those of [`Patient`] and [`connection::attend`], which
/// hold in every state of a connection, also before its protocol is known.
fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32);
    builder
}
