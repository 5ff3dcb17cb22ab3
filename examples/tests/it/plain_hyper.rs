//! A server without a web framework.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rate_limit_tower::{PeerAddress, RateLimitLayer, RateLimitPolicy};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

use crate::support::Connection;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}

async fn server() -> SocketAddr {
    let policy = RateLimitPolicy::per_day(2).fixed_window();
    let layer = RateLimitLayer::in_memory().per_ip(policy).build().unwrap();
    let limited = layer.layer(tower::service_fn(hello));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let limited = limited.clone();
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddress(peer));
                limited.clone().oneshot(request)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    address
}

#[tokio::test]
async fn the_layer_needs_no_web_framework() {
    let server = server().await;
    let mut connection = Connection::open(server).await;
    let answer = connection.ask("/").await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, b"hello".as_ref()));
    assert!(answer.has_all_limit_fields());
    // A new connection of the same client is still the same client.
    let mut connection = Connection::open(server).await;
    assert_eq!(connection.ask("/").await.status, 200);
    let denied = connection.ask("/").await;
    assert_eq!(denied.status, 429);
    assert_eq!(denied.number("content-length"), denied.body.len() as u64);
    assert!(denied.number("retry-after") > 80_000);
}
