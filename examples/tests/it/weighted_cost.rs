//! Requests that cost what their handlers report.

use crate::process::Example;
use crate::support::Connection;

async fn left(connection: &mut Connection) -> u64 {
    let answer = connection.ask("/quota").await;
    assert_eq!(answer.status, 200);
    answer.number("x-ratelimit-remaining")
}

#[tokio::test]
async fn a_search_costs_what_the_handler_reports() {
    let example = Example::start("weighted_cost");
    let mut connection = Connection::open(example.address).await;
    assert_eq!(left(&mut connection).await, 1_000, "asking costs nothing");

    let cheap = connection.ask("/search?rows=3").await;
    assert_eq!(cheap.status, 200);
    assert_eq!(cheap.number("x-ratelimit-remaining"), 900, "the reservation");
    assert_eq!(left(&mut connection).await, 997);

    assert_eq!(connection.ask("/search?rows=400").await.status, 200);
    assert_eq!(left(&mut connection).await, 597);

    assert_eq!(connection.ask("/search?rows=550").await.status, 200);
    assert_eq!(left(&mut connection).await, 47);
    let denied = connection.ask("/search?rows=1").await;
    assert_eq!(denied.violated(), ["search"], "47 units do not cover the reservation");
    assert_eq!(left(&mut connection).await, 47, "a denial takes nothing");
}

#[tokio::test]
async fn more_than_there_is_leaves_nothing() {
    let example = Example::start("weighted_cost");
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/search?rows=1000000").await.status, 200);
    assert_eq!(left(&mut connection).await, 0);
}

#[tokio::test]
async fn without_a_report_the_reservation_stands() {
    let example = Example::start("weighted_cost");
    let mut connection = Connection::open(example.address).await;
    assert_eq!(connection.ask("/search?rows=many").await.status, 400);
    assert_eq!(left(&mut connection).await, 900);
}
