use tokio::runtime::Handle;

use super::*;
use crate::clock::now;
use crate::guard::breaker::BreakerLimits;
use crate::health::{HealthChange, Reporter};
use crate::link::dial::Dialer;
use crate::url::Credentials;

fn at(port: u16) -> Endpoint {
    Endpoint { host: "127.0.0.1".to_owned(), port }
}

/// A reply in which the node at `port` owns all slots.
fn all_slots_at(port: u16) -> Owners {
    let node = vec![Value::SimpleString("127.0.0.1".to_owned()), Value::Int(port.into())];
    let range = vec![Value::Int(0), Value::Int(16_383), Value::Array(node)];
    Owners::read(&Value::Array(vec![Value::Array(range)]), &at(port)).unwrap()
}

/// Its gauges and whoever counts servers would wait for it for ever.
#[tokio::test]
async fn a_member_that_nobody_needs_is_said_to_be_forgotten() {
    let reporter = Arc::new(Reporter::new());
    let mut changes = reporter.changes();
    let dialer = Dialer {
        credentials: Credentials::default(),
        database: 0,
        connect_timeout: Duration::from_secs(1),
        queue: 1,
        #[cfg(feature = "tls")]
        encryption: None,
    };
    let deadline = Duration::from_millis(25);
    let seeds = vec![at(1)];
    let runtime = Handle::current();
    let limits = BreakerLimits::DEFAULT;
    let cluster = Cluster::new(seeds, runtime, dialer, limits, deadline, reporter);
    // Nobody listens on these ports, and no task of this runtime runs before it is awaited.
    cluster.adopt(all_slots_at(1));
    cluster.adopt(all_slots_at(2));
    assert_eq!(cluster.members().len(), 2, "a slot may come back within a minute");
    cluster.members().get_mut(&at(1)).unwrap().needed = now() - UNNEEDED;
    cluster.adopt(all_slots_at(2));
    assert_eq!(cluster.members().keys().collect::<Vec<_>>(), [&at(2)]);
    let forgotten = HealthChange { server: "127.0.0.1:1".into(), event: HealthEvent::Forgotten };
    assert_eq!(changes.next().await, Some(forgotten));
}
