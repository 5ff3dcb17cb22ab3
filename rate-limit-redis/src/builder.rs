//! Building the store, and what can be wrong with it.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::Clock;
use tokio::runtime::Handle;

use crate::guard::Guard;
use crate::guard::breaker::BreakerLimits;
use crate::health::{HealthEvent, Reporter};
use crate::key::{IdentityForm, KeyRing, Placement};
#[cfg(feature = "tls")]
use crate::link::{Encryption, TlsOptions};
use crate::link::{Link, LinkOptions};
use crate::repository::RedisRepository;
use crate::url::{RedisUrl, Transport};

mod error;

pub use error::RedisBuildError;

/// Builds a [`RedisRepository`].
///
/// # Example: every option that a service behind a load balancer may want
///
/// ```no_run
/// use std::time::Duration;
/// use rate_limit_redis::RedisRepository;
///
/// # async fn build(secret: Vec<u8>) -> Result<(), rate_limit_redis::RedisBuildError> {
/// let store = RedisRepository::builder("redis+sentinel://s1,s2,s3/limits?db=2")
///     // The same in every process: without it, keys are no more than pseudonyms.
///     .key_secret(secret)
///     // Two services may share a server and still count by themselves.
///     .key_prefix("checkout")
///     // Requests in another region wait longer for the wire.
///     .timeout(Duration::from_millis(40))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct RedisRepositoryBuilder {
    url: String,
    key_prefix: String,
    key_secret: Option<Vec<u8>>,
    identity_form: IdentityForm,
    placement: Placement,
    timeout: Duration,
    connect_timeout: Option<Duration>,
    max_in_flight: usize,
    breaker: BreakerLimits,
    denials: Denials,
    clock: Option<Arc<dyn Clock>>,
    #[cfg(feature = "tls")]
    tls: Option<TlsOptions>,
}

/// Whether denials are remembered in this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Denials {
    Remembered,
    Forgotten,
}

impl RedisRepository {
    /// A store at `url` with the default options.
    ///
    /// Returns at once, whether or not Redis is there; see [`RedisRepositoryBuilder::build`].
    ///
    /// # Errors
    ///
    /// [`RedisBuildError`] if the URL is not usable, or outside of a tokio runtime.
    ///
    /// # Example: from one process to many
    ///
    /// ```no_run
    /// use rate_limit_redis::RedisRepository;
    ///
    /// # async fn run() -> Result<(), rate_limit_redis::RedisBuildError> {
    /// // In place of `MemoryRepository::new()`, and nothing else changes.
    /// let store = RedisRepository::connect("redis://127.0.0.1:6379")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(url: &str) -> Result<Self, RedisBuildError> {
        Self::builder(url).build()
    }

    /// A store at `url` with options. The URL is checked by
    /// [`build`](RedisRepositoryBuilder::build).
    pub fn builder(url: impl Into<String>) -> RedisRepositoryBuilder {
        RedisRepositoryBuilder::new(url)
    }
}

impl RedisRepositoryBuilder {
    /// How long a decision may take if nobody says otherwise: 25 ms, queue included.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(25);

    /// How long making a connection may take if nobody says otherwise: 250 ms.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

    /// How long making an encrypted connection may take if nobody says otherwise: 1 s.
    pub const DEFAULT_CONNECT_TIMEOUT_TLS: Duration = Duration::from_secs(1);

    /// How many decisions may be under way at once if nobody says otherwise: 1024.
    pub const DEFAULT_MAX_IN_FLIGHT: usize = 1_024;

    fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            key_prefix: KeyRing::DEFAULT_PREFIX.to_owned(),
            key_secret: None,
            identity_form: IdentityForm::default(),
            placement: Placement::default(),
            timeout: Self::DEFAULT_TIMEOUT,
            connect_timeout: None,
            max_in_flight: Self::DEFAULT_MAX_IN_FLIGHT,
            breaker: BreakerLimits::DEFAULT,
            denials: Denials::Remembered,
            clock: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// What all keys begin with: 1 to 64 of `A-Z a-z 0-9 . _ - :`, `rl` by default.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The secret under which identities become digests, at least 16 bytes. All processes that
    /// share a limit need the same one.
    pub fn key_secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.key_secret = Some(secret.into());
        self
    }

    /// Whether keys show digests or the identities themselves.
    pub fn identity_form(mut self, form: IdentityForm) -> Self {
        self.identity_form = form;
        self
    }

    /// Whether the keys of a cluster are spread over its nodes, or all lie in one slot, where a
    /// request over several identities is one atomic step. All processes that share a limit need
    /// the same placement.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// How long one decision may take, 1 ms to 10 s. Later than that, the failure modes of the
    /// policies decide; whether the store has charged is then unknown.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long making a connection may take, 1 ms to 60 s. No request waits for it.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How many decisions may be under way at once, 1 to 1,000,000. The next one is not sent; the
    /// failure modes of its policies decide.
    pub fn max_in_flight(mut self, max_in_flight: usize) -> Self {
        self.max_in_flight = max_in_flight;
        self
    }

    /// So many failures in a row open the breaker of a server, 1 to 1,000; 5 by default. It also
    /// opens when half of at least 20 decisions within a second fail.
    pub fn breaker_failures(mut self, failures_in_a_row: u32) -> Self {
        self.breaker.failures_in_a_row = failures_in_a_row;
        self
    }

    /// For how long a breaker stays open: a random time up to `first`, then up to twice as long
    /// each time, and never longer than `longest`. 250 ms and 5 s by default; 1 ms to 10 min.
    pub fn breaker_open_time(mut self, first: Duration, longest: Duration) -> Self {
        (self.breaker.first_open, self.breaker.longest_open) = (first, longest);
        self
    }

    /// Asks Redis also about what it has denied within the last second. Without this, clients may
    /// be denied for up to a second after their bucket was reset by another process; see
    /// [`DenialCache`](crate::DenialCache).
    pub fn without_denial_cache(mut self) -> Self {
        self.denials = Denials::Forgotten;
        self
    }

    /// How to encrypt, where the URL asks for it.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Takes instants from a clock of this process and not from the server's. Keys then outlive the
    /// debt in them by an hour, because the server's clock goes on while a test's stands still.
    #[cfg(feature = "test-support")]
    #[doc(hidden)]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Checks everything that [`build`](Self::build) checks, and connects to nobody. It needs no
    /// runtime, so that a program can look at its options before it starts.
    ///
    /// # Errors
    ///
    /// [`RedisBuildError`] if the URL or an option is not usable.
    ///
    /// # Example: a wrong address is found at the desk
    ///
    /// ```
    /// use rate_limit_redis::RedisRepository;
    ///
    /// assert!(RedisRepository::builder("redis://127.0.0.1:6379").check().is_ok());
    /// let error = RedisRepository::builder("redis://127.0.0.1:99999").check().unwrap_err();
    /// assert!(error.to_string().contains("99999"));
    /// ```
    pub fn check(&self) -> Result<(), RedisBuildError> {
        self.checked().map(drop)
    }

    /// Checks everything, starts to connect, and returns without waiting for Redis.
    ///
    /// Until there is a connection, decisions are made by the failure modes of their policies. So
    /// a program starts while Redis is away, and uses it as soon as it is there.
    ///
    /// # Errors
    ///
    /// [`RedisBuildError`] if the URL or an option is not usable, or outside of a tokio runtime.
    pub fn build(self) -> Result<RedisRepository, RedisBuildError> {
        let is_pseudonymous =
            self.key_secret.is_none() && self.identity_form == IdentityForm::Digest;
        let (keys, options) = self.checked()?;
        let (runtime, reporter) = (runtime()?, Arc::new(Reporter::new()));
        let link = Link::open(options, &runtime, reporter);
        if is_pseudonymous {
            link.reporter().report_finding(&"keys".into(), HealthEvent::DigestsArePseudonyms);
        }
        let guard = Guard::new(link.clone(), self.max_in_flight, self.timeout);
        let store = RedisRepository::from_parts(link, guard, keys, self.clock.clone(), runtime);
        Ok(match self.denials {
            Denials::Remembered => store.remembering_denials(),
            Denials::Forgotten => store,
        })
    }

    fn checked(&self) -> Result<(KeyRing, LinkOptions), RedisBuildError> {
        let url = RedisUrl::parse(&self.url)?;
        let keys = KeyRing::new(&self.key_prefix, self.key_secret.as_deref(), self.identity_form)?;
        self.check_ranges()?;
        Ok((keys.placed(self.placement), self.link_options(url)?))
    }

    fn check_ranges(&self) -> Result<(), RedisBuildError> {
        let seconds = Duration::from_secs;
        let ms = Duration::from_millis(1);
        duration("timeout", self.timeout, ms..=seconds(10))?;
        duration("connect_timeout", self.connect_timeout.unwrap_or(ms), ms..=seconds(60))?;
        let breaker = &self.breaker;
        let (first, longest) = (breaker.first_open, breaker.longest_open);
        duration("the first breaker_open_time", first, ms..=seconds(600))?;
        duration("the longest breaker_open_time", longest, first..=seconds(600))?;
        number("max_in_flight", self.max_in_flight, 1..=1_000_000)?;
        number("breaker_failures", breaker.failures_in_a_row as usize, 1..=1_000)
    }

    fn link_options(&self, url: RedisUrl) -> Result<LinkOptions, RedisBuildError> {
        let default_connect_timeout = match url.transport {
            Transport::Plain => Self::DEFAULT_CONNECT_TIMEOUT,
            Transport::Tls => Self::DEFAULT_CONNECT_TIMEOUT_TLS,
        };
        Ok(LinkOptions {
            deadline: self.timeout,
            connect_timeout: self.connect_timeout.unwrap_or(default_connect_timeout),
            max_in_flight: self.max_in_flight,
            breaker: self.breaker,
            #[cfg(feature = "tls")]
            encryption: self.encryption(url.transport)?,
            #[cfg(not(feature = "tls"))]
            url: without_encryption(url)?,
            #[cfg(feature = "tls")]
            url,
        })
    }

    #[cfg(feature = "tls")]
    fn encryption(&self, transport: Transport) -> Result<Option<Encryption>, RedisBuildError> {
        match (transport, &self.tls) {
            (Transport::Plain, None) => Ok(None),
            (Transport::Plain, Some(_)) => Err(RedisBuildError::TlsWithoutEncryption),
            (Transport::Tls, options) => {
                let encryption = Encryption::new(&options.clone().unwrap_or_default());
                encryption.map(Some).map_err(|detail| RedisBuildError::Tls { detail })
            }
        }
    }
}

