//! The rules file: what is accepted, what it means, and what is said of everything else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

/// What is accepted, and what it becomes.
mod accepted;
/// What is refused, and how that is said.
mod broken;
/// What the documents show.
mod documents;
/// Variables in the place of values.
mod environment;
/// What rules mean, in plain words.
mod explained;
/// Files: their bytes, and what they refer to.
mod files;
/// Rules that operators post.
mod posted;
/// What holds for all inputs.
mod properties;
/// The schema that editors use.
mod schema;
/// What can work but is probably not meant.
mod warnings;

use rate_limit_config::{Configuration, ConfigurationError, Environment};

/// Reads a text without any variables.
fn read(text: &str) -> Result<Configuration, ConfigurationError> {
    Configuration::from_toml("limits.toml", text, &Environment::empty())
}

/// The rules of a text that can work.
fn accepted(text: &str) -> Configuration {
    read(text).unwrap_or_else(|error| panic!("{error}\nin:\n{text}"))
}

/// The example, with the secrets that it refers to.
fn example() -> Configuration {
    let environment = Environment::from_variables([
        ("RATE_LIMIT_KEY_SECRET", "sixteen bytes are enough"),
        ("JWT_SECRET", "thirty-two bytes are the least for HS256"),
    ]);
    Configuration::from_file(EXAMPLE, &environment).unwrap_or_else(|error| panic!("{error}"))
}

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/limits.example.toml");
