//! Keys that somebody else has to be asked for.

use async_trait::async_trait;
use rate_limit_core::ClientIdentity;

use crate::request_view::RequestHead;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Finds out who asks, where that takes a while: in a session store, a database, another service.
///
/// # Contract
///
/// - An error counts as an identity that is missing. Nobody is told what it says.
/// - Dropping the future gives up. Nothing was charged yet.
/// - There is no deadline but the one that the implementation sets itself.
///
/// # Example: the user of a session
///
/// ```
/// use rate_limit_tower::{BoxError, ClientIdentity, IdentityLookup, Key, RequestHead, async_trait};
///
/// struct Sessions;
///
/// #[async_trait]
/// impl IdentityLookup for Sessions {
///     async fn identify(&self, head: RequestHead) -> Result<Option<ClientIdentity>, BoxError> {
///         let Some(session) = head.headers().get("x-session") else {
///             return Ok(None);
///         };
///         // Here a database would be asked whose session this is.
///         Ok(Some(ClientIdentity::user(session)?))
///     }
/// }
/// let key = Key::lookup(Sessions);
/// ```
#[async_trait]
pub trait IdentityLookup: Send + Sync {
    /// Who asks; `None` if nobody can tell.
    async fn identify(&self, head: RequestHead) -> Result<Option<ClientIdentity>, BoxError>;
}
