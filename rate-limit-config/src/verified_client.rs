//! Who a request comes from, once somebody has made sure of it.

use std::fmt;
use std::sync::Arc;

use rate_limit_core::{ClientIdentity, IdentityError};

/// Who a request comes from, as a verified token or the program itself says.
///
/// The [layer](crate::ConfiguredLayer) puts one into the extensions of every request whose token it
/// has verified, where handlers find it. A program that authenticates by other means puts one there
/// itself, in a layer further out; then no token is looked at. Its rules file says `verified_by =
/// "program"`, or has a section `identity.jwt` for the requests that have a token.
///
/// # Example: sessions of the program's own
///
/// ```
/// use http::Request;
/// use rate_limit_config::VerifiedClient;
///
/// let mut request = Request::new(());
/// let client = VerifiedClient::new().with_user("alice")?.with_tier("premium");
/// assert_eq!(format!("{client:?}"), "VerifiedClient(..)", "no name is logged by accident");
/// request.extensions_mut().insert(client);
/// # Ok::<(), rate_limit_core::IdentityError>(())
/// ```
#[derive(Clone, Default)]
pub struct VerifiedClient(Arc<Known>);

/// What is known of a client.
#[derive(Clone, Default)]
struct Known {
    /// Who vouches for all the rest; nobody but the program itself if there is none.
    issuer: Option<Box<str>>,
    user: Option<Named>,
    tenant: Option<Named>,
    tier: Option<Box<str>>,
    claims: Vec<(Box<str>, ClientIdentity)>,
}

/// A name, and the identity that it makes up together with who vouches for it.
#[derive(Clone)]
struct Named {
    name: Box<str>,
    identity: ClientIdentity,
}

impl VerifiedClient {
    /// Somebody of whom nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody for whom `issuer` vouches, for programs that verify tokens themselves. Users of one
    /// name from two issuers are two users.
    pub fn vouched_for_by(issuer: &str) -> Self {
        Self(Arc::new(Known { issuer: Some(issuer.into()), ..Known::default() }))
    }

    /// Names the user.
    ///
    /// # Errors
    ///
    /// If the name is empty or longer than [`ClientIdentity::MAX_VALUE_BYTES`].
    pub fn with_user(mut self, name: &str) -> Result<Self, IdentityError> {
        let identity = self.vouched(ClientIdentity::user(name)?)?;
        Arc::make_mut(&mut self.0).user = Some(Named { name: name.into(), identity });
        Ok(self)
    }

    /// Names the tenant.
    ///
    /// # Errors
    ///
    /// If the name is empty or longer than [`ClientIdentity::MAX_VALUE_BYTES`].
    pub fn with_tenant(mut self, name: &str) -> Result<Self, IdentityError> {
        let identity = self.vouched(ClientIdentity::tenant(name)?)?;
        Arc::make_mut(&mut self.0).tenant = Some(Named { name: name.into(), identity });
        Ok(self)
    }

    /// Names the tier. One that the rules file does not know counts as none.
    #[must_use]
    pub fn with_tier(mut self, tier: &str) -> Self {
        Arc::make_mut(&mut self.0).tier = Some(tier.into());
        self
    }

    /// States a claim, for rules that count by `claim:NAME`.
    ///
    /// # Errors
    ///
    /// If name or value are empty or longer than [`ClientIdentity::MAX_VALUE_BYTES`].
    pub fn with_claim(mut self, name: &str, value: &str) -> Result<Self, IdentityError> {
        let dimension = format!("claim:{name}");
        let identity = self.vouched(ClientIdentity::custom(dimension, value)?)?;
        Arc::make_mut(&mut self.0).claims.push((name.into(), identity));
        Ok(self)
    }

    /// Who vouches for the client: the issuer of its token.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// The user's name.
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_ref().map(|user| &*user.name)
    }

    /// The tenant's name.
    pub fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_ref().map(|tenant| &*tenant.name)
    }

    /// The name of the tier.
    pub fn tier(&self) -> Option<&str> {
        self.0.tier.as_deref()
    }

    pub(crate) fn user_identity(&self) -> Option<ClientIdentity> {
        self.0.user.as_ref().map(|user| user.identity.clone())
    }

    pub(crate) fn tenant_identity(&self) -> Option<ClientIdentity> {
        self.0.tenant.as_ref().map(|tenant| tenant.identity.clone())
    }

    pub(crate) fn claim_identity(&self, name: &str) -> Option<ClientIdentity> {
        let claim = self.0.claims.iter().find(|(claim, _)| **claim == *name);
        claim.map(|(_, identity)| identity.clone())
    }

    /// `identity` together with who vouches for it. Compositions are injective, so whatever names
    /// issuers choose, no two of them share a bucket.
    fn vouched(&self, identity: ClientIdentity) -> Result<ClientIdentity, IdentityError> {
        match &self.0.issuer {
            Some(issuer) => {
                let issuer = ClientIdentity::custom("issuer", &**issuer)?;
                ClientIdentity::all_of(&[issuer, identity])
            }
            None => Ok(identity),
        }
    }
}

/// No names: they are personal.
impl fmt::Debug for VerifiedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedClient(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_from_two_issuers_is_two_users() {
        let user = |issuer: &str, name: &str| {
            VerifiedClient::vouched_for_by(issuer).with_user(name).unwrap().user_identity()
        };
        assert_eq!(user("a", "alice"), user("a", "alice"));
        assert_ne!(user("a", "alice"), user("b", "alice"));
        assert_ne!(user("a", "b:alice"), user("a:b", "alice"));
        assert_ne!(
            user("a", "alice"),
            VerifiedClient::new().with_user("alice").unwrap().user_identity()
        );
    }

    #[test]
    fn a_user_is_no_tenant_and_no_claim() {
        let client = VerifiedClient::new().with_user("x").unwrap().with_tenant("x").unwrap();
        let client = client.with_claim("x", "x").unwrap();
        assert_ne!(client.user_identity(), client.tenant_identity());
        assert_ne!(client.user_identity(), client.claim_identity("x"));
        assert_eq!(client.claim_identity("y"), None);
    }
}
