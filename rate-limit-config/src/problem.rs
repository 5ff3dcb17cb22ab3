//! What is wrong with a rules file, and where.

use std::fmt;
use std::sync::Arc;

/// How many problems are told at most; of the rest only the number is.
const MAX_TOLD: usize = 100;

/// Why a rules file is refused: everything that is wrong with it, in the order of the file.
///
/// # Example: one line for each mistake
///
/// ```
/// use rate_limit_config::{Configuration, Environment};
///
/// let text = r#"
/// [[rule]]
/// name = "login"
/// pahts = "/login"
/// limit = "5 per mint"
/// "#;
/// let error = Configuration::from_toml("limits.toml", text, &Environment::empty()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "limits.toml:4:1: rule.login.pahts: there is no such key, did you mean `paths`?\n\
///      limits.toml:5:9: rule.login.limit: \"5 per mint\": `mint` is no unit of time; expected a \
///      limit such as \"100/min\", did you mean \"5/min\"?",
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigurationError {
    problems: Vec<Problem>,
    untold: usize,
}

impl ConfigurationError {
    pub(crate) fn one(problem: Problem) -> Self {
        Self { problems: vec![problem], untold: 0 }
    }

    /// The problems in the order of the file: at least one error, at most a hundred, and as many
    /// warnings.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.untold > 0 {
            write!(f, "\nand {} more", self.untold)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigurationError {}

/// One thing that is wrong, or that is probably not meant.
///
/// It is one line, as compilers write it, and quotes no line of the file, because that could hold a
/// secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    severity: Severity,
    location: Location,
    key: String,
    flaw: Flaw,
}

/// Whether a file is refused for a problem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Severity {
    /// It is.
    Error,
    /// It is not, but it is worth a look.
    Warning,
}

/// Where a problem is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Location {
    /// In the file as a whole.
    File(Arc<str>),
    /// In a line of the file.
    Line {
        /// The name of the file.
        file: Arc<str>,
        /// The line; the first one is 1.
        line: usize,
        /// The character in the line; the first one is 1.
        column: usize,
    },
    /// In an environment variable.
    Variable(Arc<str>),
}

impl Problem {
    pub(crate) const fn new(
        severity: Severity,
        location: Location,
        key: String,
        flaw: Flaw,
    ) -> Self {
        Self { severity, location, key, flaw }
    }

    /// Whether the file is refused for it.
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Where it is.
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// The key, with all that it lies in, such as `rule.login.limit`. Empty if it is the file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The refused value as it is shown. `None` if there is none, or if it could be a secret.
    pub fn value(&self) -> Option<&str> {
        self.flaw.value.as_deref()
    }

    /// What is wrong, and what was expected.
    pub fn message(&self) -> &str {
        &self.flaw.message
    }

    /// What was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.flaw.suggestion.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.location)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        if let Some(value) = &self.flaw.value {
            write!(f, "{value}: ")?;
        }
        f.write_str(&self.flaw.message)?;
        match &self.flaw.suggestion {
            Some(suggestion) => write!(f, ", did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::File(file) => f.write_str(file),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// What is wrong, without where.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Flaw {
    value: Option<String>,
    message: String,
    suggestion: Option<String>,
}

impl Flaw {
    /// A whole sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Only what was expected.
    pub(crate) fn expected(expected: impl fmt::Display) -> Self {
        Self::new(format!("expected {expected}"))
    }

    /// The refused value, as it is shown.
    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// The refused value, unless there is none to show.
    pub(crate) fn maybe_value(mut self, value: Option<String>) -> Self {
        self.value = value;
        self
    }

    /// What was probably meant, with its quotes.
    pub(crate) fn meant(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
    untold: usize,
}

impl Problems {
    /// Whether one more is told, and not only counted.
    pub(crate) const fn tells_more(&self, severity: Severity) -> bool {
        match severity {
            Severity::Error => self.errors.len() < MAX_TOLD,
            Severity::Warning => self.warnings.len() < MAX_TOLD,
        }
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        match problem.severity {
            Severity::Error => self.errors.push(problem),
            Severity::Warning => self.warnings.push(problem),
        }
    }

    /// Counts one that is not told. Of warnings nobody wants to know.
    pub(crate) const fn count(&mut self, severity: Severity) {
        if matches!(severity, Severity::Error) {
            self.untold += 1;
        }
    }

    pub(crate) const fn errors(&self) -> usize {
        self.errors.len() + self.untold
    }

    /// Everything that is wrong, and the warnings besides.
    pub(crate) fn into_error(mut self) -> ConfigurationError {
        self.errors.append(&mut self.warnings);
        ConfigurationError { problems: in_order(self.errors), untold: self.untold }
    }

    pub(crate) fn into_warnings(self) -> Vec<Problem> {
        in_order(self.warnings)
    }
}

/// In the order of the file, then of the names of variables. What stands at one place keeps the
/// order in which it was found.
fn in_order(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|one, other| one.location.cmp(&other.location));
    problems
}
