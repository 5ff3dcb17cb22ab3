//! What is looked at of a header that is too long, in hops or in bytes.

use rate_limit_tower::{ClientAddress, ForwardingHeader, TrustedProxies};

use crate::support::{PROXY, behind, behind_hops, client, ip, single, x_forwarded_for};

/// `10.0.1.<n>` for each number, from left to right.
fn trusted_hops(numbers: impl Iterator<Item = u32>) -> String {
    numbers.map(|number| format!("10.0.1.{number}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn sixteen_hops_are_looked_at() {
    let fifteen = trusted_hops(1..=15);
    assert_eq!(x_forwarded_for(&format!("6.6.6.6, 203.0.113.9, {fifteen}")), ip("203.0.113.9"));
    let sixteen = trusted_hops(1..=16);
    assert_eq!(x_forwarded_for(&format!("203.0.113.9, {sixteen}")), ip("10.0.1.1"));
    assert_eq!(x_forwarded_for(&trusted_hops(1..=200)), ip("10.0.1.185"));
}

#[test]
fn sixteen_lines_are_looked_at() {
    let hops: Vec<String> = (1..=40).map(|number| format!("10.0.1.{number}")).collect();
    let address = behind(ForwardingHeader::XForwardedFor);
    assert_eq!(client(&address, "x-forwarded-for", &hops), ip("10.0.1.25"));
}

#[test]
fn sixteen_hops_can_be_trusted() {
    let address = behind_hops(16, ForwardingHeader::XForwardedFor);
    let list = format!("6.6.6.6, 203.0.113.9, {}", trusted_hops(1..=15));
    assert_eq!(client(&address, "x-forwarded-for", &[list]), ip("203.0.113.9"));
}

/// A hop is read if it and the comma before it lie within the last 8 KiB.
#[test]
fn eight_kibibytes_are_looked_at() {
    let hop = "203.0.113.9";
    let padding = |length: usize| " ".repeat(length);
    for (length, expected) in [(8191, hop), (8192, "10.0.0.2")] {
        let crossed = format!("{}10.0.0.2", padding(length - hop.len() - 1 - 8));
        let list = format!("6.6.6.6,{hop},{crossed}");
        assert_eq!(list.len(), "6.6.6.6".len() + 1 + length);
        assert_eq!(x_forwarded_for(&list), ip(expected), "{length}");
    }
    // All of it may be one hop, as long as it is no longer than that.
    assert_eq!(x_forwarded_for(&format!("{}{hop}", padding(8192 - hop.len()))), ip(hop));
    assert_eq!(x_forwarded_for(&format!("{}{hop}", padding(8193 - hop.len()))), ip(PROXY));
    let alone = behind(single());
    let exactly = format!("{}{hop}", padding(8192 - hop.len()));
    assert_eq!(client(&alone, "x-real-ip", &[exactly]), ip(hop));
    let longer = format!("{}{hop}", padding(8193 - hop.len()));
    assert_eq!(client(&alone, "x-real-ip", &[longer]), ip(PROXY));
}

#[test]
fn the_bytes_of_all_lines_count_together() {
    let address = behind(ForwardingHeader::XForwardedFor);
    let crossed = format!("{}10.0.0.2", " ".repeat(4000));
    let lines = ["203.0.113.9", &crossed, "10.0.0.3"];
    assert_eq!(client(&address, "x-forwarded-for", &lines), ip("203.0.113.9"));
    let lines = ["203.0.113.9", &crossed, &crossed, &crossed];
    assert_eq!(client(&address, "x-forwarded-for", &lines), ip("10.0.0.2"));
}

#[test]
fn a_megabyte_of_commas_is_no_work() {
    let address = ClientAddress::forwarded(
        ForwardingHeader::XForwardedFor,
        TrustedProxies::parse(["10.0.0.0/8"]).unwrap(),
    );
    let commas = ",".repeat(1 << 20);
    assert_eq!(client(&address, "x-forwarded-for", &[commas]), ip(PROXY));
}