#[cfg(not(feature = "tls"))]
fn without_encryption(url: RedisUrl) -> Result<RedisUrl, RedisBuildError> {
    match url.transport {
        Transport::Plain => Ok(url),
        Transport::Tls => Err(RedisBuildError::NoTls),
    }
}

fn runtime() -> Result<Handle, RedisBuildError> {
    Handle::try_current().map_err(|_| RedisBuildError::NoRuntime)
}

fn duration(
    option: &'static str,
    found: Duration,
    accepted: RangeInclusive<Duration>,
) -> Result<(), RedisBuildError> {
    let (min, max) = accepted.clone().into_inner();
    let error = RedisBuildError::Duration { option, found, min, max };
    accepted.contains(&found).then_some(()).ok_or(error)
}

fn number(
    option: &'static str,
    found: usize,
    accepted: RangeInclusive<usize>,
) -> Result<(), RedisBuildError> {
    let (min, max) = accepted.clone().into_inner();
    let error = RedisBuildError::Number { option, found, min, max };
    accepted.contains(&found).then_some(()).ok_or(error)
}

impl fmt::Debug for RedisRepositoryBuilder {
    /// Shows neither the URL, which may contain a password, nor the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRepositoryBuilder")
            .field("key_prefix", &self.key_prefix)
            .field("identity_form", &self.identity_form)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
