//! Keeping the map of a cluster.
//!
//! A task asks for it at the start, when a redirection or a lost connection shows that it has
//! changed, five times in a second while some master is away, and every ten seconds otherwise. It
//! asks the masters it knows, in random order, and the hosts of the URL if none answers.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Cluster, Map, Member};
use crate::clock::pause;
use crate::health::{AwayReason, HealthEvent};
use crate::link::Patience;
use crate::link::dial::{Address, Expect};
use crate::link::slots::Owners;
use crate::url::Endpoint;

/// How often the map is asked for while all is well.
const CALM: Duration = Duration::from_secs(10);
/// How often it is asked for while some master is away.
const TROUBLED: Duration = Duration::from_millis(200);
/// The least time between two questions, however many calls are redirected.
const BREATH: Duration = Duration::from_millis(50);
/// A node that nobody needs for so long is forgotten.
const UNNEEDED: Duration = Duration::from_secs(60);

/// The task that keeps the map. Dropping it ends the task.
#[derive(Debug)]
pub(in crate::link) struct Keeper {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cluster {
    /// Starts the task that keeps the map.
    pub(in crate::link) fn keep(self: &Arc<Self>) -> Keeper {
        let cluster = Arc::clone(self);
        Keeper { task: self.runtime.spawn(async move { cluster.keep_map().await }) }
    }

    async fn keep_map(&self) {
        loop {
            self.ask_for_map().await;
            pause(BREATH).await;
            let is_well = {
                let nodes = self.nodes().unwrap_or_default();
                !nodes.is_empty() && nodes.iter().all(|node| node.health().is_well())
            };
            let interval = if is_well { CALM } else { TROUBLED };
            let _ = timeout(interval, self.stale.notified()).await;
        }
    }

    async fn ask_for_map(&self) {
        let mut known: Vec<_> = {
            let members = self.members();
            members.iter().map(|(place, of)| (place.clone(), Arc::clone(&of.node))).collect()
        };
        fastrand::shuffle(&mut known);
        for (endpoint, node) in known {
            let Ok(live) = node.live() else { continue };
            if let Ok(reply) = node.ask(&live, &question(), Patience::Deadline).await
                && let Some(owners) = Owners::read(&reply, &endpoint)
            {
                return self.adopt(owners);
            }
        }
        let mut seeds = self.seeds.clone();
        fastrand::shuffle(&mut seeds);
        let mut reason = AwayReason::Silent;
        for seed in seeds {
            match self.ask_seed(&seed).await {
                Ok(owners) => return self.adopt(owners),
                Err(why) => reason = why,
            }
        }
        self.lament(reason);
    }

    async fn ask_seed(&self, seed: &Endpoint) -> Result<Owners, AwayReason> {
        let unheeded = Arc::new(Notify::new());
        let address = Address::Tcp(seed.clone());
        let mut dialed = self.dialer.dial(&address, Expect::Anything, &unheeded).await?;
        let question = question();
        let reply = dialed.connection.send_packed_command(&question);
        let reply = timeout(self.dialer.connect_timeout, reply).await;
        let reply = reply.map_err(|_| AwayReason::Silent)?;
        let reply = reply.map_err(|error| AwayReason::Lost { cause: error.to_string().into() })?;
        if let Value::ServerError(error) = &reply {
            return Err(why_no_map(error));
        }
        Owners::read(&reply, seed).ok_or(AwayReason::SlotWithoutOwner)
    }

    /// Uses what a node has told.
    fn adopt(&self, owners: Owners) {
        let nodes = owners.masters.iter().map(|master| self.member(master)).collect();
        let before = self.map.swap(Arc::new(Map::Known { owners, nodes }));
        if let Map::Unknown(reason) = &*before
            && *reason != AwayReason::Connecting
        {
            self.reporter.report(&self.name, HealthEvent::Connected);
        }
        let forgotten: Vec<_> = {
            let mut members = self.members();
            let unneeded = |_: &Endpoint, member: &mut Member| member.needed.elapsed() >= UNNEEDED;
            members.extract_if(unneeded).map(|(_, member)| member.node).collect()
        };
        for node in forgotten {
            self.reporter.report(node.name(), HealthEvent::Forgotten);
        }
    }

    /// Nobody has told the owners. What was told before stays in force.
    fn lament(&self, reason: AwayReason) {
        if let Map::Unknown(before) = &**self.map.load()
            && !before.is_like(&reason)
        {
            self.map.store(Arc::new(Map::Unknown(reason.clone())));
            self.reporter.report(&self.name, HealthEvent::Away(reason));
        }
    }
}

fn question() -> redis::Cmd {
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    question
}

fn why_no_map(error: &redis::ServerError) -> AwayReason {
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "NOPERM" => AwayReason::NoPermission { detail: detail.into() },
        "LOADING" => AwayReason::Loading,
        "ERR" if detail.contains("cluster support disabled") => AwayReason::NotACluster,
        code => AwayReason::Refused { code: code.into(), detail: detail.into() },
    }
}

#[cfg(test)]
mod tests;
