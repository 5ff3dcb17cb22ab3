//! A static page behind nginx, which asks the service: `deploy/nginx/rate-limit.conf` and
//! `deploy/limits.toml`, with other addresses and nothing else changed.
//!
//! Linux answers on all of 127.0.0.0/8, so clients have addresses of their own.

#![allow(clippy::disallowed_methods, reason = "nginx and the service live by the real clock")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::client::Client;
use crate::nginx::Nginx;
use crate::replaced;
use crate::server::{Files, Server};
use crate::support::{Answer, Connection};

const ALICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const MALLORY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

/// What both files of `deploy/` say: per minute and address.
const LIMIT: usize = 10;

const PAGE: &str = "a page that nobody had to compute\n";

/// What nginx does while the service is away.
#[derive(Clone, Copy)]
enum Away {
    AsDelivered,
    FailOpen,
    FailClosed,
}

/// The site, behind nginx, behind the service.
struct Site {
    nginx: Nginx,
    _pages: TempDir,
}

impl Site {
    async fn start(service: SocketAddr, away: Away) -> Self {
        let pages = tempfile::tempdir().unwrap();
        std::fs::write(pages.path().join("index.html"), PAGE).unwrap();
        let root = pages.path().to_str().unwrap().to_owned();
        let text = crate::file("deploy/nginx/rate-limit.conf");
        let line = "500 502 503 504 = @away;";
        let text = match away {
            Away::AsDelivered => text,
            Away::FailOpen => replaced(&text, line, "500 502 503 504 = @fail_open;"),
            Away::FailClosed => replaced(&text, line, "500 502 503 504 = @fail_closed;"),
        };
        let text = replaced(&text, "127.0.0.1:8080", &service.to_string());
        let text = replaced(&text, "/var/www/html", &root);
        let servers =
            |listen: SocketAddr| replaced(&text, "listen 8088", &format!("listen {listen}"));
        Self { nginx: Nginx::start(servers).await, _pages: pages }
    }

    async fn visitor(&self, from: Ipv4Addr) -> Connection {
        Connection::open_from(from, self.nginx.address).await
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
                ("x-original-uri", format!("/{number}")),
                ("x-original-method", "HEAD".to_owned()),
                ("x-forwarded-uri", format!("/{number}")),
                ("x-forwarded-method", "HEAD".to_owned()),
                ("x-forwarded-host", forged.to_string()),
                ("x-service-token", "guessed".to_owned()),
            ];
            let answer = visitor.ask_with(&format!("/?{number}"), &claims).await;
            match answer.status.as_u16() {
                200 => assert_eq!(answer.body, PAGE),
                429 | 503 => assert_ne!(answer.body, PAGE),
                other => panic!("{other}"),
            }
            passed += usize::from(answer.status == 200);
        }
        passed
    }

    async fn ask(&self, from: Ipv4Addr, path: &str) -> Answer {
        self.visitor(from).await.ask(path).await
    }
}

/// The service with the rules of `deploy/`, and these besides.
fn service(more: &str, listen: &str) -> (Server, Files) {
    let files = Files::new();
    let rules = format!("{}\n{more}", crate::file("deploy/limits.toml"));
    let rules = files.write("limits.toml", &rules);
    (Server::start(&["--config", &rules, "--listen", listen]), files)
}

const ANYWHERE: &str = "127.0.0.1:0";

#[tokio::test]
async fn ten_per_minute_and_address_hold_exactly() {
    let (service, _files) = service("", ANYWHERE);
    let site = Site::start(service.address, Away::AsDelivered).await;
    assert_eq!(site.passing(ALICE, 200).await, LIMIT);
    assert_eq!(site.passing(BOB, 50).await, LIMIT, "others have their own");
    assert_eq!(site.passing(ALICE, 10).await, 0, "whatever they claim to be");
}

#[tokio::test]
async fn what_the_service_says_reaches_the_client() {
    let (service, _files) = service("", ANYWHERE);
    let site = Site::start(service.address, Away::AsDelivered).await;
    let mut alice = site.visitor(ALICE).await;
    for left in (0..LIMIT).rev() {
        let page = alice.ask("/").await;
        assert_eq!(page.status, 200);
        assert!(page.has_all_limit_fields(), "{:?}", page.fields);
        assert_eq!(page.number("x-ratelimit-limit"), LIMIT as u64);
        assert_eq!(page.number("x-ratelimit-remaining"), left as u64);
        assert_eq!(page.field("ratelimit-policy"), "\"site\";q=10;w=60");
        assert!(!page.fields.contains_key("retry-after"));
        assert_eq!(page.body, PAGE);
    }
    let denied = alice.ask("/").await;
    assert_eq!(denied.status, 429);
    assert!(denied.has_all_limit_fields(), "{:?}", denied.fields);
    assert_eq!(denied.number("x-ratelimit-remaining"), 0);
    assert!((1..=60).contains(&denied.number("retry-after")));
    assert_eq!(
        denied.field("ratelimit"),
        format!("\"site\";r=0;t={}", denied.field("retry-after"))
    );
    assert_eq!(denied.field("content-type"), "application/problem+json");
    assert_eq!(denied.field("cache-control"), "no-store");
    let problem: serde_json::Value = serde_json::from_slice(&denied.body).unwrap();
    assert_eq!(problem["status"], 429);
    // What is missing costs as much as what is there.
    assert_eq!(alice.ask("/missing").await.status, 429);
}

