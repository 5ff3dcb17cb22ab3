//! Values that may be kept elsewhere.

use crate::read::{FromText, Refused};

/// A value, or where it is kept: `env:NAME` or `file:PATH`.
#[derive(Clone)]
pub(crate) enum Reference {
    File(String),
    Inline(String),
    Variable(String),
}

impl FromText for Reference {
    const EXPECTED: &'static str = "a text, `env:NAME` or `file:PATH`";
    const IS_SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, Refused> {
        match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
            _ if text.is_empty() => Err(Refused::UNLIKE),
            (Some(""), _) => Err(Refused::because("`env:` names no variable")),
            (_, Some("")) => Err(Refused::because("`file:` names no file")),
            (Some(name), _) => Ok(Self::Variable(name.to_owned())),
            (_, Some(path)) => Ok(Self::File(path.to_owned())),
            (None, None) => Ok(Self::Inline(text.to_owned())),
        }
    }
}

/// Not what stands in the file.
impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{path}"),
            Self::Inline(_) => f.write_str("***"),
            Self::Variable(name) => write!(f, "env:{name}"),
        }
    }
}
