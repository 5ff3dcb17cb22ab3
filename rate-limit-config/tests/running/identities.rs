//! Who is believed about whom, and what becomes of whom nobody knows.

use http::{Method, Request};

use crate::support::{Limited, from, get, request, with};

fn once(identity: &str, rule: &str) -> Limited {
    Limited::by(&format!(
        "[identity]\n{identity}\n[[rule]]\nname = \"api\"\nlimit = \"1/h\"\n{rule}\n"
    ))
}

fn forwarded(peer: &str, for_: &str) -> Request<()> {
    with(from(peer), "x-forwarded-for", for_)
}

/// K01, K02, K04.
#[test]
fn only_trusted_proxies_are_believed() {
    let mut limited =
        once("trusted_proxies = \"10.0.0.0/24\"\nforwarding_header = \"x-forwarded-for\"", "");
    let statuses = limited.statuses([
        forwarded("10.0.0.1", "6.6.6.6, 203.0.113.9"),
        forwarded("10.0.0.2", "7.7.7.7, 203.0.113.9"),
        forwarded("10.0.0.1", "203.0.113.10"),
        forwarded("198.51.100.1", "203.0.113.11"),
        forwarded("198.51.100.1", "203.0.113.12"),
    ]);
    assert_eq!(statuses, [200, 429, 200, 200, 429]);
    let mut limited = once("", "");
    let headers =
        ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"];
    let forged = (0..100).map(|n| {
        headers
            .into_iter()
            .fold(request(), |request, name| with(request, name, &format!("10.1.1.{n}")))
    });
    let statuses = limited.statuses(forged);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
}

/// K09.
#[test]
fn as_many_bits_as_the_file_says() {
    let addresses = ["2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:2::1", "2001:db8:2:1::1"];
    let ask = |identity| once(identity, "").statuses(addresses.map(from));
    assert_eq!(ask(""), [200, 429, 200, 200]);
    assert_eq!(ask("ipv6_prefix = 48"), [200, 429, 429, 200]);
    let mut limited = once("ipv4_prefix = 24", "");
    assert_eq!(
        limited.statuses(["192.0.2.1", "192.0.2.200", "192.0.3.1"].map(from)),
        [200, 429, 200]
    );
}

#[test]
fn an_api_key_is_where_the_file_says() {
    let mut limited = once("api_key_header = \"x-token\"", "key = \"api_key\"");
    let key = |key: &str| with(request(), "x-token", key);
    assert_eq!(limited.statuses([key("one"), key("two"), key("one")]), [200, 200, 429]);
}

/// K16: whoever has no key.
#[test]
fn what_becomes_of_whom_nobody_knows() {
    let two = || [from("192.0.2.1"), from("192.0.2.2"), from("192.0.2.1")];
    for (on_missing, expected) in [
        ("ip", [200, 200, 429]),
        ("anonymous", [200, 429, 429]),
        ("reject", [400, 400, 400]),
        ("skip", [200, 200, 200]),
    ] {
        let choice = format!("on_missing = \"{on_missing}\"");
        let by_rule =
            once("", &format!("key = \"user\"\n{choice}\n{}", crate::support::JWT)).statuses(two());
        assert_eq!(by_rule, expected, "{on_missing}");
        let key = format!("key = [\"header:x-card\", \"path\"]\n{choice}");
        assert_eq!(once("", &key).statuses(two()), expected, "{on_missing}, a composition");
        let by_default =
            once(&choice, &format!("key = \"user\"\n{}", crate::support::JWT)).statuses(two());
        assert_eq!(by_default, expected, "{on_missing} by default");
    }
}

/// P07.
#[test]
fn preflights_count_unless_the_file_says_otherwise() {
    let preflight = || {
        let mut request = with(get("/"), "access-control-request-method", "PUT");
        *request.method_mut() = Method::OPTIONS;
        request
    };
    assert_eq!(once("", "").statuses([preflight(), preflight()]), [200, 429]);
    assert_eq!(once("", "preflight = \"skip\"").statuses([preflight(), preflight()]), [200, 200]);
}
