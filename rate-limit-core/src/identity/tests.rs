use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn ip(address: &str) -> ClientIdentity {
    ClientIdentity::ip(address.parse().expect("an address"))
}

/// Case K07.
#[test]
fn k07_mapped_addresses_equal_the_plain_ones_and_stay_apart_from_each_other() {
    assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    assert_eq!(ip("64:ff9b::192.0.2.1"), ip("192.0.2.1"));
    assert_ne!(ip("::ffff:192.0.2.2"), ip("192.0.2.1"));
    assert_ne!(ip("::192.0.2.1"), ip("192.0.2.1"), "IPv4-compatible addresses are not IPv4");
}

/// Case K09.
#[test]
fn k09_ten_thousand_addresses_of_one_64_are_one_identity() {
    let identities: HashSet<_> = (0..10_000_u128)
        .map(|low| ClientIdentity::ip(Ipv6Addr::from((0x2001_0db8 << 96) | (low * 77_777)).into()))
        .collect();
    assert_eq!(identities.len(), 1);
    assert_ne!(ip("2001:db8:0:1::1"), ip("2001:db8::1"));
}

/// Case K13, for every constructor at once.
#[test]
fn k13_no_two_identities_share_an_encoding() -> Result<(), IdentityError> {
    let digest = ApiKeyDigest::from_sha256([b'a'; 32]);
    let user = |name: &str| ClientIdentity::user(name);
    let all = [
        ClientIdentity::GLOBAL,
        ClientIdentity::ANONYMOUS,
        ip("0.0.0.0"),
        ip("::"),
        ip("192.0.2.1"),
        ClientIdentity::ip_within([192, 0, 2, 1].into(), IpPrefixes::new(24, 64)?),
        ClientIdentity::ip_within([192, 0, 2, 1].into(), IpPrefixes::new(0, 0)?),
        ClientIdentity::api_key(digest),
        user("a".repeat(32).as_str())?,
        user("a")?,
        ClientIdentity::tenant("a")?,
        ClientIdentity::custom("a", "b:c")?,
        ClientIdentity::custom("a:b", "c")?,
        ClientIdentity::custom("ab", ":c")?,
        ClientIdentity::all_of(&[user("a")?])?,
        ClientIdentity::all_of(&[user("a")?, user("b")?])?,
        ClientIdentity::all_of(&[user("b")?, user("a")?])?,
        ClientIdentity::all_of(&[user("ab")?])?,
        ClientIdentity::all_of(&[ClientIdentity::all_of(&[user("a")?])?, user("b")?])?,
        ClientIdentity::all_of(&[user("a")?, ClientIdentity::all_of(&[user("b")?])?])?,
    ];
    let distinct: HashSet<_> = all.iter().map(ClientIdentity::as_bytes).collect();
    assert_eq!(distinct.len(), all.len());
    Ok(())
}

#[test]
fn impossible_identities_are_refused() {
    let long = "x".repeat(ClientIdentity::MAX_VALUE_BYTES + 1);
    assert_eq!(ClientIdentity::user(""), Err(IdentityError::EmptyValue { dimension: "user" }));
    assert!(ClientIdentity::custom("a", "").is_err());
    assert!(ClientIdentity::custom("", "a").is_err());
    assert_eq!(ClientIdentity::all_of(&[]), Err(IdentityError::EmptyComposition));
    let error = ClientIdentity::tenant(&long).expect_err("too long").to_string();
    assert_eq!(error, "the tenant has 65536 bytes; expected at most 65535");
    assert!(IpPrefixes::new(33, 64).is_err());
    assert!(IpPrefixes::new(32, 129).is_err());
}

/// Case O02 at its root: nothing a client sent can be read from the debug output.
#[test]
fn debug_output_shows_kinds_only() -> Result<(), IdentityError> {
    let canary = "canary-4f1c";
    let identity = ClientIdentity::all_of(&[
        ClientIdentity::user(canary)?,
        ClientIdentity::custom(canary, canary)?,
        ip("203.0.113.77"),
        ClientIdentity::api_key(ApiKeyDigest::from_sha256([7; 32])),
    ])?;
    assert_eq!(format!("{identity:?}"), "ClientIdentity(user + custom + ipv4 + api key)");
    Ok(())
}

#[test]
fn an_identity_stays_small() {
    assert_eq!(size_of::<ClientIdentity>(), 40);
    assert!(matches!(ip("2001:db8::1").0, Encoding::Inline { .. }));
}

proptest! {
    /// The same value under two encodings, short and long, compares and hashes by its bytes.
    #[test]
    fn equality_is_equality_of_values(a in "[ab:]{1,60}", b in "[ab:]{1,60}") {
        let (x, y) = (ClientIdentity::user(&a)?, ClientIdentity::user(&b)?);
        prop_assert_eq!(x == y, a == b);
        let one = ClientIdentity::custom(&a, &b)?;
        let two = ClientIdentity::custom(&b, &a)?;
        prop_assert_eq!(one == two, a == b);
    }

    #[test]
    fn a_prefix_keeps_exactly_its_bits(bits in 0_u8..=128, one: u128, two: u128) {
        // Outside of the ranges that carry an IPv4 address.
        let address = |low: u128| Ipv6Addr::from(0x2001 << 112 | low >> 16);
        let prefixes = IpPrefixes::new(32, bits)?;
        let identity = |low| ClientIdentity::ip_within(address(low).into(), prefixes);
        let differ = u128::from(address(one)) ^ u128::from(address(two));
        prop_assert_eq!(identity(one) == identity(two), differ.leading_zeros() >= u32::from(bits));
    }
}
