//! Limits by tier, and tokens that do not count.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use rate_limit_config::VerifiedClient;
use serde_json::{Value, json};

use crate::support::{
    Counted, JWT, Limited, NEW_YEAR, bearing, claiming, claims, from, request, sign, sign_with,
};

/// Without a token 100 per minute and address; with one, what its tier allows its user.
const TIERS: &str = r#"
[[rule]]
name = "api"
key = "user"
limit = { limit = 100, window = "1m", algorithm = "fixed_window" }

[tiers.standard]
api = { limit = 1000, window = "1m", algorithm = "fixed_window" }

[tiers.premium]
api = { limit = 5000, window = "1m", algorithm = "fixed_window" }
"#;

fn tiers() -> Limited {
    Limited::by(&format!("{TIERS}{JWT}"))
}

fn of_tier(user: &str, tier: &str) -> Request<()> {
    bearing(request(), &claiming(user, "tier", json!(tier)))
}

#[test]
fn every_tier_has_its_limit() {
    let mut limited = tiers();
    assert_eq!(limited.passing(120, request), 100);
    assert_eq!(limited.passing(1_100, || of_tier("alice", "standard")), 1_000);
    assert_eq!(limited.passing(5_100, || of_tier("bob", "premium")), 5_000);
    assert_eq!(limited.passing(1, || from("192.0.2.2")), 1, "another address, another bucket");
}

/// What was used stays used when the tier changes, as when the limit does.
#[test]
fn a_client_that_changes_its_tier_keeps_its_bucket() {
    let mut limited = tiers();
    assert_eq!(limited.passing(60, || of_tier("alice", "standard")), 60);
    let told = limited.ask(of_tier("alice", "premium"));
    assert_eq!((told.limit, told.remaining), (Some(5_000), Some(5_000 - 61)));
    let told = limited.ask(bearing(request(), &sign(&claims("alice"))));
    assert_eq!((told.limit, told.remaining), (Some(100), Some(100 - 62)), "without a tier");
}

/// A token in every way in which it does not count, for a tier and for somebody else's bucket.
fn worthless() -> Vec<(&'static str, String)> {
    let gold = |mut claims: Value| {
        claims["tier"] = json!("premium");
        claims
    };
    let with = |claim: &str, value: Value| {
        let mut claims = gold(claims("victim"));
        claims[claim] = value;
        claims
    };
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let none = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&gold(claims("victim"))));
    let stolen = sign(&gold(claims("somebody")));
    let signature = stolen.rsplit_once('.').unwrap().1;
    let header = stolen.split_once('.').unwrap().0;
    let spliced = format!("{header}.{}.{signature}", part(&gold(claims("victim"))));
    vec![
        ("J01 none", none),
        ("J02 spliced", spliced),
        (
            "J02 forged",
            sign_with(&gold(claims("victim")), "some other secret, just as long as that"),
        ),
        ("J04 expired", sign(&with("exp", json!(NEW_YEAR - 3_600)))),
        ("J04 not yet", sign(&with("nbf", json!(NEW_YEAR + 3_600)))),
        ("J14 audience", sign(&with("aud", json!("somebody else")))),
        ("issuer", sign(&with("iss", json!("https://evil.example")))),
        ("too long", sign(&with("padding", json!("x".repeat(9_000))))),
        ("no token", "a.b.c".to_owned()),
    ]
}

/// J01, J02, J04, J14.
#[test]
fn a_token_that_does_not_count_charges_the_address_and_never_the_victim() {
    for (name, token) in worthless() {
        let mut limited = tiers();
        let attacks = || bearing(from("198.51.100.66"), &token);
        assert_eq!(limited.ask(attacks()).limit, Some(100), "{name}: the lowest tier");
        assert_eq!(limited.passing(200, attacks), 99, "{name}: the limit of the address");
        let told = limited.ask(from("198.51.100.66"));
        assert_eq!(told.status, 429, "{name}: the bucket of the address");
        // The victim, who has not asked for anything yet, has everything.
        let told = limited.ask(of_tier("victim", "premium"));
        assert_eq!((told.status, told.remaining), (200, Some(4_999)), "{name}");
    }
}

/// J02: two tokens on one request are none, or one of them could be the victim's.
#[test]
fn two_tokens_are_none() {
    let mut limited = tiers();
    let twice = bearing(of_tier("alice", "premium"), &sign(&claims("bob")));
    assert_eq!(limited.ask(twice).limit, Some(100));
}

/// J04.
#[test]
fn a_token_expires_while_the_program_runs() {
    let mut limited = tiers();
    let asks = || of_tier("alice", "standard");
    assert_eq!(limited.ask(asks()).limit, Some(1_000));
    limited.clock.advance(std::time::Duration::from_secs(3_600 + 29));
    assert_eq!(limited.ask(asks()).limit, Some(1_000), "within the leeway");
    limited.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(limited.ask(asks()).limit, Some(100));
}

