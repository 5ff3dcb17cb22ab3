//! How addresses are written, and how they are not.

use crate::support::{PROXY, behind, client, forwarded, ip, single, x_forwarded_for};

/// What a proxy may write, and whom it means.
const READABLE: [(&str, &str); 16] = [
    ("203.0.113.9", "203.0.113.9"),
    ("203.0.113.9:4711", "203.0.113.9"),
    ("203.0.113.9:0", "203.0.113.9"),
    ("203.0.113.9:_port-1.x", "203.0.113.9"),
    ("2001:db8::1", "2001:db8::1"),
    ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ("[2001:db8::1]", "2001:db8::1"),
    ("[2001:db8::1]:443", "2001:db8::1"),
    ("[2001:db8::1]:_port", "2001:db8::1"),
    ("::ffff:203.0.113.9", "203.0.113.9"),
    ("[::ffff:203.0.113.9]:4711", "203.0.113.9"),
    ("::FFFF:cb00:7109", "203.0.113.9"),
    ("64:ff9b::203.0.113.9", "203.0.113.9"),
    ("fe80::1%eth0", "fe80::1"),
    ("[fe80::1%25en_0.1-x]:80", "fe80::1"),
    ("::", "::"),
];

/// What is no address, or not one alone.
const UNREADABLE: [&str; 45] = [
    "",
    " ",
    "unknown",
    "Unknown",
    "_hidden",
    "_",
    "-",
    "localhost",
    "client.example",
    "203.0.113",
    "203.0.113.9.1",
    "203.0.113.256",
    "0203.0.113.9",
    "0xcb007109",
    "3405803785",
    "203.0.113.9:",
    "203.0.113.9:x",
    "203.0.113.9:+80",
    "203.0.113.9:123456",
    "203.0.113.9:_",
    "203.0.113.9:_a b",
    "203.0.113.9/32",
    "203.0.113.9%eth0",
    "203.0.113.9 203.0.113.10",
    "203.0.113 .9",
    "[203.0.113.9]",
    "[203.0.113.9]:80",
    "2001:db8::1::2",
    "2001:db8::g",
    "2001:db8::1]",
    "[2001:db8::1",
    "[[2001:db8::1]]",
    "[2001:db8::1]443",
    "[2001:db8::1]:",
    "[2001:db8::1]:443:",
    "[]",
    "[]:80",
    "::ffff:203.0.113.9:80",
    "fe80::1%",
    "[fe80::1%]",
    "fe80::1%eth0%eth1",
    "fe80::1%a/b",
    "unix:",
    "\t.",
    "203.0.113.9\u{a0}",
];

#[test]
fn an_address_is_read_however_it_is_written() {
    for (text, address) in READABLE {
        assert_eq!(x_forwarded_for(text), ip(address), "{text}");
        assert_eq!(x_forwarded_for(&format!("6.6.6.6,\t{text} ")), ip(address), "{text}");
        assert_eq!(forwarded(&format!("for=\"{text}\"")), ip(address), "{text}");
        assert_eq!(forwarded(&format!("for={text}")), ip(address), "{text}");
        assert_eq!(client(&behind(single()), "x-real-ip", &[text]), ip(address), "{text}");
    }
}

/// Junk is the bucket of the proxy that passed it on, whatever is to its left.
#[test]
fn what_is_no_address_ends_the_walk_where_it_is() {
    for junk in UNREADABLE {
        let proxy = ip(PROXY);
        assert_eq!(x_forwarded_for(junk), proxy, "{junk}");
        assert_eq!(x_forwarded_for(&format!("6.6.6.6, {junk}")), proxy, "{junk}");
        assert_eq!(
            x_forwarded_for(&format!("6.6.6.6, {junk}, 10.9.9.9")),
            ip("10.9.9.9"),
            "{junk}"
        );
        assert_eq!(forwarded(&format!("for=6.6.6.6, for=\"{junk}\"")), proxy, "{junk}");
        assert_eq!(forwarded(&format!("for=6.6.6.6, for={junk}")), proxy, "{junk}");
        let two = format!("for=6.6.6.6, for={junk}, for=10.9.9.9");
        assert_eq!(forwarded(&two), ip("10.9.9.9"), "{junk}");
        assert_eq!(client(&behind(single()), "x-real-ip", &[junk]), proxy, "{junk}");
    }
}

