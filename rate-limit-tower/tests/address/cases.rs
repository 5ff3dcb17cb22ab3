//! The cases of the promises, by their number, and their neighbours.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use rate_limit_tower::{ClientAddress, ClientIdentity, ForwardingHeader, TrustedProxies};

use crate::oracle::Named;
use crate::support::{
    PROXY, STRANGER, behind, behind_hops, client, count, forwarded, header, ip, lines, single,
    x_forwarded_for,
};

const ALL: [Named; 3] = [Named::XForwardedFor, Named::Forwarded, Named::Single];

/// Headers in which a client may claim to be somebody else, with room for an address.
const CLAIMS: [&str; 8] = [
    "x-forwarded-for",
    "x-real-ip",
    "forwarded",
    "true-client-ip",
    "cf-connecting-ip",
    "x-client-ip",
    "fastly-client-ip",
    "x-cluster-client-ip",
];

fn claims(number: u32) -> http::HeaderMap {
    // Neighbouring numbers make wholly different addresses.
    let forged = std::net::Ipv4Addr::from(number.wrapping_mul(2_654_435_761));
    let mut headers = http::HeaderMap::new();
    for claim in CLAIMS {
        let value = match claim {
            "forwarded" => format!("for={forged}"),
            _ => forged.to_string(),
        };
        headers.insert(claim, value.parse().unwrap());
    }
    headers
}

#[test]
fn k01_without_trusted_proxies_no_header_counts() {
    for address in [ClientAddress::default(), ClientAddress::peer()] {
        for number in 0..1_000 {
            let found = address.address_of(Some(ip(PROXY)), &claims(number));
            assert_eq!(found, Some(ip(PROXY)));
        }
    }
}

#[test]
fn k02_the_hop_that_the_trusted_peer_appended_is_the_client() {
    assert_eq!(x_forwarded_for("6.6.6.6, 203.0.113.9"), ip("203.0.113.9"));
    assert_eq!(x_forwarded_for("6.6.6.6,203.0.113.9"), ip("203.0.113.9"));
    assert_eq!(x_forwarded_for("203.0.113.9"), ip("203.0.113.9"));
    assert_eq!(forwarded("for=6.6.6.6, for=203.0.113.9"), ip("203.0.113.9"));
    assert_eq!(client(&behind(single()), "x-real-ip", &["203.0.113.9"]), ip("203.0.113.9"));
}

#[test]
fn k02_further_trusted_hops_are_crossed() {
    assert_eq!(x_forwarded_for("6.6.6.6, 203.0.113.9, 10.0.0.3, 10.0.0.2"), ip("203.0.113.9"));
    assert_eq!(x_forwarded_for("203.0.113.9, 2001:db8:a::1, 10.0.0.2"), ip("203.0.113.9"));
    assert_eq!(x_forwarded_for("203.0.113.9, ::ffff:10.0.0.2"), ip("203.0.113.9"));
    // A trusted address beyond an untrusted hop is a claim like any other.
    assert_eq!(x_forwarded_for("10.0.0.9, 203.0.113.9, 10.0.0.2"), ip("203.0.113.9"));
}

#[test]
fn where_all_hops_are_trusted_the_left_most_is_the_client() {
    assert_eq!(x_forwarded_for("10.0.0.4, 10.0.0.3, 10.0.0.2"), ip("10.0.0.4"));
    assert_eq!(forwarded("for=10.0.0.4, for=10.0.0.2"), ip("10.0.0.4"));
}

#[test]
fn where_the_header_is_missing_the_proxy_is_the_client() {
    for named in ALL {
        let (header, ..) = header(named, "");
        assert_eq!(
            behind(header).address_of(Some(ip(PROXY)), &http::HeaderMap::new()),
            Some(ip(PROXY))
        );
    }
}

