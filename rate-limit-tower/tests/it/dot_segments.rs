//! Paths with dot segments, which rules resolve and routers take for names.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Path;
use axum::routing::get as on_get;
use rate_limit_core::ManualClock;
use rate_limit_tower::{Key, RateLimitLayer, RateLimitPolicy, RateLimitPolicyBuilder, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::Layer;

use crate::support::{Probe, Store, call_now, get, limit, members, statuses_of};

fn per_day(limit: u64) -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(limit).fixed_window()
}

fn two_routes() -> RateLimitLayer<Store> {
    limit(&ManualClock::new())
        .rule(Rule::new("compute").path_prefix("/compute").policy(per_day(2)))
        .rule(Rule::new("user").path("/users/{id}").policy(per_day(1)))
        .rule(Rule::unmatched().policy(per_day(1_000)))
        .build()
        .unwrap()
}

/// The answer to a request whose target nobody has tidied up.
async fn send(server: SocketAddr, target: &str) -> String {
    let mut connection = TcpStream::connect(server).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// P01: what reaches the handler is counted in its bucket, whatever the target looks like.
#[tokio::test]
async fn a_handler_of_axum_is_not_reached_uncounted() {
    let app = Router::new()
        .route("/compute/{*job}", on_get(async |Path(job): Path<String>| format!("ran {job}")))
        .route("/users/{id}", on_get(async |Path(id): Path<String>| format!("read {id}")))
        .layer(two_routes());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service).await
    });
    let mut ran = 0;
    for target in ["/compute/../1", "/compute/%2e%2E/2", "/compute/a/../../../3", "/compute/./4"] {
        ran += u32::from(send(address, target).await.contains("ran "));
    }
    let mut read = 0;
    for target in ["/users/..", "/users/.", "/users/%2e%2e", "/users/%2E", "/users/7"] {
        read += u32::from(send(address, target).await.contains("read "));
    }
    server.abort();
    assert_eq!((ran, read), (2, 1));
}

#[test]
fn the_rules_for_both_forms_apply_together_and_one_for_both_once() {
    let mut service = two_routes().layer(Probe::default());
    let response = call_now(&mut service, get("/compute/../users/7")).unwrap();
    let mut policies = members(response.headers(), "ratelimit-policy");
    policies.sort();
    assert_eq!(policies.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["compute", "user"]);
    // All or nothing: the user's bucket is empty, so none is taken from the other one.
    assert_eq!(
        statuses_of(&mut service, ["/compute/../users/7", "/compute/b/../a"].map(get)),
        [429, 200]
    );
    assert_eq!(statuses_of(&mut service, [get("/compute/a")]), [429], "twice, each counted once");
}

#[test]
fn an_exemption_has_to_hold_for_both_forms_and_a_block_for_one() {
    let by_layer = |rule| limit(&ManualClock::new()).rule(rule);
    let everything = || Rule::new("all").path_prefix("/").policy(per_day(1));
    let layers = [
        by_layer(everything())
            .exempt(|request| request.path().starts_with("/health"))
            .block(|request| request.path().starts_with("/admin")),
        by_layer(
            everything()
                .exempt(|request| request.path().starts_with("/health"))
                .block(|request| request.path().starts_with("/admin")),
        ),
    ];
    for layer in layers {
        let mut service = layer.build().unwrap().layer(Probe::default());
        let targets = [
            "/a/../health",
            "/a/../health",
            "/health/../a",
            "/health/./a",
            "/a/../admin",
            "/admin/../a",
        ];
        let expected = [200, 429, 429, 200, 403, 403];
        assert_eq!(statuses_of(&mut service, targets.map(get)), expected);
    }
}

#[test]
fn the_dearer_form_is_charged() {
    let cost = |dear: &'static str| {
        move |request: &rate_limit_tower::RequestView<'_>| {
            if request.path().starts_with(dear) { 5 } else { 1 }
        }
    };
    for dear in ["/a", "/b"] {
        let rule = Rule::new("all").key(Key::global()).policy(per_day(5)).cost_from(cost(dear));
        let layer = limit(&ManualClock::new()).rule(rule).build().unwrap();
        let statuses = statuses_of(&mut layer.layer(Probe::default()), [get("/a/../b"), get("/c")]);
        assert_eq!(statuses, [200, 429]);
    }
}
