#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod activity;
mod admission;
mod arguments;
mod audit;
mod banner;
mod bans;
mod blocks;
mod body;
mod check;
mod clock;
mod connection;
mod error;
mod fields;
mod following;
mod forward_auth;
mod health;
mod logging;
mod metrics;
mod openapi;
mod operators;
mod patience;
mod problem;
mod receipts;
mod request_id;
mod routes;
mod run;
mod said;
mod service;
mod serving;
mod settle;
mod sources;
mod stores;
mod token;
mod usage;

pub use arguments::{Arguments, LogLevel, ReadyWhen};
pub use error::ServerError;
pub use run::run;
