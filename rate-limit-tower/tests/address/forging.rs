//! What no client can bring about, whatever it sends.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use rate_limit_tower::{ClientAddress, TrustedProxies};

use crate::oracle::{self, Named};
use crate::support::{NETWORKS, PROXY, STRANGER, behind, count, header, ip, lines};

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![Just(Named::XForwardedFor), Just(Named::Forwarded), Just(Named::Single)]
}

/// Any bytes that a header may hold, often such that they look like hops.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "(10\\.0\\.0\\.[1-9]|203\\.0\\.113\\.[1-9]|2001:db8:a::[1-9]|\\[2001:db8::1\\](:443)?)",
        4 => prop_oneof![Just(","), Just(", "), Just("for="), Just("For=\""), Just("\""), Just(";")]
            .prop_map(str::to_owned),
        1 => prop_oneof![
            Just("unknown"), Just("_hidden"), Just(":4711"), Just("::ffff:10.0.0.2"), Just("%eth0"),
            Just("proto=https"), Just("\\"), Just("\""), Just("64:ff9b::a00:1"), Just("\t")
        ]
        .prop_map(str::to_owned),
        1 => "[ -~]{0,4}",
    ]
    .prop_map(String::into_bytes);
    let junk = proptest::collection::vec(any::<u8>(), 0..4)
        .prop_map(|bytes| bytes.into_iter().filter(|byte| *byte > 31 && *byte != 127).collect());
    proptest::collection::vec(prop_oneof![9 => piece, 1 => junk], 0..12)
        .prop_map(|pieces| pieces.concat())
}

fn forged_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(line(), 0..4)
}

/// Whether the networks of the tests hold `hop`, found out without them.
fn is_proxy(hop: IpAddr) -> bool {
    match hop {
        IpAddr::V4(hop) => hop.octets()[0] == 10,
        IpAddr::V6(hop) => hop.segments()[..3] == [0x2001, 0xdb8, 0xa],
    }
}

/// Trusts the networks of the tests, and for anything but 0 as many hops.
fn trusting(hops: u8, named: Named) -> ClientAddress {
    let (header, ..) = header(named, "");
    match hops {
        0 => behind(header),
        hops => crate::support::behind_hops(hops, header),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    /// G20.
    #[test]
    fn g20_by_default_no_header_changes_the_client(
        fields in proptest::collection::vec(("[a-z-]{1,20}", line()), 0..8),
        claims in forged_lines(),
    ) {
        let mut headers = lines("x-forwarded-for", &claims);
        headers.extend(lines("forwarded", &claims));
        headers.extend(lines("x-real-ip", &claims));
        for (name, value) in &fields {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        for address in [ClientAddress::default(), ClientAddress::peer()] {
            for peer in [None, Some(ip(STRANGER)), Some(ip(PROXY))] {
                prop_assert_eq!(address.address_of(peer, &headers), peer);
            }
        }
    }

    #[test]
    fn the_client_is_the_one_that_the_oracle_finds(
        named in named(), forged in forged_lines(), hops in 0_u8..5,
    ) {
        let (_, name, _) = header(named, "");
        let headers = lines(name, &forged);
        let found = trusting(hops, named).address_of(Some(ip(PROXY)), &headers);
        let texts: Vec<&[u8]> = forged.iter().map(Vec::as_slice).collect();
        let expected = oracle::client(named, ip(PROXY), &texts, |hop, number| match hops {
            0 => is_proxy(hop),
            hops => number < usize::from(hops),
        });
        prop_assert_eq!(found, Some(expected));
    }

    /// K02: a proxy appends to what the client sent, in the same line or in one of its own.
    #[test]
    fn nothing_to_the_left_of_what_a_proxy_appended_changes_the_client(
        named in prop_oneof![Just(Named::XForwardedFor), Just(Named::Forwarded)],
        mut forged in forged_lines(),
        crossed in 0_usize..3,
        in_the_same_line: bool,
    ) {
        let mut appended = vec![header(named, "203.0.113.9").2];
        appended.extend((0..crossed).map(|_| header(named, "[2001:db8:a::7]:443").2));
        let appended = appended.join(", ").into_bytes();
        match forged.last_mut() {
            Some(last) if in_the_same_line => *last = [last.as_slice(), b", ", &appended].concat(),
            _ => forged.push(appended),
        }
        let (_, name, _) = header(named, "");
        let headers = lines(name, &forged);
        let by_network = trusting(0, named).address_of(Some(ip(PROXY)), &headers);
        prop_assert_eq!(by_network, Some(ip("203.0.113.9")));
        let hops = 1 + u8::try_from(crossed).unwrap();
        let by_count = trusting(hops, named).address_of(Some(ip(PROXY)), &headers);
        prop_assert_eq!(by_count, Some(ip("203.0.113.9")));
    }

    /// K04.
    #[test]
    fn nothing_an_untrusted_peer_sends_changes_the_client(
        named in named(), forged in forged_lines(), hops in 0_u8..5,
    ) {
        let (_, name, _) = header(named, "");
        let headers = lines(name, &forged);
        let found = trusting(hops, named).address_of(Some(ip(STRANGER)), &headers);
        prop_assert_eq!(found, Some(ip(STRANGER)));
    }

    /// K06.
    #[test]
    fn ports_never_make_clients(named in named(), address: IpAddr, one: u16, two: u16) {
        let with = |port: u16| {
            let (header, name, value) =
                header(named, &std::net::SocketAddr::new(address, port).to_string());
            behind(header).address_of(Some(ip(PROXY)), &lines(name, &[value]))
        };
        prop_assert_eq!(with(one), with(two));
    }

    /// K12: any bytes at all, also where every hop is trusted.
    #[test]
    fn no_bytes_panic(named in named(), bytes: Vec<u8>, hops in 1_u8..17) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let (header, name, _) = header(named, "");
        let mut headers = HeaderMap::new();
        headers.append(name, value.clone());
        headers.append(name, value);
        let trusted = TrustedProxies::any_peer_and_hops(count(hops)).unwrap();
        ClientAddress::forwarded(header.clone(), trusted).address_of(None, &headers);
        behind(header).address_of(Some(ip(PROXY)), &headers);
    }
}

#[test]
fn the_networks_of_the_tests_are_the_ones_of_the_oracle() {
    assert_eq!(NETWORKS, ["10.0.0.0/8", "2001:db8:a::/48"]);
    assert!(is_proxy(ip(PROXY)) && !is_proxy(ip(STRANGER)));
}
