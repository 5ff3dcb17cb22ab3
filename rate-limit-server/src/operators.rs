//! What operators do while the service runs. All of it needs the token, and is written down.

pub(crate) mod blocks;
pub(crate) mod config;
pub(crate) mod keys;
pub(crate) mod reload;
pub(crate) mod top;
