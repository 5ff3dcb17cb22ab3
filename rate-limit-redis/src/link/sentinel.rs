//! Asking Sentinels where the master is.
//!
//! Each second another Sentinel is asked. They need not agree: one that is cut off from the others
//! goes on naming the former master. Every failover raises the epoch of the configuration, so the
//! higher epoch is believed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::dial::{Address, Dialed, Dialer, Expect};
use crate::clock::now;
use crate::health::AwayReason;
use crate::url::Endpoint;

/// The Sentinels of one master.
#[derive(Debug)]
pub(super) struct Sentinels {
    sentinels: Vec<Sentinel>,
    master: String,
    dialer: Dialer,
    /// Which of them is asked next.
    next: usize,
    /// What is believed.
    known: Option<Told>,
    asked: Option<Instant>,
}

#[derive(Debug)]
struct Sentinel {
    endpoint: Endpoint,
    /// Kept, for there is a question every few seconds.
    dialed: Option<Dialed>,
}

/// What a Sentinel says.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Told {
    master: Endpoint,
    epoch: u64,
}

impl Sentinels {
    pub(super) fn new(sentinels: Vec<Endpoint>, master: String, dialer: Dialer) -> Self {
        // Processes start with different ones, so that no Sentinel serves them all.
        let next = fastrand::usize(..sentinels.len().max(1));
        let sentinels =
            sentinels.into_iter().map(|endpoint| Sentinel { endpoint, dialed: None }).collect();
        Self { sentinels, master, dialer, next, known: None, asked: None }
    }

    /// Where the master is: as the first Sentinel says that knows no less than we do, or else as
    /// the one says that knows most.
    pub(super) async fn master(&mut self) -> Result<Endpoint, AwayReason> {
        let mut reason: Option<AwayReason> = None;
        let mut best: Option<Told> = None;
        for _ in 0..self.sentinels.len() {
            match self.ask_next().await {
                Ok(told) if self.known.as_ref().is_none_or(|known| told.epoch >= known.epoch) => {
                    best = Some(told);
                    break;
                }
                Ok(told) if best.as_ref().is_none_or(|best| told.epoch > best.epoch) => {
                    best = Some(told);
                }
                Ok(_) => {}
                // That one refuses us, or does not know the name, says more than that another one
                // is away.
                Err(why) if !reason.as_ref().is_some_and(AwayReason::needs_action) => {
                    reason = Some(why);
                }
                Err(_) => {}
            }
        }
        let told = best.ok_or(reason.unwrap_or(AwayReason::Silent))?;
        let master = told.master.clone();
        self.known = Some(told);
        Ok(master)
    }

    /// Whether the next Sentinel knows of a later failover, to another master. No answer is no
    /// reason to leave.
    pub(super) async fn has_moved(&mut self) -> bool {
        let Ok(told) = self.ask_next().await else { return false };
        let Some(known) = &mut self.known else { return false };
        if told.epoch > known.epoch && told.master == known.master {
            known.epoch = told.epoch;
        }
        told.is_later_than(known)
    }

    /// Whether the last question is older than `interval`.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= interval)
    }

    async fn ask_next(&mut self) -> Result<Told, AwayReason> {
        self.asked = Some(now());
        let place = self.next;
        self.next = (place + 1) % self.sentinels.len().max(1);
        let Some(sentinel) = self.sentinels.get_mut(place) else {
            return Err(AwayReason::Silent);
        };
        let mut dialed = match sentinel.dialed.take().filter(|dialed| !dialed.has_ended()) {
            Some(dialed) => dialed,
            None => {
                let (address, unheeded) =
                    (Address::Tcp(sentinel.endpoint.clone()), Arc::new(Notify::new()));
                self.dialer.dial(&address, Expect::Anything, &unheeded).await?
            }
        };
        let told = ask(&mut dialed.connection, &self.master);
        let told = timeout(self.dialer.connect_timeout, told).await;
        let told = told.map_err(|_| AwayReason::Silent)??;
        // Only one that answered is asked again over the same connection.
        sentinel.dialed = Some(dialed);
        Ok(told)
    }
}

impl Told {
    fn is_later_than(&self, known: &Self) -> bool {
        self.epoch > known.epoch && self.master != known.master
    }
}

/// Asks for the address, which follows a failover first, and for the epoch.
async fn ask(connection: &mut MultiplexedConnection, name: &str) -> Result<Told, AwayReason> {
    let mut questions = redis::pipe();
    questions.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    questions.cmd("SENTINEL").arg("MASTER").arg(name);
    let replies = connection.send_packed_commands(&questions, 0, 2).await;
    let replies = replies.map_err(|error| AwayReason::Lost { cause: error.to_string().into() })?;
    let [address, settings] = <[Value; 2]>::try_from(replies).map_err(|_| unintelligible())?;
    if matches!(address, Value::Nil) {
        return Err(AwayReason::UnknownMaster { name: name.into() });
    }
    for reply in [&address, &settings] {
        if let Value::ServerError(error) = reply {
            let (code, detail) = (error.code(), error.details().unwrap_or_default());
            return Err(match code {
                "NOPERM" => AwayReason::NoPermission { detail: detail.into() },
                "NOAUTH" => AwayReason::WrongCredentials { code: code.into() },
                code => AwayReason::Refused { code: code.into(), detail: detail.into() },
            });
        }
    }
    let (host, port) =
        redis::from_redis_value::<(String, u16)>(address).map_err(|_| unintelligible())?;
    let settings = redis::from_redis_value::<HashMap<String, String>>(settings);
    let settings = settings.map_err(|_| unintelligible())?;
    let epoch = settings.get("config-epoch").and_then(|epoch| epoch.parse().ok());
    let master = Endpoint { host, port };
    Ok(Told { master, epoch: epoch.ok_or_else(unintelligible)? })
}

fn unintelligible() -> AwayReason {
    AwayReason::Refused { code: "ERR".into(), detail: "this is no reply of a Sentinel".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(port: u16, epoch: u64) -> Told {
        Told { master: Endpoint { host: "a".to_owned(), port }, epoch }
    }

    #[test]
    fn only_a_later_failover_to_another_master_is_followed() {
        let known = told(1, 5);
        assert!(told(2, 6).is_later_than(&known));
        // A Sentinel that was cut off names the former master.
        assert!(!told(2, 4).is_later_than(&known));
        assert!(!told(2, 5).is_later_than(&known));
        assert!(!told(1, 6).is_later_than(&known));
    }
}
