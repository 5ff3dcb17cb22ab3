use std::time::Duration;

use http::Method;
use rate_limit_config::{
    Cost, CountedResponses, Enforcement, JwtAlgorithm, JwtKeyMaterial, KeyPart, OnMissing,
    PathMatch, StoreKind,
};
use rate_limit_core::{Algorithm, Alignment, FailureMode, IpPrefixes, RateLimitPolicy, Timestamp};
use rate_limit_tower::{
    ClientAddress, DraftFields, Exposure, ForwardingHeader, HeaderFields, Preflight, ResetFormat,
    TrustedProxies,
};

use super::{accepted, example};

#[test]
fn the_example_says_all_that_it_seems_to_say() {
    let configuration = example();
    assert_eq!(configuration.warnings(), []);

    let store = &configuration.store;
    assert_eq!((store.url.kind(), store.url.expose()), (StoreKind::Memory, "memory://"));
    assert_eq!((store.timeout, store.nodes), (Duration::from_millis(25), 1));
    assert_eq!(store.key_secret.as_ref().unwrap().expose(), b"sixteen bytes are enough");
    assert_eq!((store.key_prefix.as_str(), store.max_keys), ("rl", 1_000_000));
    assert_eq!(store.breaker.failures, 5);
    assert_eq!(store.breaker.open, Duration::from_millis(250));
    assert_eq!(store.breaker.max_open, Duration::from_secs(5));

    let identity = &configuration.identity;
    let proxies = TrustedProxies::parse(["10.0.0.0/8", "2001:db8::/32"]).unwrap();
    let address = ClientAddress::forwarded(ForwardingHeader::XForwardedFor, proxies);
    assert_eq!(identity.client_address, address);
    assert_eq!(identity.prefixes, IpPrefixes::DEFAULT);
    assert_eq!(
        (identity.api_key_header.as_str(), identity.on_missing),
        ("x-api-key", OnMissing::Ip)
    );
    assert_eq!(identity.default_tier.as_deref(), Some("anonymous"));
    let jwt = identity.jwt.as_ref().unwrap();
    assert_eq!(jwt.issuers, ["https://login.example.com"]);
    assert_eq!(jwt.audiences, ["api", "https://api.example.com"]);
    assert_eq!((jwt.leeway, jwt.max_token_bytes), (Duration::from_secs(30), 8_192));
    let [key] = jwt.keys.as_slice() else { panic!("{:?}", jwt.keys) };
    assert_eq!((key.id.as_deref(), key.algorithm), (Some("2030"), JwtAlgorithm::Hs256));
    assert!(matches!(&key.material, JwtKeyMaterial::Secret(secret) if secret.expose().len() >= 32));

    let names: Vec<&str> = configuration.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["login", "card", "default", "everybody", "uploads"]);
    let [login, card, default, everybody, uploads] = configuration.rules.as_slice() else {
        panic!("{names:?}");
    };
    assert_eq!((&*login.methods, login.count), (&[Method::POST][..], CountedResponses::Failures));
    assert_eq!(login.limits[0].failure_mode(), FailureMode::Deny);
    let ladder = login.limits[0].penalty().unwrap();
    assert_eq!((ladder.strikes(), ladder.within()), (10, Duration::from_secs(600)));
    assert_eq!((ladder.first(), ladder.factor()), (Duration::from_secs(60), 2));
    assert_eq!(ladder.max(), Duration::from_secs(86_400));
    assert_eq!(ladder.decay(), Duration::from_secs(3_600));

    assert_eq!(card.paths, [PathMatch::Prefix("/cards".to_owned())]);
    assert_eq!(card.key, [KeyPart::Header("x-card".parse().unwrap()), KeyPart::Ip]);
    let names: Vec<&str> = card.limits.iter().map(|policy| policy.name().as_str()).collect();
    assert_eq!(names, ["card", "card:1d"]);
    assert!(matches!(card.limits[1].algorithm(),
        Algorithm::FixedWindow(window) if window.alignment() == Alignment::Utc));

    assert_eq!((default.limits[0].capacity(), default.preflight), (20, Preflight::Skip));
    assert!(matches!(&default.cost, Cost::Methods(cost) if cost.methods.len() == 2));
    let per_tier = |tier: &str| default.tiers[tier][0].limit();
    assert_eq!(["anonymous", "standard", "premium"].map(per_tier), [60, 1_000, 5_000]);
    assert!(!login.tiers.contains_key("premium"), "what a tier does not name stays");
    assert_eq!(configuration.tiers.len(), 3);

    assert_eq!((everybody.group.as_str(), everybody.expose), ("system", Some(Exposure::None)));
    assert_eq!(everybody.key, [KeyPart::Global]);
    assert_eq!(uploads.enforcement, Enforcement::Percent(10));
    assert_eq!(uploads.hosts, ["upload.example.com", "*.upload.example.com"]);
    assert_eq!(uploads.on_missing, OnMissing::Anonymous);
    assert!(matches!(&uploads.cost, Cost::Header(cost) if (cost.min, cost.max) == (1, 100)));

    assert_eq!(configuration.exempt[0].networks.len(), 2);
    let block = &configuration.block[0];
    assert_eq!((block.users.len(), block.api_keys.len(), block.user_agents.len()), (1, 1, 1));
    assert_eq!(block.until, Some(Timestamp::from_nanos(1_896_048_000 * 1_000_000_000)));

    let responses = &configuration.responses;
    assert_eq!(responses.header_fields, HeaderFields::new());
    assert_eq!((responses.expose, responses.retry_jitter_percent), (Exposure::Minimal, 5));
}

