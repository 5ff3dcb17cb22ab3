//! What can be wrong with a URL. No text here repeats what may be a secret.

use thiserror::Error;

/// Why a URL does not say where Redis is. The text never contains a password.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RedisUrlError {
    /// There is no `://`.
    #[error("the Redis URL has no scheme; expected for example redis://127.0.0.1:6379")]
    NoScheme,
    /// The scheme is not one of ours.
    #[error(
        "the scheme `{found}` of the Redis URL is unknown; expected redis, rediss, valkey, valkeys, \
         unix, redis+sentinel, rediss+sentinel, redis+cluster or rediss+cluster"
    )]
    Scheme {
        /// What stands before `://`.
        found: String,
    },
    /// User name or password are not readable.
    #[error(
        "the user name or password in the Redis URL contains `/`, `?`, `#`, `@` or bytes that are \
         not UTF-8; expected these characters percent-encoded, such as %40 for @"
    )]
    Userinfo,
    /// A user name without a password.
    #[error(
        "the Redis URL has a user name without a password; expected user:password@, or \
         :password@ for the default user"
    )]
    NoPassword,
    /// There is no host.
    #[error("a host is missing in the Redis URL; expected host or host:port")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error(
        "`{found}` in the Redis URL is no host; expected a name, an IPv4 address, or an IPv6 \
         address in brackets"
    )]
    Host {
        /// The refused host.
        found: String,
    },
    /// Several hosts where one is meant.
    #[error(
        "redis:// and rediss:// take one host; expected redis+sentinel:// or redis+cluster:// for \
         several"
    )]
    SeveralHosts,
    /// The port is out of range.
    #[error("the port {found} of `{host}` in the Redis URL is out of range; expected 1 to 65535")]
    Port {
        /// Whose port it is.
        host: String,
        /// The refused port.
        found: u64,
    },
    /// The port is not a number. It is not repeated, for it may be a misplaced password.
    #[error("the port of `{host}` in the Redis URL is no number; expected 1 to 65535")]
    PortIsNoNumber {
        /// Whose port it is.
        host: String,
    },
    /// The database is not a number in range.
    #[error("the database `{found}` of the Redis URL is no number; expected 0 to 65535")]
    Database {
        /// The refused database.
        found: String,
    },
    /// A database was chosen in a cluster.
    #[error("a Redis Cluster has database 0 only; expected a Redis URL without a path")]
    ClusterDatabase,
    /// The master has no name, or it contains a slash.
    #[error(
        "the Redis URL names no master; expected redis+sentinel://host:port,host:port/master-name"
    )]
    MasterName,
    /// The path of a socket is missing or relative.
    #[error("the Redis URL has no absolute socket path; expected unix:///path/to/redis.sock")]
    SocketPath,
    /// A part is not UTF-8 after decoding.
    #[error("{part} in the Redis URL is not UTF-8 once decoded")]
    NotUtf8 {
        /// Which part.
        part: &'static str,
    },
    /// There is an unencoded `#`.
    #[error("the Redis URL contains `#`, which has no meaning here; expected %23 if it is text")]
    Fragment,
    /// An option is not known, or means nothing with this scheme.
    #[error(
        "the option `{name}` of the Redis URL is unknown with this scheme; expected db (unix and \
         sentinel), sentinel_username or sentinel_password (sentinel)"
    )]
    Option {
        /// The name of the option.
        name: String,
    },
    /// What stands between two `&` is no option. It is not repeated, for it may be a part of a
    /// password.
    #[error(
        "after the `?` of the Redis URL stands something that is no option of this scheme; expected \
         name=value, separated by &, and %26 for an & in a password"
    )]
    NoOption,
    /// An option stands there twice.
    #[error("the option `{name}` of the Redis URL is given twice; expected it once")]
    OptionTwice {
        /// The name of the option.
        name: String,
    },
}
