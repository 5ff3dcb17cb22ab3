//! The fields of a gRPC response that consists of trailers only.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(crate) const GRPC_RETRY_PUSHBACK_MS: HeaderName =
    HeaderName::from_static("grpc-retry-pushback-ms");
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const GRPC_STATUS_DETAILS: HeaderName =
    HeaderName::from_static("grpc-status-details-bin");

/// The content type of the response if the request is one of gRPC or gRPC-Web.
pub(crate) fn grpc_content_type(fields: &HeaderMap) -> Option<HeaderValue> {
    const GRPC: &str = "application/grpc";
    const GRPC_WEB: &str = "application/grpc-web";

    let content_type = fields.get(CONTENT_TYPE)?.as_bytes();
    let begins = |prefix: &str| {
        let beginning = content_type.get(..prefix.len());
        beginning.is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    if begins(GRPC_WEB) {
        // Its clients expect what they have sent.
        fields.get(CONTENT_TYPE).cloned()
    } else {
        begins(GRPC).then_some(HeaderValue::from_static(GRPC))
    }
}