#[test]
fn a_rule_needs_a_name_and_a_limit() {
    let configuration = accepted("[[rule]]\nname = \"api\"\nlimit = \"100/min\"\n");
    let rule = &configuration.rules[0];
    assert_eq!((&*rule.key, &rule.cost), (&[KeyPart::Ip][..], &Cost::Units(1)));
    assert_eq!((rule.enforcement, rule.on_missing), (Enforcement::Everybody, OnMissing::Ip));
    let expected = RateLimitPolicy::per_minute(100).named("api").build().unwrap();
    assert_eq!(*rule.limits[0], expected);
    assert_eq!(configuration.identity.client_address, ClientAddress::default());
    assert_eq!(configuration.store.url.kind(), StoreKind::Memory);
}

#[test]
fn limits_are_written_in_many_ways() {
    for (written, limit, seconds) in [
        ("\"100/min\"", 100, 60),
        ("\"100/minute\"", 100, 60),
        ("\"100 / m\"", 100, 60),
        ("\"100 per minute\"", 100, 60),
        ("\"100/1m\"", 100, 60),
        ("\"10/s\"", 10, 1),
        ("\"10/30s\"", 10, 30),
        ("\"5/h\"", 5, 3_600),
        ("\"5 per day\"", 5, 86_400),
        ("\"5/week\"", 5, 7 * 86_400),
        ("\"10_000/day\"", 10_000, 86_400),
        ("\"3 per 1h 30m\"", 3, 5_400),
        ("{ limit = 3, window = \"90m\" }", 3, 5_400),
        ("[\"3/90m\"]", 3, 5_400),
    ] {
        let text = format!("[[rule]]\nname = \"api\"\nlimit = {written}\n");
        let policy = accepted(&text).rules[0].limits[0].clone();
        let window = Duration::from_secs(seconds);
        assert_eq!((policy.limit(), policy.window()), (limit, window), "{written}");
    }
}

