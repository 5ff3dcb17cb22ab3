//! Where the configuration comes from: the file, the environment, what operators posted, and whom they
//! blocked for a while.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rate_limit_config::{Configuration, ConfigurationError, Environment, ReloadError};
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
    /// What the version in force is made of, and the next one if it comes to that.
    made: Mutex<BTreeMap<u64, Made>>,
}

/// What the store keeps.
#[derive(Clone, Debug, Default)]
struct Kept {
    posted: Option<Document>,
    /// Why the rules were refused when they were loaded with it, if they were.
    refusal: Option<ReloadError>,
    blocks_version: Option<DocumentVersion>,
    blocks: Vec<Block>,
}

/// What one version of the configuration is made of.
#[derive(Clone, Debug, Default)]
struct Made {
    posted: Option<Document>,
    blocks_version: Option<DocumentVersion>,
    /// How many of its blocks stand in the rules. Those of operators follow them.
    blocks_of_rules: usize,
}

/// What the store keeps and cannot be in force.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// `None` if nothing is posted any more, and the rules of the file are refused.
    pub(crate) version: Option<DocumentVersion>,
    pub(crate) why: ReloadError,
}

/// Whether something new was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    Nothing,
    /// Other blocks, and no other document in the place of the rules.
    Blocks,
    /// Another document in the place of the rules, and perhaps other blocks.
    Rules,
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
            made: Mutex::default(),
        })
    }

    /// The configuration of all of it, which is that version once it is applied. This reads the file.
    ///
    /// Whoever calls it applies the outcome, or drops it, before anybody calls it again.
    pub(crate) fn load(&self, version: u64) -> Result<Configuration, ConfigurationError> {
        let Kept { posted, blocks, blocks_version, .. } = self.kept().clone();
        let read = self.read(posted.as_ref().map(|document| document.content.as_slice()));
        let mut configuration = read.inspect_err(|why| self.refuse(why.clone().into()))?;
        let blocks_of_rules = configuration.block.len();
        configuration.block.extend(blocks.iter().map(Block::entry));
        self.make(version, Made { posted, blocks_version, blocks_of_rules });
        Ok(configuration)
    }

    /// Puts the blocks as they are kept now into a configuration that was in force, which is that
    /// version once it is applied.
    pub(crate) fn put_blocks(&self, configuration: &mut Configuration, version: u64) {
        let Kept { blocks, blocks_version, .. } = self.kept().clone();
        let before = self.made(version.saturating_sub(1));
        configuration.block.truncate(before.blocks_of_rules);
        configuration.block.extend(blocks.iter().map(Block::entry));
        self.make(version, Made { blocks_version, ..before });
    }

    /// Whether that version has the blocks as they are kept now.
    pub(crate) fn has_blocks(&self, version: u64) -> bool {
        self.made(version).blocks_version == self.kept().blocks_version
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
        let version = blocks.as_ref().map(|document| document.version);
        let found = match (posted != kept.posted, version != kept.blocks_version) {
            (false, false) => return Ok(Found::Nothing),
            (false, true) => Found::Blocks,
            (true, _) => Found::Rules,
        };
        if found == Found::Rules {
            (kept.posted, kept.refusal) = (posted, None);
        }
        kept.blocks = blocks.map(|document| blocks::parse(&document.content)).unwrap_or_default();
        kept.blocks_version = version;
        Ok(found)
    }

    /// Remembers what was posted just now, or that nothing is any more. The store is not asked: what
    /// was written there is known.
    pub(crate) fn keep_posted(&self, posted: Option<Document>) {
        let mut kept = self.kept();
        (kept.posted, kept.refusal) = (posted, None);
    }

    /// Remembers which blocks were written just now.
    pub(crate) fn keep_blocks(&self, version: DocumentVersion, blocks: Vec<Block>) {
        let mut kept = self.kept();
        (kept.blocks, kept.blocks_version) = (blocks, Some(version));
    }

    /// Remembers why the rules were refused with what is posted.
    pub(crate) fn refuse(&self, why: ReloadError) {
        self.kept().refusal = Some(why);
    }

    /// What was posted last, whether it is in force or not.
    pub(crate) fn posted(&self) -> Option<Document> {
        self.kept().posted.clone()
    }

    /// What was posted of which that version is made.
    pub(crate) fn posted_of(&self, version: u64) -> Option<Document> {
        self.made(version).posted
    }

    /// What the store keeps and is not in force, if that version is.
    pub(crate) fn refused(&self, version: u64) -> Option<Refused> {
        let Kept { posted, refusal, .. } = &*self.kept();
        // Without a reason it is about to be applied.
        let why = refusal.clone()?;
        let is_in_force = *posted == self.made(version).posted;
        let version = posted.as_ref().map(|document| document.version);
        (!is_in_force).then_some(Refused { version, why })
    }

    /// Which text the rules of that version come from.
    pub(crate) fn origin(&self, version: u64) -> Origin {
        match (self.made(version).posted.is_some(), &self.file) {
            (true, _) => Origin::Posted,
            (false, Some(_)) => Origin::File,
            (false, None) => Origin::Default,
        }
    }

    pub(crate) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    fn make(&self, version: u64, made: Made) {
        let mut all = locked(&self.made);
        // The one before stays in force if this one is refused.
        all.retain(|other, _| *other + 1 >= version);
        all.insert(version, made);
    }

    fn made(&self, version: u64) -> Made {
        locked(&self.made).get(&version).cloned().unwrap_or_default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }
}

/// Nothing that is kept can be half done.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Without the reasons, which may tell what the rules are.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "the posted document of version {version} is refused")?,
            None => f.write_str("the rules of the file are refused, and nothing is posted")?,
        }
        f.write_str("; the rules before are in force")
    }
}
