use std::collections::HashSet;

use proptest::prelude::*;
use rate_limit_core::{ApiKeyDigest, ClientIdentity, IpPrefixes, RateLimitPolicy};

use super::{IdentityForm, KeyError, KeyRing, Placement};

const SECRET: &[u8] = b"sixteen bytes or more";

fn ring(form: IdentityForm) -> KeyRing {
    KeyRing::new("rl", Some(SECRET), form).unwrap()
}

fn bucket(ring: &KeyRing, identity: &ClientIdentity, policy: &RateLimitPolicy) -> String {
    let mut key = Vec::new();
    ring.owner(identity).write_bucket(policy, &mut key);
    String::from_utf8(key).unwrap()
}

#[test]
fn the_format_and_the_length_of_a_window_are_part_of_the_key() {
    let ring = ring(IdentityForm::Readable);
    let name = |policy: rate_limit_core::RateLimitPolicyBuilder| {
        let key = bucket(&ring, &ClientIdentity::GLOBAL, &policy.named("api").build().unwrap());
        key.strip_prefix("rl:v1:{global}:").unwrap().to_owned()
    };
    let per_millis =
        |millis| RateLimitPolicy::per(5, std::time::Duration::from_millis(millis)).fixed_window();
    assert_eq!(name(RateLimitPolicy::per_minute(5)), "tb/api");
    assert_eq!(name(RateLimitPolicy::per_minute(5).fixed_window()), "fw60s/api");
    assert_eq!(name(RateLimitPolicy::per_day(5).aligned_window()), "fa86400s/api");
    assert_eq!(name(RateLimitPolicy::per_hour(5).sliding_window()), "sw3600s/api");
    assert_eq!(name(RateLimitPolicy::per_minute(5).sliding_log()), "sl60s/api");
    assert_eq!(name(per_millis(1_500)), "fw1500ms/api");
    let nanos = std::time::Duration::from_nanos(1_000_001);
    assert_eq!(name(RateLimitPolicy::per(5, nanos).fixed_window()), "fw1000001ns/api");
    let micros = std::time::Duration::from_micros(25);
    assert_eq!(name(RateLimitPolicy::per(5, micros).fixed_window()), "fw25us/api");
}

#[test]
fn ladders_and_buckets_never_share_a_key() {
    let ring = ring(IdentityForm::Digest);
    let owner = ring.owner(&ClientIdentity::GLOBAL);
    let mut keys = HashSet::new();
    for name in ["api", "pl", "pl:api", "api:pl", "tb"] {
        let policy = RateLimitPolicy::per_minute(5).named(name).build().unwrap();
        let (mut bucket, mut ladder) = (Vec::new(), Vec::new());
        owner.write_bucket(&policy, &mut bucket);
        owner.write_ladder(&policy, &mut ladder);
        assert!(keys.insert(bucket) && keys.insert(ladder), "{name}");
    }
}

#[test]
fn in_one_slot_all_keys_have_one_tag_and_stay_apart() {
    let ring = ring(IdentityForm::Readable).placed(Placement::OneSlot);
    let policy = RateLimitPolicy::per_minute(5).named("api").build().unwrap();
    let pl = ClientIdentity::user("pl").unwrap();
    assert_eq!(bucket(&ring, &pl, &policy), "rl:v1:{all}:user:pl:tb/api");
    let (one, other) = (ring.owner(&pl), ring.owner(&ClientIdentity::GLOBAL));
    assert_eq!(one.slot(), other.slot());
    let mut ladder = Vec::new();
    one.write_ladder(&policy, &mut ladder);
    assert!(
        !KeyRing::is_bucket(&ladder) && KeyRing::is_bucket(bucket(&ring, &pl, &policy).as_bytes())
    );
    assert_eq!(ring.tag_of(&ladder), Some(&b"all"[..]));
}

#[test]
fn readable_keys_say_who() {
    let ring = ring(IdentityForm::Readable);
    let policy = RateLimitPolicy::per_minute(5).named("api").build().unwrap();
    let alice = ClientIdentity::user("alice@example.com").unwrap();
    let acme = ClientIdentity::tenant("a{c}m e*").unwrap();
    let network = IpPrefixes::new(24, 56).unwrap();
    let expected = [
        (ClientIdentity::ANONYMOUS, "anonymous"),
        (ClientIdentity::ip("192.0.2.1".parse().unwrap()), "ip:192.0.2.1-32"),
        (ClientIdentity::ip_within("192.0.2.1".parse().unwrap(), network), "ip:192.0.2.0-24"),
        (ClientIdentity::ip("2001:db8::1".parse().unwrap()), "ip:2001.db8..-64"),
        (ClientIdentity::custom("card", "12+3").unwrap(), "card=12%2B3"),
        (
            ClientIdentity::all_of(&[acme, alice]).unwrap(),
            "(tenant:a%7Bc%7Dm%20e%2A+user:alice@example.com)",
        ),
    ];
    for (identity, text) in expected {
        assert_eq!(bucket(&ring, &identity, &policy), format!("rl:v1:{{{text}}}:tb/api"));
    }
    let long = ClientIdentity::user("x".repeat(200)).unwrap();
    assert_eq!(bucket(&ring, &long, &policy).len(), "rl:v1:{}:tb/api".len() + 22);
}

