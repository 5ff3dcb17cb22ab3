//! One spelling for all spellings of a path, so that spelling cannot mint buckets.

use std::borrow::Cow;

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The canonical form of a path, as rules and keys see it.
///
/// - Percent-encoded unreserved characters (RFC 3986, section 2.3) are decoded, and the digits of
///   the others are in upper case. A `%` that begins no encoding is encoded itself.
/// - Repeated slashes count as one; then dot segments are removed; then the slash at the end is,
///   except from the root.
/// - Everything else stays, so letters keep their case and `%2F` is no slash.
///
/// Routers take a path as it was written, so a target with dot segments may reach the handler of a
/// parameter or of a rest. Rules therefore also [look](crate::Rule#dot-segments) at the form in which
/// these stay.
///
/// A path that does not begin with a slash is given one, except `*` (`OPTIONS *`). The canonical
/// form of a canonical path is itself, which costs no allocation.
///
/// # Example: one path, many spellings
///
/// ```
/// use rate_limit_tower::canonical_path;
///
/// for spelling in ["/compute", "/compute/", "//compute", "/./compute", "/a/../%63ompute"] {
///     assert_eq!(canonical_path(spelling), "/compute");
/// }
/// assert_eq!(canonical_path("/Compute"), "/Compute", "another path");
/// assert_eq!(canonical_path("/a%2fb"), "/a%2Fb", "a slash that separates nothing");
/// ```
pub fn canonical_path(path: &str) -> Cow<'_, str> {
    if is_canonical(path) { Cow::Borrowed(path) } else { Cow::Owned(canonicalised(path)) }
}

/// Whether nothing would change. Looks at every byte once and allocates nothing.
fn is_canonical(path: &str) -> bool {
    if path == "/" || path == "*" {
        return true;
    }
    let Some(segments) = path.strip_prefix('/') else {
        return false;
    };
    segments.split('/').all(|segment| {
        !matches!(segment, "" | "." | "..") && (!segment.contains('%') || is_encoded_well(segment))
    })
}

/// Whether every `%` of a segment begins an encoding that has to stay as it is.
fn is_encoded_well(segment: &str) -> bool {
    segment.split('%').skip(1).all(|after| {
        let digits = after.as_bytes();
        let is_upper = digits.iter().take(2).all(|digit| !digit.is_ascii_lowercase());
        is_upper && encoded_byte(digits).is_some_and(|byte| !is_unreserved(byte))
    })
}

/// The canonical form of a path except that dot segments stay in it; `None` if there are none.
///
/// Routers take the path as it was written, so to them `..` is a name like any other.
pub(crate) fn path_with_dot_segments(path: &str) -> Option<String> {
    let decoded = decoded(path);
    let segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
    let has_any = segments.iter().any(|segment| matches!(*segment, "." | ".."));
    has_any.then(|| joined(&segments))
}

fn canonicalised(path: &str) -> String {
    // Decoding comes first: an encoded dot is a dot.
    let decoded = decoded(path);
    let mut segments = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    joined(&segments)
}

fn joined(segments: &[&str]) -> String {
    let length: usize = segments.iter().map(|segment| segment.len() + 1).sum();
    let mut canonical = String::with_capacity(length.max(1));
    for segment in segments {
        canonical.push('/');
        canonical.push_str(segment);
    }
    if canonical.is_empty() {
        canonical.push('/');
    }
    canonical
}

/// The path with unreserved characters decoded and all other encodings in upper case.
fn decoded(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut pieces = path.split('%');
    decoded.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let rest = match encoded_byte(piece.as_bytes()) {
            Some(byte) => {
                if is_unreserved(byte) {
                    decoded.push(char::from(byte));
                } else {
                    push_encoded(&mut decoded, byte);
                }
                // Both digits are ASCII, so a character begins behind them.
                piece.get(2..).unwrap_or_default()
            }
            // Left alone, it could begin an encoding once what follows is decoded.
            None => {
                push_encoded(&mut decoded, b'%');
                piece
            }
        };
        decoded.push_str(rest);
    }
    decoded
}

fn push_encoded(text: &mut String, byte: u8) {
    let digit = |nibble: u8| UPPER_HEX.get(usize::from(nibble)).map_or('0', |&hex| char::from(hex));
    text.extend(['%', digit(byte >> 4), digit(byte & 0xf)]);
}

/// The byte that two hexadecimal digits stand for.
fn encoded_byte(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else {
        return None;
    };
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some(value(*high)? << 4 | value(*low)?)
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests;
