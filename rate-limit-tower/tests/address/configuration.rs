//! What is refused when the trust is set up, with texts that say what to do.

use std::net::IpAddr;

use rate_limit_tower::{ClientAddressError, ForwardingHeader, Network, TrustedProxies};

use crate::support::{count, ip};

fn network(address: &str, bits: u8) -> Network {
    Network::new(ip(address), bits).unwrap()
}

/// K20.
#[test]
fn k20_a_network_of_every_address_is_refused() {
    for (text, named) in [
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("64:ff9b::/96", "0.0.0.0/0"),
    ] {
        let refused = ClientAddressError::EveryAddress { network: named };
        let lists = [vec![text], vec!["10.0.0.0/8", text], vec![text, "10.0.0.0/8"]];
        for list in lists {
            assert_eq!(TrustedProxies::parse(&list).unwrap_err(), refused, "{list:?}");
            assert_eq!(TrustedProxies::parse_hops(count(1), &list).unwrap_err(), refused);
        }
    }
    let everybody = || [network("10.0.0.0", 0)];
    assert!(TrustedProxies::networks(everybody()).is_err());
    assert!(TrustedProxies::hops(count(2), everybody()).is_err());
    let text = TrustedProxies::parse(["0.0.0.0/0"]).unwrap_err().to_string();
    assert!(text.contains("`0.0.0.0/0`") && text.contains("TrustedProxies::any_peer()"), "{text}");
}

#[test]
fn the_widest_networks_that_are_left_are_accepted() {
    assert!(TrustedProxies::parse(["128.0.0.0/1", "8000::/1"]).is_ok());
    assert!(TrustedProxies::networks([network("255.255.255.255", 32)]).is_ok());
    assert!(TrustedProxies::networks([network("::", 128)]).is_ok());
}

#[test]
fn networks_are_read_from_texts() {
    for text in ["192.0.2.1", "192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32", "::1", "::1/128"] {
        assert!(TrustedProxies::parse([text]).is_ok(), "{text}");
    }
    for text in [
        "",
        " 192.0.2.1",
        "192.0.2",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/24/8",
        "192.0.2.0/255.255.255.0",
        "2001:db8::/129",
        "[2001:db8::1]",
        "proxy.example",
        "*",
    ] {
        let refused = TrustedProxies::parse([text]).unwrap_err();
        assert_eq!(refused, ClientAddressError::NotANetwork { text: text.to_owned() });
        assert!(refused.to_string().starts_with(&format!("`{text}` is not a network; expected ")));
    }
}

#[test]
fn bits_beyond_the_prefix_are_refused() {
    for (text, network) in [("10.0.0.1/8", "10.0.0.0/8"), ("2001:db8::1/64", "2001:db8::/64")] {
        let refused = TrustedProxies::parse([text]).unwrap_err().to_string();
        let told = format!("`{text}` has bits set beyond its prefix length; expected `{network}`");
        assert_eq!(refused, told);
    }
}

#[test]
fn trusting_nobody_is_refused() {
    let nobody: [&str; 0] = [];
    let refused = ClientAddressError::NobodyTrusted;
    assert_eq!(TrustedProxies::parse(nobody).unwrap_err(), refused);
    assert_eq!(TrustedProxies::parse_hops(count(1), nobody).unwrap_err(), refused);
    assert_eq!(TrustedProxies::networks([]).unwrap_err(), refused);
    assert_eq!(TrustedProxies::hops(count(1), []).unwrap_err(), refused);
}

#[test]
fn more_hops_than_are_looked_at_are_refused() {
    assert!(TrustedProxies::any_peer_and_hops(count(16)).is_ok());
    let refused = ClientAddressError::Hops { hops: 17 };
    assert_eq!(refused.to_string(), "17 trusted hops are too many; expected 1 to 16");
    assert_eq!(TrustedProxies::any_peer_and_hops(count(17)).unwrap_err(), refused);
    assert_eq!(TrustedProxies::parse_hops(count(17), ["10.0.0.1"]).unwrap_err(), refused);
}

#[test]
fn a_header_with_one_address_has_a_name() {
    let named = ForwardingHeader::single("CF-Connecting-IP").unwrap();
    assert_eq!(named, ForwardingHeader::single("cf-connecting-ip").unwrap());
    for name in ["", "x real ip", "x-real-ip:", "é"] {
        let refused = ForwardingHeader::single(name).unwrap_err();
        assert_eq!(refused, ClientAddressError::NotAHeaderName { name: name.to_owned() });
    }
    for (name, variant) in [("X-Forwarded-For", "XForwardedFor"), ("forwarded", "Forwarded")] {
        let refused = ForwardingHeader::single(name).unwrap_err().to_string();
        assert!(refused.contains(&format!("ForwardingHeader::{variant}")), "{refused}");
    }
}

/// The families do not mix, except where one address is the other.
#[test]
fn networks_are_compared_in_canonical_form() {
    use rate_limit_tower::ClientAddress;
    let trusts = |text: &str, peer: IpAddr| {
        let trusted = TrustedProxies::parse([text]).unwrap();
        let address = ClientAddress::forwarded(ForwardingHeader::XForwardedFor, trusted);
        let headers = crate::support::lines("x-forwarded-for", &["203.0.113.9"]);
        address.address_of(Some(peer), &headers) == Some(ip("203.0.113.9"))
    };
    assert!(trusts("192.0.2.0/24", ip("::ffff:192.0.2.1")));
    assert!(trusts("::ffff:192.0.2.0/120", ip("192.0.2.1")));
    assert!(trusts("192.0.2.1", ip("64:ff9b::192.0.2.1")));
    assert!(!trusts("192.0.2.0/24", ip("::192.0.2.1")));
    assert!(!trusts("::1", ip("127.0.0.1")));
}
