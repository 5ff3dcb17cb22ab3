//! Many streams of one HTTP/2 connection (C03).

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rate_limit_tower::{PeerAddress, RateLimitLayer, RateLimitPolicy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt, service_fn};

async fn server() -> SocketAddr {
    let policy = RateLimitPolicy::per_day(10).fixed_window();
    let layer = RateLimitLayer::in_memory().per_ip(policy).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let service = service.clone().map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(PeerAddress(peer));
                request
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(1_000)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            tokio::spawn(connection);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn of_250_streams_at_once_exactly_10_pass() {
    let stream = TcpStream::connect(server().await).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_max_send_streams(1_000)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut streams = JoinSet::new();
    for _ in 0..250 {
        let mut sender = sender.clone();
        streams.spawn(async move {
            let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, body)
        });
    }
    let answers = streams.join_all().await;
    let passed = answers.iter().filter(|answer| **answer == (200, "hello".into())).count();
    let denied = answers.iter().filter(|(status, _)| *status == 429).count();
    assert_eq!((passed, denied), (10, 240));
}
