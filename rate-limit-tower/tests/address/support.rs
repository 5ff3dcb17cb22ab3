//! Short ways to make what the other modules need.

use std::net::IpAddr;
use std::num::NonZeroU8;

use http::{HeaderMap, HeaderName, HeaderValue};
use rate_limit_tower::{ClientAddress, ForwardingHeader, TrustedProxies};

use crate::oracle::Named;

/// The nearest proxy.
pub(crate) const PROXY: &str = "10.0.0.1";
/// Networks of proxies; [`PROXY`] is in one of them.
pub(crate) const NETWORKS: [&str; 2] = ["10.0.0.0/8", "2001:db8:a::/48"];
/// Somebody who is no proxy.
pub(crate) const STRANGER: &str = "198.51.100.7";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("{text} is an address"))
}

pub(crate) fn count(count: u8) -> NonZeroU8 {
    NonZeroU8::new(count).unwrap()
}

pub(crate) fn single() -> ForwardingHeader {
    ForwardingHeader::single("X-Real-IP").unwrap()
}

/// Trusts [`NETWORKS`] with `header`.
pub(crate) fn behind(header: ForwardingHeader) -> ClientAddress {
    ClientAddress::forwarded(header, TrustedProxies::parse(NETWORKS).unwrap())
}

/// Trusts `hops` hops with `header`, of which the nearest is in [`NETWORKS`].
pub(crate) fn behind_hops(hops: u8, header: ForwardingHeader) -> ClientAddress {
    let trusted = TrustedProxies::parse_hops(count(hops), NETWORKS).unwrap();
    ClientAddress::forwarded(header, trusted)
}

/// The header that `named` stands for, its name, and `address` as a proxy would write it there.
pub(crate) fn header(named: Named, address: &str) -> (ForwardingHeader, &'static str, String) {
    match named {
        Named::XForwardedFor => {
            (ForwardingHeader::XForwardedFor, "x-forwarded-for", address.to_owned())
        }
        Named::Forwarded => {
            (ForwardingHeader::Forwarded, "forwarded", format!("for=\"{address}\";proto=https"))
        }
        Named::Single => (single(), "x-real-ip", address.to_owned()),
    }
}

/// Several lines of one header, in this order.
pub(crate) fn lines<T: AsRef<[u8]>>(name: &'static str, lines: &[T]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_bytes(line.as_ref()).unwrap();
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

/// The client of a request from [`PROXY`].
pub(crate) fn client<T: AsRef<[u8]>>(
    address: &ClientAddress,
    name: &'static str,
    values: &[T],
) -> IpAddr {
    address.address_of(Some(ip(PROXY)), &lines(name, values)).unwrap()
}

/// The client of a request from [`PROXY`] with this `X-Forwarded-For`, in one line.
pub(crate) fn x_forwarded_for(value: &str) -> IpAddr {
    client(&behind(ForwardingHeader::XForwardedFor), "x-forwarded-for", &[value])
}

/// The client of a request from [`PROXY`] with this `Forwarded`, in one line.
pub(crate) fn forwarded(value: &str) -> IpAddr {
    client(&behind(ForwardingHeader::Forwarded), "forwarded", &[value])
}
