//! Key pairs for tests, made anew each time so that no private key lies in the repository.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey};

/// A key pair: what signs, and the public part as PEM.
pub(crate) struct Pair {
    pub(crate) signing: EncodingKey,
    pub(crate) public: String,
    /// The public part as it is, for keys that are points on a curve.
    pub(crate) point: Vec<u8>,
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn public_pem(public: &impl AsDer<PublicKeyX509Der<'static>>) -> String {
    pem("PUBLIC KEY", public.as_der().unwrap().as_ref())
}

pub(crate) fn ed_pair() -> Pair {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let signing = EncodingKey::from_ed_der(pkcs8.as_ref());
    let point = pair.public_key().as_ref().to_vec();
    Pair { signing, public: public_pem(pair.public_key()), point }
}

pub(crate) fn ec_pair(algorithm: Algorithm) -> Pair {
    let curve = match algorithm {
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
    };
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8.as_ref()).unwrap();
    let signing = EncodingKey::from_ec_der(pkcs8.as_ref());
    Pair { signing, public: public_pem(pair.public_key()), point: Vec::new() }
}

pub(crate) fn rsa_pair() -> Pair {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let signing = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", pkcs8.as_ref()).as_bytes()).unwrap();
    Pair { signing, public: public_pem(pair.public_key()), point: Vec::new() }
}
