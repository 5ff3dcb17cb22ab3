//! The fields by which gRPC and gRPC-Web are told, and those of a response that consists of trailers
//! only.

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(crate) const GRPC_RETRY_PUSHBACK_MS: HeaderName =
    HeaderName::from_static("grpc-retry-pushback-ms");
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const GRPC_STATUS_DETAILS: HeaderName =
    HeaderName::from_static("grpc-status-details-bin");

/// A protocol of the family. They differ in where the status of a response is, if not in its head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum GrpcProtocol {
    /// In the trailers.
    Grpc,
    /// In the last message of the body.
    GrpcWeb,
    /// There as well, and the body is in Base64.
    GrpcWebText,
}

impl GrpcProtocol {
    /// What the content type says.
    pub(crate) fn named(fields: &HeaderMap) -> Option<Self> {
        let content_type = fields.get(CONTENT_TYPE)?.as_bytes();
        // The longest names come first, because one begins with another.
        [
            ("application/grpc-web-text", Self::GrpcWebText),
            ("application/grpc-web", Self::GrpcWeb),
            ("application/grpc", Self::Grpc),
        ]
        .into_iter()
        .find_map(|(name, protocol)| is_named(content_type, name).then_some(protocol))
    }
}

/// Whether a content type is this one, with or without a suffix and parameters. One that merely
/// begins like it is another.
fn is_named(content_type: &[u8], name: &str) -> bool {
    content_type.split_at_checked(name.len()).is_some_and(|(beginning, rest)| {
        beginning.eq_ignore_ascii_case(name.as_bytes())
            && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
    })
}

/// Whether these are the fields of a gRPC response.
pub(crate) fn are_of_grpc(fields: &HeaderMap) -> bool {
    fields.contains_key(GRPC_STATUS) || GrpcProtocol::named(fields).is_some()
}

/// The content type of the response if the request is one of gRPC or gRPC-Web.
pub(crate) fn grpc_content_type(fields: &HeaderMap) -> Option<HeaderValue> {
    match GrpcProtocol::named(fields)? {
        GrpcProtocol::Grpc => Some(HeaderValue::from_static("application/grpc")),
        // Its clients expect what they have sent.
        GrpcProtocol::GrpcWeb | GrpcProtocol::GrpcWebText => fields.get(CONTENT_TYPE).cloned(),
    }
}
