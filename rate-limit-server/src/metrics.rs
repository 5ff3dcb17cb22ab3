//! What Prometheus reads.
//!
//! Every label comes from the configuration or counts up to a fixed number, so that the number of
//! series does not grow with the number of clients.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::clock;
use crate::service::Service;

/// The version of the text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const BUILD_INFO: &str = "rate_limit_build_info";

/// Upper ends of the buckets in which waits for the store are counted, in seconds.
const LATENCIES: [f64; 12] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// Begins to count. It has to be before anything is that counts.
pub(crate) fn begin() -> PrometheusHandle {
    let builder = PrometheusBuilder::new();
    let latency = Matcher::Full("rate_limit_store_latency_seconds".to_owned());
    // Buckets are refused only if there are none.
    let builder = builder
        .set_buckets_for_metric(latency, &LATENCIES)
        .unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // Only a program around this one can have begun before; then its recorder counts.
    let _ = metrics::set_global_recorder(recorder);
    describe_gauge!(BUILD_INFO, Unit::Count, "Which release this is; always 1");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle
}

/// Everything, as text.
pub(crate) async fn metrics(State(service): State<Service>) -> Response {
    service.usage.show(clock::unix_millis());
    // Moves what was measured into buckets, which would otherwise pile up until somebody asks.
    service.prometheus.run_upkeep();
    ([(CONTENT_TYPE, TEXT)], service.prometheus.render()).into_response()
}
