//! One element of the field `Forwarded` (RFC 7239): which address it says the request came from.
//!
//! The scanner is stricter than the RFC where that costs nothing and is safer: commas and semicolons
//! always separate, even inside of quotes. No address contains one, and so whatever a client writes
//! to the left can never pull a proxy's element into a quoted string of its own. An element that a
//! proxy wrote with such a string cannot be read, which ends the walk.
//!
//! It is more lenient in two points that many proxies get wrong: an IPv6 address or a port need not
//! be quoted, and spaces may surround a semicolon.

use std::net::IpAddr;

use super::node;

/// The address in the parameter `for`; `None` if the element does not have exactly one, or if
/// anything in it is malformed.
pub(super) fn address(element: &[u8]) -> Option<IpAddr> {
    let mut client = None;
    for pair in element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        let value = unquoted(value.strip_prefix(b"=")?)?;
        if !is_token(name) {
            return None;
        }
        let repeated = name.eq_ignore_ascii_case(b"for") && client.replace(value).is_some();
        if repeated {
            return None;
        }
    }
    node::address(client?)
}

/// What is between the quotes, or all of it if there are none. Escapes are refused: they are never
/// needed, and without them a quote can only be a quote.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let inner = match value.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"")?,
        None if value.is_empty() => return None,
        None => value,
    };
    inner.iter().all(|byte| is_text(*byte)).then_some(inner)
}

/// Printable ASCII and tabs, without the two bytes that mean something inside of quotes.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

/// `token` of RFC 9110.
fn is_token(name: &[u8]) -> bool {
    !name.is_empty()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
