//! Networks of addresses.

use rate_limit_core::Network;
use rate_limit_tower::{ClientAddressError, parse_network};
use serde_json::json;

use crate::read::{FromText, Refused};

/// A network, and how it is written.
#[derive(Clone, Debug)]
pub(crate) struct Cidr(pub(crate) Network);

impl FromText for Cidr {
    const EXPECTED: &'static str = "an address such as \"192.0.2.1\", or a network such as \"192.0.2.0/24\" or \"2001:db8::/32\"";

    fn from_text(text: &str) -> Result<Self, Refused> {
        parse_network(text).map(Self).map_err(|error| match error {
            ClientAddressError::StrayBits { network, .. } => {
                Refused::because("there are bits set beyond the length of the prefix")
                    .meant(Some(format!("{network:?}")))
            }
            _ => Refused::UNLIKE,
        })
    }

    fn text_schema() -> serde_json::Value {
        json!({ "type": "string", "examples": ["192.0.2.1", "10.0.0.0/8", "2001:db8::/32"] })
    }
}
