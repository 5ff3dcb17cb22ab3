//! The token: who may administer, and off loopback who may ask.

use std::fmt;
use std::path::{Path, PathBuf};

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The variable that holds the token.
const VARIABLE: &str = "RATE_LIMIT_TOKEN";

/// The shortest token: as many bytes as nobody can try out.
const MIN_BYTES: usize = 32;

/// The longest file that is read for one.
const MAX_BYTES: usize = 4_096;

/// The token, as its digest: comparing digests takes the same time for every guess, whatever its
/// length is and however much of it is right.
#[derive(Clone)]
pub(crate) struct Token([u8; 32]);

/// Why a token cannot be used. No text of it holds a part of the token.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It holds something that a header field cannot.
    #[error(
        "the token in {place} holds a character that a header field cannot; expected visible ASCII"
    )]
    Characters {
        /// Where it stands.
        place: String,
    },
    /// The file cannot be read.
    #[error("the token file {path} cannot be read: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It has too few bytes to be safe, or more than a token has.
    #[error("the token in {place} has {length} bytes; expected {MIN_BYTES} to {MAX_BYTES}")]
    Length {
        /// Where it stands.
        place: String,
        /// Its length in bytes.
        length: usize,
    },
}

/// What a request says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// The token.
    Right,
    /// Something else.
    Wrong,
    /// Nothing.
    Nothing,
}

impl Token {
    /// The token of this process; `None` if there is none.
    pub(crate) fn of_process(file: Option<&Path>) -> Result<Option<Self>, TokenError> {
        if let Some(path) = file {
            let read = std::fs::read_to_string(path);
            let text = read.map_err(|source| TokenError::File { path: path.into(), source })?;
            // Editors end a file with a line break.
            return Self::new(text.trim_end(), &path.display().to_string()).map(Some);
        }
        match std::env::var(VARIABLE) {
            Ok(text) => Self::new(&text, VARIABLE).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(TokenError::Characters { place: VARIABLE.to_owned() })
            }
        }
    }

    fn new(text: &str, place: &str) -> Result<Self, TokenError> {
        let (place, length) = (place.to_owned(), text.len());
        if !(MIN_BYTES..=MAX_BYTES).contains(&length) {
            return Err(TokenError::Length { place, length });
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters { place });
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// What the field `Authorization` says.
    pub(crate) fn shown_in(&self, headers: &HeaderMap) -> Shown {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return if headers.contains_key(header::AUTHORIZATION) {
                Shown::Wrong
            } else {
                Shown::Nothing
            };
        };
        match value.as_bytes().split_at_checked(7) {
            Some((scheme, text)) if scheme.eq_ignore_ascii_case(b"bearer ") => self.compare(text),
            _ => Shown::Wrong,
        }
    }

    /// Whether `text` is the token.
    pub(crate) fn compare(&self, text: &[u8]) -> Shown {
        let digest: [u8; 32] = Sha256::digest(text).into();
        if bool::from(digest.ct_eq(&self.0)) { Shown::Right } else { Shown::Wrong }
    }

    /// By which audit lines tell tokens apart, without telling the token.
    pub(crate) fn fingerprint(&self) -> String {
        hex::encode(self.0.get(..4).unwrap_or_default())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "0123456789abcdef0123456789abcdef";

    fn shown(authorization: &[&str]) -> Shown {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        Token::new(RIGHT, "test").unwrap().shown_in(&headers)
    }

    #[test]
    fn only_the_whole_token_is_right() {
        assert_eq!(shown(&[&format!("Bearer {RIGHT}")]), Shown::Right);
        assert_eq!(shown(&[&format!("bearer {RIGHT}")]), Shown::Right);
        assert_eq!(shown(&[]), Shown::Nothing);
        let longer = format!("Bearer {RIGHT}0");
        for wrong in
            ["", "Bearer", "Bearer ", RIGHT, "Basic abc", &longer, "Bearer 0123456789abcdef"]
        {
            assert_eq!(shown(&[wrong]), Shown::Wrong, "{wrong:?}");
        }
        let right = format!("Bearer {RIGHT}");
        assert_eq!(shown(&[&right, &right]), Shown::Wrong, "nobody knows which one counts");
    }

    #[test]
    fn short_and_unsendable_tokens_are_refused_without_showing_them() {
        for text in ["", "short", &"a".repeat(31), &"a".repeat(4_097), &"\u{e9}".repeat(40)] {
            let error = Token::new(text, "RATE_LIMIT_TOKEN").unwrap_err().to_string();
            assert!(error.contains("RATE_LIMIT_TOKEN") && error.contains("expected"), "{error}");
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }
}
