//! Where the configuration comes from: the file, the environment, what operators posted, and whom they
//! blocked for a while.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rate_limit_config::{Configuration, ConfigurationError, Environment};
use rate_limit_core::{
    Document, DocumentName, DocumentRepository, DocumentVersion, RepositoryError,
};

use crate::blocks::{self, Block};
use crate::error::ServerError;

/// What is in force where there is no rules file.
const DEFAULT_RULES: &str = include_str!("default.toml");

/// How messages call it.
const DEFAULT_NAME: &str = "(default rules)";

/// All of it. What lies in the store is kept here as it was read last.
pub(crate) struct Sources {
    file: Option<PathBuf>,
    environment: Environment,
    /// The names of the two documents in the store.
    pub(crate) posted_name: DocumentName,
    pub(crate) blocks_name: DocumentName,
    kept: Mutex<Kept>,
}

/// What the store keeps.
#[derive(Clone, Debug, Default)]
struct Kept {
    posted: Option<Document>,
    blocks_version: Option<DocumentVersion>,
    blocks: Vec<Block>,
}

/// Whether something new was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    Nothing,
    Changes,
}

/// Which text the rules come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    Default,
    File,
    Posted,
}

impl Sources {
    pub(crate) fn new(
        file: Option<PathBuf>,
        environment: Environment,
    ) -> Result<Self, ServerError> {
        let name = |name| {
            DocumentName::new(name).map_err(|error| ServerError::Runtime(io::Error::other(error)))
        };
        Ok(Self {
            file,
            environment,
            posted_name: name("rules")?,
            blocks_name: name("blocks")?,
            kept: Mutex::default(),
        })
    }

    /// The configuration of all of it. This reads the file.
    pub(crate) fn load(&self) -> Result<Configuration, ConfigurationError> {
        let Kept { posted, blocks, .. } = self.kept().clone();
        let posted = posted.map(|document| document.content);
        let mut configuration = self.read(posted.as_deref())?;
        configuration.block.extend(blocks.iter().map(Block::entry));
        Ok(configuration)
    }

    /// The configuration if this were posted.
    pub(crate) fn read(&self, posted: Option<&[u8]>) -> Result<Configuration, ConfigurationError> {
        let posted = posted.map(String::from_utf8_lossy);
        match (&self.file, posted) {
            (Some(path), None) => Configuration::from_file(path, &self.environment),
            (Some(path), Some(posted)) => {
                Configuration::from_file_with_posted(path, &posted, &self.environment)
            }
            (None, None) => {
                Configuration::from_toml(DEFAULT_NAME, DEFAULT_RULES, &self.environment)
            }
            (None, Some(posted)) => {
                Configuration::with_posted(DEFAULT_NAME, DEFAULT_RULES, &posted, &self.environment)
            }
        }
    }

    /// Looks at what the store keeps.
    pub(crate) async fn refresh(
        &self,
        documents: &dyn DocumentRepository,
    ) -> Result<Found, RepositoryError> {
        let posted = documents.read(&self.posted_name).await?;
        let blocks = documents.read(&self.blocks_name).await?;
        let mut kept = self.kept();
        let blocks_version = blocks.as_ref().map(|document| document.version);
        if posted == kept.posted && blocks_version == kept.blocks_version {
            return Ok(Found::Nothing);
        }
        let blocks = blocks.map(|document| blocks::parse(&document.content)).unwrap_or_default();
        *kept = Kept { posted, blocks_version, blocks };
        Ok(Found::Changes)
    }

    /// What was posted last.
    pub(crate) fn posted(&self) -> Option<Document> {
        self.kept().posted.clone()
    }

    pub(crate) fn origin(&self) -> Origin {
        match (self.kept().posted.is_some(), &self.file) {
            (true, _) => Origin::Posted,
            (false, Some(_)) => Origin::File,
            (false, None) => Origin::Default,
        }
    }

    pub(crate) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Nothing that is kept can be half done.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
