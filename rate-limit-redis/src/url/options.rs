//! What follows the `?` of a URL.

use super::{Credentials, RedisUrlError, decode};
use crate::secret::Secret;

/// The options that nobody has asked for yet, in their order.
pub(super) struct Options {
    remaining: Vec<Given>,
}

struct Given {
    name: String,
    value: String,
    origin: Origin,
}

/// What a name may really be.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    /// Nothing else.
    Name,
    /// The rest of a password that has an `&`, so it is not repeated.
    PasswordPerhaps,
}

impl Options {
    pub(super) fn parse(text: &str) -> Result<Self, RedisUrlError> {
        let mut remaining = Vec::<Given>::new();
        let mut origin = Origin::Name;
        for option in text.split('&').filter(|option| !option.is_empty()) {
            let Some((name, value)) = option.split_once('=') else {
                return Err(RedisUrlError::NoOption);
            };
            let name = decode(name, "the name of an option")?;
            let value = decode(value, "the value of an option")?;
            if remaining.iter().any(|other| other.name == name) {
                return Err(match origin {
                    Origin::Name => RedisUrlError::OptionTwice { name },
                    Origin::PasswordPerhaps => RedisUrlError::NoOption,
                });
            }
            let is_password = name.contains("pass");
            remaining.push(Given { name, value, origin });
            if is_password {
                origin = Origin::PasswordPerhaps;
            }
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
    pub(super) fn finish(self) -> Result<(), RedisUrlError> {
        match self.remaining.into_iter().next() {
            Some(Given { name, origin: Origin::Name, .. }) => Err(RedisUrlError::Option { name }),
            Some(_) => Err(RedisUrlError::NoOption),
            None => Ok(()),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let place = self.remaining.iter().position(|given| given.name == name)?;
        Some(self.remaining.remove(place).value)
    }
}

pub(super) fn parse_database(text: &str) -> Result<u32, RedisUrlError> {
    let number = text.parse::<u16>().map(u32::from);
    number.map_err(|_| RedisUrlError::Database { found: text.to_owned() })
}
