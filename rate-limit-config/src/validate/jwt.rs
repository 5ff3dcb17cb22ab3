//! The section `identity.jwt`.

use std::collections::HashSet;
use std::time::Duration;

use http::header::AUTHORIZATION;

use super::store::set;
use super::{Context, entries, given};
use crate::configuration::{JwksFile, JwtAlgorithm, JwtKey, JwtKeyMaterial, JwtSettings};
use crate::document::{JwtKeySection, JwtSection};
use crate::problem::Flaw;
use crate::read::{Key, Located, OneOrMany};
use crate::secret::Secret;
use crate::source::{Place, Source};

pub(super) fn jwt(
    section: Located<JwtSection>,
    key: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> JwtSettings {
    let Located { place, value: section } = section;
    let mut leeway = Duration::from_secs(30);
    let accepted = Duration::ZERO..=Duration::from_secs(600);
    set(&mut leeway, section.leeway, &key.named("leeway"), &accepted, source);

    let jwks_file = jwks_file(section.jwks_file, section.jwks_max_stale, key, context, source);
    let sections = entries(section.key);
    if sections.is_empty() && jwks_file.is_none() && section.is_whole {
        let message = "there is no key, so no token can be verified; expected \
                       `[[identity.jwt.key]]` or `jwks_file`";
        source.refuse(&place, key, Flaw::new(message));
    }
    let claim = |claim: Option<Located<String>>, default: &str| {
        given(claim).unwrap_or_else(|| default.to_owned())
    };
    JwtSettings {
        header: given(section.header).map_or(AUTHORIZATION, |name| name.0),
        issuers: texts(section.issuer),
        audiences: texts(section.audience),
        leeway,
        max_token_bytes: given(section.max_token_bytes).map_or(8_192, |max| max.to()),
        user_claim: claim(section.user_claim, "sub"),
        tier_claim: claim(section.tier_claim, "tier"),
        tenant_claim: claim(section.tenant_claim, "tenant"),
        keys: keys(&sections, &key.named("key"), context, source),
        jwks_file,
    }
}

fn texts(list: Option<Located<OneOrMany<String>>>) -> Vec<String> {
    let list = given(list).map(|list| list.0).unwrap_or_default();
    list.into_iter().map(|text| text.value).collect()
}

fn jwks_file(
    path: Option<Located<String>>,
    max_stale: Option<Located<crate::document::Period>>,
    key: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> Option<JwksFile> {
    let stale_key = key.named("jwks_max_stale");
    let Some(path) = path else {
        if let Some(stale) = max_stale {
            let flaw = Flaw::new("this says nothing without `jwks_file`");
            source.refuse(&stale.place, stale_key, flaw);
        }
        return None;
    };
    let mut longest = Duration::from_secs(3_600);
    let accepted = Duration::ZERO..=Duration::from_secs(30 * 24 * 3_600);
    set(&mut longest, max_stale, &stale_key, &accepted, source);
    let file = context.folder.join(path.value);
    // Whether it can be read is found out by whoever verifies: without it no program starts, but a
    // running one keeps the last keys for a while.
    Some(JwksFile { path: file, max_stale: longest })
}

fn keys(
    sections: &[Located<JwtKeySection>],
    list: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> Vec<JwtKey> {
    let mut ids = HashSet::new();
    let mut keys = Vec::with_capacity(sections.len());
    for (index, Located { place, value: section }) in sections.iter().enumerate() {
        let key = list.item(index);
        let is_taken = section.id.as_ref().is_some_and(|id| !ids.insert(&id.value));
        if let (Some(id), true) = (&section.id, is_taken) {
            let flaw = Flaw::new("another key has this id; expected different ones");
            source.refuse(&id.place, key.named("id"), flaw.value(format!("{:?}", id.value)));
        }
        keys.extend(jwt_key(section, place, &key, context, source));
    }
    keys
}

fn jwt_key(
    section: &JwtKeySection,
    place: &Place,
    key: &Key<'_>,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> Option<JwtKey> {
    let algorithm = section.algorithm.as_ref()?.value.0;
    // A secret that is shorter than the digest can be guessed (RFC 7518, 3.2).
    let secret_bytes = match algorithm {
        JwtAlgorithm::Hs256 => Some(32),
        JwtAlgorithm::Hs384 => Some(48),
        JwtAlgorithm::Hs512 => Some(64),
        _ => None,
    };
    let (secret, public_key) = (("secret", &section.secret), ("public_key", &section.public_key));
    let ((name, wanted), (other_name, other)) =
        if secret_bytes.is_some() { (secret, public_key) } else { (public_key, secret) };
    if let Some(other) = other {
        let flaw = Flaw::new(format!("this algorithm is not used with this; expected `{name}`"));
        source.refuse(&other.place, key.named(other_name), flaw);
        return None;
    }
    let Some(reference) = wanted else {
        if section.is_whole {
            source.refuse(place, key, Flaw::new(format!("the key `{name}` is missing")));
        }
        return None;
    };
    let material_key = key.named(name);
    let material = context.resolve(reference, &material_key, source)?;
    let flaw = match secret_bytes {
        Some(least) => short_secret(&material, least),
        None => no_public_key(&material),
    };
    let material = match secret_bytes {
        Some(_) => JwtKeyMaterial::Secret(material),
        None => JwtKeyMaterial::PublicKey(material),
    };
    let id = section.id.as_ref().map(|id| id.value.clone());
    let key = JwtKey { id, algorithm, material };
    if let Some(flaw) = flaw.or_else(|| unusable(&key)) {
        source.refuse(&reference.place, material_key, flaw);
    }
    Some(key)
}

fn short_secret(secret: &Secret, least: usize) -> Option<Flaw> {
    let length = secret.expose().len();
    let message = format!("the secret has {length} bytes; expected at least {least}");
    (length < least).then(|| Flaw::new(message))
}

fn no_public_key(pem: &Secret) -> Option<Flaw> {
    let text = String::from_utf8_lossy(pem.expose());
    if text.contains("PRIVATE KEY-----") {
        return Some(Flaw::new("this is a private key; expected the public one"));
    }
    (!text.contains("-----BEGIN ")).then(|| Flaw::expected("a public key in PEM"))
}

/// Asks whoever would verify with the key.
#[cfg(feature = "jwt")]
fn unusable(key: &JwtKey) -> Option<Flaw> {
    match crate::jwt::check_key(key) {
        Err(crate::jwt::JwtError::Key { reason, expected, .. }) => {
            Some(Flaw::new(format!("{reason}; expected {expected}")))
        }
        _ => None,
    }
}

/// Nobody verifies, and the layer says so.
#[cfg(not(feature = "jwt"))]
const fn unusable(_: &JwtKey) -> Option<Flaw> {
    None
}
