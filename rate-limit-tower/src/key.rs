//! Whose bucket a rule charges.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderName;
use rate_limit_core::{ApiKeyDigest, ClientIdentity, IpPrefixes};
use sha2::{Digest, Sha256};

use crate::request_view::RequestView;

mod lookup;

pub use lookup::{BoxError, IdentityLookup};

/// Whose bucket a rule charges: what about a request tells its clients apart.
///
/// A header field counts as absent if it is not there, is there more than once, is empty, or holds
/// anything but visible ASCII. What happens to a request whose key is absent is the rule's
/// [choice](crate::Rule::on_missing_identity).
///
/// # Example: every user of every tenant has a bucket
///
/// ```
/// use rate_limit_tower::{ClientIdentity, Key};
///
/// /// Inserted by an authentication layer further out.
/// struct User(String);
///
/// let key = Key::all_of([
///     Key::header("x-tenant"),
///     Key::extension(|user: &User| ClientIdentity::user(&user.0).ok()),
/// ]);
/// ```
#[derive(Clone)]
pub struct Key(pub(crate) Part);

#[derive(Clone)]
pub(crate) enum Part {
    Global,
    Ip,
    ApiKey(Name),
    Header(Name),
    Path,
    Function(Arc<Function>),
    Lookup(Arc<dyn IdentityLookup>),
    AllOf(Arc<[Key]>),
    FirstOf(Arc<[Key]>),
}

/// The name of a header field, or what was written instead of one.
pub(crate) type Name = Result<HeaderName, Arc<str>>;

