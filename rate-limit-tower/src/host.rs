//! Which host a request is for, and which hosts a rule names.

use std::borrow::Cow;
use std::fmt;

use http::header::HOST;
use http::{HeaderMap, Uri};

/// The hosts that a rule names.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum HostPattern {
    /// This one.
    Exact(Box<str>),
    /// Every host whose name ends in a dot and this.
    Below(Box<str>),
}

impl HostPattern {
    /// Reads `api.example.com` or `*.example.com`. What cannot be read is handed back.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let canonical = canonical(text);
        let (name, below) = match canonical.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (&*canonical, false),
        };
        if !is_host(name) {
            return Err(text.to_owned());
        }
        Ok(if below { Self::Below(name.into()) } else { Self::Exact(name.into()) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// The host that a request is for, in lower case and without its port; `None` if it does not say.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<Cow<'a, str>> {
    // Whoever writes the host into the target means it, whatever the field says (RFC 9112, 3.2.2).
    if let Some(host) = uri.host() {
        return Some(canonical(host));
    }
    let mut values = headers.get_all(HOST).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let host = canonical(without_port(value));
    is_host(&host).then_some(host)
}

/// The domains that `host` lies below, the nearest one first.
pub(crate) fn domains_above(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, above)| above)).skip(1)
}

fn without_port(authority: &str) -> &str {
    // The colons of an IPv6 address stand within brackets.
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// In lower case, and without the dot that may end a name.
fn canonical(host: &str) -> Cow<'_, str> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// Whether this can be the host of a request: a name, an IPv4 address, or an IPv6 address in
/// brackets.
fn is_host(text: &str) -> bool {
    let within = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = within {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.bytes().all(named)
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(target: &str, field: &str) -> Option<String> {
        let uri = target.parse().unwrap();
        let headers = HeaderMap::from_iter([(HOST, field.parse().unwrap())]);
        host(&uri, &headers).map(Cow::into_owned)
    }

    #[test]
    fn one_host_however_it_is_written() {
        for field in
            ["api.example.com", "API.Example.com:8080", "api.example.com.", "api.example.com:"]
        {
            assert_eq!(host_of("/", field).as_deref(), Some("api.example.com"), "{field}");
        }
        assert_eq!(host_of("/", "[2001:DB8::1]:443").as_deref(), Some("[2001:db8::1]"));
        assert_eq!(host_of("http://Other.example/x", "api.example.com").unwrap(), "other.example");
    }

    #[test]
    fn what_is_no_host_is_none() {
        for field in ["", "a b", "a..b", "user@example.com", "[::1", "a/b", "é"] {
            assert_eq!(host_of("/", field), None, "{field}");
        }
        let mut twice = HeaderMap::new();
        twice.append(HOST, "a.example".parse().unwrap());
        twice.append(HOST, "b.example".parse().unwrap());
        assert_eq!(host(&"/".parse().unwrap(), &twice), None, "nobody knows which one is meant");
    }

    #[test]
    fn patterns() {
        let shown = |text: &str| HostPattern::parse(text).map(|pattern| pattern.to_string());
        assert_eq!(shown("*.Example.com"), Ok("*.example.com".to_owned()));
        assert_eq!(shown("Example.com."), Ok("example.com".to_owned()));
        for refused in ["", "*", "*.", "a.*.com", "example.com:80", "http://example.com", "a b"] {
            assert_eq!(shown(refused), Err(refused.to_owned()));
        }
    }

    #[test]
    fn domains_from_the_nearest_to_the_widest() {
        assert_eq!(domains_above("a.b.c").collect::<Vec<_>>(), ["b.c", "c"]);
        assert_eq!(domains_above("c").count(), 0);
    }
}
