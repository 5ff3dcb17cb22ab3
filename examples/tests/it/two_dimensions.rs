//! Limits per card and per address.

use http::Request;

use crate::process::Example;
use crate::support::{Answer, Connection};

async fn tap(connection: &mut Connection, card: &str) -> Answer {
    let request = Request::post("/tap").header("x-card", card).body("".into()).unwrap();
    connection.send(request).await
}

#[tokio::test]
async fn the_501st_tap_of_a_card_and_the_601st_of_an_address() {
    let example = Example::start("two_dimensions");
    let mut connection = Connection::open(example.address).await;
    for _ in 0..500 {
        assert_eq!(tap(&mut connection, "1111").await.status, 200);
    }
    // Each of these denials would take a tap from the address if it charged anything.
    for _ in 0..50 {
        assert_eq!(tap(&mut connection, "1111").await.violated(), ["card"]);
    }
    for _ in 0..100 {
        assert_eq!(tap(&mut connection, "2222").await.status, 200);
    }
    // And each of these one from the card.
    for _ in 0..50 {
        assert_eq!(tap(&mut connection, "2222").await.violated(), ["ip"]);
    }
    assert_eq!(tap(&mut connection, "1111").await.violated(), ["card", "ip"]);

    #[cfg(target_os = "linux")]
    {
        let source = std::net::Ipv4Addr::new(127, 0, 0, 2);
        let mut elsewhere = Connection::open_from(source, example.address).await;
        assert_eq!(tap(&mut elsewhere, "1111").await.violated(), ["card"]);
        let answer = tap(&mut elsewhere, "2222").await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-remaining")), (200, 399));
    }
}

#[tokio::test]
async fn both_policies_are_in_the_headers_and_can_be_scaled_down() {
    let variables = [("CARD_PER_DAY", "3"), ("IP_PER_DAY", "4")];
    let example = Example::start_with("two_dimensions", &variables);
    let mut connection = Connection::open(example.address).await;
    let first = tap(&mut connection, "1111").await;
    assert_eq!(first.field("ratelimit-policy"), r#""card";q=3;w=86400, "ip";q=4;w=86400"#);
    assert_eq!(tap(&mut connection, "1111").await.status, 200);
    assert_eq!(tap(&mut connection, "1111").await.status, 200);
    assert_eq!(tap(&mut connection, "1111").await.violated(), ["card"]);
    assert_eq!(tap(&mut connection, "2222").await.status, 200);
    assert_eq!(tap(&mut connection, "2222").await.violated(), ["ip"]);
}

#[tokio::test]
async fn without_a_card_there_is_no_tap() {
    let example = Example::start("two_dimensions");
    let mut connection = Connection::open(example.address).await;
    let request = Request::post("/tap").body("".into()).unwrap();
    assert_eq!(connection.send(request).await.status, 400);
}
