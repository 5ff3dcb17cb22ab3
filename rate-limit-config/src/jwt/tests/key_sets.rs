//! Keys in a file: which serve, and for how long.

use super::*;

/// A file of keys that is removed afterwards.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str) -> Self {
        let name = format!("rate-limit-jwks-{}-{name}.json", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(&self.0, text).unwrap();
    }

    fn settings(&self) -> JwtSettings {
        let max_stale = Duration::from_secs(3_600);
        settings(Vec::new(), Some(JwksFile { path: self.0.clone(), max_stale }))
    }

    fn read(&self, clock: &ManualClock, previous: Option<&Verifier>) -> Result<Verifier, JwtError> {
        Verifier::new(&self.settings(), &[], Arc::new(clock.clone()), previous)
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A set of keys, as an issuer publishes it.
fn key_set(keys: &[(&str, Algorithm, &EncodingKey)]) -> String {
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
    let keys: Vec<_> = keys
        .iter()
        .map(|(id, algorithm, key)| {
            let mut jwk = Jwk::from_encoding_key(key, *algorithm).unwrap();
            jwk.common.key_id = Some((*id).to_owned());
            jwk.common.public_key_use = Some(PublicKeyUse::Signature);
            jwk
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

fn named(id: &str, algorithm: Algorithm, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = Some(id.to_owned());
    jsonwebtoken::encode(&header, &claims(), key).unwrap()
}

/// J11, for keys in a file: they outlive the file for a while, and nobody waits for it.
#[test]
fn j11_the_last_good_keys_serve_until_they_are_stale() {
    let (file, clock) = (KeyFile::new("j11"), ManualClock::new());
    let (old, new) = (ec_pair(Algorithm::ES256).signing, ec_pair(Algorithm::ES256).signing);
    file.write(key_set(&[("old", Algorithm::ES256, &old)]));
    let first = file.read(&clock, None).unwrap();
    let old = named("old", Algorithm::ES256, &old);
    let alice = || Ok("alice".to_owned());
    assert_eq!(outcome(&first, &old), alice());

    // Nothing is stale only because it was read long ago.
    clock.advance(Duration::from_secs(500));
    for broken in ["", "{", r#"{"keys": []}"#, r#"{"keys": [{"kty": "EC"}]}"#] {
        file.write(broken);
        assert!(file.read(&clock, Some(&first)).unwrap().stale().is_some(), "{broken}");
    }
    fs::remove_file(&file.0).unwrap();
    let second = file.read(&clock, Some(&first)).unwrap();
    // It has failed since the first time, however often it is tried.
    clock.advance(Duration::from_secs(60));
    let third = file.read(&clock, Some(&second)).unwrap();
    assert_eq!(outcome(&third, &old), alice());
    let reason = third.stale().unwrap().to_string();
    assert!(reason.contains("rate-limit-jwks") && reason.contains("expected"), "{reason}");

    // The hour is not over yet; then it is, for everybody who still uses these keys.
    clock.step_monotonic_forward(Duration::from_secs(3_600 - 60 - 1));
    assert_eq!(outcome(&third, &old), alice());
    clock.step_monotonic_forward(Duration::from_secs(1));
    assert_eq!(outcome(&third, &old), Err(Refusal::NoKey), "never unverified, but the lowest tier");

    file.write(key_set(&[("new", Algorithm::ES256, &new)]));
    let fourth = file.read(&clock, Some(&third)).unwrap();
    assert_eq!(fourth.stale(), None);
    assert_eq!(outcome(&fourth, &named("new", Algorithm::ES256, &new)), alice());
    assert_eq!(outcome(&fourth, &old), Err(Refusal::NoKey), "a key that was withdrawn is gone");
}

#[test]
fn a_file_of_keys_has_to_be_good_at_the_start() {
    let (file, clock) = (KeyFile::new("start"), ManualClock::new());
    let oct = json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(SECRET), "kid": "canary-kid" });
    let encryption = json!({ "keys": [{
        "kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB",
    }] });
    for (text, expected) in [
        ("not json".to_owned(), "line 1, column 2"),
        (json!({ "keys": [] }).to_string(), "no key in it can verify a signature"),
        (encryption.to_string(), "no key in it can verify a signature"),
        (json!({ "keys": [oct] }).to_string(), "key 1: it does not name its `alg`"),
        ("x".repeat((1 << 20) + 1), "more than 1048576 bytes"),
    ] {
        file.write(&text);
        let error = file.read(&clock, None).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains(&URL_SAFE_NO_PAD.encode(SECRET)), "no key in messages");
    }
    fs::remove_file(&file.0).unwrap();
    assert!(file.read(&clock, None).is_err());
}

#[test]
fn keys_of_all_kinds_in_one_file() {
    let (file, clock) = (KeyFile::new("kinds"), ManualClock::new());
    let ed = ed_pair();
    let pairs = [
        ("p256", Algorithm::ES256, ec_pair(Algorithm::ES256).signing),
        ("p384", Algorithm::ES384, ec_pair(Algorithm::ES384).signing),
        ("rsa", Algorithm::RS256, rsa_pair().signing),
        ("shared", Algorithm::HS256, EncodingKey::from_secret(SECRET)),
    ];
    let keys: Vec<_> = pairs.iter().map(|(id, algorithm, key)| (*id, *algorithm, key)).collect();
    let mut set: Value = serde_json::from_str(&key_set(&keys)).unwrap();
    // Without `alg`, which the curve tells.
    let ed_key = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": URL_SAFE_NO_PAD.encode(&ed.point),
    });
    set["keys"].as_array_mut().unwrap().push(ed_key);
    file.write(set.to_string());
    let verifier = file.read(&clock, None).unwrap();
    for (id, algorithm, key) in pairs.iter().chain([&("ed", Algorithm::EdDSA, ed.signing)]) {
        assert_eq!(outcome(&verifier, &named(id, *algorithm, key)), Ok("alice".to_owned()), "{id}");
        assert_eq!(
            outcome(&verifier, &named("other", *algorithm, key)),
            Err(Refusal::NoKey),
            "{id}"
        );
    }
}

proptest::proptest! {
    /// G14: whatever bytes come, there is an answer.
    #[test]
    fn no_token_does_harm(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        let verifier = verifier(&ManualClock::new(), vec![secret_key(JwtAlgorithm::Hs256)]);
        proptest::prop_assert!(verifier.verify(&bytes).is_err());
        let payload = forged(&json!({ "alg": "HS256" }), &json!({}), &bytes);
        proptest::prop_assert!(verifier.verify(payload.as_bytes()).is_err());
    }
}
