//! The sections `identity` and `identity.jwt`.

use super::duration::Period;
use super::names::{FieldName, Name};
use super::network::Cidr;
use super::reference::Reference;
use crate::configuration::{JwtAlgorithm, OnMissing, VerifiedBy};
use crate::read::{Entries, OneOf, OneOrMany, Whole, choices, section};

section! {
    /// How clients are told apart.
    pub(crate) struct IdentitySection {
        /// The proxies that are believed in the forwarding header: addresses and networks.
        trusted_proxies: OneOrMany<Cidr>,
        /// How many proxies in a row are trusted, where their addresses are not known one by one.
        /// The nearest has to be one of `trusted_proxies`.
        trusted_hops: Whole<1, 16>,
        /// Believes whoever is connected. Only where nobody but the proxy can connect.
        allow_any_peer: bool,
        /// The one header in which the proxies say for whom they forward: "x-forwarded-for",
        /// "forwarded", or one with a single address such as "cf-connecting-ip". "none" says that
        /// there is no proxy.
        forwarding_header: FieldName,
        /// How many leading bits of an IPv4 address make up a client. 32 by default.
        ipv4_prefix: Whole<0, 32>,
        /// How many leading bits of an IPv6 address make up a client. 64 by default.
        ipv6_prefix: Whole<0, 128>,
        /// The header field that carries API keys. "x-api-key" by default.
        api_key_header: FieldName,
        /// What becomes of a request whose key is absent: it counts for its address by default.
        on_missing: OneOf<OnMissing>,
        /// The tier of whoever has no verified tier. Without, the rules' own limits apply.
        default_tier: Name,
        /// Who makes sure of users, tenants, claims and tiers: "token" (the default) is what
        /// `[identity.jwt]` verifies, "program" is the program that the limits are part of.
        verified_by: OneOf<VerifiedBy>,
        /// How tokens are verified.
        jwt: JwtSection,
    }
}

section! {
    /// How tokens are verified. What is not verified is not believed.
    pub(crate) struct JwtSection {
        /// Who may have issued the token: `iss`.
        issuer: OneOrMany<String> [required],
        /// For whom the token has to be: one of these is in `aud`.
        audience: OneOrMany<String> [required],
        /// The header field that carries the token. "authorization" by default.
        header: FieldName,
        /// By how much expiry and not-before may be missed. 30 s by default.
        leeway: Period,
        /// The longest token that is looked at. 8192 by default.
        max_token_bytes: Whole<64, 65_536>,
        /// The claim that names the user. "sub" by default.
        user_claim: String,
        /// The claim that names the tier. "tier" by default.
        tier_claim: String,
        /// The claim that names the tenant. "tenant" by default.
        tenant_claim: String,
        /// The keys that verify signatures.
        key: Entries<JwtKeySection>,
        /// A file with a set of keys (JWKS), each of which names its algorithm.
        jwks_file: String,
        /// How long the last keys are used while that file cannot be read. An hour by default.
        jwks_max_stale: Period,
    }
}

section! {
    /// A key and the one algorithm it is used with.
    pub(crate) struct JwtKeySection {
        /// The `kid` of the tokens it is used for. For all of its algorithm by default.
        id: String,
        /// The only algorithm it is used with, whatever a token says.
        algorithm: OneOf<JwtAlgorithm> [required],
        /// The shared secret of HS256, HS384 and HS512; also `env:NAME` or `file:PATH`.
        secret: Reference,
        /// The public key of all others, in PEM; also `env:NAME` or `file:PATH`.
        public_key: Reference,
    }
}

choices! { VerifiedBy:
    "token" => Self::Token,
    "program" => Self::Program,
}

choices! { JwtAlgorithm:
    "HS256" => Self::Hs256,
    "HS384" => Self::Hs384,
    "HS512" => Self::Hs512,
    "RS256" => Self::Rs256,
    "RS384" => Self::Rs384,
    "RS512" => Self::Rs512,
    "PS256" => Self::Ps256,
    "PS384" => Self::Ps384,
    "PS512" => Self::Ps512,
    "ES256" => Self::Es256,
    "ES384" => Self::Es384,
    "EdDSA" => Self::EdDsa,
}
