//! Identities as text that people can read and no client can forge.
//!
//! The inverse of nothing: keys are never parsed back. What matters is that two identities never
//! have the same text, and that no text contains a brace, a space or a wildcard.

use std::net::{Ipv4Addr, Ipv6Addr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rate_limit_core::ClientIdentity;

/// Everything but letters, digits and these is encoded, so the separators `:`, `=`, `+`, `(` and
/// `)` never come from a client.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'@');

/// The longest text; what is longer is better shown as a digest.
const MAX_CHARACTERS: usize = 128;

/// The text of `identity`; `None` if it would be too long.
///
/// Every text contains one of `:`, `=` or `(`, or is one of two words, so none looks like a digest.
pub(super) fn percent_encoded(identity: &ClientIdentity) -> Option<String> {
    text_of(identity.as_bytes()).filter(|text| text.len() <= MAX_CHARACTERS)
}

/// The first byte is the kind; see the table in the documentation of [`ClientIdentity`].
fn text_of(encoding: &[u8]) -> Option<String> {
    if encoding.len() > MAX_CHARACTERS {
        return None;
    }
    let (kind, rest) = encoding.split_first()?;
    let value = percent_encode(rest, ENCODED);
    Some(match kind {
        0x00 => "global".to_owned(),
        0x01 => "anonymous".to_owned(),
        0x04 => {
            let (bits, octets) = rest.split_first()?;
            format!("ip:{}-{bits}", Ipv4Addr::from(padded::<4>(octets)?))
        }
        0x06 => {
            let (bits, octets) = rest.split_first()?;
            let address = Ipv6Addr::from(padded::<16>(octets)?).to_string();
            format!("ip:{}-{bits}", address.replace(':', "."))
        }
        0x10 => format!("user:{value}"),
        0x11 => format!("key:{value}"),
        0x12 => format!("tenant:{value}"),
        0x13 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            let (dimension, value) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            let [dimension, value] = [dimension, value].map(|it| percent_encode(it, ENCODED));
            format!("{dimension}={value}")
        }
        0x20 => composed(rest)?,
        // A kind that this version does not know: unambiguous, if not pretty.
        other => format!("{other}:{value}"),
    })
}

/// The parts of a composition in parentheses, so that compositions of compositions differ.
fn composed(mut rest: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        parts.push(text_of(part)?);
        rest = after;
    }
    Some(format!("({})", parts.join("+")))
}

/// The bytes that a prefix leaves out are zero.
fn padded<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut all = [0; N];
    all.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(all)
}