/// J07.
#[test]
fn j07_an_unknown_tier_is_the_default_one_and_is_counted() {
    let counted = Counted::during(|| {
        let mut limited = tiers();
        assert_eq!(limited.ask(of_tier("alice", "platinum")).limit, Some(100));
        assert_eq!(limited.ask(of_tier("alice", "premium")).limit, Some(5_000));
    });
    assert_eq!(counted.count("rate_limit_unknown_tiers_total", &[]), Some(1));
    let default = TIERS.replace("[[rule]]", "[identity]\ndefault_tier = \"standard\"\n[[rule]]");
    let mut limited = Limited::by(&format!("{default}{JWT}"));
    assert_eq!(limited.ask(of_tier("alice", "platinum")).limit, Some(1_000));
    assert_eq!(limited.ask(request()).limit, Some(1_000), "whoever has no tier at all");
}

#[test]
fn what_became_of_tokens_is_counted_without_naming_anybody() {
    let counted = Counted::during(|| {
        let mut limited = tiers();
        limited.ask(of_tier("alice", "premium"));
        for (_, token) in worthless() {
            limited.ask(bearing(request(), &token));
        }
        limited.ask(request());
    });
    for (outcome, expected) in [
        ("verified", 1),
        ("audience", 1),
        ("expired", 1),
        ("issuer", 1),
        ("malformed", 2),
        ("not_yet_valid", 1),
        ("no_key", 0),
        ("signature", 2),
        ("too_long", 1),
    ] {
        let tokens = counted.count("rate_limit_tokens_total", &[("outcome", outcome)]);
        assert_eq!(tokens, Some(expected), "{outcome}");
    }
    let said = counted.shown();
    assert!(!said.contains("alice") && !said.contains("victim"), "O02: no names in metrics");
}

/// J10.
#[test]
fn a_user_is_an_issuer_and_a_name() {
    let mut limited = tiers();
    let asks =
        |claim: &str, value: &str| bearing(request(), &claiming("alice", claim, json!(value)));
    assert_eq!(limited.ask(asks("jti", "1")).remaining, Some(99));
    assert_eq!(limited.ask(asks("jti", "2")).remaining, Some(98), "another token, the same user");
    let other = limited.ask(asks("iss", "https://other.example"));
    assert_eq!(other.remaining, Some(99), "the same name, another issuer");
}

#[test]
fn tenants_and_claims_have_buckets_too() {
    let text = r#"
        [[rule]]
        name = "tenants"
        key = "tenant"
        on_missing = "reject"
        limit = "1000/min"

        [[rule]]
        name = "devices"
        group = "devices"
        key = ["claim:device", "user"]
        on_missing = "skip"
        limit = "5/min"
    "#;
    let mut limited = Limited::by(&format!("{text}{JWT}"));
    assert_eq!(limited.ask(request()).status, 400, "nobody knows the tenant");
    let asks = |user: &str, device: Value| {
        let mut claims = claims(user);
        claims["tenant"] = json!("acme");
        claims["device"] = device;
        bearing(request(), &sign(&claims))
    };
    for (user, device, remaining) in [
        ("alice", json!("phone"), 4),
        ("alice", json!("phone"), 3),
        ("alice", json!("laptop"), 4),
        ("bob", json!("phone"), 4),
        // A number is not a text, and an object is nothing.
        ("bob", json!(1), 4),
        ("bob", json!("1"), 4),
    ] {
        assert_eq!(
            limited.ask(asks(user, device.clone())).remaining,
            Some(remaining),
            "{user} {device}"
        );
    }
    // Whoever has no device is not limited by it, and the tenant's limit is what is left to tell.
    assert_eq!(limited.ask(asks("bob", json!({}))).remaining, Some(1_000 - 7));
}

#[test]
fn a_program_may_say_itself_who_asks() {
    // Beside tokens, and without any.
    says_itself_who_asks(tiers());
    let program = "[identity]\nverified_by = \"program\"\n";
    let users = "[[block]]\nusers = \"mallory\"\n";
    let mut limited = Limited::by(&format!("{program}{TIERS}{users}"));
    let mallory = VerifiedClient::new().with_user("mallory").unwrap();
    let mut blocked = request();
    blocked.extensions_mut().insert(mallory);
    assert_eq!(limited.ask(blocked).status, 403);
    assert_eq!(limited.ask(of_tier("alice", "premium")).limit, Some(100), "no token is believed");
    says_itself_who_asks(limited);
}

fn says_itself_who_asks(mut limited: Limited) {
    let alice = || {
        let mut request = bearing(request(), "not a token");
        let client = VerifiedClient::new().with_user("alice").unwrap().with_tier("premium");
        request.extensions_mut().insert(client);
        request
    };
    assert_eq!(limited.ask(alice()).remaining, Some(4_999));
    assert_eq!(limited.ask(alice()).remaining, Some(4_998));
}
