//! The status of a gRPC-Web response, which is in the last message of its body.
//!
//! Browsers cannot read trailers, so gRPC-Web sends them as one more message, with a bit of its own in
//! front. Where only some responses count, the body is read along for it; nothing of the body is
//! changed or kept back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue};

use crate::headers::{GRPC_STATUS, GrpcProtocol};

/// Of the flags in front of a message: it consists of trailers.
const IS_TRAILERS: u8 = 0x80;

/// As many bytes of trailers are kept. Servers limit their header fields to about as many.
const MAX_TRAILERS_BYTES: usize = 16 * 1024;

/// Reads along while a body passes, and keeps nothing but the trailers.
#[derive(Debug)]
pub(crate) struct WebTrailers {
    is_text: bool,
    /// Characters of Base64 that do not make up whole bytes yet.
    characters: Vec<u8>,
    /// What is there of the next message's prefix: flags, and its length in four bytes.
    prefix: Vec<u8>,
    /// How much of the message is still to come.
    remaining: usize,
    are_next: bool,
    trailers: Vec<u8>,
}

impl WebTrailers {
    /// For a response with these fields; `None` if it is none of gRPC-Web.
    pub(crate) fn of(fields: &HeaderMap) -> Option<Self> {
        let is_text = match GrpcProtocol::named(fields)? {
            GrpcProtocol::Grpc => return None,
            GrpcProtocol::GrpcWeb => false,
            GrpcProtocol::GrpcWebText => true,
        };
        Some(Self {
            is_text,
            characters: Vec::new(),
            prefix: Vec::new(),
            remaining: 0,
            are_next: false,
            trailers: Vec::new(),
        })
    }

    /// Reads data that passes, and returns it as it was.
    pub(crate) fn read_along<D: Buf + From<Bytes>>(&mut self, mut data: D) -> D {
        if data.chunk().len() == data.remaining() {
            self.read(data.chunk());
            return data;
        }
        // In several pieces, of which only the first can be seen without taking it.
        let bytes = data.copy_to_bytes(data.remaining());
        self.read(&bytes);
        bytes.into()
    }

    /// The status, if it was there.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        let status = self.trailers.split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            name.trim().eq_ignore_ascii_case(GRPC_STATUS.as_str()).then_some(value.trim())
        })?;
        let mut trailers = HeaderMap::new();
        trailers.insert(GRPC_STATUS, HeaderValue::from_str(status).ok()?);
        Some(trailers)
    }

    fn read(&mut self, data: &[u8]) {
        if !self.is_text {
            return self.read_messages(data);
        }
        for character in data {
            self.characters.push(*character);
            if self.characters.len() == 4 {
                // Each piece of a body may be encoded by itself, so there is padding in the midst.
                let bytes = STANDARD.decode(&self.characters).unwrap_or_default();
                self.characters.clear();
                self.read_messages(&bytes);
            }
        }
    }

    fn read_messages(&mut self, mut data: &[u8]) {
        while let [byte, rest @ ..] = data {
            if self.remaining == 0 {
                self.prefix.push(*byte);
                data = rest;
                self.begin_message();
                continue;
            }
            let (message, next) = data.split_at(self.remaining.min(data.len()));
            if self.are_next {
                let room = MAX_TRAILERS_BYTES.saturating_sub(self.trailers.len());
                self.trailers.extend(message.iter().take(room));
            }
            self.remaining -= message.len();
            data = next;
        }
    }

    /// Begins with a message once its prefix is complete.
    fn begin_message(&mut self) {
        if let [flags, a, b, c, d] = *self.prefix {
            self.are_next = flags & IS_TRAILERS != 0;
            // What does not fit never arrives.
            self.remaining = u32::from_be_bytes([a, b, c, d]).try_into().unwrap_or(usize::MAX);
            self.prefix.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::buf::Chain;
    use http::header::CONTENT_TYPE;

    use super::*;

    /// Data that is not in one piece.
    struct Pieces(Chain<Bytes, Bytes>);

    impl From<Bytes> for Pieces {
        fn from(bytes: Bytes) -> Self {
            Self(bytes.chain(Bytes::new()))
        }
    }

    impl Buf for Pieces {
        fn remaining(&self) -> usize {
            self.0.remaining()
        }

        fn chunk(&self) -> &[u8] {
            self.0.chunk()
        }

        fn advance(&mut self, count: usize) {
            self.0.advance(count);
        }
    }

    #[test]
    fn data_in_several_pieces_passes_as_a_whole() {
        let fields = HeaderMap::from_iter([(
            CONTENT_TYPE,
            HeaderValue::from_static("application/grpc-web"),
        )]);
        let mut reading = WebTrailers::of(&fields).unwrap();
        let pieces =
            Bytes::from_static(b"\x80\0\0\0\x0egrpc-").chain(Bytes::from_static(b"status: 7"));
        let mut passed = reading.read_along(Pieces(pieces));
        let passed = passed.copy_to_bytes(passed.remaining());
        assert_eq!(&passed[..], b"\x80\0\0\0\x0egrpc-status: 7");
        assert_eq!(reading.trailers().unwrap()[GRPC_STATUS], "7");
    }
}
