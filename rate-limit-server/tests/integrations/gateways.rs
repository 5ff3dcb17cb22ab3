//! A site behind Envoy, Traefik and Caddy, which ask the service: their files of `deploy/` and
//! `deploy/limits.toml`, with other addresses and nothing else changed.
//!
//! Linux answers on all of 127.0.0.0/8, so clients have addresses of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use tokio::net::TcpListener;

use crate::gateway::{Gateway, Kind};
use crate::server::{Files, Server};
use crate::support::{Answer, Connection, LIMIT_FIELDS};

const ALICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const MALLORY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// What `deploy/limits.toml` says: per minute and address.
const LIMIT: usize = 10;

/// A rule that no request of these tests is for but those that post.
const POSTS: &str = r#"
[[rule]]
name = "posts"
methods = ["POST"]
paths = "/form"
host = "localhost"
key = "api_key"
limit = { limit = 1, window = "1h", algorithm = "fixed_window" }
[[block]]
networks = ["127.0.0.4"]
"#;

/// The site, behind a gateway, behind the service.
struct Site {
    gateway: Gateway,
    service: Server,
    visits: Arc<AtomicUsize>,
    _rules: Files,
}

impl Site {
    async fn start(kind: Kind) -> Self {
        let rules = Files::new();
        let text = format!("{}\n{POSTS}", crate::file("deploy/limits.toml"));
        let service = Server::start(&["--config", &rules.write("limits.toml", &text)]);
        let visits = Arc::new(AtomicUsize::new(0));
        let pages = pages(Arc::clone(&visits)).await;
        let gateway = Gateway::start(kind, service.address, pages).await;
        visits.store(0, Ordering::Relaxed);
        Self { gateway, service, visits, _rules: rules }
    }

    async fn visitor(&self, from: Ipv4Addr) -> Connection {
        Connection::open_from(from, self.gateway.address).await
    }

    async fn ask(&self, from: Ipv4Addr, path: &str) -> Answer {
        self.visitor(from).await.ask(path).await
    }

    /// How many of so many requests pass, each claiming to be somebody else, for something else.
    async fn passing(&self, from: Ipv4Addr, count: u32) -> usize {
        let mut visitor = self.visitor(from).await;
        let mut passed = 0;
        for number in 0..count {
            let forged = Ipv4Addr::from(number.wrapping_mul(2_654_435_761));
            let claims = [
                ("x-forwarded-for", forged.to_string()),
                ("forwarded", format!("for={forged}")),
                ("x-real-ip", forged.to_string()),
                ("x-original-uri", format!("/{number}")),
                ("x-original-method", "HEAD".to_owned()),
                ("x-forwarded-uri", format!("/{number}")),
                ("x-forwarded-method", "HEAD".to_owned()),
                ("x-forwarded-host", forged.to_string()),
                ("x-service-token", "guessed".to_owned()),
            ];
            // A query is no word to the service.
            let answer = visitor.ask_with(&format!("/?denied=401&{number}"), &claims).await;
            assert!([200, 429].contains(&answer.status.as_u16()), "{}", answer.status);
            passed += usize::from(answer.status == 200);
        }
        passed
    }
}

/// Says what it was asked, and what the gateway told it of a limit.
async fn pages(visits: Arc<AtomicUsize>) -> SocketAddr {
    let page = move |method: Method, uri: Uri, fields: HeaderMap, body: Bytes| {
        visits.fetch_add(1, Ordering::Relaxed);
        let told =
            fields.get("x-ratelimit-remaining").map_or("nothing", |told| told.to_str().unwrap());
        let page = format!("{method} {uri} {} {told}", body.len());
        async move { page }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(page)).await });
    address
}

fn post(key: &str, body: &'static str) -> Request<Full<Bytes>> {
    let request = Request::post("/form?a=b").header("x-api-key", key);
    request.body(Full::from(body)).unwrap()
}

async fn ten_per_minute_and_address_hold_exactly(kind: Kind) {
    let site = Site::start(kind).await;
    assert_eq!(site.passing(ALICE, 200).await, LIMIT);
    assert_eq!(site.passing(BOB, 50).await, LIMIT, "others have their own");
    assert_eq!(site.passing(ALICE, 10).await, 0, "whatever they claim to be");
    assert_eq!(site.visits.load(Ordering::Relaxed), 2 * LIMIT, "the site sees those who pass");
}

