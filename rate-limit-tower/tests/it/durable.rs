//! A layer whose state is in a file.

use rate_limit_core::conformance::block_on;
use rate_limit_tower::{RateLimitLayer, RateLimitPolicy};
use tower::{Layer, ServiceExt};

use crate::support::{Probe, request};

/// The status of one request through a layer that was made for it.
fn status_after_a_restart(path: &std::path::Path) -> u16 {
    let once = RateLimitPolicy::per_day(2);
    let layer = RateLimitLayer::in_sqlite(path).unwrap().per_ip(once).build().unwrap();
    let service = layer.layer(Probe::default());
    block_on(service.oneshot(request())).unwrap().status().as_u16()
}

#[test]
fn a_limit_in_a_file_outlives_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.db");
    let statuses: Vec<u16> = (0..4).map(|_| status_after_a_restart(&path)).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
}

/// Nobody can share the file, so there is nothing to remind anybody of.
#[cfg(feature = "tracing")]
#[test]
fn one_node_beside_a_file_needs_no_diagnosis() {
    let lines = crate::listener::listening(|| {
        let folder = tempfile::tempdir().unwrap();
        status_after_a_restart(&folder.path().join("limits.db"));
    });
    assert!(lines.iter().all(|line| line.get("code").is_none()), "{lines:?}");
}
