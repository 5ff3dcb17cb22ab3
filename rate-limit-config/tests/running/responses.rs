//! What clients are told.

use http::HeaderMap;
use tower::{Service, ServiceExt};

use crate::support::{Limited, NEW_YEAR, now, request};

/// The fields of a request that passes and of one that is denied, and what the latter says.
fn told(responses: &str) -> (HeaderMap, HeaderMap, serde_json::Value) {
    let mut limited = Limited::by(&format!(
        "[responses]\n{responses}\n[[rule]]\nname = \"api\"\n\
         limit = {{ limit = 1, window = \"1m\", algorithm = \"fixed_window\" }}\n"
    ));
    let mut ask = || now(now(limited.service.ready()).unwrap().call(request())).unwrap();
    let passed = ask().headers().clone();
    let (denied, body) = ask().into_parts();
    let body = now(http_body_util::BodyExt::collect(body)).unwrap().to_bytes();
    (passed, denied.headers, serde_json::from_slice(&body).unwrap())
}

fn names(fields: &HeaderMap) -> Vec<&str> {
    let names = fields.keys().map(http::HeaderName::as_str);
    let mut names: Vec<_> = names.filter(|name| name.contains("ratelimit")).collect();
    names.sort_unstable();
    names
}

const LEGACY: [&str; 3] = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"];

#[test]
fn both_generations_of_fields_by_default() {
    let (passed, denied, _) = told("");
    for fields in [&passed, &denied] {
        assert_eq!(names(fields), [&["ratelimit", "ratelimit-policy"][..], &LEGACY].concat());
        assert_eq!(fields["x-ratelimit-reset"], (NEW_YEAR + 60).to_string());
    }
}

#[test]
fn one_generation_of_fields() {
    let (passed, ..) = told("legacy_headers = false");
    assert_eq!(names(&passed), ["ratelimit", "ratelimit-policy"]);
    let (passed, denied, _) = told("draft_headers = \"none\"\nreset = \"delta\"");
    assert_eq!(names(&passed), LEGACY);
    assert_eq!(denied["x-ratelimit-reset"], "60");
    let (passed, ..) = told("draft_headers = \"06\"\nlegacy_headers = false");
    assert!(passed.contains_key("ratelimit-limit"), "{passed:?}");
}

#[test]
fn problem_types_links_and_exposure() {
    let (.., problem) = told(
        "problem_type_base = \"https://api.example.com/problems/\"\n\
         documentation_url = \"https://api.example.com/limits\"",
    );
    assert_eq!(problem["type"], "https://api.example.com/problems/quota-exceeded");
    assert_eq!(problem["documentation_url"], "https://api.example.com/limits");
    assert_eq!(problem["violated-policies"][0], "api");
    let (passed, denied, problem) = told("expose = \"none\"");
    assert_eq!((names(&passed).len(), names(&denied).len()), (0, 0));
    assert_eq!(denied["retry-after"], "60");
    assert!(!problem.to_string().contains("api"), "{problem}");
}

#[test]
fn waits_are_stretched_by_at_most_what_the_file_says() {
    for _ in 0..20 {
        let (_, denied, _) = told("retry_jitter_percent = 10");
        let wait: u64 = denied["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((60..=66).contains(&wait), "{wait}");
    }
}
