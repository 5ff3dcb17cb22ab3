//! gRPC clients.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Body;
use rate_limit_core::conformance::doubles::FailingRepository;
use rate_limit_core::{ManualClock, RepositoryErrorKind};
use rate_limit_tower::{
    Exposure, FailureMode, Key, MissingIdentity, RateLimitLayer, RateLimitLayerBuilder,
    RateLimitPolicy, Rule,
};
use tonic_types::{StatusExt, pb};
use tower::Layer;

use crate::support::{Answered, Never, Probe, Store, call_now, field, limit, members, request};

fn grpc(content_type: &'static str) -> Request<()> {
    let mut request = request();
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    request
}

fn denied(builder: RateLimitLayerBuilder<Store>) -> Answered {
    let rule = Rule::new("search").policy(RateLimitPolicy::per_minute(4).burst(1));
    let layer = builder.rule(rule).build().unwrap();
    let mut service = layer.layer(Probe::default());
    call_now(&mut service, grpc("application/grpc")).unwrap();
    call_now(&mut service, grpc("application/grpc")).unwrap()
}

fn status(response: &Answered) -> tonic::Status {
    tonic::Status::from_header_map(response.headers()).unwrap()
}

/// T08.
#[test]
fn a_denial_is_a_valid_response_with_a_hint_when_to_retry() {
    let response = denied(limit(&ManualClock::new()).documentation_url("https://example.com/l"));
    assert_eq!(response.status(), 200);
    assert_eq!(field(response.headers(), "content-type"), "application/grpc");
    assert_eq!(field(response.headers(), "grpc-retry-pushback-ms"), "15000");
    assert_eq!(field(response.headers(), "cache-control"), "no-store");
    assert!(response.body().is_end_stream(), "trailers only");
    let status = status(&response);
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let said = "The limit of the policy \"search\" is reached. Try again in 15 seconds.";
    assert_eq!(status.message(), said);
    let details = status.get_error_details();
    let delay = details.retry_info().unwrap().retry_delay;
    assert_eq!(delay, Some(Duration::from_secs(15)));
    let violations = &details.quota_failure().unwrap().violations;
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].subject, "policy:search");
    assert_eq!(violations[0].description, "4 units per 60s, 0 left, 1 needed");
    let info = details.error_info().unwrap();
    assert_eq!(info.reason, "RATE_LIMIT_EXCEEDED");
    assert_eq!(info.metadata["documentationUrl"], "https://example.com/l");
    assert_eq!(members(response.headers(), "ratelimit").len(), 1);
}

#[test]
fn the_newer_fields_of_a_violation() {
    use prost::Message;
    let status = status(&denied(limit(&ManualClock::new())));
    let details = pb::Status::decode(status.details()).unwrap();
    assert_eq!(details.code, 8);
    let failure = details.details.iter().find(|any| any.type_url.ends_with("QuotaFailure"));
    let failure = pb::QuotaFailure::decode(&*failure.unwrap().value).unwrap();
    assert_eq!(failure.violations[0].quota_id, "search");
    assert_eq!(failure.violations[0].quota_value, 4);
}

#[test]
fn other_content_types() {
    for (content_type, expected) in [
        ("application/grpc+proto", "application/grpc"),
        ("Application/gRPC; charset=utf-8", "application/grpc"),
        ("application/grpc ;a=b", "application/grpc"),
        ("application/grpc-web", "application/grpc-web"),
        ("application/grpc-web+proto", "application/grpc-web+proto"),
        ("application/grpc-web-text", "application/grpc-web-text"),
        ("application/json", "application/problem+json"),
        // What merely begins like it is another type.
        ("application/grpcish+json", "application/problem+json"),
        ("application/grpc-webhook", "application/problem+json"),
        ("application/grpc-", "application/problem+json"),
        ("application/grp", "application/problem+json"),
    ] {
        let clock = ManualClock::new();
        let layer = limit(&clock).per_ip(RateLimitPolicy::per_day(1)).build().unwrap();
        let mut service = layer.layer(Probe::default());
        call_now(&mut service, grpc(content_type)).unwrap();
        let response = call_now(&mut service, grpc(content_type)).unwrap();
        assert_eq!(field(response.headers(), "content-type"), expected);
    }
}

