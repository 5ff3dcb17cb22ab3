//! What a rules file says, after everything in it was found to work.

use std::collections::BTreeSet;
use std::path::Path;

use crate::document::Document;
use crate::environment::Environment;
use crate::problem::{ConfigurationError, Problem};
use crate::read::{Key, Read};
use crate::source::Source;
use crate::validate::{self, Context};
use crate::{explain, posted, schema, source, tree};

mod access;
mod identity;
mod jwt;
mod responses;
mod rule;
mod store;

pub use access::AccessEntry;
pub use identity::{IdentitySettings, KeyPart, OnMissing, VerifiedBy};
pub use jwt::{JwksFile, JwtAlgorithm, JwtKey, JwtKeyMaterial, JwtSettings};
pub use responses::ResponseSettings;
pub use rule::{
    Cost, CountedResponses, Enforcement, HeaderCost, MethodCost, PathMatch, RuleSettings,
};
pub use store::{BreakerSettings, MemoryPages, StoreKind, StoreSettings, StoreUrl};

/// What a rules file says. Every value in it can work, and it never changes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// Where the counters are kept.
    pub store: StoreSettings,
    /// How clients are told apart.
    pub identity: IdentitySettings,
    /// The rules, in the order of the file.
    pub rules: Vec<RuleSettings>,
    /// The names of all tiers. What a tier changes stands with each [rule](RuleSettings::tiers).
    pub tiers: BTreeSet<String>,
    /// Who passes without being counted. Exempt beats block.
    pub exempt: Vec<AccessEntry>,
    /// Who does not pass.
    pub block: Vec<AccessEntry>,
    /// What clients are told.
    pub responses: ResponseSettings,
    pub(crate) warnings: Vec<Problem>,
}

impl Configuration {
    /// Reads a rules file, with the variables of `environment` in the place of what they override.
    ///
    /// Relative paths in it start from its folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or anything in it cannot work: then all of it is told at once.
    ///
    /// # Example: the way a program starts
    ///
    /// ```no_run
    /// use rate_limit_config::{Configuration, Environment};
    ///
    /// let configuration = Configuration::from_file("limits.toml", &Environment::of_process())?;
    /// for warning in configuration.warnings() {
    ///     eprintln!("{warning}");
    /// }
    /// # Ok::<(), rate_limit_config::ConfigurationError>(())
    /// ```
    pub fn from_file(
        path: impl AsRef<Path>,
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        let path = path.as_ref();
        let text = source::read(path)?;
        Self::from_toml(&path.to_string_lossy(), &text, environment)
    }

    /// Reads a rules file that somebody else has read. `name` is what messages call it, and its
    /// folder is where relative paths start from.
    ///
    /// # Errors
    ///
    /// If anything in it cannot work: then all of it is told at once.
    ///
    /// # Example: two limits, and what they mean
    ///
    /// ```
    /// use rate_limit_config::{Configuration, Environment};
    ///
    /// let text = r#"
    /// [[rule]]
    /// name = "login"
    /// paths = "/login"
    /// limit = "5/min"
    ///
    /// [[rule]]
    /// name = "everybody"
    /// group = "system"
    /// key = "global"
    /// limit = "1000/s"
    /// "#;
    /// let configuration = Configuration::from_toml("limits.toml", text, &Environment::empty())?;
    /// assert_eq!(
    ///     configuration.explain(),
    ///     "login: 5 per minute per ip, then 1 every 12 s\n    on /login\n\
    ///      everybody: 1000 per second for all together, then 1 every 1 ms\n    in group system\n",
    /// );
    /// # Ok::<(), rate_limit_config::ConfigurationError>(())
    /// ```
    pub fn from_toml(
        name: &str,
        text: &str,
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        Self::from_source(name, Source::new(name, text), environment)
    }

    /// Reads a rules file with something posted in the place of its rules: `rule`, `tiers`, `exempt`
    /// and `block` are those of `posted`, all else is that of the file and the environment. Variables
    /// win over both.
    ///
    /// # Errors
    ///
    /// If anything in either of them cannot work: then all of it is told at once. What was posted is
    /// called `posted`.
    ///
    /// # Example: other limits, as an operator posts them
    ///
    /// ```
    /// use rate_limit_config::{Configuration, Environment};
    ///
    /// let file = "[store]\nnodes = 3\n[[rule]]\nname = \"api\"\nlimit = \"100/min\"\n";
    /// let posted = "[[rule]]\nname = \"api\"\nlimit = \"200/min\"\n";
    /// let read = |posted: &str| {
    ///     Configuration::with_posted("limits.toml", file, posted, &Environment::empty())
    /// };
    /// let configuration = read(posted)?;
    /// assert_eq!((configuration.rules[0].limits[0].limit(), configuration.store.nodes), (200, 3));
    ///
    /// let refused = read("[store]\nnodes = 5\n").unwrap_err();
    /// assert!(refused.to_string().starts_with("posted:1:2: store: expected only `rule`"));
    /// # Ok::<(), rate_limit_config::ConfigurationError>(())
    /// ```
    pub fn with_posted(
        name: &str,
        text: &str,
        posted: &str,
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        let source = Source::new(name, text).with_posted(posted::NAME, posted);
        Self::from_source(name, source, environment)
    }

    /// The same as [`from_file`](Self::from_file) with something posted in the place of the rules; see
    /// [`with_posted`](Self::with_posted).
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or anything in either of them cannot work.
    pub fn from_file_with_posted(
        path: impl AsRef<Path>,
        posted: &str,
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        let path = path.as_ref();
        let text = source::read(path)?;
        Self::with_posted(&path.to_string_lossy(), &text, posted, environment)
    }

    fn from_source(
        name: &str,
        mut source: Source<'_>,
        environment: &Environment,
    ) -> Result<Self, ConfigurationError> {
        let longest = source.text().len().max(source.posted().map_or(0, str::len));
        if longest as u64 > source::MAX_FILE_BYTES {
            source.refuse_length();
            return Err(source.into_error());
        }
        let mut root = tree::of_file(&mut source);
        if let Some(posted) = tree::of_posted(&mut source) {
            posted::replace_rules(&mut root, posted, &mut source);
        }
        if source.errors() > 0 {
            // What is behind a slip of the syntax would be told as missing.
            return Err(source.into_error());
        }
        environment.override_values(&mut root, &mut source);
        let context =
            Context { environment, folder: Path::new(name).parent().unwrap_or(Path::new("")) };
        let configuration = Document::read(&root, &Key::Root, &mut source)
            .map(|document| validate::configuration(document, context, &mut source));
        source.into_result(configuration)
    }

    /// What is probably not meant, although it can work.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What the rules mean, in plain words: at least one line for each of them. It holds no secret.
    pub fn explain(&self) -> String {
        explain::explain(self)
    }

    /// The JSON schema of rules files, with which editors complete and check them.
    pub fn json_schema() -> String {
        schema::schema()
    }
}
