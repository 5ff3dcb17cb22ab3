//! Clients of the other modules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;

pub(crate) const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Every field by which a layer says anything about limits.
pub(crate) const LIMIT_FIELDS: [&str; 5] = [
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit-policy",
    "ratelimit",
];

/// One connection that is kept alive.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

/// A response that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(server: SocketAddr) -> Self {
        Self::open_from(LOCALHOST, server).await
    }

    /// Connects from the local address `source`.
    pub(crate) async fn open_from(source: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(IpAddr::V4(source), 0)).unwrap();
        let stream = socket.connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    pub(crate) async fn ask(&mut self, path: &str) -> Answer {
        self.ask_with(path, &[]).await
    }

    /// Sends a request with these fields over the same connection.
    pub(crate) async fn ask_with(&mut self, path: &str, fields: &[(&str, String)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in fields {
            request = request.header(*name, value);
        }
        self.send(request.body(Full::default()).unwrap()).await
    }

    /// Sends any request over the same connection.
    pub(crate) async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Answer {
        request.headers_mut().insert("host", HeaderValue::from_static("localhost"));
        self.sender.ready().await.unwrap();
        let (head, body) = self.sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, fields: head.headers, body }
    }
}

impl Answer {
    /// The field `name`, which is there once.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let values: Vec<_> = self.fields.get_all(name).iter().collect();
        let [value] = values.as_slice() else { panic!("{name}: {values:?}") };
        value.to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap()
    }

    pub(crate) fn has_all_limit_fields(&self) -> bool {
        LIMIT_FIELDS.iter().all(|name| self.fields.contains_key(*name))
    }

    /// The names of the policies that turned the request away, from the problem document.
    #[track_caller]
    pub(crate) fn violated(&self) -> Vec<String> {
        assert_eq!(self.status, 429);
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        serde_json::from_value(problem["violated-policies"].clone()).unwrap()
    }
}
