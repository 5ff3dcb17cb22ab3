//! Keys for tokens: of every kind, wherever the file says that they are kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rate_limit_config::{Configuration, ConfiguredLayer, Environment};
use rate_limit_core::ManualClock;
use rate_limit_memory::MemoryRepository;
use serde_json::json;

use crate::pairs::{ec_pair, ed_pair, rsa_pair};
use crate::support::{Limited, Scratch, bearing, claims, request};

const RULES: &str = r#"
[[rule]]
name = "api"
key = "user"
limit = "100/min"

[tiers.gold]
api = "1000/min"

[identity.jwt]
issuer = "https://issuer.example"
audience = "api"
"#;

/// A layer by [`RULES`] and these lines, with one variable, in a folder.
fn limited(lines: &str, variable: (&str, &str), folder: &Scratch) -> Limited {
    let clock = ManualClock::new();
    let store = MemoryRepository::builder().clock(clock.clone()).build().unwrap();
    let name = folder.0.join("limits.toml");
    let environment = Environment::from_variables([variable]);
    let text = format!("{RULES}{lines}");
    let configuration = Configuration::from_toml(name.to_str().unwrap(), &text, &environment);
    let configuration = configuration.unwrap_or_else(|error| panic!("{error}"));
    let builder = ConfiguredLayer::builder(store).without_fallback();
    Limited::built(builder, clock, configuration)
}

/// What a token of tier gold is worth, signed with this algorithm and key: 1000 if it counts.
fn worth(limited: &mut Limited, algorithm: Algorithm, key: &EncodingKey) -> Option<u64> {
    let mut claims = claims("alice");
    claims["tier"] = json!("gold");
    let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, key).unwrap();
    limited.ask(bearing(request(), &token)).limit
}

#[test]
fn keys_stand_in_the_file_in_a_variable_or_in_a_file_of_their_own() {
    let secret = "a secret of at least thirty-two bytes";
    let (rsa, ec, ed) = (rsa_pair(), ec_pair(Algorithm::ES256), ed_pair());
    let hs = EncodingKey::from_secret(secret.as_bytes());
    for (name, algorithm, other, field, public, signing) in [
        ("HS256", Algorithm::HS256, Algorithm::HS512, "secret", secret, &hs),
        ("RS256", Algorithm::RS256, Algorithm::PS256, "public_key", &*rsa.public, &rsa.signing),
        ("ES256", Algorithm::ES256, Algorithm::ES256, "public_key", &*ec.public, &ec.signing),
        ("EdDSA", Algorithm::EdDSA, Algorithm::EdDSA, "public_key", &*ed.public, &ed.signing),
    ] {
        let folder = Scratch::new(&format!("keys-{name}"));
        folder.write("key.pem", public);
        for value in
            [format!("'''{public}'''"), "\"env:THE_KEY\"".into(), "\"file:key.pem\"".into()]
        {
            let lines =
                format!("[[identity.jwt.key]]\nalgorithm = \"{name}\"\n{field} = {value}\n");
            let mut limited = limited(&lines, ("THE_KEY", public), &folder);
            assert_eq!(worth(&mut limited, algorithm, signing), Some(1_000), "{name} {value}");
            if other != algorithm {
                let unpinned = worth(&mut limited, other, signing);
                assert_eq!(unpinned, Some(100), "{name}: the same key, another algorithm");
            }
            let foreign = EncodingKey::from_secret(b"some other secret, just as long as that");
            let forged = worth(&mut limited, Algorithm::HS256, &foreign);
            assert_eq!(forged, Some(100), "{name}: somebody else's key");
        }
    }
}

#[test]
fn keys_stand_in_a_set_of_keys_beside_the_rules_file() {
    let (folder, ed) = (Scratch::new("keys-set"), ed_pair());
    let set = json!({ "keys": [
        { "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(&ed.point) },
    ] });
    folder.write("jwks.json", &set.to_string());
    let mut limited = limited("jwks_file = \"jwks.json\"\n", ("UNUSED", ""), &folder);
    assert_eq!(worth(&mut limited, Algorithm::EdDSA, &ed.signing), Some(1_000));
    assert_eq!(worth(&mut limited, Algorithm::EdDSA, &ed_pair().signing), Some(100));
}
