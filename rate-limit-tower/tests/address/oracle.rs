//! Who the client is, computed a second time: naively, with strings, on the whole list at once.
//!
//! It shares nothing with the implementation but the rules in the documentation. The fuzz target
//! `forwarding_header` uses it too.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Which header is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Named {
    XForwardedFor,
    Forwarded,
    Single,
}

/// The client of a request from `peer`, who is trusted, with these lines of the named header.
/// `trusts` is asked with a hop and its number from the end, beginning with 1.
pub(crate) fn client(
    named: Named,
    peer: IpAddr,
    lines: &[&[u8]],
    trusts: impl Fn(IpAddr, usize) -> bool,
) -> IpAddr {
    let lines: Vec<String> = lines.iter().map(|line| ascii(line)).collect();
    if named == Named::Single {
        return match lines.as_slice() {
            [line] => node(line.trim()).unwrap_or(peer),
            _ => peer,
        };
    }
    let list = lines.join(",");
    let mut hops: Vec<Option<IpAddr>> = match named {
        _ if lines.is_empty() => Vec::new(),
        Named::Forwarded => list.split(',').map(element).collect(),
        _ => list.split(',').map(|entry| node(entry.trim())).collect(),
    };
    hops.reverse();
    hops.truncate(16);
    // Everything from the first unreadable hop on is as if it were not there.
    let readable: Vec<IpAddr> = hops.into_iter().map_while(|hop| hop).collect();
    let stop = (1..).zip(&readable).position(|(number, hop)| !trusts(*hop, number));
    match stop {
        Some(at) => readable[at],
        None => readable.last().copied().unwrap_or(peer),
    }
}

/// One character for each byte; `é` stands for all that are not ASCII, and is refused everywhere.
fn ascii(line: &[u8]) -> String {
    line.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { 'é' }).collect()
}

fn element(element: &str) -> Option<IpAddr> {
    let printable = |c: char| c == '\t' || (' '..='~').contains(&c);
    if !element.chars().all(printable) || element.contains('\\') {
        return None;
    }
    let mut clients = Vec::new();
    for pair in element.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let punctuation = "!#$%&'*+-.^_`|~";
        let is_token = |c: char| c.is_ascii_alphanumeric() || punctuation.contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            return None;
        }
        let value = match value.matches('"').count() {
            0 if value.is_empty() => return None,
            0 => value,
            2 if value.len() >= 2 && value.starts_with('"') && value.ends_with('"') => {
                value.trim_matches('"')
            }
            _ => return None,
        };
        if name.to_lowercase() == "for" {
            clients.push(value);
        }
    }
    match clients.as_slice() {
        [client] => node(client),
        _ => None,
    }
}

fn node(text: &str) -> Option<IpAddr> {
    let text = without_zone(text)?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (text.as_str(), None),
    };
    let port = match port {
        None => None,
        Some(port) if port.starts_with('_') => {
            (port.len() > 1 && port.chars().skip(1).all(is_name)).then_some(())?;
            Some(1)
        }
        Some(port) => {
            (1..=5).contains(&port.len()).then_some(())?;
            port.chars().all(|c| c.is_ascii_digit()).then_some(())?;
            Some(1)
        }
    };
    let address = match port {
        Some(port) => format!("{host}:{port}").parse::<SocketAddr>().ok()?.ip(),
        None => match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?.into(),
            None => host.parse().ok()?,
        },
    };
    Some(canonical(address))
}

/// Only an IPv6 address has a zone, which ends with the address.
fn without_zone(text: &str) -> Option<String> {
    let Some((address, rest)) = text.split_once('%') else {
        return Some(text.to_owned());
    };
    let (zone, after) = match rest.find(']') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let is_ipv6 = address.trim_start_matches('[').parse::<Ipv6Addr>().is_ok();
    let is_closed = address.starts_with('[') == after.starts_with(']');
    let is_zone = !zone.is_empty() && zone.chars().all(is_name);
    (is_ipv6 && is_closed && is_zone).then(|| format!("{address}{after}"))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c)
}

fn canonical(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let bits = v6.to_bits();
    let low = u32::try_from(bits & 0xffff_ffff).unwrap_or_default();
    match bits >> 32 {
        0xffff | 0x0064_ff9b_0000_0000_0000_0000 => IpAddr::V4(low.into()),
        _ => address,
    }
}
