//! The id of a request: the caller's, if it is one that may be written into a log line, otherwise our
//! own.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field that carries it, in requests and responses.
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over.
const MAX_LENGTH: usize = 64;

/// Draws ids that no other process draws.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(process: u64) -> Self {
        Self { process, next: AtomicU64::new(1) }
    }

    /// The id of a request with these fields.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let theirs = headers.get(&REQUEST_ID).filter(|value| is_harmless(value.as_bytes()));
        theirs.cloned().unwrap_or_else(|| self.draw())
    }

    fn draw(&self) -> HeaderValue {
        // Relaxed, because the number guards no memory.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = String::with_capacity(32);
        // Writing into a text cannot fail, and hexadecimal digits are a value of a field.
        let _ = write!(text, "{:016x}-{number:x}", self.process);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("none"))
    }
}

fn is_harmless(id: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=MAX_LENGTH).contains(&id.len()) && id.iter().all(harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_harmless_id_is_kept_and_every_other_one_is_replaced() {
        let ids = RequestIds::new(0xabc);
        let id_of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(&REQUEST_ID, HeaderValue::from_str(text).unwrap());
            ids.of(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(id_of("01J9Z6Q8-a.b:c_d"), "01J9Z6Q8-a.b:c_d");
        assert_eq!(id_of("with space"), "0000000000000abc-1");
        assert_eq!(id_of(&"a".repeat(65)), "0000000000000abc-2");
        assert_eq!(ids.of(&HeaderMap::new()), "0000000000000abc-3");
    }
}
