//! The second port: named documents that operators change while programs run.
//!
//! Off the request path. What a program decides by is small and seldom changes, so the store that
//! the instances share anyway keeps it, and no further server is needed.

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

use crate::repository::RepositoryError;

/// Keeps named documents, each with a version.
///
/// # Contract
///
/// 1. **Compare and set.** A change is made in one atomic step, and only if the document is as the
///    caller [`Expected`] it; of two callers who expect the same, one succeeds.
/// 2. **Versions only rise**, by one with each change, also past a deletion: a version that a caller
///    remembers never names another content.
/// 3. **Any bytes**: a document is read as it was written.
/// 4. **No time to live**: a document stays until it is deleted. State of limits ends by itself, what
///    operators say does not.
///
/// What the documents say is not digested: whoever can read the store can read them.
///
/// # Example: change what one has read, or learn that somebody else was faster
///
/// ```
/// use rate_limit_core::{DocumentName, DocumentRepository, Expected, RepositoryError, Written};
///
/// async fn append(store: &dyn DocumentRepository, name: &DocumentName, line: &[u8])
///     -> Result<Written, RepositoryError>
/// {
///     let (expected, mut content) = match store.read(name).await? {
///         Some(document) => (Expected::Version(document.version), document.content),
///         None => (Expected::Absent, Vec::new()),
///     };
///     content.extend_from_slice(line);
///     store.write(name, expected, &content).await
/// }
/// ```
#[async_trait]
pub trait DocumentRepository: Send + Sync {
    /// The document of that name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the store does not answer, or keeps something under that name that is no document.
    async fn read(&self, name: &DocumentName) -> Result<Option<Document>, RepositoryError>;

    /// Writes the document if it is as expected.
    ///
    /// # Errors
    ///
    /// If the store does not answer; whether it wrote is then unknown.
    async fn write(
        &self,
        name: &DocumentName,
        expected: Expected,
        content: &[u8],
    ) -> Result<Written, RepositoryError>;

    /// Deletes the document if it is as expected. Deleting what is not there succeeds where nothing
    /// else is expected.
    ///
    /// # Errors
    ///
    /// If the store does not answer; whether it deleted is then unknown.
    async fn delete(
        &self,
        name: &DocumentName,
        expected: Expected,
    ) -> Result<Written, RepositoryError>;
}

/// The name of a document: 1 to 64 of the characters `a-z 0-9 -`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DocumentName(Box<str>);

/// Why a name of a document is not accepted.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("the document name `{name}` is not accepted; expected 1 to 64 of the characters a-z 0-9 -")]
pub struct DocumentNameError {
    /// The refused name.
    pub name: String,
}

impl DocumentName {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`DocumentNameError`] if it is empty, too long or contains another character.
    pub fn new(name: &str) -> Result<Self, DocumentNameError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > Self::MAX_LENGTH || !name.bytes().all(allowed) {
            return Err(DocumentNameError { name: name.to_owned() });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts the changes of a document, beginning with 1.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DocumentVersion(pub u64);

impl fmt::Display for DocumentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A document as it was read.
#[derive(Clone, Eq, PartialEq)]
pub struct Document {
    /// Which version of it.
    pub version: DocumentVersion,
    /// What was written.
    pub content: Vec<u8>,
}

/// Documents may name clients, so nothing of the content is shown.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, content } = self;
        write!(f, "Document(version {version}, {} bytes)", content.len())
    }
}

/// What a caller believes of a document that is to be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Whatever there is or is not.
    Anything,
    /// There is no document of that name.
    Absent,
    /// It has this version.
    Version(DocumentVersion),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a conflict means that nothing was changed"]
pub enum Written {
    /// It was made, as this version.
    Done(DocumentVersion),
    /// Nothing was changed, because the document has another version, or there is none.
    Conflict {
        /// The version that there is.
        present: Option<DocumentVersion>,
    },
}

/// What a store keeps of one document, also after its deletion.
///
/// For the authors of stores: the rules of [`DocumentRepository`] without a place, so that a store
/// only has to load this and save it in one step.
///
/// # Example: a version is not used twice
///
/// ```
/// use rate_limit_core::{DocumentState, DocumentVersion, Expected, Written};
///
/// let mut state = DocumentState::default();
/// assert_eq!(state.change(Expected::Absent, Some(b"a")), Written::Done(DocumentVersion(1)));
/// assert_eq!(state.change(Expected::Anything, None), Written::Done(DocumentVersion(2)));
/// assert_eq!(state.change(Expected::Absent, Some(b"b")), Written::Done(DocumentVersion(3)));
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct DocumentState {
    /// Counts all changes there ever were.
    pub version: DocumentVersion,
    /// What was written last; `None` before the first time and after a deletion.
    pub content: Option<Vec<u8>>,
}

impl DocumentState {
    /// The document, if there is one.
    pub fn document(&self) -> Option<Document> {
        let content = self.content.clone()?;
        Some(Document { version: self.version, content })
    }

    /// Writes `content`, or deletes the document, if it is as expected.
    pub fn change(&mut self, expected: Expected, content: Option<&[u8]>) -> Written {
        let present = self.content.as_ref().map(|_| self.version);
        let as_expected = match expected {
            Expected::Anything => true,
            Expected::Absent => present.is_none(),
            Expected::Version(version) => present == Some(version),
        };
        if !as_expected {
            return Written::Conflict { present };
        }
        if present.is_some() || content.is_some() {
            self.version = DocumentVersion(self.version.0.saturating_add(1));
            self.content = content.map(<[u8]>::to_vec);
        }
        Written::Done(self.version)
    }
}

/// Documents may name clients, so nothing of the content is shown.
impl fmt::Debug for DocumentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.content.as_ref().map(Vec::len);
        f.debug_struct("DocumentState")
            .field("version", &self.version.0)
            .field("bytes", &bytes)
            .finish()
    }
}
