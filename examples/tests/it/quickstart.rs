//! The program a newcomer runs first, as a process of its own.

use std::net::TcpListener;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::process::{Example, binary};
use crate::support::{Connection, LIMIT_FIELDS};

const NAME: &str = "axum_quickstart";

#[allow(clippy::disallowed_methods, reason = "the example runs by the real clock")]
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::disallowed_methods, reason = "the example runs by the real clock")]
fn epoch_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Units that came back since `start`.
fn refilled(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis() * 100 / 60_000).unwrap()
}

#[tokio::test]
async fn one_hundred_per_minute_and_then_429() {
    let example = Example::start(NAME);
    let mut connection = Connection::open(example.address).await;
    let (start, start_seconds) = (now(), epoch_seconds());
    let mut passed = 0;
    // The bucket refills while the test runs, so it may take a few more than 101 requests.
    let denied = loop {
        let answer = connection.ask("/").await;
        assert!(answer.has_all_limit_fields(), "{:?}", answer.fields);
        if answer.status != 200 {
            break answer;
        }
        assert_eq!(answer.field("x-ratelimit-limit"), "100");
        assert_eq!(answer.field("ratelimit-policy"), r#""default";q=100;w=60"#);
        assert!(answer.number("x-ratelimit-remaining") < 100);
        assert!(!answer.fields.contains_key("retry-after"));
        passed += 1;
        assert!(passed < 1_000, "there is a limit");
    };
    assert!((100..=100 + refilled(start)).contains(&passed), "{passed} passed");

    assert_eq!(denied.status, 429);
    assert_eq!(denied.field("content-type"), "application/problem+json");
    assert_eq!(denied.field("cache-control"), "no-store");
    let wait = denied.number("retry-after");
    assert_eq!(wait, 1, "a unit comes back every 600 milliseconds");
    // The response was made between these seconds; the instant is rounded up.
    let reset_at = start_seconds + wait..=epoch_seconds() + wait + 1;
    assert!(reset_at.contains(&denied.number("x-ratelimit-reset")), "{reset_at:?}");
    let problem: serde_json::Value = serde_json::from_slice(&denied.body).unwrap();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["status"], 429);
    assert_eq!(problem["violated-policies"], json!(["default"]));
    assert_eq!(problem["retry_after"], wait);
}

#[tokio::test]
async fn forged_headers_change_nothing() {
    let example = Example::start(NAME);
    let mut connection = Connection::open(example.address).await;
    let start = now();
    let mut passed = 0;
    for n in 0..300 {
        let forged = [
            ("x-forwarded-for", format!("203.0.113.{}", n % 256)),
            ("forwarded", format!("for=198.51.100.{}", n % 256)),
            ("x-real-ip", format!("10.0.{}.{}", n / 256, n % 256)),
            ("true-client-ip", format!("2001:db8:{n:x}::1")),
            ("cf-connecting-ip", format!("192.0.2.{}", n % 256)),
        ];
        passed += u64::from(connection.ask_with("/", &forged).await.status == 200);
    }
    assert!((100..=100 + refilled(start)).contains(&passed), "{passed} passed");
}

#[tokio::test]
async fn a_failing_handler_is_counted_and_health_is_not() {
    let example = Example::start(NAME);
    let mut connection = Connection::open(example.address).await;
    let boom = connection.ask("/boom").await;
    assert_eq!(boom.status, 500);
    assert!(boom.has_all_limit_fields());
    assert_eq!(boom.field("x-ratelimit-remaining"), "99");
    for _ in 0..150 {
        let health = connection.ask("/health").await;
        assert_eq!((health.status.as_u16(), health.body.as_ref()), (200, b"ok\n".as_ref()));
        assert!(LIMIT_FIELDS.iter().all(|name| !health.fields.contains_key(*name)));
    }
    assert_eq!(connection.ask("/nowhere").await.status, 404);
}

#[test]
fn it_prints_what_to_type_next() {
    let mut example = Example::start(NAME);
    let line = format!("curl -i http://{}/\n", example.address);
    let printed = example.printed_up_to("for i in");
    assert!(printed.contains(&line), "{printed}");
}

#[test]
fn a_port_that_is_taken_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(binary(NAME)).env("ADDR", &address).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&address) && error.contains("ADDR"), "{error}");
    assert!(output.stdout.is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_stops_it_gracefully() {
    let mut example = Example::start(NAME);
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/").await.status, 200);
    let process = example.process.id().to_string();
    assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    assert!(example.process.wait().unwrap().success());
}
