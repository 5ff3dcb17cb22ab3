//! The text of a rules file, and where in it something is.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::configuration::Configuration;
use crate::problem::{ConfigurationError, Flaw, Location, Problem, Problems, Severity};

/// The largest file that is read: 16 MiB. A hundred thousand rules fit.
pub(crate) const MAX_FILE_BYTES: u64 = 16 << 20;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// The file as a whole.
    File,
    /// So many bytes into the file.
    Offset(usize),
    /// So many bytes into what was posted.
    Posted(usize),
    /// An environment variable.
    Variable(Arc<str>),
}

/// The file and what was posted in the place of a part of it, and what was found in them.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    file: Text<'a>,
    posted: Option<Text<'a>>,
    problems: Problems,
}

/// A text and its lines.
#[derive(Debug)]
struct Text<'a> {
    name: Arc<str>,
    text: &'a str,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

impl<'a> Text<'a> {
    fn new(name: &str, text: &'a str) -> Self {
        // Some editors begin a file with a byte order mark, which says nothing in UTF-8.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    fn location(&self, offset: usize) -> Location {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        let column = before.chars().count() + 1;
        Location::Line { file: self.name.clone(), line, column }
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(name: &str, text: &'a str) -> Self {
        Self { file: Text::new(name, text), posted: None, problems: Problems::default() }
    }

    /// The same with what was posted.
    pub(crate) fn with_posted(self, name: &str, text: &'a str) -> Self {
        Self { posted: Some(Text::new(name, text)), ..self }
    }

    /// The text of the file.
    pub(crate) const fn text(&self) -> &'a str {
        self.file.text
    }

    /// What was posted.
    pub(crate) fn posted(&self) -> Option<&'a str> {
        self.posted.as_ref().map(|posted| posted.text)
    }

    /// Where a place is, for people.
    pub(crate) fn location(&self, place: &Place) -> Location {
        // What is said of a whole is said of the rules, and these were posted.
        let whole = self.posted.as_ref().unwrap_or(&self.file);
        match place {
            Place::File => Location::File(whole.name.clone()),
            Place::Variable(name) => Location::Variable(name.clone()),
            Place::Offset(offset) => self.file.location(*offset),
            Place::Posted(offset) => whole.location(*offset),
        }
    }

    /// How many errors were noted so far.
    pub(crate) const fn errors(&self) -> usize {
        self.problems.errors()
    }

    /// Whether another error would still be told, and not only counted.
    pub(crate) const fn tells_more(&self) -> bool {
        self.problems.tells_more(Severity::Error)
    }

    /// What is wrong; there is something.
    pub(crate) fn into_error(self) -> ConfigurationError {
        self.problems.into_error()
    }

    /// The configuration with its warnings, or what is wrong with it.
    pub(crate) fn into_result(
        self,
        configuration: Option<Configuration>,
    ) -> Result<Configuration, ConfigurationError> {
        match configuration {
            Some(configuration) if self.errors() == 0 => {
                Ok(Configuration { warnings: self.problems.into_warnings(), ..configuration })
            }
            _ => Err(self.into_error()),
        }
    }

    /// Notes why the file is refused.
    pub(crate) fn refuse(&mut self, place: &Place, key: impl ToString, flaw: Flaw) {
        self.note(Severity::Error, place, key, flaw);
    }

    /// Notes that the file is longer than anybody would write.
    pub(crate) fn refuse_length(&mut self) {
        self.refuse(&Place::File, "", Flaw::new(too_long()));
    }

    /// Notes what is probably not meant.
    pub(crate) fn warn(&mut self, place: &Place, key: impl ToString, flaw: Flaw) {
        self.note(Severity::Warning, place, key, flaw);
    }

    /// Notes why the file is refused, with a word about another place.
    pub(crate) fn refuse_beside(
        &mut self,
        place: &Place,
        key: impl ToString,
        other: &Place,
        flaw: impl FnOnce(Location) -> Flaw,
    ) {
        if self.tells_more() {
            let flaw = flaw(self.location(other));
            self.refuse(place, key, flaw);
        } else {
            self.problems.count(Severity::Error);
        }
    }

    fn note(&mut self, severity: Severity, place: &Place, key: impl ToString, flaw: Flaw) {
        // Where something is takes a look at its whole line, and a file may be one long line.
        if !self.problems.tells_more(severity) {
            return self.problems.count(severity);
        }
        let location = self.location(place);
        self.problems.push(Problem::new(severity, location, key.to_string(), flaw));
    }
}

fn too_long() -> String {
    format!("the file is too long; expected at most {MAX_FILE_BYTES} bytes")
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> Result<String, ConfigurationError> {
    let name: Arc<str> = path.to_string_lossy().into();
    let refused = |location, message: String| {
        let flaw = Flaw::new(message);
        ConfigurationError::one(Problem::new(Severity::Error, location, String::new(), flaw))
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            refused(Location::File(name.clone()), format!("the file cannot be read: {error}"))
        })?;
    // Looked at before the text is, because what was cut off may have cut a character in two.
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(refused(Location::File(name), too_long()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let before = String::from_utf8_lossy(before);
        let location = Source::new(&name, &before).location(&Place::Offset(before.len()));
        refused(location, "the bytes from here on are no text; expected UTF-8".to_owned())
    })
}
