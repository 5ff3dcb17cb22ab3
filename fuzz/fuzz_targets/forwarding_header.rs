//! Any bytes in any lines of a forwarding header: no panic, the same client as the naive oracle
//! finds, and nothing changed by what stands to the left of a hop that a proxy appended.
//!
//! The first byte of an input chooses the header and whom to trust. The rest is the lines of the
//! header, separated by line feeds.

#![no_main]

use std::net::IpAddr;
use std::num::NonZeroU8;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use rate_limit_tower::{ClientAddress, ForwardingHeader, TrustedProxies};

#[allow(dead_code)]
#[path = "../../rate-limit-tower/tests/address/oracle.rs"]
mod oracle;

use oracle::Named;

const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
const NETWORKS: [&str; 2] = ["10.0.0.0/8", "2001:db8:a::/48"];
const MAX_BYTES: usize = 8 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let lines: Vec<HeaderValue> =
        bytes.split(|byte| *byte == b'\n').flat_map(HeaderValue::from_bytes).collect();
    let (named, header, name, appended) = match choice % 3 {
        0 => (
            Named::XForwardedFor,
            ForwardingHeader::XForwardedFor,
            "x-forwarded-for",
            "2001:db8::9",
        ),
        1 => {
            (Named::Forwarded, ForwardingHeader::Forwarded, "forwarded", "for=\"[2001:db8::9]:1\"")
        }
        _ => (
            Named::Single,
            ForwardingHeader::single("x-real-ip").unwrap(),
            "x-real-ip",
            "2001:db8::9",
        ),
    };
    let name = HeaderName::from_static(name);
    let count = NonZeroU8::new(1 + choice / 3 % 5);
    let trusted = match count.filter(|count| count.get() < 5) {
        None => TrustedProxies::parse(NETWORKS),
        Some(count) => TrustedProxies::parse_hops(count, NETWORKS),
    };
    let trusts = |hop: IpAddr, number: usize| match count.filter(|count| count.get() < 5) {
        None => match hop {
            IpAddr::V4(hop) => hop.octets()[0] == 10,
            IpAddr::V6(hop) => hop.segments()[..3] == [0x2001, 0xdb8, 0xa],
        },
        Some(count) => number < usize::from(count.get()),
    };
    let address = ClientAddress::forwarded(header, trusted.unwrap());

    let mut headers = HeaderMap::new();
    for line in &lines {
        headers.append(&name, line.clone());
    }
    let client = address.address_of(Some(PROXY), &headers);
    if bytes.len() < MAX_BYTES {
        let texts: Vec<&[u8]> = lines.iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(client, Some(oracle::client(named, PROXY, &texts, trusts)));
    }

    // Whoever is not trusted is the client, and so is everybody where no header is named.
    assert_eq!(address.address_of(Some(STRANGER), &headers), Some(STRANGER));
    assert_eq!(address.address_of(None, &headers), None);
    assert_eq!(ClientAddress::default().address_of(Some(PROXY), &headers), Some(PROXY));

    // A proxy that appends to the last line, and one that adds a line.
    if named == Named::Single || count.is_some_and(|count| (2..5).contains(&count.get())) {
        return;
    }
    let honest = Some("2001:db8::9".parse().unwrap());
    let mut added = headers.clone();
    added.append(&name, HeaderValue::from_static(appended));
    assert_eq!(address.address_of(Some(PROXY), &added), honest);
    if let Some(last) = lines.last() {
        let joined = [last.as_bytes(), b", ", appended.as_bytes()].concat();
        let mut appended = HeaderMap::new();
        for line in lines.iter().rev().skip(1).rev() {
            appended.append(&name, line.clone());
        }
        appended.append(&name, HeaderValue::from_bytes(&joined).unwrap());
        assert_eq!(address.address_of(Some(PROXY), &appended), honest);
    }
});
