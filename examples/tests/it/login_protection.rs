//! Sign-ins of which only failures count.

use http::Request;

use crate::process::Example;
use crate::support::{Answer, Connection};

async fn sign_in(connection: &mut Connection, password: &str) -> Answer {
    let form = format!("user=ada&password={password}");
    let request = Request::post("/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.into())
        .unwrap();
    connection.send(request).await
}

#[tokio::test]
async fn twenty_successes_pass_and_the_sixth_failure_does_not() {
    let example = Example::start("login_protection");
    let mut connection = Connection::open(example.address).await;
    for _ in 0..20 {
        let answer = sign_in(&mut connection, "difference").await;
        assert_eq!((answer.status.as_u16(), &*answer.body), (200, &b"Welcome, ada!\n"[..]));
        assert_eq!(answer.number("x-ratelimit-remaining"), 4, "the unit is given back afterwards");
    }
    for left in (0..5).rev() {
        let answer = sign_in(&mut connection, "guess").await;
        assert_eq!((answer.status.as_u16(), answer.number("x-ratelimit-remaining")), (401, left));
    }
    let denied = sign_in(&mut connection, "guess").await;
    assert_eq!(denied.violated(), ["login"]);
    assert!((1..=60).contains(&denied.number("retry-after")));
    // Nobody looks at the password, so the answer does not tell whether it is right.
    assert_eq!(sign_in(&mut connection, "difference").await.status, 429);
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_no_failure() {
    let example = Example::start("login_protection");
    let mut connection = Connection::open(example.address).await;
    for _ in 0..10 {
        let request = Request::post("/login").body("user=ada".into()).unwrap();
        assert_eq!(connection.send(request).await.status, 415);
    }
    assert_eq!(sign_in(&mut connection, "difference").await.status, 200);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_failures_of_one_address_are_not_those_of_another() {
    let example = Example::start("login_protection");
    let mut guesser = Connection::open(example.address).await;
    for _ in 0..5 {
        assert_eq!(sign_in(&mut guesser, "guess").await.status, 401);
    }
    assert_eq!(sign_in(&mut guesser, "guess").await.status, 429);
    let source = std::net::Ipv4Addr::new(127, 0, 0, 2);
    let mut owner = Connection::open_from(source, example.address).await;
    assert_eq!(sign_in(&mut owner, "difference").await.status, 200);
}