type Function = dyn Fn(&RequestView<'_>) -> Option<ClientIdentity> + Send + Sync;

impl Key {
    /// Everybody's together.
    pub const fn global() -> Self {
        Self(Part::Global)
    }

    /// The client's [address](crate::RateLimitLayerBuilder::client_address), cut to its
    /// [prefix](crate::RateLimitLayerBuilder::ip_prefixes).
    pub const fn ip() -> Self {
        Self(Part::Ip)
    }

    /// The API key in a header field, of which only a digest is kept.
    ///
    /// The key is not verified: whoever sends a new one with each request gets a new bucket with
    /// each. Put this behind authentication, or add a limit per address.
    pub fn api_key(field: impl AsRef<str>) -> Self {
        Self(Part::ApiKey(name(field.as_ref())))
    }

    /// The value of a header field, as a dimension of its own. As to clients that make values up,
    /// see [`api_key`](Self::api_key).
    pub fn header(field: impl AsRef<str>) -> Self {
        Self(Part::Header(name(field.as_ref())))
    }

    /// What an outer layer has found out and put into the request's extensions.
    pub fn extension<T: Send + Sync + 'static>(
        identity: impl Fn(&T) -> Option<ClientIdentity> + Send + Sync + 'static,
    ) -> Self {
        Self::from_fn(move |request| request.extensions().get::<T>().and_then(&identity))
    }

    /// The canonical path. A client can make up as many as it likes, so only for rules that match
    /// few of them.
    pub const fn path() -> Self {
        Self(Part::Path)
    }

    /// The route that axum matched, such as `/users/{id}`; absent where none was.
    #[cfg(feature = "axum")]
    #[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
    pub fn matched_path() -> Self {
        Self::from_fn(|request| {
            ClientIdentity::custom("matched path", request.matched_path()?).ok()
        })
    }

    /// What `identity` finds in the request.
    pub fn from_fn(
        identity: impl Fn(&RequestView<'_>) -> Option<ClientIdentity> + Send + Sync + 'static,
    ) -> Self {
        Self(Part::Function(Arc::new(identity)))
    }

    /// What has to be looked up elsewhere, such as in a database of sessions.
    ///
    /// Nobody is let in while the look-up takes its time, so give it a deadline of its own. The
    /// request waits for nothing else, and only for the keys of rules that it matches.
    pub fn lookup(lookup: impl IdentityLookup + 'static) -> Self {
        Self(Part::Lookup(Arc::new(lookup)))
    }

    /// Several keys together: a bucket for each combination. Absent if one of them is.
    pub fn all_of(keys: impl IntoIterator<Item = Self>) -> Self {
        Self(Part::AllOf(keys.into_iter().collect()))
    }

    /// The first of several keys that is there. Absent if none is.
    ///
    /// # Example: a bucket per user, and per address for those who have not signed in
    ///
    /// ```
    /// use rate_limit_tower::{ClientIdentity, Key};
    ///
    /// /// Inserted by an authentication layer further out.
    /// struct User(String);
    ///
    /// let user = Key::extension(|user: &User| ClientIdentity::user(&user.0).ok());
    /// let key = Key::first_of([user, Key::ip()]);
    /// ```
    pub fn first_of(keys: impl IntoIterator<Item = Self>) -> Self {
        Self(Part::FirstOf(keys.into_iter().collect()))
    }

    /// Whose bucket; `None` if that is absent. Look-ups answer what was `found`, in their order.
    #[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
    #[inline(always)]
    pub(crate) fn identify(
        &self,
        request: &RequestView<'_>,
        prefixes: IpPrefixes,
        found: &mut impl Iterator<Item = Option<ClientIdentity>>,
    ) -> Option<ClientIdentity> {
        match &self.0 {
            Part::Global => Some(ClientIdentity::GLOBAL),
            Part::Ip => {
                let within = |address: IpAddr| ClientIdentity::ip_within(address, prefixes);
                request.client_address().map(within)
            }
            _ => self.identify_otherwise(request, prefixes, found),
        }
    }

    /// The same for keys that take longer to find than it takes to call this.
    #[inline(never)]
    fn identify_otherwise(
        &self,
        request: &RequestView<'_>,
        prefixes: IpPrefixes,
        found: &mut impl Iterator<Item = Option<ClientIdentity>>,
    ) -> Option<ClientIdentity> {
        match &self.0 {
            Part::Global | Part::Ip => self.identify(request, prefixes, found),
            Part::ApiKey(name) => request
                .field(name.as_ref().ok()?)
                .filter(|key| !key.is_empty() && key.len() <= ClientIdentity::MAX_VALUE_BYTES)
                .map(|key| Sha256::digest(key).into())
                .map(|digest| ClientIdentity::api_key(ApiKeyDigest::from_sha256(digest))),
            Part::Header(name) => {
                let name = name.as_ref().ok()?;
                ClientIdentity::custom(name.as_str(), request.field(name)?).ok()
            }
            // Named as no header field can be, so that none spends these buckets.
            Part::Path => ClientIdentity::custom("canonical path", request.path()).ok(),
            Part::Function(function) => function(request),
            Part::Lookup(_) => found.next().flatten(),
            Part::AllOf(keys) => {
                // Every part is asked, so that each look-up's answer meets its own key.
                let mut parts = Vec::with_capacity(keys.len());
                for key in keys.iter() {
                    parts.push(key.identify(request, prefixes, found));
                }
                let parts: Option<Vec<_>> = parts.into_iter().collect();
                ClientIdentity::all_of(&parts?).ok()
            }
            Part::FirstOf(keys) => {
                let mut first = None;
                for key in keys.iter() {
                    if first.is_none() {
                        first = key.identify(request, prefixes, found);
                    } else {
                        // Nobody asks for these answers, and they must not meet another key.
                        found.by_ref().take(key.count_lookups()).for_each(drop);
                    }
                }
                first
            }
        }
    }

    /// The look-ups that this key needs, in the order in which it asks for their answers.
    pub(crate) fn lookups(&self, found: &mut Vec<Arc<dyn IdentityLookup>>) {
        match &self.0 {
            Part::Lookup(lookup) => found.push(lookup.clone()),
            Part::AllOf(keys) | Part::FirstOf(keys) => {
                keys.iter().for_each(|key| key.lookups(found));
            }
            _ => {}
        }
    }

    fn count_lookups(&self) -> usize {
        match &self.0 {
            Part::Lookup(_) => 1,
            Part::AllOf(keys) | Part::FirstOf(keys) => keys.iter().map(Self::count_lookups).sum(),
            _ => 0,
        }
    }

    /// Whether the key is, or contains, the client's address.
    pub(crate) fn needs_address(&self) -> bool {
        match &self.0 {
            Part::Ip => true,
            Part::AllOf(keys) | Part::FirstOf(keys) => keys.iter().any(Self::needs_address),
            _ => false,
        }
    }

    /// What was written instead of the name of a header field.
    pub(crate) fn refused_name(&self) -> Option<&str> {
        match &self.0 {
            Part::ApiKey(Err(name)) | Part::Header(Err(name)) => Some(name),
            Part::AllOf(keys) | Part::FirstOf(keys) => keys.iter().find_map(Self::refused_name),
            _ => None,
        }
    }

    /// Whether it is possible that two keys yield the same identity. Of what a function or a
    /// look-up yields, nothing is known beforehand.
    pub(crate) fn may_equal(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Part::Function(_) | Part::Lookup(_), _) | (_, Part::Function(_) | Part::Lookup(_)) => {
                true
            }
            (Part::FirstOf(keys), _) => keys.iter().any(|key| key.may_equal(other)),
            (_, Part::FirstOf(keys)) => keys.iter().any(|key| self.may_equal(key)),
            (Part::Global, Part::Global) | (Part::Ip, Part::Ip) | (Part::Path, Part::Path) => true,
            // Whatever field carries an API key, its holder has one bucket.
            (Part::ApiKey(_), Part::ApiKey(_)) => true,
            (Part::Header(one), Part::Header(other)) => one == other,
            (Part::AllOf(one), Part::AllOf(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other.iter()).all(|(one, other)| one.may_equal(other))
            }
            _ => false,
        }
    }
}

fn name(text: &str) -> Name {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| text.into())
}

/// How the key is called in messages.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Part::Global => f.write_str("global"),
            Part::Ip => f.write_str("per IP"),
            Part::ApiKey(_) => f.write_str("per API key"),
            Part::Header(Ok(name)) => write!(f, "per `{name}`"),
            Part::Header(Err(name)) => write!(f, "per `{name}`"),
            Part::Path => f.write_str("per path"),
            Part::Function(_) => f.write_str("per result of a function"),
            Part::Lookup(_) => f.write_str("per result of a look-up"),
            Part::AllOf(keys) => joined(keys, " and ", f),
            Part::FirstOf(keys) => joined(keys, " or else ", f),
        }
    }
}

fn joined(keys: &[Key], word: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    keys.iter().enumerate().try_for_each(|(index, key)| {
        f.write_str(if index > 0 { word } else { "" })?;
        fmt::Display::fmt(key, f)
    })
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}
