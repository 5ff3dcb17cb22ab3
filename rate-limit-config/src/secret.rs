//! Values that nobody may read by accident.

use std::fmt;

/// A value that is never shown: its `Debug` output is `***`.
///
/// # Example: a configuration can be logged
///
/// ```
/// use rate_limit_config::Secret;
///
/// let password = Secret::new("hunter2");
/// assert_eq!(format!("{password:?}"), "***");
/// assert_eq!(password.expose(), b"hunter2", "only whoever asks for it by name sees it");
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into().into())
    }

    /// The value itself. Hand it to whoever needs it, and to nobody who prints.
    pub const fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
