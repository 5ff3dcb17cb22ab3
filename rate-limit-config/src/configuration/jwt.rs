//! How tokens are verified.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;

use crate::secret::Secret;

/// The section `identity.jwt`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JwtSettings {
    /// The header field that carries the token, as `Bearer` or alone.
    pub header: HeaderName,
    /// The issuers that are believed, at least one.
    pub issuers: Vec<String>,
    /// The audiences of which a token has to name one, at least one.
    pub audiences: Vec<String>,
    /// By how much expiry and not-before may be missed.
    pub leeway: Duration,
    /// The longest token that is looked at.
    pub max_token_bytes: usize,
    /// The claim that names the user.
    pub user_claim: String,
    /// The claim that names the tier.
    pub tier_claim: String,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// Keys that stand in the configuration. None only if there is a file of keys.
    pub keys: Vec<JwtKey>,
    /// A file with a set of keys.
    pub jwks_file: Option<JwksFile>,
}

/// A key and the one algorithm it is used with.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JwtKey {
    /// What the token's `kid` has to be for this key to be tried. Without, it is tried for every
    /// token of its algorithm.
    pub id: Option<String>,
    /// The only algorithm the key is used with, whatever a token says.
    pub algorithm: JwtAlgorithm,
    /// The key.
    pub material: JwtKeyMaterial,
}

/// What a key consists of.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum JwtKeyMaterial {
    /// A public key in PEM.
    PublicKey(Secret),
    /// The secret that signer and verifier share, for HS256, HS384 and HS512.
    Secret(Secret),
}

/// A file with a set of keys (RFC 7517), each of which has to name its algorithm.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct JwksFile {
    /// Where it is. A relative path in the rules file starts from the folder of that file.
    pub path: PathBuf,
    /// How long the keys that were read last are used while the file cannot be read.
    pub max_stale: Duration,
}

/// An algorithm that tokens are signed with. `none` is not one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum JwtAlgorithm {
    EdDsa,
    Es256,
    Es384,
    Hs256,
    Hs384,
    Hs512,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}