#[test]
fn an_outage_is_unavailable() {
    let policy = RateLimitPolicy::per_day(1).on_failure(FailureMode::Deny);
    let failing = FailingRepository::always(RepositoryErrorKind::Timeout);
    let layer = RateLimitLayer::builder(failing).per_ip(policy).build().unwrap();
    let response = call_now(&mut layer.layer(Probe::default()), grpc("application/grpc")).unwrap();
    assert_eq!(status(&response).code(), tonic::Code::Unavailable);
    assert_eq!(field(response.headers(), "grpc-retry-pushback-ms"), "1000");
}

#[test]
fn blocked_and_unknown_clients() {
    let layer = limit(&ManualClock::new())
        .rule(Rule::new("blocked").path("/blocked").block(|_| true))
        .rule(
            Rule::new("known")
                .path("/known")
                .key(Key::header("x-user"))
                .policy(RateLimitPolicy::per_day(1))
                .on_missing_identity(MissingIdentity::Reject),
        )
        .build()
        .unwrap();
    let mut service = layer.layer(Probe::default());
    let mut code = |path: &str| {
        let mut request = grpc("application/grpc");
        *request.uri_mut() = path.parse().unwrap();
        let response = call_now(&mut service, request).unwrap();
        assert!(!response.headers().contains_key("grpc-retry-pushback-ms"));
        status(&response).code()
    };
    assert_eq!(code("/blocked"), tonic::Code::PermissionDenied);
    assert_eq!(code("/known"), tonic::Code::Unauthenticated);
}

#[test]
fn a_request_that_never_fits_must_not_be_retried() {
    let layer = RateLimitLayer::builder(Never)
        .without_fallback()
        .per_ip(RateLimitPolicy::per_minute(10))
        .build()
        .unwrap();
    let response = call_now(&mut layer.layer(Probe::default()), grpc("application/grpc")).unwrap();
    assert_eq!(field(response.headers(), "grpc-retry-pushback-ms"), "-1");
    assert!(status(&response).get_error_details().retry_info().is_none());
}

/// T09.
#[test]
fn without_exposure_only_the_wait_is_told() {
    let response = denied(limit(&ManualClock::new()).exposure(Exposure::None));
    let status = status(&response);
    assert_eq!(status.message(), "There were too many requests. Try again in 15 seconds.");
    assert!(status.get_error_details().quota_failure().is_none());
    assert!(status.get_error_details().retry_info().is_some());
    assert!(!Bytes::copy_from_slice(status.details()).windows(6).any(|window| window == b"search"));
}

#[cfg(feature = "tonic")]
#[test]
fn tonic_finds_the_name_and_the_layer_finds_the_peer() {
    use rate_limit_tower::RateLimit;
    use tonic::server::NamedService;
    use tonic::transport::server::TcpConnectInfo;

    struct Greeter;
    impl NamedService for Greeter {
        const NAME: &'static str = "helloworld.Greeter";
    }
    assert_eq!(<RateLimit<Greeter, Store> as NamedService>::NAME, "helloworld.Greeter");

    let layer = limit(&ManualClock::new()).per_ip(RateLimitPolicy::per_day(1)).build().unwrap();
    let mut service = layer.layer(Probe::default());
    let mut from = |last: u8| {
        let mut request = Request::new(());
        let remote_addr = Some(([192, 0, 2, last], 1).into());
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        call_now(&mut service, request).unwrap().status().as_u16()
    };
    assert_eq!([1, 2, 1].map(&mut from), [200, 200, 429]);
}