/// A denial is whole with each of them.
async fn what_the_service_says_reaches_the_client(kind: Kind) {
    let site = Site::start(kind).await;
    let mut alice = site.visitor(ALICE).await;
    for left in (0..LIMIT).rev() {
        let page = alice.ask("/page?of=site").await;
        assert_eq!(page.status, 200);
        let told = if kind == Kind::Traefik { left.to_string() } else { "nothing".to_owned() };
        assert_eq!(page.body, format!("GET /page?of=site 0 {told}"));
        if kind == Kind::Traefik {
            // It has no way to do better.
            assert!(!LIMIT_FIELDS.iter().any(|name| page.fields.contains_key(*name)));
        } else {
            assert!(page.has_all_limit_fields(), "{:?}", page.fields);
            assert_eq!(page.number("x-ratelimit-limit"), LIMIT as u64);
            assert_eq!(page.number("x-ratelimit-remaining"), left as u64);
            assert_eq!(page.field("ratelimit-policy"), "\"site\";q=10;w=60");
        }
    }
    let denied = alice.ask("/page?of=site").await;
    assert_eq!(denied.violated(), ["site"]);
    assert!(denied.has_all_limit_fields(), "{:?}", denied.fields);
    assert!((1..=60).contains(&denied.number("retry-after")));
    assert_eq!(denied.field("content-type"), "application/problem+json");
    assert_eq!(denied.field("cache-control"), "no-store");

    let blocked = site.ask(MALLORY, "/").await;
    assert_eq!(blocked.status, 403);
    assert!(!blocked.fields.contains_key("x-ratelimit-limit"), "{:?}", blocked.fields);
}

/// The rules see the request as the client made it, and the site gets it whole.
async fn method_path_host_and_key_are_those_of_the_client(kind: Kind) {
    let site = Site::start(kind).await;
    let mut visitor = site.visitor(ALICE).await;
    let first = visitor.send(post("key of alice", "some body")).await;
    let told = if kind == Kind::Traefik { "0" } else { "nothing" };
    assert_eq!(first.body, format!("POST /form?a=b 9 {told}"));
    assert_eq!(visitor.send(post("key of alice", "some body")).await.violated(), ["posts"]);
    assert_eq!(visitor.send(post("key of bob", "")).await.status, 200);
    assert_eq!(
        visitor.ask_with("/form", &[("x-api-key", "key of alice".to_owned())]).await.status,
        200
    );
}

/// What the files promise, and that the limit is back with the service.
async fn without_the_service_the_gateway_answers(kind: Kind, status: u16) {
    let mut site = Site::start(kind).await;
    assert_eq!(site.ask(ALICE, "/").await.status, 200);
    site.visits.store(0, Ordering::Relaxed);
    let address = site.service.address.to_string();
    let rules = site._rules.path("limits.toml");
    site.service.signal("KILL");
    crate::server::until("the service is gone", || {
        std::net::TcpStream::connect(&*address).is_err()
    });
    let mut visitor = site.visitor(ALICE).await;
    for _ in 0..20 {
        assert_eq!(visitor.ask("/").await.status, status);
    }
    assert_eq!(site.visits.load(Ordering::Relaxed), 0);
    site.service = Server::start(&["--config", rules.to_str().unwrap(), "--listen", &address]);
    assert_eq!(site.passing(ALICE, 20).await, LIMIT);
}

/// A service that is there and says nothing is worse than one that is gone.
async fn a_service_that_hangs_is_not_waited_for(kind: Kind, status: u16) {
    let site = Site::start(kind).await;
    site.service.signal("STOP");
    assert_eq!(site.ask(ALICE, "/").await.status, status);
    site.service.signal("CONT");
}

#[tokio::test]
async fn envoy_holds_ten_per_minute_and_address_exactly() {
    ten_per_minute_and_address_hold_exactly(Kind::Envoy).await;
}

#[tokio::test]
async fn traefik_holds_ten_per_minute_and_address_exactly() {
    ten_per_minute_and_address_hold_exactly(Kind::Traefik).await;
}

#[tokio::test]
async fn caddy_holds_ten_per_minute_and_address_exactly() {
    ten_per_minute_and_address_hold_exactly(Kind::Caddy).await;
}

#[tokio::test]
async fn envoy_hands_over_what_the_service_says() {
    what_the_service_says_reaches_the_client(Kind::Envoy).await;
}

#[tokio::test]
async fn traefik_hands_over_denials() {
    what_the_service_says_reaches_the_client(Kind::Traefik).await;
}

#[tokio::test]
async fn caddy_hands_over_what_the_service_says() {
    what_the_service_says_reaches_the_client(Kind::Caddy).await;
}

#[tokio::test]
async fn envoy_asks_for_what_the_client_asked() {
    method_path_host_and_key_are_those_of_the_client(Kind::Envoy).await;
}

#[tokio::test]
async fn traefik_asks_for_what_the_client_asked() {
    method_path_host_and_key_are_those_of_the_client(Kind::Traefik).await;
}

#[tokio::test]
async fn caddy_asks_for_what_the_client_asked() {
    method_path_host_and_key_are_those_of_the_client(Kind::Caddy).await;
}

#[tokio::test]
async fn envoy_answers_503_without_the_service() {
    without_the_service_the_gateway_answers(Kind::Envoy, 503).await;
}

#[tokio::test]
async fn traefik_answers_500_without_the_service() {
    without_the_service_the_gateway_answers(Kind::Traefik, 500).await;
}

#[tokio::test]
async fn caddy_answers_502_without_the_service() {
    without_the_service_the_gateway_answers(Kind::Caddy, 502).await;
}

#[tokio::test]
async fn envoy_answers_503_for_a_service_that_hangs() {
    a_service_that_hangs_is_not_waited_for(Kind::Envoy, 503).await;
}

#[tokio::test]
async fn caddy_answers_504_for_a_service_that_hangs() {
    a_service_that_hangs_is_not_waited_for(Kind::Caddy, 504).await;
}
