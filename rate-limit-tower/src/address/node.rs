//! One hop as proxies write it: an address, perhaps in brackets, perhaps with a port.
//!
//! | accepted | refused |
//! | --- | --- |
//! | `192.0.2.1`, `192.0.2.1:4711` | `192.0.2`, `010.0.0.1`, `[192.0.2.1]` |
//! | `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711` | `2001:db8::g`, `[2001:db8::1`, `[2001:db8::1]4711` |
//! | `fe80::1%eth0`, `[fe80::1%eth0]:4711` | `fe80::1%`, `192.0.2.1%eth0` |
//! | `192.0.2.1:_obfuscated` | `unknown`, `_hidden`, a host name, the empty string |
//!
//! A zone names an interface of the machine that wrote it and means nothing here, so it is dropped.
//! That cannot be used to mint buckets, because it only makes different spellings equal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rate_limit_core::canonical_address;

/// The address in the node (RFC 7239, section 6) or `None` if there is none to be read.
pub(super) fn address(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?;
    let address = match node.strip_prefix('[') {
        Some(bracketed) => {
            let (address, after) = bracketed.split_once(']')?;
            if !after.is_empty() {
                port(after.strip_prefix(':')?)?;
            }
            ipv6(address)?
        }
        None => match node.split_once(':') {
            None => ipv4(node)?,
            // A second colon: no port can be meant, since without brackets nobody could find it.
            Some((_, after)) if after.contains(':') => ipv6(node)?,
            Some((address, after)) => {
                port(after)?;
                ipv4(address)?
            }
        },
    };
    Some(canonical_address(address))
}

fn ipv4(text: &str) -> Option<IpAddr> {
    text.parse().map(|address: Ipv4Addr| address.into()).ok()
}

fn ipv6(text: &str) -> Option<IpAddr> {
    let address = match text.split_once('%') {
        None => text,
        Some((address, zone)) => {
            let is_zone = !zone.is_empty() && zone.bytes().all(is_name_byte);
            is_zone.then_some(address)?
        }
    };
    address.parse().map(|address: Ipv6Addr| address.into()).ok()
}

/// `node-port`: up to five digits, or an underscore and a made-up name. Which, is nobody's concern.
fn port(text: &str) -> Option<()> {
    let is_port = match text.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(is_name_byte),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()),
    };
    is_port.then_some(())
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}