#[test]
fn quotes_belong_to_forwarded_alone() {
    assert_eq!(x_forwarded_for("\"203.0.113.9\""), ip(PROXY));
    assert_eq!(client(&behind(single()), "x-real-ip", &["\"203.0.113.9\""]), ip(PROXY));
}

/// Elements of `Forwarded` that name 203.0.113.9.
#[test]
fn elements_of_forwarded_are_read() {
    for element in [
        "for=203.0.113.9",
        "For=203.0.113.9",
        "FOR=\"203.0.113.9\"",
        "for=203.0.113.9;proto=https;by=192.0.2.60",
        "by=192.0.2.60;proto=https;for=203.0.113.9",
        "host=example.com:8080;for=\"203.0.113.9:4711\"",
        "host=\"example.com:8080\";for=203.0.113.9",
        "for=203.0.113.9;host=\"\"",
        ";;for=203.0.113.9;",
        "for=203.0.113.9 ; proto=https",
        "\tfor=203.0.113.9\t",
        "for=203.0.113.9;secret=_a",
        "for=203.0.113.9;forwarded=1.1.1.1;xfor=2.2.2.2",
        "for=203.0.113.9;by=unknown",
    ] {
        assert_eq!(forwarded(element), ip("203.0.113.9"), "{element}");
        assert_eq!(forwarded(&format!("for=6.6.6.6, {element}")), ip("203.0.113.9"), "{element}");
        let crossed = format!("{element}, for=\"[2001:db8:a::7]:1\",for=10.0.0.2");
        assert_eq!(forwarded(&crossed), ip("203.0.113.9"), "{element}");
    }
}

/// Elements from which no client can be told.
#[test]
fn elements_of_forwarded_that_are_malformed_end_the_walk() {
    for element in [
        "203.0.113.9",
        "proto=https",
        "for",
        "for=",
        "for=\"\"",
        "=203.0.113.9",
        "for =203.0.113.9",
        "for= 203.0.113.9",
        "for==203.0.113.9",
        "for=203.0.113.9;for=203.0.113.9",
        "for=203.0.113.9;FOR=203.0.113.10",
        "for=\"203.0.113.9",
        "for=203.0.113.9\"",
        "for=\"",
        "for=\"\"203.0.113.9\"",
        "for=\"203.0.113.9\"x",
        "for=\"203.0.113.9\\\"",
        "for=\"\\203.0.113.9\"",
        "for='203.0.113.9'",
        "for=203.0.113.9;proto",
        "for=203.0.113.9;proto=",
        "for=203.0.113.9;pro to=https",
        "for=203.0.113.9;host=\"a",
        "for=203.0.113.9;host=a\"b",
        "for=203.0.113.9;host=\"a\\\"b\"",
        // Legal, but never seen, and refused so that a comma or a semicolon is always one.
        "for=203.0.113.9;host=\"a;b\"",
        "for=203.0.113.9;host=\"a,b\"",
        "for=203.0.113.9;host=\u{e9}",
        "x-forwarded-for=203.0.113.9",
    ] {
        assert_eq!(forwarded(&format!("for=6.6.6.6, {element}")), ip(PROXY), "{element}");
        let crossed = format!("for=6.6.6.6, {element}, for=10.9.9.9");
        assert_eq!(forwarded(&crossed), ip("10.9.9.9"), "{element}");
    }
}

/// A client's open quote must not swallow what the proxy appends.
#[test]
fn an_open_quote_to_the_left_changes_nothing() {
    for left in ["for=\"", "for=\"6.6.6.6", "host=\"\\", "for=6.6.6.6;x=\"a\\\"", "\"\"\""] {
        assert_eq!(forwarded(&format!("{left}, for=203.0.113.9")), ip("203.0.113.9"), "{left}");
        let quoted = format!("{left}, for=\"[2001:db8::1]:4711\";proto=http");
        assert_eq!(forwarded(&quoted), ip("2001:db8::1"), "{left}");
    }
}
