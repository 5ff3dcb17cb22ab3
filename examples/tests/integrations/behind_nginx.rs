//! Whose buckets are charged behind one nginx, and behind two.
//!
//! Linux answers on all of 127.0.0.0/8, so clients and proxies have addresses of their own. Every
//! bucket takes ten requests a day, so that nothing comes back while the tests run.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;

use axum::Router;
use axum::routing::get;
use rate_limit_tower::{
    ClientAddress, ForwardingHeader, RateLimitLayer, RateLimitPolicy, TrustedProxies,
};
use tokio::net::TcpListener;

use crate::nginx::Nginx;
use crate::support::Connection;

const ALICE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const BOB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// From where the nginx that clients talk to connects.
const OUTER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// From where the nginx in front of the application connects.
const INNER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 12);

const LIMIT: usize = 10;

async fn application(client_address: ClientAddress) -> SocketAddr {
    let policy = RateLimitPolicy::per_day(10).fixed_window();
    let limit =
        RateLimitLayer::in_memory().client_address(client_address).per_ip(policy).build().unwrap();
    let app = Router::new().route("/", get(|| async { "hello" })).layer(limit);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn x_forwarded_for(trusted: TrustedProxies) -> ClientAddress {
    ClientAddress::forwarded(ForwardingHeader::XForwardedFor, trusted)
}

fn proxies(addresses: &[Ipv4Addr]) -> TrustedProxies {
    TrustedProxies::parse(addresses.iter().map(Ipv4Addr::to_string)).unwrap()
}

fn two_hops() -> TrustedProxies {
    TrustedProxies::parse_hops(NonZeroU8::new(2).unwrap(), [INNER.to_string()]).unwrap()
}

/// An nginx that connects to `upstream` from the address `source`. It appends to `X-Forwarded-For` and
/// to `Forwarded`, and overwrites `X-Real-IP`.
async fn forwarding(source: Ipv4Addr, upstream: SocketAddr) -> Nginx {
    Nginx::start(|listen| {
        format!(
            r#"
    server {{
        listen {listen};
        keepalive_requests 100000;
        location / {{
            proxy_pass http://{upstream};
            proxy_bind {source};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header Forwarded "$http_forwarded, for=\"$remote_addr:$remote_port\"";
        }}
    }}
"#
        )
    })
    .await
}

/// How many of `count` requests from `source` pass, each claiming to come from somebody else in
/// every way that a client can think of.
async fn passing(source: Ipv4Addr, server: SocketAddr, count: u32) -> usize {
    let mut connection = Connection::open_from(source, server).await;
    let mut passed = 0;
    for number in 0..count {
        // Neighbouring numbers make wholly different addresses.
        let forged = Ipv4Addr::from(number.wrapping_mul(2_654_435_761));
        let claims = [
            ("x-forwarded-for", format!("{forged}, 10.0.0.{}", number % 256)),
            ("forwarded", format!("for={forged}, for=\"{forged}")),
            ("x-real-ip", forged.to_string()),
            // A second line, which some proxies forget.
            ("x-forwarded-for", forged.to_string()),
        ];
        let answer = connection.ask_with("/", &claims).await;
        assert!(answer.status == 200 || answer.status == 429, "{}", answer.status);
        passed += usize::from(answer.status == 200);
    }
    passed
}

#[tokio::test]
async fn a_thousand_forged_hops_share_one_bucket() {
    let app = application(x_forwarded_for(proxies(&[OUTER]))).await;
    let nginx = forwarding(OUTER, app).await;
    assert_eq!(passing(ALICE, nginx.address, 1_000).await, LIMIT);
    assert_eq!(passing(BOB, nginx.address, 50).await, LIMIT, "others have their own");
}

#[tokio::test]
async fn a_thousand_forged_elements_of_forwarded_share_one_bucket() {
    let address = ClientAddress::forwarded(ForwardingHeader::Forwarded, proxies(&[OUTER]));
    let nginx = forwarding(OUTER, application(address).await).await;
    assert_eq!(passing(ALICE, nginx.address, 1_000).await, LIMIT);
    assert_eq!(passing(BOB, nginx.address, 50).await, LIMIT);
}

#[tokio::test]
async fn a_header_that_nginx_overwrites_cannot_be_forged() {
    let header = ForwardingHeader::single("X-Real-IP").unwrap();
    let address = ClientAddress::forwarded(header, proxies(&[OUTER]));
    let nginx = forwarding(OUTER, application(address).await).await;
    assert_eq!(passing(ALICE, nginx.address, 100).await, LIMIT);
    assert_eq!(passing(BOB, nginx.address, 50).await, LIMIT);
}

#[tokio::test]
async fn two_in_a_row_are_crossed_by_their_networks() {
    let app = application(x_forwarded_for(proxies(&[OUTER, INNER]))).await;
    let inner = forwarding(INNER, app).await;
    let outer = forwarding(OUTER, inner.address).await;
    assert_eq!(passing(ALICE, outer.address, 200).await, LIMIT);
    assert_eq!(passing(BOB, outer.address, 50).await, LIMIT);
    // Whoever goes around the outer one is still the same client.
    assert_eq!(passing(ALICE, inner.address, 50).await, 0);
}

#[tokio::test]
async fn two_in_a_row_are_crossed_by_their_number() {
    let inner = forwarding(INNER, application(x_forwarded_for(two_hops())).await).await;
    let outer = forwarding(OUTER, inner.address).await;
    assert_eq!(passing(ALICE, outer.address, 200).await, LIMIT);
    assert_eq!(passing(BOB, outer.address, 50).await, LIMIT);
}

/// What a wrong setting looks like: with one proxy of two trusted, the other one is the client.
#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_the_client_of_the_one_that_is() {
    let app = application(x_forwarded_for(proxies(&[INNER]))).await;
    let inner = forwarding(INNER, app).await;
    let outer = forwarding(OUTER, inner.address).await;
    assert_eq!(passing(ALICE, outer.address, 50).await, LIMIT);
    assert_eq!(passing(BOB, outer.address, 50).await, 0, "they share the bucket of the proxy");
}

#[tokio::test]
async fn who_goes_around_the_proxy_is_believed_nothing() {
    let app = application(x_forwarded_for(proxies(&[OUTER]))).await;
    let nginx = forwarding(OUTER, app).await;
    assert_eq!(passing(ALICE, app, 1_000).await, LIMIT);
    assert_eq!(passing(ALICE, nginx.address, 50).await, 0, "it is the same client");
    assert_eq!(passing(BOB, nginx.address, 50).await, LIMIT);
}

/// Nothing is left behind: neither the process nor its port.
#[tokio::test]
async fn nginx_ends_with_its_test() {
    let app = application(ClientAddress::peer()).await;
    let nginx = forwarding(OUTER, app).await;
    let (address, id) = (nginx.address, nginx.id());
    assert!(std::path::Path::new(&format!("/proc/{id}")).exists());
    drop(nginx);
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    assert!(TcpListener::bind(address).await.is_ok(), "the port is free again");
}
