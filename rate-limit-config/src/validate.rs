//! What the values of a rules file mean together, and whether that can work.
//!
//! Nothing here stops at a mistake: it is noted, and something harmless takes the place of what
//! cannot work, so that the rest can be looked at too. Whatever was built is thrown away then.

use std::io::Read;
use std::path::Path;

use crate::configuration::Configuration;
use crate::document::{Document, Reference};
use crate::environment::Environment;
use crate::problem::Flaw;
use crate::read::{Entries, Key, Located};
use crate::secret::Secret;
use crate::source::{Place, Source};

mod access;
mod cost;
mod identity;
mod jwt;
mod limits;
mod overlap;
mod responses;
mod rules;
mod store;
mod tiers;

/// What is known beside the file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) environment: &'a Environment,
    /// What relative paths start from: the folder of the file.
    pub(crate) folder: &'a Path,
}

/// The configuration, which can work if nothing was noted.
pub(crate) fn configuration(
    document: Document,
    context: Context<'_>,
    source: &mut Source<'_>,
) -> Configuration {
    let root = Key::Root;
    let default_tier =
        document.identity.as_ref().and_then(|section| section.value.default_tier.clone());
    let store = store::store(document.store, &root.named("store"), context, source);
    let identity = identity::identity(document.identity, &root.named("identity"), context, source);
    let rule_key = root.named("rule");
    let sections = entries(document.rule);
    if sections.is_empty() && document.is_whole {
        // A file that was cut off, or is being written, must not lift all limits.
        source.refuse(
            &Place::File,
            "",
            Flaw::new("there is no rule; expected at least one `[[rule]]`"),
        );
    }
    let mut rules = rules::rules(&sections, &rule_key, &store, &identity, source);
    let tiers = tiers::tiers(document.tiers, &mut rules, &root.named("tiers"), source);
    tiers::check_use(&tiers, default_tier.as_ref(), &identity, source);
    rules::check_limit_names(&rules, &rule_key, source);
    overlap::check(&sections, &rule_key, source);
    overlap::check_hidden(&sections, &rule_key, source);
    Configuration {
        rules: rules.into_iter().map(|rule| rule.settings).collect(),
        exempt: access::exempt(entries(document.exempt), &root.named("exempt"), &identity, source),
        block: access::block(entries(document.block), &root.named("block"), &identity, source),
        responses: responses::responses(document.responses),
        warnings: Vec::new(),
        store,
        identity,
        tiers,
    }
}

fn entries<T>(list: Option<Located<Entries<T>>>) -> Vec<Located<T>> {
    list.map(|list| list.value.0).unwrap_or_default()
}

/// The value of a key that need not be there.
fn given<T>(value: Option<Located<T>>) -> Option<T> {
    value.map(|located| located.value)
}

impl Context<'_> {
    /// The value that a reference leads to.
    fn resolve(
        self,
        reference: &Located<Reference>,
        key: &Key<'_>,
        source: &mut Source<'_>,
    ) -> Option<Secret> {
        let found = match &reference.value {
            Reference::Inline(text) => Ok(text.clone().into_bytes()),
            Reference::Variable(name) => match self.environment.text(name) {
                Some("") | None => Err(format!(
                    "the environment variable `{name}` is not set; expected a text in it"
                )),
                Some(text) => Ok(text.as_bytes().to_vec()),
            },
            Reference::File(path) => read_secret(&self.folder.join(path))
                .map_err(|error| format!("the file `{path}` cannot be used: {error}")),
        };
        found
            .map(Secret::new)
            .map_err(|message| source.refuse(&reference.place, key, Flaw::new(message)))
            .ok()
    }
}

/// What a file holds, without the end of its last line.
fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    const MAX_SECRET_BYTES: u64 = 64 << 10;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_SECRET_BYTES {
        return Err(format!("it is longer than {MAX_SECRET_BYTES} bytes"));
    }
    let end = bytes
        .strip_suffix(b"\n")
        .map_or(bytes.as_slice(), |line| line.strip_suffix(b"\r").unwrap_or(line));
    if end.is_empty() { Err("it is empty".to_owned()) } else { Ok(end.to_vec()) }
}
