//! Where the layer stands among others: what the guide on the order of layers promises.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, Method, Request, StatusCode};
use rate_limit_tower::{
    ClientIdentity, EXPOSED_HEADERS, Key, MemoryRepository, RateLimitLayer, RateLimitPolicy, Rule,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;

use crate::support::{Answer, Connection};

const ORIGIN: &str = "https://app.example.com";

async fn server(app: Router) -> Connection {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Connection::open(address).await
}

fn limit(requests: u64) -> RateLimitLayer<MemoryRepository> {
    let policy = RateLimitPolicy::per_day(requests).fixed_window();
    RateLimitLayer::in_memory().per_ip(policy).build().unwrap()
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(ORIGIN))
        .allow_methods([Method::GET])
        .expose_headers(EXPOSED_HEADERS)
}

async fn ask(connection: &mut Connection) -> Answer {
    connection.ask_with("/", &[("origin", ORIGIN.to_owned())]).await
}

async fn preflight(connection: &mut Connection) -> Answer {
    let request = Request::options("/")
        .header("origin", ORIGIN)
        .header("access-control-request-method", "GET")
        .body("".into())
        .unwrap();
    connection.send(request).await
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

/// Layers that answer by themselves do it with an empty body of the kind that they pass on.
#[tokio::test]
async fn inside_of_layers_that_answer_by_themselves_in_one_service_builder() {
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(60));
    let layers = ServiceBuilder::new().layer(cors()).layer(timeout).layer(limit(1));
    let mut connection = server(hello().layer(layers)).await;
    let answer = preflight(&mut connection).await;
    assert_eq!(
        (answer.status.as_u16(), answer.field("access-control-allow-origin")),
        (200, ORIGIN)
    );
    let statuses = [ask(&mut connection).await, ask(&mut connection).await];
    assert_eq!(statuses.map(|answer| answer.status.as_u16()), [200, 429]);
}

#[tokio::test]
async fn inside_of_cors_preflights_are_not_metered_and_denials_can_be_read() {
    let mut connection = server(hello().layer(limit(1)).layer(cors())).await;
    for _ in 0..10 {
        let answer = preflight(&mut connection).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.field("access-control-allow-origin"), ORIGIN);
        assert!(!answer.has_all_limit_fields());
    }
    let passed = ask(&mut connection).await;
    assert_eq!((passed.status.as_u16(), passed.number("x-ratelimit-remaining")), (200, 0));
    let denied = ask(&mut connection).await;
    assert_eq!(denied.status, 429);
    for answer in [&passed, &denied] {
        assert_eq!(answer.field("access-control-allow-origin"), ORIGIN);
        let exposed = answer.field("access-control-expose-headers").to_lowercase();
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
        for name in answer.fields.keys().map(http::HeaderName::as_str) {
            let is_about_limits = name.contains("ratelimit") || name == "retry-after";
            assert!(!is_about_limits || exposed.contains(&name), "{name}: {exposed:?}");
        }
        assert!(exposed.contains(&"retry-after"));
    }
    assert_eq!(preflight(&mut connection).await.status, 200, "also without any quota left");
}

#[tokio::test]
async fn outside_of_cors_preflights_use_up_the_quota_and_denials_cannot_be_read() {
    let mut connection = server(hello().layer(cors()).layer(limit(1))).await;
    assert_eq!(preflight(&mut connection).await.status, 200);
    let denied = ask(&mut connection).await;
    assert_eq!(denied.status, 429);
    assert!(!denied.fields.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_layer_covers_unknown_paths_and_a_route_layer_does_not() {
    let mut connection = server(hello().layer(limit(1))).await;
    assert_eq!(connection.ask("/nowhere").await.status, 404);
    assert_eq!(connection.ask("/nowhere").await.status, 429);

    let mut connection = server(hello().route_layer(limit(1))).await;
    for _ in 0..10 {
        assert_eq!(connection.ask("/nowhere").await.status, 404);
    }
    // A known path with the wrong method is a route all the same.
    let post = || Request::post("/").body("".into()).unwrap();
    assert_eq!(connection.send(post()).await.status, 405);
    assert_eq!(connection.ask("/").await.status, 429);
}

#[tokio::test]
async fn a_route_that_is_added_after_the_layer_is_not_limited() {
    let app = hello().layer(limit(1)).route("/health", get(|| async { "ok" }));
    let mut connection = server(app).await;
    for _ in 0..10 {
        assert_eq!(connection.ask("/health").await.status, 200);
    }
    assert_eq!(connection.ask("/").await.status, 200);
    assert_eq!(connection.ask("/").await.status, 429);
}

/// Authentication between two limits: whoever names itself is known by that name.
fn between_two_limits() -> Router {
    let day = |limit| RateLimitPolicy::per_day(limit).fixed_window();
    let coarse = RateLimitLayer::in_memory().per_ip(day(4).named("address")).build().unwrap();
    let user = |user: &User| ClientIdentity::user(&user.0).ok();
    let rule = Rule::new("user").key(Key::extension(user)).policy(day(1));
    let per_user = RateLimitLayer::in_memory().rule(rule).build().unwrap();
    hello().layer(per_user).layer(from_fn(authenticate)).layer(coarse)
}

#[derive(Clone)]
struct User(String);

async fn authenticate(
    mut request: axum::extract::Request,
    next: Next,
) -> Result<Response, StatusCode> {
    let name = request.headers().get("authorization").ok_or(StatusCode::UNAUTHORIZED)?;
    let user = User(name.to_str().unwrap().to_owned());
    request.extensions_mut().insert(user);
    Ok(next.run(request).await)
}

#[tokio::test]
async fn the_outer_limit_also_counts_what_authentication_and_the_inner_limit_refuse() {
    let mut connection = server(between_two_limits()).await;
    let ada = [("authorization", "ada".to_owned())];
    let passed = connection.ask_with("/", &ada).await;
    assert_eq!(passed.status, 200);
    assert_eq!(passed.number("x-ratelimit-limit"), 1, "the closer one");
    assert_eq!(connection.ask("/").await.status, 401);
    let denied = connection.ask_with("/", &ada).await;
    assert_eq!((denied.violated(), denied.number("x-ratelimit-limit")), (vec!["user".into()], 1));
    let bob = [("authorization", "bob".to_owned())];
    assert_eq!(connection.ask_with("/", &bob).await.status, 200);
    let denied = connection.ask_with("/", &bob).await;
    assert_eq!(
        (denied.violated(), denied.number("x-ratelimit-limit")),
        (vec!["address".into()], 4)
    );
}
