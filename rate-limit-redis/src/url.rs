//! Where Redis is: the five forms of a URL, parsed once.
//!
//! | form | meaning |
//! | --- | --- |
//! | `redis://host:port/db` | one server; `rediss://` encrypts |
//! | `unix:///path/to/socket?db=0` | one server on this machine |
//! | `redis+sentinel://host:port,host:port/master-name` | the master that Sentinels name; the database is the option `db` |
//! | `redis+cluster://host:port,host:port` | a cluster, found through any of its nodes |
//!
//! `valkey://` and `valkeys://` mean the same as `redis://` and `rediss://`.
//!
//! Each takes `user:password@` before the hosts, and `rediss+sentinel` and `rediss+cluster` encrypt
//! as `rediss` does. Characters with a meaning in URLs are percent-encoded in names and passwords.
//!
//! Nothing here resolves a name or opens a socket, and no error contains a secret.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::secret::Secret;

mod error;
mod options;

pub use error::RedisUrlError;
use options::Options;

/// A parsed URL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RedisUrl {
    pub(crate) place: Place,
    pub(crate) credentials: Credentials,
    pub(crate) database: u32,
    pub(crate) transport: Transport,
}

/// What the URL points at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Server(Endpoint),
    Socket(PathBuf),
    Sentinel { sentinels: Vec<Endpoint>, master: String, credentials: Credentials },
    Cluster { seeds: Vec<Endpoint> },
}

/// A host and a port. Sentinels and clusters tell further ones.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Endpoint {
    /// A name or an address; an IPv6 address has no brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Who we are to a server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Credentials {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

/// Whether bytes travel in clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

#[derive(Clone, Copy)]
enum Scheme {
    Server,
    Socket,
    Sentinel,
    Cluster,
}

const REDIS_PORT: u16 = 6_379;
const SENTINEL_PORT: u16 = 26_379;

impl RedisUrl {
    /// Parses `url`.
    pub(crate) fn parse(url: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = url.trim().split_once("://").ok_or(RedisUrlError::NoScheme)?;
        let (scheme, transport) = parse_scheme(scheme)?;
        let (userinfo, rest) = split_userinfo(rest)?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        if rest.contains('#') || options.contains('#') {
            return Err(RedisUrlError::Fragment);
        }
        let credentials = parse_userinfo(userinfo)?;
        let mut options = Options::parse(options)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (place, database) = match scheme {
            Scheme::Server => {
                let mut hosts = parse_hosts(hosts, REDIS_PORT)?;
                let endpoint = hosts.pop().ok_or(RedisUrlError::NoHost)?;
                if !hosts.is_empty() {
                    return Err(RedisUrlError::SeveralHosts);
                }
                let database = match path {
                    "" => options.database()?,
                    path => Some(options::parse_database(path)?),
                };
                (Place::Server(endpoint), database)
            }
            Scheme::Socket => {
                if !hosts.is_empty() {
                    return Err(RedisUrlError::SocketPath);
                }
                (Place::Socket(socket_path(path)?), options.database()?)
            }
            Scheme::Sentinel => {
                let master = decode(path, "the name of the master")?;
                if master.is_empty() || master.contains('/') {
                    return Err(RedisUrlError::MasterName);
                }
                let sentinels = parse_hosts(hosts, SENTINEL_PORT)?;
                let credentials = options.sentinel_credentials();
                (Place::Sentinel { sentinels, master, credentials }, options.database()?)
            }
            Scheme::Cluster => {
                if !matches!(path, "" | "0") {
                    return Err(RedisUrlError::ClusterDatabase);
                }
                (Place::Cluster { seeds: parse_hosts(hosts, REDIS_PORT)? }, None)
            }
        };
        options.finish()?;
        Ok(Self { place, credentials, database: database.unwrap_or(0), transport })
    }
}

fn parse_scheme(scheme: &str) -> Result<(Scheme, Transport), RedisUrlError> {
    Ok(match scheme {
        "redis" | "valkey" => (Scheme::Server, Transport::Plain),
        "rediss" | "valkeys" => (Scheme::Server, Transport::Tls),
        "unix" | "redis+unix" => (Scheme::Socket, Transport::Plain),
        "redis+sentinel" => (Scheme::Sentinel, Transport::Plain),
        "rediss+sentinel" => (Scheme::Sentinel, Transport::Tls),
        "redis+cluster" => (Scheme::Cluster, Transport::Plain),
        "rediss+cluster" => (Scheme::Cluster, Transport::Tls),
        found => return Err(RedisUrlError::Scheme { found: found.to_owned() }),
    })
}

/// Cuts at the last `@` of all, so that nothing of a password with an unencoded `@`, `/`, `?` or
/// `#` is taken for a host and printed as one.
fn split_userinfo(rest: &str) -> Result<(&str, &str), RedisUrlError> {
    let (userinfo, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    if userinfo.contains(['/', '?', '#', '@']) {
        return Err(RedisUrlError::Userinfo);
    }
    Ok((userinfo, rest))
}

fn parse_userinfo(userinfo: &str) -> Result<Credentials, RedisUrlError> {
    let (username, password) = match userinfo.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (userinfo, None),
    };
    let decode = |text: &str| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map(|text| text.into_owned()).map_err(|_| RedisUrlError::Userinfo)
    };
    let username = Some(decode(username)?).filter(|username| !username.is_empty());
    let password = password.map(decode).transpose()?.filter(|password| !password.is_empty());
    if username.is_some() && password.is_none() {
        return Err(RedisUrlError::NoPassword);
    }
    Ok(Credentials { username, password: password.map(Secret::new) })
}

fn parse_hosts(hosts: &str, default_port: u16) -> Result<Vec<Endpoint>, RedisUrlError> {
    hosts.split(',').map(|host| parse_host(host, default_port)).collect()
}

fn parse_host(text: &str, default_port: u16) -> Result<Endpoint, RedisUrlError> {
    // The colons inside of brackets belong to an address.
    let colon = text.rfind(':').filter(|colon| !text.get(*colon..).unwrap_or("").contains(']'));
    let (host, port) = match colon.and_then(|colon| text.split_at_checked(colon)) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => (text, None),
    };
    let port = port.map(|port| parse_port(host, port)).transpose()?.unwrap_or(default_port);
    let host = match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => name,
        Ok(url::Host::Ipv4(address)) => address.to_string(),
        Ok(url::Host::Ipv6(address)) => address.to_string(),
        Err(_) if host.is_empty() => return Err(RedisUrlError::NoHost),
        Err(_) => return Err(RedisUrlError::Host { found: host.to_owned() }),
    };
    Ok(Endpoint { host, port })
}

fn parse_port(host: &str, port: &str) -> Result<u16, RedisUrlError> {
    let host = host.to_owned();
    match port.parse() {
        Ok(0) => Err(RedisUrlError::Port { host, found: 0 }),
        Ok(port) => Ok(port),
        // What is no number may be the password of a URL without a host: it is not repeated.
        Err(_) => Err(match port.parse() {
            Ok(found) => RedisUrlError::Port { host, found },
            Err(_) => RedisUrlError::PortIsNoNumber { host },
        }),
    }
}

fn socket_path(path: &str) -> Result<PathBuf, RedisUrlError> {
    let path = decode(path, "the path of the socket")?;
    if path.is_empty() {
        return Err(RedisUrlError::SocketPath);
    }
    Ok(PathBuf::from(format!("/{path}")))
}

fn decode(text: &str, part: &'static str) -> Result<String, RedisUrlError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| RedisUrlError::NotUtf8 { part })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
