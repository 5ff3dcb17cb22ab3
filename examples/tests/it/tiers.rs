//! Clients with different limits.

use http::Request;

use crate::process::Example;
use crate::support::{Answer, Connection};

async fn ask_as_ada(connection: &mut Connection) -> Answer {
    connection.ask_with("/", &[("authorization", "Bearer ada".to_owned())]).await
}

#[tokio::test]
async fn every_tier_has_its_own_limit() {
    let example = Example::start("tiers");
    let mut connection = Connection::open(example.address).await;
    for left in (0..5).rev() {
        let answer = connection.ask("/").await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-limit")), (200, 5));
        assert_eq!(answer.number("x-ratelimit-remaining"), left);
    }
    assert_eq!(connection.ask("/").await.violated(), ["api"]);
    // From the same address, but known by name.
    for left in (0..20).rev() {
        let answer = ask_as_ada(&mut connection).await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-limit")), (200, 20));
        assert_eq!(answer.number("x-ratelimit-remaining"), left);
    }
    assert_eq!(ask_as_ada(&mut connection).await.violated(), ["api"]);
}

#[tokio::test]
async fn another_tier_keeps_what_was_used() {
    let example = Example::start("tiers");
    let mut connection = Connection::open(example.address).await;
    for _ in 0..20 {
        assert_eq!(ask_as_ada(&mut connection).await.status, 200);
    }
    assert_eq!(ask_as_ada(&mut connection).await.status, 429);
    let upgrade = Request::post("/upgrade").body("".into()).unwrap();
    assert_eq!(connection.send(upgrade).await.status, 200);
    for left in (0..180).rev() {
        let answer = ask_as_ada(&mut connection).await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-limit")), (200, 200));
        assert_eq!(answer.number("x-ratelimit-remaining"), left);
    }
    assert_eq!(ask_as_ada(&mut connection).await.status, 429);
}

#[tokio::test]
async fn made_up_tokens_get_no_buckets() {
    let example = Example::start("tiers");
    let mut connection = Connection::open(example.address).await;
    for n in 0..50 {
        let answer = connection.ask_with("/", &[("authorization", format!("Bearer {n}"))]).await;
        assert_eq!(answer.status, 401);
        assert!(!answer.has_all_limit_fields());
    }
}