#[test]
fn what_cannot_work_is_refused_with_the_value_but_never_the_secret() {
    for prefix in ["", "a{b", "a*", "a b", "ä", &"x".repeat(65)] {
        let error = KeyRing::new(prefix, None, IdentityForm::Digest).unwrap_err();
        assert_eq!(error, KeyError::Prefix { prefix: prefix.to_owned() });
    }
    let error = KeyRing::new("rl", Some(b"hunter2"), IdentityForm::Digest).unwrap_err();
    assert_eq!(error.to_string(), "the key secret has 7 bytes; expected at least 16");
    assert!(!format!("{:?}", ring(IdentityForm::Digest)).contains("sixteen"));
}

/// Other secrets, other prefixes: nothing in common.
#[test]
fn a_secret_changes_every_digest() {
    let policy = RateLimitPolicy::per_minute(5).build().unwrap();
    let keys: HashSet<String> = [None, Some(SECRET), Some(b"another secret of 24 byt")]
        .into_iter()
        .map(|secret| {
            let ring = KeyRing::new("rl", secret, IdentityForm::Digest).unwrap();
            bucket(&ring, &ClientIdentity::GLOBAL, &policy)
        })
        .collect();
    assert_eq!(keys.len(), 3);
}

fn identities() -> impl Strategy<Value = ClientIdentity> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..40);
    let simple = prop_oneof![
        Just(ClientIdentity::GLOBAL),
        Just(ClientIdentity::ANONYMOUS),
        any::<std::net::Ipv4Addr>().prop_map(ClientIdentity::from),
        any::<std::net::Ipv6Addr>().prop_map(ClientIdentity::from),
        any::<[u8; 32]>().prop_map(|it| ClientIdentity::api_key(ApiKeyDigest::from_sha256(it))),
        bytes().prop_map(|it| ClientIdentity::user(it).unwrap()),
        bytes().prop_map(|it| ClientIdentity::tenant(it).unwrap()),
        (bytes(), bytes()).prop_map(|(one, two)| ClientIdentity::custom(one, two).unwrap()),
    ];
    simple.prop_recursive(2, 8, 3, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(|it| ClientIdentity::all_of(&it).unwrap())
    })
}

proptest! {
    /// Case X03: whatever bytes a client sends, the tag is the only part in braces, and all keys of
    /// an owner lie in its slot by the rule of Redis Cluster.
    #[test]
    fn x03_no_bytes_move_a_slot(identity in identities(), form in prop_oneof![
        Just(IdentityForm::Digest), Just(IdentityForm::Readable)
    ]) {
        let ring = ring(form);
        let owner = ring.owner(&identity);
        for policy in [
            RateLimitPolicy::per_minute(5).named("a:b").build().unwrap(),
            RateLimitPolicy::per_day(5).named("login").aligned_window().build().unwrap(),
        ] {
            let (mut bucket, mut ladder) = (Vec::new(), Vec::new());
            owner.write_bucket(&policy, &mut bucket);
            owner.write_ladder(&policy, &mut ladder);
            for key in [bucket, ladder] {
                let key = String::from_utf8(key).unwrap();
                prop_assert_eq!(key.matches(['{', '}']).count(), 2, "{}", key);
                prop_assert!(!key.contains(['*', '?', '[', ' ', '\r', '\n']), "{}", key);
                let tag = key.split(['{', '}']).nth(1).unwrap();
                prop_assert_eq!(crate::link::Slot::of_tag(tag.as_bytes()), owner.slot());
            }
        }
    }

    /// Two identities never share a key, in either form.
    #[test]
    fn keys_tell_identities_apart(one in identities(), other in identities()) {
        let policy = RateLimitPolicy::per_minute(5).build().unwrap();
        for form in [IdentityForm::Digest, IdentityForm::Readable] {
            let ring = ring(form);
            let same = bucket(&ring, &one, &policy) == bucket(&ring, &other, &policy);
            prop_assert_eq!(same, one == other);
        }
    }
}
