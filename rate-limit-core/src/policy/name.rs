//! Names of policies.

use std::fmt;
use std::sync::Arc;

use super::error::PolicyError;

/// The name of a policy: 1 to 64 of the characters `A-Z a-z 0-9 _ - . :`.
///
/// The characters are those that need no quoting anywhere a name goes: structured header fields,
/// problem documents, metric labels, keys.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PolicyName(Arc<str>);

impl PolicyName {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Name`] if it is empty, too long or contains another character.
    pub fn new(name: &str) -> Result<Self, PolicyError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if name.is_empty() || name.len() > Self::MAX_LENGTH || !name.bytes().all(allowed) {
            return Err(PolicyError::Name { name: name.to_owned() });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for PolicyName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
