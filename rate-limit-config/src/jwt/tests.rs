//! Which tokens count.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rate_limit_core::ManualClock;
use serde_json::json;

use super::*;
use crate::configuration::{JwksFile, JwtAlgorithm, JwtKey, JwtKeyMaterial};
use crate::secret::Secret;

mod key_sets;
mod pairs;

use pairs::{Pair, ec_pair, ed_pair, rsa_pair};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
/// When a [`ManualClock`] starts, in seconds since the epoch.
const NOW: u64 = 1_767_225_600;

fn public_key(id: Option<&str>, algorithm: JwtAlgorithm, pair: &Pair) -> JwtKey {
    let material = JwtKeyMaterial::PublicKey(Secret::new(pair.public.as_bytes()));
    JwtKey { id: id.map(ToOwned::to_owned), algorithm, material }
}

fn secret_key(algorithm: JwtAlgorithm) -> JwtKey {
    JwtKey { id: None, algorithm, material: JwtKeyMaterial::Secret(Secret::new(SECRET)) }
}

fn settings(keys: Vec<JwtKey>, jwks_file: Option<JwksFile>) -> JwtSettings {
    JwtSettings {
        header: http::header::AUTHORIZATION,
        issuers: vec!["https://issuer.example".to_owned()],
        audiences: vec!["api".to_owned()],
        leeway: Duration::from_secs(30),
        max_token_bytes: 8 * 1_024,
        user_claim: "sub".to_owned(),
        tier_claim: "tier".to_owned(),
        tenant_claim: "tenant".to_owned(),
        keys,
        jwks_file,
    }
}

fn verifier(clock: &ManualClock, keys: Vec<JwtKey>) -> Verifier {
    Verifier::new(&settings(keys, None), &[], Arc::new(clock.clone()), None).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.example",
        "aud": "api",
        "sub": "alice",
        "tier": "gold",
        "tenant": "acme",
        "exp": NOW + 600,
    })
}

/// The claims with one of them exchanged, or left out for `null`.
fn with(claim: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(claim);
    } else {
        claims[claim] = value;
    }
    claims
}

fn sign(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    // Tests may sign before there is a verifier, which is who chooses otherwise.
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
    jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(Algorithm::HS256, &EncodingKey::from_secret(SECRET), claims)
}

fn outcome(verifier: &Verifier, token: &str) -> Result<String, Refusal> {
    let client = verifier.verify(token.as_bytes())?;
    Ok(client.user().unwrap_or_default().to_owned())
}

/// A token put together by hand, for what no library would sign.
fn forged(header: &Value, claims: &Value, signature: &[u8]) -> String {
    let part = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
    let (header, claims) = (header.to_string(), claims.to_string());
    [header.as_bytes(), claims.as_bytes(), signature].map(part).join(".")
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
    let (ed, rsa) = (ed_pair(), rsa_pair());
    let (p256, p384) = (ec_pair(Algorithm::ES256), ec_pair(Algorithm::ES384));
    let signing = EncodingKey::from_secret(SECRET);
    let shared = Pair { signing, public: String::new(), point: Vec::new() };
    let all = [
        (JwtAlgorithm::EdDsa, Algorithm::EdDSA, &ed),
        (JwtAlgorithm::Es256, Algorithm::ES256, &p256),
        (JwtAlgorithm::Es384, Algorithm::ES384, &p384),
        (JwtAlgorithm::Hs256, Algorithm::HS256, &shared),
        (JwtAlgorithm::Hs384, Algorithm::HS384, &shared),
        (JwtAlgorithm::Hs512, Algorithm::HS512, &shared),
        (JwtAlgorithm::Ps256, Algorithm::PS256, &rsa),
        (JwtAlgorithm::Ps384, Algorithm::PS384, &rsa),
        (JwtAlgorithm::Ps512, Algorithm::PS512, &rsa),
        (JwtAlgorithm::Rs256, Algorithm::RS256, &rsa),
        (JwtAlgorithm::Rs384, Algorithm::RS384, &rsa),
        (JwtAlgorithm::Rs512, Algorithm::RS512, &rsa),
    ];
    for (pinned, algorithm, pair) in all {
        let key = match pair.public.as_str() {
            "" => secret_key(pinned),
            _ => public_key(None, pinned, pair),
        };
        let verifier = verifier(&ManualClock::new(), vec![key]);
        for (_, signed_with, by) in all {
            let token = sign(signed_with, &by.signing, &claims());
            // Also by the same key with another algorithm.
            let expected =
                if signed_with == algorithm { Ok("alice".to_owned()) } else { Err(Refusal::NoKey) };
            assert_eq!(outcome(&verifier, &token), expected, "{signed_with:?} for {algorithm:?}");
        }
        let other = match algorithm {
            Algorithm::EdDSA => ed_pair().signing,
            Algorithm::ES256 | Algorithm::ES384 => ec_pair(algorithm).signing,
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                EncodingKey::from_secret(b"another secret of thirty-two bytes or so")
            }
            _ => rsa_pair().signing,
        };
        let token = sign(algorithm, &other, &claims());
        assert_eq!(outcome(&verifier, &token), Err(Refusal::Signature), "{algorithm:?}");
    }
}

