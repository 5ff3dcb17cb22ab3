//! Asking Sentinels where the master is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::dial::{Address, Dialed, Dialer, Expect};
use crate::clock::now;
use crate::health::AwayReason;
use crate::url::Endpoint;

/// The Sentinels of one master.
#[derive(Debug)]
pub(super) struct Sentinels {
    sentinels: Vec<Endpoint>,
    master: String,
    dialer: Dialer,
    /// Which of them is asked; the next one if it fails.
    current: usize,
    /// A connection is kept, for there is a question each second.
    dialed: Option<Dialed>,
    /// What was said last.
    known: Option<Endpoint>,
    asked: Option<Instant>,
}

impl Sentinels {
    pub(super) fn new(sentinels: Vec<Endpoint>, master: String, dialer: Dialer) -> Self {
        // Processes start with different ones, so that no Sentinel serves them all.
        let current = fastrand::usize(..sentinels.len().max(1));
        Self { sentinels, master, dialer, current, dialed: None, known: None, asked: None }
    }

    /// Where the master is, as the first Sentinel says that knows.
    pub(super) async fn master(&mut self) -> Result<Endpoint, AwayReason> {
        let mut reason: Option<AwayReason> = None;
        for _ in 0..self.sentinels.len() {
            match self.ask().await {
                Ok(master) => {
                    self.known = Some(master.clone());
                    return Ok(master);
                }
                Err(why) => {
                    // That one refuses us, or does not know the name, says more than that another
                    // one is away.
                    if !reason.as_ref().is_some_and(AwayReason::needs_action) {
                        reason = Some(why);
                    }
                    self.ask_another();
                }
            }
        }
        Err(reason.unwrap_or(AwayReason::Silent))
    }

    /// Whether the master is said to be elsewhere now. No answer is no reason to leave.
    pub(super) async fn has_moved(&mut self) -> bool {
        match self.ask().await {
            Ok(master) => self.known.as_ref() != Some(&master),
            Err(_) => {
                self.ask_another();
                false
            }
        }
    }

    /// Asks another one the next time.
    pub(super) fn ask_another(&mut self) {
        self.dialed = None;
        self.current = (self.current + 1) % self.sentinels.len().max(1);
    }

    /// Whether the last question is older than `interval`.
    pub(super) fn is_due(&self, interval: Duration) -> bool {
        self.asked.is_none_or(|asked| asked.elapsed() >= interval)
    }

    async fn ask(&mut self) -> Result<Endpoint, AwayReason> {
        self.asked = Some(now());
        let mut dialed = match self.dialed.take() {
            Some(dialed) => dialed,
            None => {
                let sentinel = self.sentinels.get(self.current).cloned();
                let sentinel = sentinel.ok_or(AwayReason::Silent)?;
                let unheeded = Arc::new(Notify::new());
                self.dialer.dial(&Address::Tcp(sentinel), Expect::Anything, &unheeded).await?
            }
        };
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let reply = dialed.connection.send_packed_command(&question);
        let reply = timeout(self.dialer.connect_timeout, reply).await;
        let reply = reply.map_err(|_| AwayReason::Silent)?;
        let reply = reply.map_err(|error| AwayReason::Lost { cause: error.to_string().into() })?;
        let master = read(reply, &self.master)?;
        self.dialed = Some(dialed);
        Ok(master)
    }
}

fn read(reply: Value, name: &str) -> Result<Endpoint, AwayReason> {
    match reply {
        Value::Nil => Err(AwayReason::UnknownMaster { name: name.into() }),
        Value::ServerError(error) => Err(AwayReason::Refused {
            code: error.code().into(),
            detail: error.details().unwrap_or_default().into(),
        }),
        reply => {
            let (host, port) = redis::from_redis_value::<(String, u16)>(reply).map_err(|_| {
                AwayReason::Refused { code: "ERR".into(), detail: "no Sentinel's reply".into() }
            })?;
            Ok(Endpoint { host, port })
        }
    }
}
