//! gRPC and HTTP on one port.

use std::time::Duration;

use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use crate::process::Example;
use crate::support::Connection;

#[tokio::test]
async fn one_client_one_limit_two_protocols() {
    let example = Example::start("tonic_service");
    let endpoint = Endpoint::try_from(format!("http://{}", example.address)).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut http = Connection::open(example.address).await;
    for _ in 0..5 {
        let answer = health.check(HealthCheckRequest::default()).await.unwrap();
        assert!(answer.metadata().contains_key("x-ratelimit-remaining"));
        assert_eq!(answer.into_inner().status, 1, "it is serving");
        assert_eq!(http.ask("/").await.status, 200);
    }

    let denied = health.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(denied.code(), Code::ResourceExhausted);
    let details = denied.get_error_details();
    let delay = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(Duration::ZERO < delay && delay <= Duration::from_secs(6), "{delay:?}");
    assert_eq!(details.quota_failure().unwrap().violations[0].subject, "policy:default");
    assert!(denied.metadata().contains_key("grpc-retry-pushback-ms"));

    let denied = http.ask("/").await;
    assert_eq!(denied.violated(), ["default"]);
    assert!((1..=6).contains(&denied.number("retry-after")));
}
