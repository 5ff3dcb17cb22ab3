//! The header that is believed, if its sender is.

use std::net::IpAddr;

use http::header::GetAll;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::error::ClientAddressError;
use super::hops::{Hops, MAX_BYTES};
use super::trusted::TrustedProxies;
use super::{forwarded, node};

/// A header in which proxies say for whom they forward a request.
///
/// Name the one that your nearest proxy writes. The others are never looked at, because then
/// clients write them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`: a list of addresses, to which each proxy appends.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): a list with parameters, to which each proxy appends. Only `for` is
    /// used.
    Forwarded,
    /// A header with one address, such as `CF-Connecting-IP`, `True-Client-IP` or `X-Real-IP`. It
    /// has to be overwritten by the proxy that is trusted with it. A list in it, or several lines
    /// of it, are not believed.
    Single(HeaderName),
}

pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl ForwardingHeader {
    /// A header with one address, by its name, which is not case-sensitive.
    ///
    /// # Errors
    ///
    /// If `name` is not a name of a header, or that of a header that holds a list.
    ///
    /// # Example: the address that a CDN connects for
    ///
    /// ```
    /// use rate_limit_tower::ForwardingHeader;
    ///
    /// let header = ForwardingHeader::single("CF-Connecting-IP")?;
    /// let list = ForwardingHeader::single("X-Forwarded-For").unwrap_err();
    /// assert_eq!(
    ///     list.to_string(),
    ///     "the header `x-forwarded-for` holds a list; expected the name of a header with one \
    ///      address, or `ForwardingHeader::XForwardedFor`",
    /// );
    /// # Ok::<(), rate_limit_tower::ClientAddressError>(())
    /// ```
    pub fn single(name: &str) -> Result<Self, ClientAddressError> {
        let list = |variant| ClientAddressError::HoldsList { name: name.to_lowercase(), variant };
        match HeaderName::try_from(name) {
            Err(_) => Err(ClientAddressError::NotAHeaderName { name: name.to_owned() }),
            Ok(name) if name == X_FORWARDED_FOR => Err(list("XForwardedFor")),
            Ok(name) if name == header::FORWARDED => Err(list("Forwarded")),
            Ok(name) => Ok(Self::Single(name)),
        }
    }

    /// The client of a request that `nearest`, who is trusted, has forwarded with these `headers`.
    pub(super) fn client(
        &self,
        headers: &HeaderMap,
        nearest: Option<IpAddr>,
        trusted: &TrustedProxies,
    ) -> Option<IpAddr> {
        let lines = headers.get_all(self.name());
        match self {
            Self::XForwardedFor => Hops::new(lines, node::address).client(nearest, trusted),
            Self::Forwarded => Hops::new(lines, forwarded::address).client(nearest, trusted),
            Self::Single(_) => only_address(lines).or(nearest),
        }
    }

    pub(super) const fn is_single(&self) -> bool {
        matches!(self, Self::Single(_))
    }

    pub(super) fn name(&self) -> &HeaderName {
        match self {
            Self::XForwardedFor => &X_FORWARDED_FOR,
            Self::Forwarded => &header::FORWARDED,
            Self::Single(name) => name,
        }
    }
}

/// The address in the only line.
fn only_address(lines: GetAll<'_, HeaderValue>) -> Option<IpAddr> {
    let mut lines = lines.iter();
    let line = lines.next()?.as_bytes();
    let is_alone = lines.next().is_none() && line.len() <= MAX_BYTES;
    is_alone.then(|| node::address(line.trim_ascii())).flatten()
}
