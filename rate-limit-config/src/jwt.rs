//! Verified tokens: who a request comes from, as an issuer vouches for it.
//!
//! A claim that nobody has verified is an attacker's input. So a token counts only if all of this
//! holds, and otherwise as if it were not there:
//!
//! 1. It is the only one, and not longer than allowed.
//! 2. A key fits its algorithm, which is a property of the key and not of the token, and its `kid`.
//! 3. The signature is right.
//! 4. No `crit` demands what is not understood here, which is everything.
//! 5. `iss` is a believed issuer and `aud` names one of the audiences.
//! 6. `exp` is there and has not passed, and `nbf`, if there, has; both with some leeway.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use jsonwebtoken::crypto::aws_lc;
use rate_limit_core::{Clock, Timestamp};
use serde_json::{Map, Value};

use crate::configuration::{JwtKey, JwtSettings, KeyPart, RuleSettings};
use crate::telemetry::TokenCounters;
use crate::verified_client::VerifiedClient;

mod error;
mod jwks;
mod key;

pub use error::JwtError;
use jwks::Jwks;
use key::Key;

type Claims = Map<String, Value>;

/// Verifies tokens. Made once for each version of the configuration.
pub(crate) struct Verifier {
    header: HeaderName,
    max_token_bytes: usize,
    leeway_seconds: u64,
    issuers: Vec<String>,
    user_claim: String,
    tier_claim: String,
    tenant_claim: String,
    /// The claims that rules count by.
    counted_claims: Vec<String>,
    keys: Vec<Key>,
    jwks: Option<Jwks>,
    clock: Arc<dyn Clock>,
    counters: TokenCounters,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// Its audience is another one.
    Audience,
    /// It has expired, or does not say when it does.
    Expired,
    /// Its issuer is not believed.
    Issuer,
    /// It is no token, or one that nobody can read.
    Malformed,
    /// It is not valid yet.
    NotYet,
    /// No key fits it.
    NoKey,
    /// The signature is wrong.
    Signature,
    /// It is too long to be looked at.
    TooLong,
}

/// Whether tokens can be verified with a key.
pub(crate) fn check_key(key: &JwtKey) -> Result<(), JwtError> {
    Key::configured(0, key, &[]).map(drop)
}

impl Verifier {
    /// Reads all keys. If the file of keys cannot be read, those of `previous` serve for a while.
    pub(crate) fn new(
        settings: &JwtSettings,
        rules: &[RuleSettings],
        clock: Arc<dyn Clock>,
        previous: Option<&Self>,
    ) -> Result<Self, JwtError> {
        // Verifying would panic if some other crate enabled a second cryptography and nobody had
        // chosen. Whoever has chosen before keeps what was chosen.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let audiences = &settings.audiences;
        let keys = settings.keys.iter().enumerate();
        let keys: Result<_, _> =
            keys.map(|(index, key)| Key::configured(index, key, audiences)).collect();
        let previous = previous.and_then(|previous| previous.jwks.as_ref());
        let jwks = settings.jwks_file.as_ref();
        let jwks = jwks.map(|file| Jwks::read(file, audiences, clock.now(), previous)).transpose();
        Ok(Self {
            header: settings.header.clone(),
            max_token_bytes: settings.max_token_bytes,
            leeway_seconds: settings.leeway.as_secs(),
            issuers: settings.issuers.clone(),
            user_claim: settings.user_claim.clone(),
            tier_claim: settings.tier_claim.clone(),
            tenant_claim: settings.tenant_claim.clone(),
            counted_claims: counted_claims(rules),
            keys: keys?,
            jwks: jwks?,
            clock,
            counters: TokenCounters::new(),
        })
    }

