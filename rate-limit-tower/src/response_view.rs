//! What closures see of a response.

use http::{Extensions, HeaderMap, Response, StatusCode};

/// What is known of a response when it is decided whether the request counts.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    protocol: Protocol<'a>,
}

/// What tells success from failure.
#[derive(Clone, Copy, Debug)]
enum Protocol<'a> {
    Http,
    /// gRPC, whose status is in the head or in the trailers. gRPC-Web has them in its body.
    Grpc {
        trailers: Option<&'a HeaderMap>,
    },
}

impl<'a> ResponseView<'a> {
    pub(crate) fn http<B>(response: &'a Response<B>) -> Self {
        Self::plain(response.status(), response.headers(), response.extensions())
    }

    pub(crate) const fn plain(
        status: StatusCode,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
    ) -> Self {
        Self { status, headers, extensions, protocol: Protocol::Http }
    }

    pub(crate) const fn grpc(
        status: StatusCode,
        headers: &'a HeaderMap,
        extensions: &'a Extensions,
        trailers: Option<&'a HeaderMap>,
    ) -> Self {
        Self { status, headers, extensions, protocol: Protocol::Grpc { trailers } }
    }

    /// The HTTP status. That of a gRPC response is nearly always 200.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What inner services have put beside the response.
    pub const fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// The gRPC status: `None` if this is no gRPC response, or one without a status.
    pub fn grpc_status(&self) -> Option<u32> {
        let Protocol::Grpc { trailers } = self.protocol else {
            return None;
        };
        let status = |fields: &HeaderMap| {
            fields.get(crate::headers::GRPC_STATUS)?.to_str().ok()?.trim().parse().ok()
        };
        trailers.and_then(status).or_else(|| status(self.headers))
    }

    /// Whether the request succeeded: a status of 200 to 299, for gRPC 0.
    ///
    /// Whether it is gRPC, the response says by its content type or a status in its head. What the
    /// request says is the client's choice, and changes nothing.
    pub fn is_success(&self) -> bool {
        match self.protocol {
            Protocol::Http => self.status.is_success(),
            Protocol::Grpc { .. } => self.grpc_status() == Some(0),
        }
    }
}