/// J01: the algorithm `none`, in every spelling, with and without a signature.
#[test]
fn j01_a_token_without_a_signature_does_not_count() {
    let verifier = verifier(&ManualClock::new(), vec![secret_key(JwtAlgorithm::Hs256)]);
    for algorithm in ["none", "None", "NONE", "nOnE", ""] {
        for signature in [&b""[..], b"x"] {
            let token = forged(&json!({ "alg": algorithm, "typ": "JWT" }), &claims(), signature);
            assert_eq!(outcome(&verifier, &token), Err(Refusal::Malformed), "{algorithm}");
        }
    }
    // One that names the right algorithm and leaves the signature out.
    let token = forged(&json!({ "alg": "HS256" }), &claims(), b"");
    assert_eq!(outcome(&verifier, &token), Err(Refusal::Signature));
}

/// A public key is known to everybody, so it must never serve as a shared secret.
#[test]
fn a_public_key_is_no_secret() {
    let pair = rsa_pair();
    let verifier =
        verifier(&ManualClock::new(), vec![public_key(None, JwtAlgorithm::Rs256, &pair)]);
    let known = EncodingKey::from_secret(pair.public.as_bytes());
    let token = sign(Algorithm::HS256, &known, &claims());
    assert_eq!(outcome(&verifier, &token), Err(Refusal::NoKey));
}

/// J02.
#[test]
fn j02_a_wrong_signature_names_nobody() {
    let verifier = verifier(&ManualClock::new(), vec![secret_key(JwtAlgorithm::Hs256)]);
    let token = hs256(&claims());
    assert_eq!(outcome(&verifier, &token), Ok("alice".to_owned()));
    let (message, _) = token.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let victim = URL_SAFE_NO_PAD.encode(with("sub", json!("victim")).to_string());
    let signature = token.rsplit_once('.').unwrap().1;
    let changed = format!("{header}.{victim}.{signature}");
    assert_eq!(outcome(&verifier, &changed), Err(Refusal::Signature));
}

/// J04.
#[test]
fn j04_an_expired_token_counts_only_within_the_leeway() {
    let clock = ManualClock::new();
    let verifier = verifier(&clock, vec![secret_key(JwtAlgorithm::Hs256)]);
    let token = |claim: &str, at: Value| hs256(&with(claim, at));
    let alice = || Ok("alice".to_owned());
    for (claim, at, expected) in [
        ("exp", json!(NOW - 3_600), Err(Refusal::Expired)),
        ("exp", json!(NOW - 30), Err(Refusal::Expired)),
        ("exp", json!(NOW - 29), alice()),
        ("exp", json!(0), Err(Refusal::Expired)),
        ("exp", json!(u64::MAX), alice()),
        ("exp", json!((NOW - 29) as f64 + 0.5), alice()),
        ("exp", json!(-1), Err(Refusal::Expired)),
        ("exp", json!("tomorrow"), Err(Refusal::Expired)),
        ("exp", Value::Null, Err(Refusal::Expired)),
        ("nbf", json!(NOW + 30), alice()),
        ("nbf", json!(NOW + 31), Err(Refusal::NotYet)),
        ("nbf", json!("now"), Err(Refusal::NotYet)),
    ] {
        assert_eq!(outcome(&verifier, &token(claim, at.clone())), expected, "{claim} {at}");
    }
    let valid = hs256(&claims());
    clock.advance(Duration::from_secs(629));
    assert_eq!(outcome(&verifier, &valid), alice());
    clock.advance(Duration::from_secs(1));
    assert_eq!(outcome(&verifier, &valid), Err(Refusal::Expired));
}

/// J10.
#[test]
fn j10_a_user_is_an_issuer_and_a_name() {
    let mut settings = settings(vec![secret_key(JwtAlgorithm::Hs256)], None);
    settings.issuers.push("https://other.example".to_owned());
    let verifier = Verifier::new(&settings, &[], Arc::new(ManualClock::new()), None).unwrap();
    let user = |claims: &Value| verifier.verify(hs256(claims).as_bytes()).unwrap().user_identity();
    let plain = user(&claims());
    assert!(plain.is_some());
    assert_eq!(plain, user(&with("jti", json!("another"))), "another token, the same user");
    assert_ne!(plain, user(&with("iss", json!("https://other.example"))));
}

