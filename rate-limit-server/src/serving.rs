//! Connections: how many, how patient, and how they end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use rate_limit_tower::PeerAddress;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_service::Service;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::clock;
use crate::patience::{Patient, Phase};
use crate::request_id::{REQUEST_ID, RequestIds};

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
    /// How long a connection may be idle.
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
    let connections = Connections { routes, ids: Arc::new(ids), builder: builder(bounds), bounds };
    let room = Arc::new(Semaphore::new(bounds.max_connections as usize));
    let graceful = GracefulShutdown::new();
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
                let connection = graceful.watch(connections.open(stream, peer));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        debug!("a connection ended: {error}");
                    }
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
    let open = graceful.count();
    info!(open, "stopping");
    tokio::select! {
        () = graceful.shutdown() => info!("stopped"),
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
    ) -> impl hyper_util::server::graceful::GracefulConnection<Error: std::fmt::Display> + use<>
    {
        // Answers are short, and nobody should wait for more of them. It only costs time if not.
        let _ = stream.set_nodelay(true);
        let (routes, ids) = (self.routes.clone(), Arc::clone(&self.ids));
        let phase = Phase::default();
        let stream = Patient::new(stream, phase.clone(), self.bounds.head_timeout);
        let service = service_fn(move |mut request: Request<Incoming>| {
            phase.begins(request.version());
            let phase = phase.clone();
            let id = ids.of(request.headers());
            let span = info_span!("request", request_id = id.to_str().unwrap_or_default());
            request.extensions_mut().insert(PeerAddress(peer));
            // A router is always ready.
            let answer = routes.clone().call(request);
            let answer = async move {
                let mut response = answer.await?;
                phase.ends();
                response.headers_mut().insert(&REQUEST_ID, id);
                Ok::<_, std::convert::Infallible>(response)
            };
            answer.instrument(span)
        });
        self.builder.serve_connection(TokioIo::new(stream), service).into_owned()
    }
}

fn builder(bounds: Bounds) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.idle_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(bounds.idle_timeout)
        .keep_alive_timeout(bounds.head_timeout);
    builder
}
