//! The same through the layer: which bucket a request is charged to, and what is said aloud.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use rate_limit_core::ManualClock;
use rate_limit_memory::MemoryRepository;
use rate_limit_tower::{
    ClientAddress, ForwardingHeader, Key, PeerAddress, RateLimitLayer, RateLimitLayerBuilder,
    RateLimitPolicy, RateLimitPolicyBuilder, Rule, TrustedProxies,
};
use tower::{Layer, Service};

use crate::support::{PROXY, STRANGER, behind, behind_hops};

fn ten() -> RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(10).fixed_window()
}

fn builder() -> RateLimitLayerBuilder<MemoryRepository<ManualClock>> {
    let clock = ManualClock::new();
    let store = MemoryRepository::builder().clock(clock.clone()).build().unwrap();
    RateLimitLayer::builder(store).without_fallback().clock(clock)
}

fn ten_per_ip(address: ClientAddress) -> RateLimitLayer<MemoryRepository<ManualClock>> {
    builder().client_address(address).per_ip(ten()).build().unwrap()
}

/// How many requests pass, each with the fields that `fields` makes for its number.
fn passing(
    layer: &RateLimitLayer<MemoryRepository<ManualClock>>,
    peer: Option<&str>,
    count: u32,
    fields: impl Fn(u32) -> Vec<(&'static str, String)>,
) -> usize {
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::from("inner")))
    });
    let mut service = layer.layer(inner);
    let cx = &mut Context::from_waker(Waker::noop());
    let passes = |number: &u32| {
        let mut request = Request::new(());
        for (name, value) in fields(*number) {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        if let Some(peer) = peer {
            let peer = SocketAddr::new(peer.parse().unwrap(), 50_000);
            request.extensions_mut().insert(PeerAddress(peer));
        }
        assert!(service.poll_ready(cx).is_ready());
        match pin!(service.call(request)).poll(cx) {
            Poll::Ready(Ok(response)) => response.status() == 200,
            Poll::Pending => panic!("the service answers at once"),
        }
    };
    (0..count).filter(passes).count()
}

/// Neighbouring numbers make wholly different addresses.
fn forged(number: u32) -> std::net::Ipv4Addr {
    number.wrapping_mul(2_654_435_761).into()
}

fn claims(number: u32) -> Vec<(&'static str, String)> {
    let forged = forged(number);
    vec![
        ("x-forwarded-for", forged.to_string()),
        ("x-real-ip", forged.to_string()),
        ("forwarded", format!("for={forged}")),
        ("true-client-ip", forged.to_string()),
        ("cf-connecting-ip", forged.to_string()),
    ]
}

#[test]
fn k01_a_thousand_claims_share_the_bucket_of_the_connection() {
    let layer = builder().per_ip(ten()).build().unwrap();
    assert_eq!(passing(&layer, Some(STRANGER), 1_000, claims), 10);
    assert_eq!(passing(&layer, Some(PROXY), 1_000, claims), 10);
}

#[test]
fn k02_behind_a_trusted_proxy_every_client_has_a_bucket() {
    for address in
        [behind(ForwardingHeader::XForwardedFor), behind_hops(1, ForwardingHeader::XForwardedFor)]
    {
        let layer = ten_per_ip(address);
        for client in ["203.0.113.9", "203.0.113.10", "[2001:db8::1]:443"] {
            let fields = |number| {
                let forged = forged(number);
                vec![("x-forwarded-for", format!("{forged}, {forged}, {client}"))]
            };
            assert_eq!(passing(&layer, Some(PROXY), 100, fields), 10);
        }
    }
}

#[test]
fn k04_an_untrusted_peer_has_one_bucket() {
    let layer = ten_per_ip(behind(ForwardingHeader::XForwardedFor));
    assert_eq!(passing(&layer, Some(STRANGER), 1_000, claims), 10);
}

#[test]
fn k06_a_thousand_ports_share_one_bucket() {
    let layer = ten_per_ip(behind(ForwardingHeader::XForwardedFor));
    let ports = |number| vec![("x-forwarded-for", format!("203.0.113.9:{}", number + 1))];
    assert_eq!(passing(&layer, Some(PROXY), 1_000, ports), 10);
}

