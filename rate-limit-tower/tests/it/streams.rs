//! Many streams on one connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rate_limit_core::ManualClock;
use rate_limit_tower::{PeerAddress, RateLimitLayer, RateLimitPolicy};
use tower::{Layer, Service, service_fn};

use crate::support::store;

const STREAMS: usize = 10_000;
const AT_A_TIME: usize = 100;

/// Streams that are opened and given up count like any other, and leave nothing behind.
#[tokio::test]
async fn streams_that_are_reset_are_counted_and_leak_nothing() {
    let clock = ManualClock::new();
    let store = Arc::new(store(&clock));
    let layer = RateLimitLayer::builder(store.clone())
        .without_fallback()
        .clock(clock.clone())
        .per_ip(RateLimitPolicy::per_day(20_000).fixed_window())
        .build()
        .unwrap();
    let working = Arc::new(AtomicUsize::new(0));
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = {
        let (working, calls) = (working.clone(), calls.clone());
        service_fn(move |request: Request<Incoming>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let guard = Working::new(working.clone());
            async move {
                if request.uri().path() == "/stall" {
                    std::future::pending::<()>().await;
                }
                drop(guard);
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"done"))))
            }
        })
    };
    let limited = layer.layer(handler);

    let (near, far) = tokio::io::duplex(1 << 20);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddress(([192, 0, 2, 1], 1).into()));
        limited.clone().call(request)
    });
    // A server of default settings takes a flood of resets for an attack and closes the connection,
    // which would test hyper instead of the layer.
    let server = tokio::spawn(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(None)
            .max_pending_accept_reset_streams(STREAMS)
            .max_local_error_reset_streams(None)
            .serve_connection(TokioIo::new(far), service),
    );
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);

    let send = |path: &str| Request::get(format!("http://host{path}")).body(Empty::<Bytes>::new());
    for round in 1..=STREAMS / AT_A_TIME {
        let mut streams = Vec::new();
        for _ in 0..AT_A_TIME {
            client.ready().await.unwrap();
            streams.push(client.send_request(send("/stall").unwrap()));
        }
        // A stream is reset only once it has begun, so that each of them is seen.
        while calls.load(Ordering::SeqCst) < round * AT_A_TIME {
            tokio::task::yield_now().await;
        }
        drop(streams);
        while working.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    }
    client.ready().await.unwrap();
    let response = client.send_request(send("/").unwrap()).await.unwrap();
    let remaining = response.headers()["x-ratelimit-remaining"].to_str().unwrap().to_owned();
    assert_eq!(remaining, (20_000 - STREAMS - 1).to_string(), "each was counted once");
    assert_eq!(store.stats().taken, 1);

    drop((response, client));
    connection.await.unwrap().unwrap();
    let _ = server.await.unwrap();
    drop(layer);
    assert_eq!(Arc::strong_count(&store), 1, "nobody holds the store");
}

/// Counts how many handlers are at work.
struct Working(Arc<AtomicUsize>);

impl Working {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
