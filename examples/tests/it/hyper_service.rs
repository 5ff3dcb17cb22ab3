//! The program that uses hyper alone.

use crate::process::Example;
use crate::support::Connection;

#[tokio::test]
async fn ten_requests_pass_over_whatever_connections() {
    let example = Example::start("hyper_service");
    for left in (0..10).rev() {
        let mut connection = Connection::open(example.address).await;
        let answer = connection.ask("/").await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-remaining")), (200, left));
    }
    let mut connection = Connection::open(example.address).await;
    let denied = connection.ask("/").await;
    assert_eq!(denied.violated(), ["default"]);
    assert!((1..=6).contains(&denied.number("retry-after")));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn another_address_has_its_own_limit() {
    let example = Example::start("hyper_service");
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/").await.number("x-ratelimit-remaining"), 9);
    let source = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let mut other = Connection::open_from(source, example.address).await;
    assert_eq!(other.ask("/").await.number("x-ratelimit-remaining"), 9);
}