    /// Who the token of a request says that it comes from; `None` without a token that counts.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Option<VerifiedClient> {
        let token = token(headers, &self.header)?;
        let verified = self.verify(token);
        self.counters.count(verified.as_ref().err().copied());
        verified.ok()
    }

    /// Why the file of keys could not be read, if the keys are those that were read before.
    pub(crate) fn stale(&self) -> Option<&JwtError> {
        self.jwks.as_ref().and_then(Jwks::failure)
    }

    fn verify(&self, token: &[u8]) -> Result<VerifiedClient, Refusal> {
        if token.len() > self.max_token_bytes {
            return Err(Refusal::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        // Keys that have been read too long ago are none.
        let jwks = self.jwks.as_ref().and_then(|jwks| jwks.keys(self.clock.now()));
        let mut refusal = Refusal::NoKey;
        for key in self.keys.iter().chain(jwks.into_iter().flatten()) {
            if !key.fits(&header) {
                continue;
            }
            match key.decode(token) {
                Ok(claims) => return self.judge(&claims),
                Err(why) => refusal = why,
            }
        }
        Err(refusal)
    }

    /// What the claims of a token say whose signature and audience are right.
    fn judge(&self, claims: &Claims) -> Result<VerifiedClient, Refusal> {
        let issuer = claims.get("iss").and_then(Value::as_str).ok_or(Refusal::Issuer)?;
        if !self.issuers.iter().any(|believed| believed == issuer) {
            return Err(Refusal::Issuer);
        }
        self.judge_time(claims)?;
        let mut client = VerifiedClient::vouched_for_by(issuer);
        // A name that cannot be one is as good as none: the client has no user, tenant or claim.
        if let Some(user) = name(claims, &self.user_claim) {
            client = client.clone().with_user(&user).unwrap_or(client);
        }
        if let Some(tenant) = name(claims, &self.tenant_claim) {
            client = client.clone().with_tenant(&tenant).unwrap_or(client);
        }
        if let Some(tier) = claims.get(&self.tier_claim).and_then(Value::as_str) {
            client = client.with_tier(tier);
        }
        for claim in &self.counted_claims {
            // As JSON, because the number 1 is not the text "1".
            let value = claims.get(claim).filter(|value| !value.is_object() && !value.is_array());
            if let Some(value) = value.filter(|value| !value.is_null()) {
                client = client.clone().with_claim(claim, &value.to_string()).unwrap_or(client);
            }
        }
        Ok(client)
    }

    fn judge_time(&self, claims: &Claims) -> Result<(), Refusal> {
        let now = seconds(self.clock.utc_now());
        let expires = claims.get("exp").and_then(numeric_date).ok_or(Refusal::Expired)?;
        // RFC 7519, 4.1.4: not accepted on or after that time.
        if now >= expires.saturating_add(self.leeway_seconds) {
            return Err(Refusal::Expired);
        }
        let Some(not_before) = claims.get("nbf") else {
            return Ok(());
        };
        let not_before = numeric_date(not_before).ok_or(Refusal::NotYet)?;
        if now.saturating_add(self.leeway_seconds) < not_before {
            return Err(Refusal::NotYet);
        }
        Ok(())
    }
}

/// The token in a header field, as `Bearer` or alone. Of two fields, nobody knows which one the
/// service will believe. Other schemes are not for us.
fn token<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.as_bytes().trim_ascii();
    if values.next().is_some() {
        return None;
    }
    let token = match value.split_first_chunk::<6>() {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer") => token.trim_ascii(),
        _ => value,
    };
    (!token.is_empty() && !token.contains(&b' ')).then_some(token)
}

/// A name in a claim: a text, or a whole number, by which some issuers name their users.
fn name(claims: &Claims, claim: &str) -> Option<String> {
    match claims.get(claim)? {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

/// Seconds since the epoch, fractions cut off (RFC 7519, 2).
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and the sign was checked"
)]
fn numeric_date(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|date| *date >= 0.0).map(|date| date as u64))
}

const fn seconds(time: Timestamp) -> u64 {
    Duration::from_nanos(time.as_nanos()).as_secs()
}

fn counted_claims(rules: &[RuleSettings]) -> Vec<String> {
    let parts = rules.iter().flat_map(|rule| &rule.key);
    let mut claims: Vec<_> = parts
        .filter_map(|part| match part {
            KeyPart::Claim(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    claims.sort_unstable();
    claims.dedup();
    claims
}

#[cfg(test)]
mod tests;
