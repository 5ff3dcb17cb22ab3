//! Encrypted connections, and certificates that are not believed.

use std::fs;

use redis_testbed::tls::ServerIdentity;
use redis_testbed::{Certificates, RedisServer};

use super::*;
use crate::health::AwayReason;

/// A handshake takes a loaded machine its time.
const PATIENT: Duration = Duration::from_secs(10);

fn options(certificates: &Certificates) -> TlsOptions {
    TlsOptions::new().ca_certificate_pem(fs::read(certificates.authority()).unwrap())
}

fn open(url: &str, options: &TlsOptions, connect_timeout: Duration) -> Bench {
    Bench::with(LinkOptions {
        url: RedisUrl::parse(url).unwrap(),
        deadline: Duration::from_secs(1),
        connect_timeout,
        max_in_flight: 1_024,
        breaker: BreakerLimits::DEFAULT,
        encryption: Some(Encryption::new(options).unwrap()),
    })
}

async fn refusal(bench: &mut Bench) -> AwayReason {
    let mut seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    assert_eq!(seen.len(), 1, "{seen:?}");
    let Some(HealthEvent::Away(reason)) = seen.pop() else { panic!("no reason") };
    let Answer::Ready(Err(error)) = bench.decide("{a}") else { panic!("it waits") };
    assert_eq!(error.kind(), RepositoryErrorKind::Misconfigured, "{reason}");
    reason
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_known_authority_is_believed() {
    let certificates = Certificates::generate().unwrap();
    let server = RedisServer::builder().tls(&certificates, ServerIdentity::Good).start().unwrap();
    let bench = open(&server.url(), &options(&certificates), PATIENT);
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_an_expired_a_foreign_and_an_unknown_certificate_are_refused() {
    let certificates = Certificates::generate().unwrap();
    let stranger = Certificates::generate().unwrap();
    for (identity, believed, wanted) in [
        (ServerIdentity::Expired, &certificates, "expired"),
        (ServerIdentity::WrongName, &certificates, "not valid for name"),
        (ServerIdentity::Good, &stranger, "certificate"),
    ] {
        let server = RedisServer::builder().tls(&certificates, identity).start().unwrap();
        let mut bench = open(&server.url(), &options(believed), PATIENT);
        let reason = refusal(&mut bench).await;
        let text = reason.to_string();
        assert!(matches!(reason, AwayReason::Certificate { .. }), "{identity:?}: {text}");
        assert!(text.contains(wanted) && text.contains("cure"), "{identity:?}: {text}");
        // Not a single command came through, in clear or otherwise.
        assert_eq!(server.calls("hello").unwrap(), 0, "{identity:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r24_nothing_is_sent_in_clear_to_a_server_that_does_not_encrypt() {
    let certificates = Certificates::generate().unwrap();
    let server = RedisServer::start().unwrap();
    let url = server.url().replace("redis://", "rediss://:hunter2@");
    let mut bench = open(&url, &options(&certificates), Duration::from_secs(1));
    // Such a server takes the handshake for the beginning of a long command, and waits for its end.
    let seen = bench.sees("the absence", |event| matches!(event, HealthEvent::Away(_))).await;
    assert_eq!(seen, [HealthEvent::Away(AwayReason::Silent)]);
    assert!(bench.decide("{a}").await.is_err());
    // Ours would have said who we are; whoever counts is the administrator of the test.
    assert_eq!(server.calls("hello").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let certificates = Certificates::generate().unwrap();
    let server = RedisServer::builder()
        .tls(&certificates, ServerIdentity::Good)
        .require_client_certificate()
        .start()
        .unwrap();
    let (certificate, key) = certificates.client();
    let ours = options(&certificates)
        .client_certificate_pem(fs::read(certificate).unwrap(), fs::read_to_string(key).unwrap());
    let bench = open(&server.url(), &ours, PATIENT);
    bench.is_served("{a}").await;
    let mut without = open(&server.url(), &options(&certificates), PATIENT);
    without.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
}

#[test]
fn options_that_are_no_certificates_are_named_and_keys_are_not_shown() {
    let certificates = Certificates::generate().unwrap();
    let (certificate, _) = certificates.client();
    let certificate = fs::read(certificate).unwrap();
    let error = |options: TlsOptions| Encryption::new(&options).unwrap_err();
    let text = error(TlsOptions::new().ca_certificate_pem("nonsense"));
    assert!(text.contains("CA certificate") && text.contains("PEM"), "{text}");
    let wrong = options(&certificates).client_certificate_pem(certificate, "hunter2");
    assert!(!format!("{wrong:?}").contains("hunter2"));
    let text = error(wrong);
    assert!(text.contains("private key") && !text.contains("hunter2"), "{text}");
}