#[test]
fn lines_are_one_list_in_their_order() {
    let xff = behind(ForwardingHeader::XForwardedFor);
    let found = |values: &[&str]| client(&xff, "x-forwarded-for", values);
    assert_eq!(found(&["6.6.6.6", "203.0.113.9"]), ip("203.0.113.9"));
    assert_eq!(found(&["203.0.113.9", "10.0.0.2"]), ip("203.0.113.9"));
    assert_eq!(found(&["6.6.6.6, 203.0.113.9", "10.0.0.3, 10.0.0.2"]), ip("203.0.113.9"));
    assert_eq!(found(&["6.6.6.6", ""]), ip(PROXY), "an empty line is an empty hop");
    assert_eq!(found(&["6.6.6.6,", "203.0.113.9"]), ip("203.0.113.9"));
    let forwarded = behind(ForwardingHeader::Forwarded);
    let values = ["for=\"", "for=203.0.113.9", "for=10.0.0.2"];
    assert_eq!(client(&forwarded, "forwarded", &values), ip("203.0.113.9"));
}

#[test]
fn a_single_address_is_believed_only_alone() {
    let found = |values: &[&str]| client(&behind(single()), "x-real-ip", values);
    assert_eq!(found(&["203.0.113.9"]), ip("203.0.113.9"));
    assert_eq!(found(&["10.0.0.9"]), ip("10.0.0.9"), "nothing is crossed");
    assert_eq!(found(&["203.0.113.9", "203.0.113.9"]), ip(PROXY));
    assert_eq!(found(&["6.6.6.6, 203.0.113.9"]), ip(PROXY));
    assert_eq!(found(&["203.0.113.9", ""]), ip(PROXY));
    // A list under a name that holds one is no better for being named as single.
    let list = behind(ForwardingHeader::Single("x-forwarded-for".parse().unwrap()));
    assert_eq!(client(&list, "x-forwarded-for", &["6.6.6.6, 203.0.113.9"]), ip(PROXY));
}

#[test]
fn k04_the_header_of_an_untrusted_peer_is_ignored() {
    for named in ALL {
        let (header, name, value) = header(named, "203.0.113.9");
        let headers = lines(name, &[value]);
        for address in [behind(header.clone()), behind_hops(2, header)] {
            for stranger in [STRANGER, "11.0.0.1", "2001:db8:b::1", "::ffff:198.51.100.7"] {
                let found = address.address_of(Some(ip(stranger)), &headers);
                assert_eq!(found, Some(ip(stranger.trim_start_matches("::ffff:"))));
            }
        }
    }
}

#[test]
fn the_headers_are_never_mixed() {
    let mut both = lines("x-forwarded-for", &["203.0.113.1"]);
    both.extend(lines("forwarded", &["for=203.0.113.2"]));
    both.extend(lines("x-real-ip", &["203.0.113.3"]));
    let expected = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    for (named, expected) in ALL.into_iter().zip(expected) {
        let (header, name, _) = header(named, "");
        assert_eq!(behind(header.clone()).address_of(Some(ip(PROXY)), &both), Some(ip(expected)));
        let mut others = both.clone();
        others.remove(name);
        assert_eq!(behind(header.clone()).address_of(Some(ip(PROXY)), &others), Some(ip(PROXY)));
        // Neither does one step in where the other cannot be read.
        others.insert(name, "unknown".parse().unwrap());
        assert_eq!(behind(header).address_of(Some(ip(PROXY)), &others), Some(ip(PROXY)));
    }
}

#[test]
fn k06_ports_do_not_make_clients() {
    for named in ALL {
        for host in ["203.0.113.9", "[2001:db8::1]"] {
            let found: HashSet<_> = (1..=1_000)
                .map(|port| {
                    let (header, name, value) = header(named, &format!("{host}:{port}"));
                    client(&behind(header), name, &[value])
                })
                .collect();
            assert_eq!(found, HashSet::from([ip(host.trim_matches(['[', ']']))]));
        }
    }
}

#[test]
fn k07_an_ipv4_mapped_address_is_the_ipv4_address() {
    let one = x_forwarded_for("192.0.2.1");
    assert_eq!(x_forwarded_for("::ffff:192.0.2.1"), one);
    assert_eq!(x_forwarded_for("[::ffff:c000:201]:80"), one);
    assert_ne!(x_forwarded_for("::ffff:192.0.2.2"), one);
    let peer = ClientAddress::peer();
    let headers = http::HeaderMap::new();
    assert_eq!(peer.address_of(Some(ip("::ffff:192.0.2.1")), &headers), Some(ip("192.0.2.1")));
}

