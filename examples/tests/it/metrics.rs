//! What Prometheus reads.

use crate::process::Example;
use crate::support::Connection;

/// The value of a series that counts requests.
async fn requests(connection: &mut Connection, outcome: &str) -> u64 {
    let labels = format!(r#"rule="hello",policy="per-address",outcome="{outcome}""#);
    value(connection, &format!("rate_limit_requests_total{{{labels}}}")).await
}

async fn value(connection: &mut Connection, series: &str) -> u64 {
    let answer = connection.ask("/metrics").await;
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.unwrap_or_else(|| panic!("{series} is not in {text}")).trim().parse().unwrap()
}

#[tokio::test]
async fn counters_grow_with_what_is_decided() {
    let example = Example::start("metrics");
    let mut connection = Connection::open(example.address).await;
    assert_eq!(requests(&mut connection, "allowed").await, 0, "it is there from the beginning");
    let (mut passed, mut denied) = (0, 0);
    // Units come back while the test runs, so it is counted what has really happened.
    for _ in 0..20 {
        match connection.ask("/").await.status.as_u16() {
            200 => passed += 1,
            429 => denied += 1,
            status => panic!("{status}"),
        }
    }
    assert!(passed >= 5 && denied > 0);
    assert_eq!(requests(&mut connection, "allowed").await, passed);
    assert_eq!(requests(&mut connection, "denied").await, denied);
    let exceeded = r#"rate_limit_exceeded_total{rule="hello",policy="per-address"}"#;
    assert_eq!(value(&mut connection, exceeded).await, denied);
}

#[tokio::test]
async fn metrics_are_not_limited() {
    let example = Example::start("metrics");
    let mut connection = Connection::open(example.address).await;
    for _ in 0..50 {
        requests(&mut connection, "allowed").await;
    }
    assert_eq!(requests(&mut connection, "denied").await, 0);
}
