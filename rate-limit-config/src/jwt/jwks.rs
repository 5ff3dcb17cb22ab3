//! A file with a set of keys (RFC 7517), which outlives its own absence for a while.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use rate_limit_core::Timestamp;

use super::{JwtError, Key};
use crate::configuration::JwksFile;

/// Larger files are refused; one of them holds thousands of keys.
const MAX_BYTES: u64 = 1 << 20;
const EXPECTED: &str = "a set of keys as in RFC 7517, each with `kty` and `alg`";

/// The keys that were read last, and since when they cannot be read any more.
pub(super) struct Jwks {
    path: PathBuf,
    max_stale: Duration,
    keys: Arc<[Key]>,
    failure: Option<Failure>,
}

#[derive(Clone)]
struct Failure {
    since: Timestamp,
    error: JwtError,
}

impl Jwks {
    /// Reads the file. If that fails, the keys that `previous` has read from the same file are kept.
    pub(super) fn read(
        file: &JwksFile,
        audiences: &[String],
        now: Timestamp,
        previous: Option<&Self>,
    ) -> Result<Self, JwtError> {
        let JwksFile { path, max_stale } = file;
        let (path, max_stale) = (path.clone(), *max_stale);
        match read(&path, audiences) {
            Ok(keys) => Ok(Self { path, max_stale, keys: keys.into(), failure: None }),
            Err(error) => {
                let previous = previous.filter(|previous| previous.path == path);
                let Some(previous) = previous else {
                    return Err(error);
                };
                // However often it fails, it has failed since the first time.
                let since = previous.failure.as_ref().map_or(now, |failure| failure.since);
                let failure = Some(Failure { since, error });
                Ok(Self { path, max_stale, keys: previous.keys.clone(), failure })
            }
        }
    }

    /// The keys, unless they were read too long ago.
    pub(super) fn keys(&self, now: Timestamp) -> Option<&[Key]> {
        let is_stale = |failure: &Failure| now >= failure.since.saturating_add(self.max_stale);
        (!self.failure.as_ref().is_some_and(is_stale)).then_some(&*self.keys)
    }

    /// Why the file cannot be read any more.
    pub(super) fn failure(&self) -> Option<&JwtError> {
        self.failure.as_ref().map(|failure| &failure.error)
    }
}

fn read(path: &Path, audiences: &[String]) -> Result<Vec<Key>, JwtError> {
    let refused =
        |reason: String| JwtError::File { path: path.to_owned(), reason, expected: EXPECTED };
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
    let read = read.map_err(|error| refused(error.to_string()))?;
    if read as u64 > MAX_BYTES {
        return Err(refused(format!("it has more than {MAX_BYTES} bytes")));
    }
    // Only where, not what: the text of the error may quote a secret.
    let set: JwkSet = serde_json::from_slice(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        refused(format!("no set of keys can be read from line {line}, column {column} on"))
    })?;
    let mut keys = Vec::with_capacity(set.keys.len());
    for (index, jwk) in set.keys.iter().enumerate() {
        // Whoever encrypts does not sign.
        if jwk.common.public_key_use == Some(PublicKeyUse::Encryption) {
            continue;
        }
        let number = index + 1;
        let refused = |reason: String| refused(format!("key {number}: {reason}"));
        let algorithm = algorithm(jwk).map_err(&refused)?;
        let decoding = DecodingKey::from_jwk(jwk).map_err(|error| refused(error.to_string()))?;
        let key = Key::new(jwk.common.key_id.as_deref(), algorithm, decoding, audiences);
        keys.push(key.map_err(&refused)?);
    }
    if keys.is_empty() {
        return Err(refused("no key in it can verify a signature".to_owned()));
    }
    Ok(keys)
}

/// The only algorithm that the key is used with: what it says, or what its curve leaves open.
fn algorithm(jwk: &Jwk) -> Result<Algorithm, String> {
    if let Some(named) = &jwk.common.key_algorithm {
        let name = named.to_string();
        return name.parse().map_err(|_| format!("`{name}` signs no tokens"));
    }
    let curve = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(parameters) => Some(&parameters.curve),
        AlgorithmParameters::OctetKeyPair(parameters) => Some(&parameters.curve),
        _ => None,
    };
    match curve {
        Some(EllipticCurve::P256) => Ok(Algorithm::ES256),
        Some(EllipticCurve::P384) => Ok(Algorithm::ES384),
        Some(EllipticCurve::Ed25519) => Ok(Algorithm::EdDSA),
        _ => Err("it does not name its `alg`, and several are possible".to_owned()),
    }
}
