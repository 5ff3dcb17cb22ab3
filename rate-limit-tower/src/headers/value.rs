//! The values of fields.

use http::HeaderValue;

use crate::decimal;
use crate::text::Text;

/// As long as the item of one policy with an ordinary name, or of three with short ones.
const USUAL_BYTES: usize = 96;

/// A value in the making. Only visible ASCII is written.
pub(super) type Writing = Text<USUAL_BYTES>;

/// The least number of ten digits.
const TEN_DIGITS: u64 = 1_000_000_000;

/// The number as a value. A small one is there already, so it costs no allocation.
#[inline]
pub(super) fn number(number: u64) -> HeaderValue {
    if let Some(text) = decimal::text(number) {
        return HeaderValue::from_static(text);
    }
    match u32::try_from(number) {
        // What every second since the year 2001 is. `http` makes room for just so many digits, and
        // knows that they are digits.
        Ok(second) if number >= TEN_DIGITS => second.into(),
        _ => written(itoa::Buffer::new().format(number)),
    }
}

/// The finished value, in memory of its own. Two values could share theirs, but counting who shares
/// it takes longer than a second allocation.
#[inline]
pub(super) fn written(text: impl AsRef<[u8]>) -> HeaderValue {
    // Only visible ASCII was written, so this cannot fail; an empty field would be the lesser evil.
    HeaderValue::from_bytes(text.as_ref()).unwrap_or(HeaderValue::from_static(""))
}
