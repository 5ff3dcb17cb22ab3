//! What follows the `?` of a URL.

use super::{Credentials, RedisUrlError, decode};
use crate::secret::Secret;

/// The options that nobody has asked for yet.
pub(super) struct Options {
    remaining: Vec<(String, String)>,
}

impl Options {
    pub(super) fn parse(text: &str) -> Result<Self, RedisUrlError> {
        let mut remaining = Vec::<(String, String)>::new();
        for option in text.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let name = decode(name, "the name of an option")?;
            let value = decode(value, "the value of an option")?;
            if remaining.iter().any(|(other, _)| *other == name) {
                return Err(RedisUrlError::OptionTwice { name });
            }
            remaining.push((name, value));
        }
        Ok(Self { remaining })
    }

    pub(super) fn database(&mut self) -> Result<Option<u32>, RedisUrlError> {
        self.take("db").map(|text| parse_database(&text)).transpose()
    }

    pub(super) fn sentinel_credentials(&mut self) -> Credentials {
        Credentials {
            username: self.take("sentinel_username"),
            password: self.take("sentinel_password").map(Secret::new),
        }
    }

    /// Fails if there is an option that nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), RedisUrlError> {
        match self.remaining.pop() {
            Some((name, _)) => Err(RedisUrlError::Option { name }),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.remaining.iter().position(|(other, _)| other == name)?;
        Some(self.remaining.swap_remove(place).1)
    }
}

pub(super) fn parse_database(text: &str) -> Result<u32, RedisUrlError> {
    let number = text.parse::<u16>().map(u32::from);
    number.map_err(|_| RedisUrlError::Database { found: text.to_owned() })
}