#[test]
fn k09_ten_thousand_addresses_of_a_subscriber_share_one_bucket() {
    let layer = ten_per_ip(behind(ForwardingHeader::XForwardedFor));
    let hosts = |number| {
        let host = u128::from(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let address = std::net::Ipv6Addr::from((0x2001_0db8_0001_0002 << 64) | host);
        vec![("x-forwarded-for", format!("[{address}]:443"))]
    };
    assert_eq!(passing(&layer, Some(PROXY), 10_000, hosts), 10);
}

/// Junk shares the bucket of the proxy, however much of it there is.
#[test]
fn k12_junk_mints_no_buckets() {
    let layer = ten_per_ip(behind(ForwardingHeader::XForwardedFor));
    let junk = |number| vec![("x-forwarded-for", format!("203.0.113.9, _{number}"))];
    assert_eq!(passing(&layer, Some(PROXY), 1_000, junk), 10);
}

#[test]
fn k16_connections_without_an_address_share_one_bucket() {
    let layer = ten_per_ip(behind(ForwardingHeader::XForwardedFor));
    assert_eq!(passing(&layer, None, 1_000, claims), 10);
    // On a Unix socket, the proxy has no address but may still be trusted by name.
    let unix =
        ClientAddress::forwarded(ForwardingHeader::XForwardedFor, TrustedProxies::any_peer());
    let layer = ten_per_ip(unix);
    let from = |client: &'static str| move |_| vec![("x-forwarded-for", client.to_owned())];
    assert_eq!(passing(&layer, None, 100, from("203.0.113.9")), 10);
    assert_eq!(passing(&layer, None, 100, from("203.0.113.10")), 10);
}

/// Whatever a key that nobody verified mints, the limit per address holds for all of it.
#[test]
fn k17_random_keys_stay_within_the_limit_of_the_address() {
    let rule = Rule::new("keys").key(Key::api_key("x-api-key")).policy(ten().named("key"));
    let layer = builder()
        .client_address(behind(ForwardingHeader::XForwardedFor))
        .per_ip(ten())
        .rule(rule)
        .build()
        .unwrap();
    let fields = |number| {
        let list = format!("{}, 203.0.113.9", forged(number));
        vec![("x-api-key", format!("key-{number}")), ("x-forwarded-for", list)]
    };
    assert_eq!(passing(&layer, Some(PROXY), 1_000, fields), 10);
}

/// Each is said once per layer, by a program that listens to nothing but its own standard error: this
/// test once more, in a process of its own that is told which scenario to play.
#[test]
fn every_diagnosis_is_said_once_and_only_where_it_is_due() {
    if let Ok(scenario) = std::env::var(SCENARIO) {
        return play(&scenario);
    }
    for (scenario, expected) in [
        ("undeclared", vec!["RL002"]),
        ("declared", vec![]),
        ("any_peer", vec!["RL003"]),
        ("both", vec!["RL004"]),
        ("single_beside_others", vec![]),
        ("stranger", vec!["RL005"]),
        ("no_address", vec!["RL001"]),
    ] {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS_TEST, "--nocapture"])
            .env(SCENARIO, scenario)
            .output()
            .unwrap();
        assert!(child.status.success(), "{scenario}: {child:?}");
        let report = String::from_utf8_lossy(&child.stdout);
        assert!(report.contains("test result: ok. 1 passed"), "{scenario}: {report}");
        let errors = String::from_utf8(child.stderr).unwrap();
        let said: Vec<&str> = errors
            .lines()
            .filter_map(|line| line.strip_prefix("rate-limit-tower: "))
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(said, expected, "{scenario}: {errors}");
        for code in expected {
            assert!(errors.contains(&format!("/docs/{code}.md")), "{scenario}: {errors}");
        }
        assert!(!errors.contains("198.51.100") && !errors.contains("203.0.113"), "no addresses");
    }
}

/// The variable by which a process is told its scenario.
const SCENARIO: &str = "RATE_LIMIT_TEST_SCENARIO";

const THIS_TEST: &str = "layers::every_diagnosis_is_said_once_and_only_where_it_is_due";

fn play(scenario: &str) {
    let xff = ForwardingHeader::XForwardedFor;
    let (address, peer) = match scenario {
        "undeclared" => (ClientAddress::default(), Some(PROXY)),
        "declared" => (ClientAddress::peer(), Some(PROXY)),
        "any_peer" => (ClientAddress::forwarded(xff, TrustedProxies::any_peer()), Some(PROXY)),
        "both" => (behind(xff), Some(PROXY)),
        "single_beside_others" => (behind(crate::support::single()), Some(PROXY)),
        "stranger" => (behind(xff), Some(STRANGER)),
        "no_address" => (behind(xff), None),
        other => panic!("{other} is no scenario"),
    };
    let layer = ten_per_ip(address);
    let fields = |number| match scenario {
        "any_peer" => vec![("x-forwarded-for", forged(number).to_string())],
        _ => claims(number),
    };
    passing(&layer, peer, 20, fields);
}