/// J14.
#[test]
fn j14_what_is_not_for_us_does_not_count() {
    let verifier = verifier(&ManualClock::new(), vec![secret_key(JwtAlgorithm::Hs256)]);
    let alice = || Ok("alice".to_owned());
    for (claim, value, expected) in [
        ("aud", json!("somebody else"), Err(Refusal::Audience)),
        ("aud", json!(["one", "other"]), Err(Refusal::Audience)),
        ("aud", json!([]), Err(Refusal::Audience)),
        ("aud", json!(5), Err(Refusal::Audience)),
        ("aud", Value::Null, Err(Refusal::Audience)),
        ("aud", json!(["one", "api"]), alice()),
        ("iss", json!("https://evil.example"), Err(Refusal::Issuer)),
        ("iss", json!(["https://issuer.example"]), Err(Refusal::Issuer)),
        ("iss", Value::Null, Err(Refusal::Issuer)),
    ] {
        assert_eq!(
            outcome(&verifier, &hs256(&with(claim, value.clone()))),
            expected,
            "{claim} {value}"
        );
    }
    for demand in [json!(["exp"]), json!(["b64"]), json!(["unheard of"]), json!([])] {
        let mut header = Header::new(Algorithm::HS256);
        header.crit = Some(serde_json::from_value(demand.clone()).unwrap());
        let key = EncodingKey::from_secret(SECRET);
        let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert_eq!(outcome(&verifier, &token), Err(Refusal::Malformed), "{demand}");
    }
}

#[test]
fn a_key_with_a_name_is_only_tried_for_tokens_that_name_it() {
    let pair = ed_pair();
    let key = public_key(Some("2026"), JwtAlgorithm::EdDsa, &pair);
    let verifier = verifier(&ManualClock::new(), vec![key]);
    for (kid, expected) in [
        (Some("2026"), Ok("alice".to_owned())),
        (Some("2025"), Err(Refusal::NoKey)),
        (None, Err(Refusal::NoKey)),
    ] {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = kid.map(ToOwned::to_owned);
        let token = jsonwebtoken::encode(&header, &claims(), &pair.signing).unwrap();
        assert_eq!(outcome(&verifier, &token), expected, "{kid:?}");
    }
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let verifier = verifier(&ManualClock::new(), vec![secret_key(JwtAlgorithm::Hs256)]);
    let padded = |bytes: usize| hs256(&with("padding", json!("x".repeat(bytes))));
    assert_eq!(outcome(&verifier, &padded(8 * 1_024)), Err(Refusal::TooLong));
    assert_eq!(outcome(&verifier, &padded(5 * 1_024)), Ok("alice".to_owned()));
}

#[test]
fn names_are_texts_or_whole_numbers() {
    let mut settings = settings(vec![secret_key(JwtAlgorithm::Hs256)], None);
    settings.user_claim = "uid".to_owned();
    let verifier = Verifier::new(&settings, &[], Arc::new(ManualClock::new()), None).unwrap();
    for (uid, expected) in [
        (json!(42), "42"),
        (json!(1.5), ""),
        (json!(""), ""),
        (json!("x".repeat(3_000)), &*"x".repeat(3_000)),
        (json!({ "a": 1 }), ""),
        (json!(true), ""),
        (Value::Null, ""),
    ] {
        assert_eq!(
            outcome(&verifier, &hs256(&with("uid", uid.clone()))),
            Ok(expected.to_owned()),
            "{uid}"
        );
    }
}

#[test]
fn the_token_is_where_it_should_be_and_the_only_one() {
    let name = http::header::AUTHORIZATION;
    let found = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        values.iter().for_each(|value| _ = headers.append(&name, value.parse().unwrap()));
        token(&headers, &name).map(|token| String::from_utf8(token.to_owned()).unwrap())
    };
    for (values, expected) in [
        (&["Bearer a.b.c"][..], Some("a.b.c")),
        (&["bearer   a.b.c "], Some("a.b.c")),
        (&["a.b.c"], Some("a.b.c")),
        (&["Basic YTpi"], None),
        (&["Bearer "], None),
        (&[""], None),
        (&[], None),
        (&["Bearer a.b.c", "Bearer a.b.c"], None),
    ] {
        assert_eq!(found(values).as_deref(), expected, "{values:?}");
    }
}

#[test]
fn a_key_that_cannot_work_is_refused_beforehand() {
    let refused = |key: JwtKey| {
        let made =
            Verifier::new(&settings(vec![key], None), &[], Arc::new(ManualClock::new()), None);
        made.err().unwrap().to_string()
    };
    let rsa = rsa_pair();
    for algorithm in [JwtAlgorithm::EdDsa, JwtAlgorithm::Es256, JwtAlgorithm::Hs256] {
        let error = refused(public_key(None, algorithm, &rsa));
        assert!(error.starts_with("identity.jwt.keys: key 1 is no key for "), "{error}");
        assert!(error.contains("; expected ") && !error.contains("BEGIN"), "{error}");
    }
    let error = refused(secret_key(JwtAlgorithm::Rs256));
    assert!(error.contains("do not belong together"), "{error}");
    assert!(!error.contains("thirty-two"), "no key in messages: {error}");
    let p256 = ec_pair(Algorithm::ES256);
    let error = refused(public_key(None, JwtAlgorithm::Es384, &p256));
    assert!(error.contains("no key for ES384"), "the curve is another one: {error}");
}
