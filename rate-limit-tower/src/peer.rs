//! Who asks: the address at the other end of the connection.
//!
//! Only what the server itself recorded about the connection is believed. No header is read: a
//! header is a claim that any client can make.

use std::net::{IpAddr, SocketAddr};

use http::Extensions;

/// The address of the client's end of the connection, as a request extension.
///
/// Servers other than `axum::serve` insert it into each request before the layer sees it. Where
/// both are present, it takes precedence over what axum or tonic record.
///
/// # Example: telling the layer who is connected
///
/// ```
/// use std::net::SocketAddr;
/// use rate_limit_tower::PeerAddress;
///
/// let peer: SocketAddr = "192.0.2.1:50000".parse()?;
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(PeerAddress(peer));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PeerAddress(pub SocketAddr);

/// The peer's address, if the server recorded it.
#[allow(clippy::inline_always, reason = "measured: what it makes is not copied")]
#[inline(always)]
pub(crate) fn address(extensions: &Extensions) -> Option<IpAddr> {
    let peer = match extensions.get::<PeerAddress>() {
        Some(&PeerAddress(peer)) => Some(peer),
        None => recorded_by_axum(extensions).or_else(|| recorded_by_tonic(extensions)),
    };
    peer.map(|peer| peer.ip())
}

#[cfg(feature = "axum")]
fn recorded_by_axum(extensions: &Extensions) -> Option<SocketAddr> {
    use axum::extract::connect_info::{ConnectInfo, MockConnectInfo};

    let real = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    // Where axum's own extractor looks too, so that a user's tests need no real connection.
    real.or_else(|| extensions.get::<MockConnectInfo<SocketAddr>>().map(|info| info.0))
}

#[cfg(not(feature = "axum"))]
const fn recorded_by_axum(_: &Extensions) -> Option<SocketAddr> {
    None
}

#[cfg(feature = "tonic")]
fn recorded_by_tonic(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<::tonic::transport::server::TcpConnectInfo>()?.remote_addr()
}

#[cfg(not(feature = "tonic"))]
const fn recorded_by_tonic(_: &Extensions) -> Option<SocketAddr> {
    None
}