#[test]
fn k09_a_subscriber_of_ipv6_is_one_client() {
    let network = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 0));
    let mut host: u64 = 1;
    let found: HashSet<_> = (0..10_000)
        .map(|_| {
            host = host.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let address = Ipv6Addr::from(network | u128::from(host));
            ClientIdentity::ip(forwarded(&format!("for=\"[{address}]:443\"")))
        })
        .collect();
    assert_eq!(found.len(), 1);
}

#[test]
fn k12_bytes_that_are_no_text_are_no_hop() {
    for named in ALL {
        let (header, name, value) = header(named, "203.0.113.9");
        let address = behind(header);
        for byte in 0x80..=0xff_u8 {
            for junk in [
                vec![byte],
                [&[byte], value.as_bytes()].concat(),
                [value.as_bytes(), &[byte]].concat(),
            ] {
                assert_eq!(client(&address, name, &[&junk]), ip(PROXY), "{byte:#x}");
            }
            let left: &[u8] = &[byte];
            if named != Named::Single {
                let list = [left, b", ", value.as_bytes()].concat();
                assert_eq!(client(&address, name, &[list]), ip("203.0.113.9"), "{byte:#x}");
            }
        }
        // The beginnings of longer characters.
        for truncated in [b"\xc3".as_slice(), b"\xe2\x82", b"\xf0\x9f\x98"] {
            assert_eq!(client(&address, name, &[truncated]), ip(PROXY));
        }
    }
}

#[test]
fn k16_a_connection_without_an_address_stays_without_one() {
    for named in ALL {
        let (header, name, value) = header(named, "203.0.113.9");
        let headers = lines(name, &[value]);
        assert_eq!(behind(header.clone()).address_of(None, &headers), None);
        assert_eq!(behind_hops(1, header.clone()).address_of(None, &headers), None);
        // Unless it was said that whoever is connected is the proxy, as on a Unix socket.
        let unix = ClientAddress::forwarded(header, TrustedProxies::any_peer());
        assert_eq!(unix.address_of(None, &headers), Some(ip("203.0.113.9")));
        assert_eq!(unix.address_of(None, &http::HeaderMap::new()), None);
    }
}

#[test]
fn k20_any_peer_trusts_one_hop_and_no_more() {
    let address =
        ClientAddress::forwarded(ForwardingHeader::XForwardedFor, TrustedProxies::any_peer());
    let headers = lines("x-forwarded-for", &["6.6.6.6, 10.0.0.2"]);
    assert_eq!(address.address_of(Some(ip(STRANGER)), &headers), Some(ip("10.0.0.2")));
    let two = TrustedProxies::any_peer_and_hops(count(2)).unwrap();
    let address = ClientAddress::forwarded(ForwardingHeader::XForwardedFor, two);
    assert_eq!(address.address_of(Some(ip(STRANGER)), &headers), Some(ip("6.6.6.6")));
}

/// The peer is the first hop, whatever the addresses of the others are.
#[test]
fn trusted_hops_are_counted_from_the_right() {
    let list = "6.6.6.6, 203.0.113.9, 198.18.0.2, 198.18.0.3";
    let expected = ["198.18.0.3", "198.18.0.2", "203.0.113.9", "6.6.6.6", "6.6.6.6", "6.6.6.6"];
    for (hops, expected) in (1..).zip(expected) {
        let address = behind_hops(hops, ForwardingHeader::XForwardedFor);
        assert_eq!(client(&address, "x-forwarded-for", &[list]), ip(expected), "{hops}");
    }
    let address = behind_hops(3, ForwardingHeader::XForwardedFor);
    let found = |list: &str| client(&address, "x-forwarded-for", &[list]);
    assert_eq!(found("203.0.113.9, 198.18.0.3"), ip("203.0.113.9"), "fewer than that");
    assert_eq!(found("203.0.113.9, unknown, 198.18.0.3"), ip("198.18.0.3"), "junk is not crossed");
    assert_eq!(found("203.0.113.9, 198.18.0.2, junk"), ip(PROXY));
    assert_eq!(found("junk, 198.18.0.2, 198.18.0.3"), ip("198.18.0.2"));
    assert_eq!(client(&behind_hops(3, single()), "x-real-ip", &["203.0.113.9"]), ip("203.0.113.9"));
}