#[tokio::test]
async fn a_blocked_client_is_forbidden() {
    let (service, _files) = service("[[block]]\nnetworks = [\"127.0.0.4\"]\n", ANYWHERE);
    let site = Site::start(service.address, Away::AsDelivered).await;
    let blocked = site.ask(MALLORY, "/").await;
    assert_eq!(blocked.status, 403);
    assert!(!blocked.fields.contains_key("x-ratelimit-limit"));
    assert_eq!(site.ask(ALICE, "/").await.status, 200);
}

/// As the head of the file promises: nginx counts by itself, and answers 503 beyond.
#[tokio::test]
async fn without_the_service_nginx_counts_by_itself_until_it_is_back() {
    let (running, _files) = service("", ANYWHERE);
    let address = running.address;
    let site = Site::start(address, Away::AsDelivered).await;
    assert_eq!(site.passing(ALICE, 20).await, LIMIT);
    running.kill();

    let begun = Instant::now();
    let passed = site.passing(BOB, 100).await;
    let returned = begun.elapsed().as_secs() as usize / 6;
    assert!((LIMIT..=LIMIT + returned).contains(&passed), "{passed}");
    let beyond = site.ask(BOB, "/").await;
    assert_eq!(beyond.status, 503);
    assert!(!beyond.fields.contains_key("x-ratelimit-limit"), "{:?}", beyond.fields);

    let (_running, _rules) = service("", &address.to_string());
    let page = site.ask(BOB, "/").await;
    assert_eq!((page.status.as_u16(), page.number("x-ratelimit-remaining")), (200, 9));
}

#[tokio::test]
async fn without_the_service_everybody_passes_if_so_chosen() {
    let (service, _files) = service("", ANYWHERE);
    let site = Site::start(service.address, Away::FailOpen).await;
    assert_eq!(site.passing(ALICE, 20).await, LIMIT, "while it is there, it decides");
    service.kill();
    assert_eq!(site.passing(ALICE, 50).await, 50);
}

#[tokio::test]
async fn without_the_service_nobody_passes_if_so_chosen() {
    let (service, _files) = service("", ANYWHERE);
    let site = Site::start(service.address, Away::FailClosed).await;
    assert_eq!(site.passing(ALICE, 5).await, 5);
    service.kill();
    assert_eq!(site.passing(ALICE, 50).await, 0);
}

/// A service that is there and says nothing is worse than one that is gone.
#[tokio::test]
async fn nobody_waits_long_for_a_service_that_hangs() {
    let (service, _files) = service("", ANYWHERE);
    let site = Site::start(service.address, Away::AsDelivered).await;
    service.signal("STOP");
    let begun = Instant::now();
    let page = site.ask(ALICE, "/").await;
    assert_eq!(page.status, 200);
    // 250 ms by the file; the rest is for a machine that does other things too.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    service.signal("CONT");
}

/// What a client writes decides nothing about whether it is blocked.
#[tokio::test]
async fn nothing_that_a_client_writes_is_a_way_around_the_service() {
    let (service, _files) = service("[[block]]\nnetworks = [\"127.0.0.4\"]\n", ANYWHERE);
    let site = Site::start(service.address, Away::AsDelivered).await;
    let ask = |head: String| refused(site.nginx.address, head);
    for stray in
        ["\"", "<", ">", "`", "^", "\\", "{", "|", "}", "\u{e9}", "%ff", "#", ";", ":", "?"]
    {
        for target in [format!("/{stray}"), format!("/?{stray}")] {
            let status = ask(format!("GET {target} HTTP/1.1\r\nhost: a")).await;
            assert_eq!(status, 403, "{target}");
        }
    }
    // More than the service reads, of each kind: long fields, many fields, a long target.
    let large = |name: usize| format!("\r\nx-large-{name}: {}", "x".repeat(7_000));
    let fields: [String; 2] =
        [(0..3).map(large).collect(), (0..200).map(|n| format!("\r\nx-{n}: a")).collect()];
    for fields in fields {
        assert_eq!(ask(format!("GET / HTTP/1.1\r\nhost: a{fields}")).await, 431);
    }
    let (target, large) = ("x".repeat(7_900), "x".repeat(7_900));
    let line =
        format!("GET /?{target} HTTP/1.1\r\nhost: a\r\nx-large: {large}\r\nx-larger: {large}");
    assert_eq!(ask(line).await, 431);
    // A cookie is not read by the service, so it may be as large as nginx likes it.
    let cookies: String = (0..3).map(|_| format!("\r\ncookie: {}", "x".repeat(7_000))).collect();
    assert_eq!(ask(format!("GET / HTTP/1.1\r\nhost: a{cookies}")).await, 403);
}

/// The status of the answer to a request of the blocked client, with nobody in between who would
/// refuse to send it.
async fn refused(nginx: SocketAddr, head: String) -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(MALLORY.into(), 0)).unwrap();
    let stream = socket.connect(nginx).await.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    let mut client = Client::over(stream);
    client.send_raw(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes());
    client.answer().expect("an answer").status
}
