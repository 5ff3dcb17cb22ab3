//! One key, and the only algorithm it is used with.

use jsonwebtoken::crypto::aws_lc;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};

use super::{Claims, JwtError, Refusal};
use crate::configuration::{JwtAlgorithm, JwtKey, JwtKeyMaterial};

/// A key that can verify signatures.
#[derive(Clone)]
pub(super) struct Key {
    /// What the token's `kid` has to be; any if there is none.
    id: Option<Box<str>>,
    algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
}

impl Key {
    /// The key at `index` of the configuration.
    pub(super) fn configured(
        index: usize,
        key: &JwtKey,
        audiences: &[String],
    ) -> Result<Self, JwtError> {
        let (algorithm, name) = algorithm(key.algorithm);
        let refused = |reason: String, expected| JwtError::Key {
            number: index + 1,
            algorithm: name,
            reason,
            expected,
        };
        let public_key = "a public key in PEM, or a secret for HS256, HS384 and HS512";
        let decoding = match (&key.material, algorithm) {
            (
                JwtKeyMaterial::Secret(secret),
                Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512,
            ) => DecodingKey::from_secret(secret.expose()),
            (JwtKeyMaterial::PublicKey(pem), Algorithm::EdDSA) => {
                DecodingKey::from_ed_pem(pem.expose())
                    .map_err(|error| refused(error.to_string(), "an Ed25519 public key in PEM"))?
            }
            (JwtKeyMaterial::PublicKey(pem), Algorithm::ES256 | Algorithm::ES384) => {
                DecodingKey::from_ec_pem(pem.expose()).map_err(|error| {
                    refused(error.to_string(), "a public key in PEM on the curve of the algorithm")
                })?
            }
            (
                JwtKeyMaterial::PublicKey(pem),
                Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512,
            ) => DecodingKey::from_rsa_pem(pem.expose())
                .map_err(|error| refused(error.to_string(), "an RSA public key in PEM"))?,
            _ => return Err(refused("the two do not belong together".to_owned(), public_key)),
        };
        Self::new(key.id.as_deref(), algorithm, decoding, audiences)
            .map_err(|reason| refused(reason, public_key))
    }

    /// A key from any source.
    pub(super) fn new(
        id: Option<&str>,
        algorithm: Algorithm,
        decoding: DecodingKey,
        audiences: &[String],
    ) -> Result<Self, String> {
        // Whatever a key cannot do is found out now and not with the first token.
        (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&algorithm, &decoding)
            .map_err(|error| error.to_string())?;
        // The only mistake that would be found with the first token: another curve.
        let point = match algorithm {
            Algorithm::EdDSA => Some(32),
            Algorithm::ES256 => Some(65),
            Algorithm::ES384 => Some(97),
            _ => None,
        };
        if point.is_some_and(|bytes| decoding.try_get_as_bytes().map(<[u8]>::len) != Ok(bytes)) {
            return Err("it is on another curve".to_owned());
        }
        let mut validation = Validation::new(algorithm);
        validation.set_audience(audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        // By our clock, not by the one that the crate reads. The issuer is needed anyway.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Self { id: id.map(Into::into), algorithm, decoding, validation })
    }

    /// Whether the key may be meant by a token with this header.
    pub(super) fn fits(&self, header: &Header) -> bool {
        header.alg == self.algorithm
            && (self.id.is_none() || self.id.as_deref() == header.kid.as_deref())
    }

    /// The claims of a token whose signature and audience are right.
    pub(super) fn decode(&self, token: &[u8]) -> Result<Claims, Refusal> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation);
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidAudience => Refusal::Audience,
            ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
                "exp" => Refusal::Expired,
                "iss" => Refusal::Issuer,
                _ => Refusal::Audience,
            },
            ErrorKind::InvalidSignature => Refusal::Signature,
            _ => Refusal::Malformed,
        })
    }
}

/// The algorithm of the crate, and its name.
const fn algorithm(algorithm: JwtAlgorithm) -> (Algorithm, &'static str) {
    match algorithm {
        JwtAlgorithm::EdDsa => (Algorithm::EdDSA, "EdDSA"),
        JwtAlgorithm::Es256 => (Algorithm::ES256, "ES256"),
        JwtAlgorithm::Es384 => (Algorithm::ES384, "ES384"),
        JwtAlgorithm::Hs256 => (Algorithm::HS256, "HS256"),
        JwtAlgorithm::Hs384 => (Algorithm::HS384, "HS384"),
        JwtAlgorithm::Hs512 => (Algorithm::HS512, "HS512"),
        JwtAlgorithm::Ps256 => (Algorithm::PS256, "PS256"),
        JwtAlgorithm::Ps384 => (Algorithm::PS384, "PS384"),
        JwtAlgorithm::Ps512 => (Algorithm::PS512, "PS512"),
        JwtAlgorithm::Rs256 => (Algorithm::RS256, "RS256"),
        JwtAlgorithm::Rs384 => (Algorithm::RS384, "RS384"),
        JwtAlgorithm::Rs512 => (Algorithm::RS512, "RS512"),
    }
}
