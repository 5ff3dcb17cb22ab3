//! What rules and closures see of a request: its head, borrowed or kept.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;

use http::{Extensions, HeaderMap, HeaderName, Method, Request, Uri};

use crate::canonical_path::{canonical_path, path_with_dot_segments};

/// The head of a request, borrowed. There is no body in it: a decision never waits for one.
///
/// # Example: whose budget, and at what cost
///
/// ```
/// use rate_limit_tower::{RequestView, Rule};
///
/// fn cost(request: &RequestView<'_>) -> u64 {
///     if request.path().starts_with("/search") { 5 } else { 1 }
/// }
/// let rule = Rule::new("api").cost_from(cost);
/// ```
pub struct RequestView<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    client_address: Option<IpAddr>,
    path: OnceCell<Cow<'a, str>>,
}

/// The head of a request, kept by an [identity look-up](crate::IdentityLookup).
#[derive(Clone)]
pub struct RequestHead {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
    client_address: Option<IpAddr>,
}

impl<'a> RequestView<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>, client_address: Option<IpAddr>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            client_address,
            path: OnceCell::new(),
        }
    }

    /// The method.
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The target, as the client wrote it. Rules compare [`path`](Self::path).
    pub const fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The header fields, all of which a client can forge.
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What outer layers know of the request.
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The client's address, as far as the layer [believes](crate::RateLimitLayerBuilder::client_address)
    /// it.
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }

    /// The [canonical](canonical_path()) path, computed once.
    pub fn path(&self) -> &str {
        self.path.get_or_init(|| canonical_path(self.uri.path()))
    }

    /// The request as a router may see it that takes dot segments for names. `None` if there are none,
    /// or nobody has looked at the path, so that it cannot matter.
    pub(crate) fn with_dot_segments(&self) -> Option<Self> {
        match self.path.get() {
            // A path without dot segments is hardly ever another than it was written.
            Some(Cow::Owned(_)) => self.with_dot_segments_if_any(),
            _ => None,
        }
    }

    #[cold]
    fn with_dot_segments_if_any(&self) -> Option<Self> {
        let path = path_with_dot_segments(self.uri.path())?;
        Some(Self { path: OnceCell::from(Cow::Owned(path)), ..*self })
    }

    /// The host that the request is for: the authority of its target or else its `Host` field, in
    /// lower case and without the port. `None` if it does not say, or nobody can tell.
    pub fn host(&self) -> Option<Cow<'a, str>> {
        crate::host::host(self.uri, self.headers)
    }

    /// The route that axum matched, such as `/users/{id}`. `None` for a layer around the whole
    /// router, which is asked before any route is matched.
    #[cfg(feature = "axum")]
    #[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
    pub fn matched_path(&self) -> Option<&'a str> {
        self.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
    }

    /// The value of a header field if it is there once and consists of visible ASCII.
    pub(crate) fn field(&self, name: &HeaderName) -> Option<&'a str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next()?;
        // Of two values, nobody knows which one the service will believe.
        if values.next().is_some() {
            return None;
        }
        value.to_str().ok()
    }

    /// Keeps the head beyond the borrow.
    pub(crate) fn to_head(&self) -> RequestHead {
        RequestHead {
            method: self.method.clone(),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            extensions: self.extensions.clone(),
            client_address: self.client_address,
        }
    }
}

impl RequestHead {
    /// The head, borrowed.
    pub const fn view(&self) -> RequestView<'_> {
        let Self { method, uri, headers, extensions, client_address } = self;
        let client_address = *client_address;
        RequestView { method, uri, headers, extensions, client_address, path: OnceCell::new() }
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// The target, as the client wrote it.
    pub const fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The header fields, all of which a client can forge.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What outer layers know of the request.
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The client's address, as far as the layer believes it.
    pub const fn client_address(&self) -> Option<IpAddr> {
        self.client_address
    }
}

/// Neither fields nor target: both may carry secrets.
impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView").field("method", self.method).finish_non_exhaustive()
    }
}

/// Neither fields nor target: both may carry secrets.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead").field("method", &self.method).finish_non_exhaustive()
    }
}
