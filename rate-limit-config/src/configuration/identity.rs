//! How clients are told apart.

use http::HeaderName;
use rate_limit_core::IpPrefixes;
use rate_limit_tower::ClientAddress;

use super::jwt::JwtSettings;

/// The section `identity`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct IdentitySettings {
    /// Where the client's address comes from.
    pub client_address: ClientAddress,
    /// How many leading bits of an address make up a client.
    pub prefixes: IpPrefixes,
    /// The header field that carries API keys.
    pub api_key_header: HeaderName,
    /// What becomes of requests whose key is absent, where a rule says nothing else.
    pub on_missing: OnMissing,
    /// The tier of whoever has no verified tier; if there is none, the rules' own limits apply.
    pub default_tier: Option<String>,
    /// Who makes sure of what rules count by beyond addresses and header fields.
    pub verified_by: VerifiedBy,
    /// How tokens are verified. Without, nobody is a user, a tenant or of a tier unless the program
    /// [says so](VerifiedBy::Program).
    pub jwt: Option<JwtSettings>,
}

impl IdentitySettings {
    /// Whether anybody can be a user, a tenant or of a tier.
    pub(crate) fn knows_clients(&self) -> bool {
        self.jwt.is_some() || self.verified_by == VerifiedBy::Program
    }
}

/// One part of what a rule counts by.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyPart {
    /// `api_key`: the API key in the [header field](IdentitySettings::api_key_header) for it.
    ApiKey,
    /// `claim:NAME`: a claim of a verified token.
    Claim(String),
    /// `global`: everybody together.
    Global,
    /// `header:NAME`: the value of a header field, which the client chooses.
    Header(HeaderName),
    /// `ip`: the client's address.
    Ip,
    /// `path`: the canonical path.
    Path,
    /// `tenant`: the tenant of a verified token.
    Tenant,
    /// `user`: the user of a verified token.
    User,
}

/// Who makes sure of users, tenants, claims and tiers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum VerifiedBy {
    /// `program`: the program that the limits are part of, which puts a
    /// [`VerifiedClient`](crate::VerifiedClient) into the extensions of requests. A token counts where
    /// it does not, if there is a section `identity.jwt`.
    Program,
    /// `token`: only a token that the section `identity.jwt` verifies.
    #[default]
    Token,
}

/// What becomes of a request whose key is absent.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnMissing {
    /// `anonymous`: it shares one bucket with all others like it.
    Anonymous,
    /// `ip`: it counts for the client's address. If that is absent too, it shares one bucket with
    /// all others like it.
    #[default]
    Ip,
    /// `reject`: it is answered with 400.
    Reject,
    /// `skip`: the rule does not apply to it.
    Skip,
}
