//! gRPC clients in browsers, whose status is in the last message of the body.

use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use proptest::prelude::*;
use rate_limit_core::ManualClock;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy, Rule};
use tower::{Layer, service_fn};

use crate::support::{Frames, Store, call_now, get, limit, read};

/// Cuts the body of a call with this status into frames.
type Cut<'a> = &'a dyn Fn(&str) -> Vec<Vec<u8>>;

/// Two failures are allowed.
fn only_failures() -> RateLimitLayer<Store> {
    let policy = RateLimitPolicy::per_day(2).fixed_window();
    let rule = Rule::new("login").policy(policy).count_only(|response| !response.is_success());
    limit(&ManualClock::new()).rule(rule).build().unwrap()
}

fn message(flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[flags], &length[..], payload].concat()
}

/// A message, and one of trailers, each by itself as servers write them.
fn call_with(status: &str) -> [Vec<u8>; 2] {
    let trailers = format!("content-language: en\r\nGrpc-Status: {status}\r\n");
    [message(0, b"hello"), message(0x80, trailers.as_bytes())]
}

/// Sends a response that consists of these frames through the layer. `None` if it was not asked for.
fn answer(
    layer: &RateLimitLayer<Store>,
    content_type: &'static str,
    frames: impl IntoIterator<Item = Vec<u8>>,
) -> Option<Bytes> {
    let body = Frames::default();
    frames.into_iter().for_each(|frame| body.put(Frame::data(frame.into())));
    body.end();
    let mut service = layer.layer(service_fn(move |_: http::Request<()>| {
        let response = Response::builder().header("content-type", content_type);
        std::future::ready(Ok::<_, Infallible>(response.body(body.clone()).unwrap()))
    }));
    let response = call_now(&mut service, get("/package.Service/Method")).unwrap();
    (response.status() == 200).then(|| read(response))
}

#[test]
fn the_status_is_in_the_last_message() {
    let bytewise = |pieces: [Vec<u8>; 2]| pieces.concat().into_iter().map(|byte| vec![byte]);
    let text = |pieces: [Vec<u8>; 2]| pieces.map(|piece| STANDARD.encode(piece).into_bytes());
    let binary: [Cut<'_>; 3] = [
        &|status| call_with(status).into(),
        &|status| vec![call_with(status).concat()],
        &|status| bytewise(call_with(status)).collect(),
    ];
    let in_text: [Cut<'_>; 2] = [&|status| text(call_with(status)).into(), &|status| {
        bytewise(text(call_with(status))).collect()
    }];
    let binary = binary.map(|frames| ("application/grpc-web+proto", frames));
    let in_text = in_text.map(|frames| ("application/grpc-web-text", frames));
    for (content_type, frames) in binary.into_iter().chain(in_text) {
        let layer = only_failures();
        let ask = |status| answer(&layer, content_type, frames(status));
        for _ in 0..5 {
            assert_eq!(ask("0").unwrap(), frames("0").concat(), "the body passes as it is");
        }
        assert_eq!([ask("16"), ask("7")].map(|body| body.is_some()), [true; 2]);
        assert_eq!(ask("0"), None, "both were counted");
    }
}

#[test]
fn a_response_without_a_status_is_no_success() {
    let layer = only_failures();
    let cut_off = [message(0, b"hello"), message(0x80, b"grpc-status")];
    assert!(answer(&layer, "application/grpc-web", cut_off).is_some());
    assert!(answer(&layer, "application/grpc-web-text", [b"????".to_vec()]).is_some());
    assert_eq!(answer(&layer, "application/grpc-web", call_with("0")), None);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// G20: whatever a service answers, it arrives.
    #[test]
    fn any_bytes_pass(frames: Vec<Vec<u8>>, is_text: bool) {
        let names = ["application/grpc-web", "application/grpc-web-text"];
        let passed = answer(&only_failures(), names[usize::from(is_text)], frames.clone());
        prop_assert_eq!(passed.unwrap(), frames.concat());
    }
}
