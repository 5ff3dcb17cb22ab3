//! Who asks.

use std::net::SocketAddr;

use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use rate_limit_core::ManualClock;
use rate_limit_tower::{IpPrefixes, PeerAddress, RateLimitPolicy};
use tower::Layer;

use crate::support::{Probe, call_now, limit, passing, request_from, statuses};

fn few() -> rate_limit_tower::RateLimitPolicyBuilder {
    RateLimitPolicy::per_day(10).fixed_window()
}

const CLAIMS: [&str; 7] = [
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-forwarded",
    "x-forwarded-for",
    "x-real-ip",
];

/// K01, G20: no header changes the bucket, whatever is in it.
#[test]
fn forged_headers_share_the_bucket_of_the_connection() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(few()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let mut passed = 0;
    for n in 0_u32..1_000 {
        let mut request = request_from("192.0.2.1");
        for claim in CLAIMS {
            // Neighbouring numbers make wholly different addresses.
            let forged = std::net::Ipv4Addr::from(n.wrapping_mul(2_654_435_761));
            let value = match claim {
                "forwarded" => format!("for={forged};proto=https"),
                _ => format!("{forged}, 10.0.0.{}", n % 256),
            };
            let name = HeaderName::from_static(claim);
            request.headers_mut().insert(name, HeaderValue::try_from(value).unwrap());
        }
        passed += usize::from(call_now(&mut service, request).unwrap().status() == 200);
    }
    assert_eq!(passed, 10);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// K12, G20: neither do bytes that are no text.
    #[test]
    fn no_bytes_in_any_header_change_the_bucket(
        values in proptest::collection::vec((0..CLAIMS.len(), any::<Vec<u8>>()), 30)
    ) {
        let clock = ManualClock::new();
        let layer = limit(&clock).per_ip(few()).build().unwrap();
        let mut service = layer.layer(Probe::default());
        let mut passed = 0;
        for (claim, bytes) in values {
            let mut request = request_from("192.0.2.1");
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                request.headers_mut().insert(CLAIMS[claim], value);
            }
            passed += usize::from(call_now(&mut service, request).unwrap().status() == 200);
        }
        prop_assert_eq!(passed, 10);
    }
}

#[test]
fn addresses_count_separately_and_ports_do_not() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(few()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let mut passed = 0;
    for port in 1..=40 {
        let mut request = Request::new(());
        request.extensions_mut().insert(PeerAddress(SocketAddr::from(([192, 0, 2, 1], port))));
        passed += usize::from(call_now(&mut service, request).unwrap().status() == 200);
    }
    assert_eq!(passed, 10);
    assert_eq!(passing(&mut service, "192.0.2.2", 40), 10);
}

/// K09.
#[test]
fn an_ipv6_subscriber_is_one_client() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(few()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let one_network: usize =
        (0..100).map(|n| passing(&mut service, &format!("2001:db8:0:1:{n:x}::{n:x}"), 1)).sum();
    assert_eq!(one_network, 10);
    assert_eq!(passing(&mut service, "2001:db8:0:2::1", 20), 10, "the next network");
}

#[test]
fn prefixes_can_be_chosen() {
    let clock = ManualClock::new();
    let prefixes = IpPrefixes::new(24, 48).unwrap();
    let layer = limit(&clock).per_ip(few()).ip_prefixes(prefixes).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let neighbours: usize =
        (0..100).map(|n| passing(&mut service, &format!("192.0.2.{n}"), 1)).sum();
    assert_eq!(neighbours, 10);
}

/// K07.
#[test]
fn an_ipv4_mapped_address_is_the_ipv4_address() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(few()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    assert_eq!(passing(&mut service, "192.0.2.1", 6), 6);
    assert_eq!(passing(&mut service, "::ffff:192.0.2.1", 6), 4);
    assert_eq!(passing(&mut service, "::ffff:192.0.2.2", 6), 6);
}

/// K16: never unlimited.
#[test]
fn everybody_without_an_address_shares_one_bucket() {
    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(few()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let passed = (0..100)
        .filter(|_| call_now(&mut service, Request::new(())).unwrap().status() == 200)
        .count();
    assert_eq!(passed, 10);
    assert_eq!(statuses(&mut service, "192.0.2.1", 1), [200], "others are unaffected");
}

#[cfg(feature = "axum")]
#[test]
fn the_address_recorded_by_axum_is_found() {
    use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};

    let clock = ManualClock::new();
    let layer = limit(&clock).per_ip(few()).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let peer = SocketAddr::from(([192, 0, 2, 1], 1));
    let mut recorded = Request::new(());
    recorded.extensions_mut().insert(ConnectInfo(peer));
    let mut mocked = Request::new(());
    mocked.extensions_mut().insert(MockConnectInfo(peer));
    let mut overruled = Request::new(());
    overruled.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 1))));
    overruled.extensions_mut().insert(PeerAddress(peer));
    let passed = [recorded, mocked, overruled]
        .iter()
        .cycle()
        .take(30)
        .filter(|request| call_now(&mut service, (*request).clone()).unwrap().status() == 200)
        .count();
    assert_eq!(passed, 10);
}

/// K16: the missing address is reported by a program that listens to nothing but its own standard
/// error, once per layer. The program is this test once more, in a process of its own.
#[test]
fn the_missing_address_is_reported_once_on_standard_error() {
    const IS_CHILD: &str = "RATE_LIMIT_TEST_WITHOUT_ADDRESSES";
    if std::env::var_os(IS_CHILD).is_some() {
        return serve_without_addresses();
    }
    let this_test = "identity::the_missing_address_is_reported_once_on_standard_error";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this_test, "--nocapture"])
        .env(IS_CHILD, "")
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let errors = String::from_utf8(child.stderr).unwrap();
    assert_eq!(errors.matches("rate-limit-tower: RL001").count(), 2, "{errors}");
    assert!(errors.contains("into_make_service_with_connect_info::<SocketAddr>()"), "{errors}");
    assert!(errors.contains("PeerAddress"), "{errors}");
}

/// Two layers, many requests without an address.
fn serve_without_addresses() {
    let clock = ManualClock::new();
    for _ in 0..2 {
        let layer = limit(&clock).per_ip(few()).build().unwrap();
        for _ in 0..20 {
            call_now(&mut layer.layer(Probe::default()), Request::new(())).unwrap();
        }
    }
    // Global policies need no address, so nothing is missing.
    let layer = limit(&clock).global(few()).build().unwrap();
    call_now(&mut layer.layer(Probe::default()), Request::new(())).unwrap();
}

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Collects the texts of error events.
    #[derive(Clone, Default)]
    struct Errors(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Errors {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == tracing::Level::ERROR
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            self.0.push_str(&format!("{field}={value:?} "));
        }
    }

    #[test]
    fn the_missing_address_is_reported_once_to_the_subscriber() {
        let errors = Errors::default();
        tracing::subscriber::with_default(errors.clone(), || {
            let layer = limit(&ManualClock::new()).per_ip(few()).build().unwrap();
            for _ in 0..20 {
                call_now(&mut layer.layer(Probe::default()), Request::new(())).unwrap();
            }
        });
        let errors = errors.0.lock().unwrap();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].contains("code=\"RL001\""), "{errors:?}");
    }
}