#[test]
fn a_limit_keeps_its_name_whatever_its_number() {
    let names = |limit: &str| {
        let text = format!("[[rule]]\nname = \"api\"\nlimit = {limit}\n");
        let rule = accepted(&text).rules.remove(0);
        rule.limits.iter().map(|policy| policy.bucket_name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("\"100/min\""), names("\"200/min\""));
    assert_eq!(names("\"100/min\""), names("\"200/h\""), "a token bucket keeps the share");
    let both = names("[\"100/min\", \"1000/day\"]");
    assert_eq!(both[..1], names("\"100/min\""), "appending a limit renames none");
    assert_eq!(both, names("[\"200/min\", \"3000/day\"]"));
    let named = "[{ limit = 9, window = \"1d\", name = \"daily\" }, \"1/s\"]";
    assert_eq!(
        names(named),
        ["gcra1/api:daily", "gcra1/api:1s"]
            .map(|name| { name.replace("gcra1", both[0].split('/').next().unwrap()) })
    );
}

#[test]
fn every_algorithm_can_be_asked_for() {
    for (words, describe) in [
        ("", "burst 5"),
        (", algorithm = \"token_bucket\", burst = 9", "burst 9"),
        (", algorithm = \"fixed_window\"", "fixed window"),
        (", algorithm = \"fixed_window\", alignment = \"first_request\"", "fixed window"),
        (", algorithm = \"fixed_window\", alignment = \"utc\"", "fixed window aligned to UTC"),
        (", algorithm = \"sliding_window\"", "sliding window"),
        (", algorithm = \"sliding_log\"", "sliding log"),
    ] {
        let text =
            format!("[[rule]]\nname = \"api\"\nlimit = {{ limit = 5, window = \"1m\"{words} }}\n");
        let policy = accepted(&text).rules[0].limits[0].to_string();
        assert_eq!(policy, format!("api: 5 per 60s, {describe}"), "{words}");
    }
}

#[test]
fn responses_can_be_chosen() {
    let fields = |text: &str| {
        let rule = "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n";
        accepted(&format!("{rule}[responses]\n{text}")).responses.header_fields
    };
    let all = HeaderFields::new();
    assert_eq!(fields(""), all);
    assert_eq!(fields("legacy_headers = false"), all.without_legacy());
    assert_eq!(fields("reset = \"delta\""), all.legacy(ResetFormat::DeltaSeconds));
    assert_eq!(fields("draft_headers = \"06\""), all.draft(DraftFields::Revision06));
    assert_eq!(fields("draft_headers = \"none\""), all.draft(DraftFields::None));
}

#[test]
fn k20_any_proxy_is_believed_only_if_that_is_asked_for() {
    let address = |identity: &str| {
        let rule = "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n";
        let text = format!("{rule}[identity]\nforwarding_header = \"x-forwarded-for\"\n{identity}");
        accepted(&text).identity.client_address
    };
    let any = |trusted| ClientAddress::forwarded(ForwardingHeader::XForwardedFor, trusted);
    assert_eq!(address("allow_any_peer = true"), any(TrustedProxies::any_peer()));
    assert_eq!(
        address("allow_any_peer = true\ntrusted_proxies = [\"0.0.0.0/0\", \"::/0\"]"),
        any(TrustedProxies::any_peer()),
    );
    assert_eq!(
        address("allow_any_peer = true\ntrusted_hops = 2"),
        any(TrustedProxies::any_peer_and_hops(2.try_into().unwrap()).unwrap()),
    );
}

#[test]
fn the_number_of_proxies_can_be_said_instead_of_their_addresses() {
    let text = "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n[identity]\n\
                forwarding_header = \"Forwarded\"\ntrusted_hops = 2\ntrusted_proxies = \"10.0.0.0/8\"\n";
    let peers = [rate_limit_tower::parse_network("10.0.0.0/8").unwrap()];
    let trusted = TrustedProxies::hops(2.try_into().unwrap(), peers).unwrap();
    let expected = ClientAddress::forwarded(ForwardingHeader::Forwarded, trusted);
    assert_eq!(accepted(text).identity.client_address, expected);
    let none =
        "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n[identity]\nforwarding_header = \"none\"\n";
    assert_eq!(accepted(none).identity.client_address, ClientAddress::peer());
}

#[test]
fn an_entry_ends_at_a_moment_with_its_offset() {
    let until = |moment: &str| {
        let rule = "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n";
        let text = format!("{rule}[[block]]\nnetworks = \"192.0.2.1\"\nuntil = {moment}\n");
        accepted(&text).block[0].until.unwrap().as_nanos() / 1_000_000_000
    };
    assert_eq!(until("1970-01-01T00:00:10Z"), 10);
    assert_eq!(until("1970-01-01T02:00:00+02:00"), 0);
    assert_eq!(until("1970-01-01T00:00:00-01:30"), 5_400);
    assert_eq!(until("\"2030-01-31T00:00:00Z\""), 1_896_048_000);
}
