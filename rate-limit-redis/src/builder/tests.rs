use super::*;

/// The text of the error, after a look at whether it or the builder shows a secret.
fn refused(builder: RedisRepositoryBuilder) -> String {
    assert!(!format!("{builder:?}").contains("hunter2"), "{builder:?}");
    let error = builder.build().expect_err("it should be refused");
    let text = error.to_string();
    assert!(!format!("{text} {error:?}").contains("hunter2"), "{text}");
    text
}

fn builder() -> RedisRepositoryBuilder {
    RedisRepository::builder("redis://:hunter2@127.0.0.1")
}

#[tokio::test]
async fn what_is_out_of_range_is_named_with_its_value_and_the_range() {
    let ms = Duration::from_millis;
    for (builder, parts) in [
        (builder().timeout(ms(0)), ["timeout", "0ns", "1ms to 10s"]),
        (builder().timeout(ms(10_001)), ["timeout", "10.001s", "1ms to 10s"]),
        (builder().connect_timeout(ms(0)), ["connect_timeout", "0ns", "60s"]),
        (builder().max_in_flight(0), ["max_in_flight", "0", "1 to 1000000"]),
        (builder().breaker_failures(0), ["breaker_failures", "0", "1 to 1000"]),
        (builder().breaker_open_time(ms(0), ms(1)), ["first breaker_open_time", "0ns", "600s"]),
        (builder().breaker_open_time(ms(9), ms(8)), ["longest breaker_open_time", "8ms", "9ms"]),
        (builder().key_prefix("a{b}"), ["prefix", "a{b}", "1 to 64"]),
        (builder().key_secret("hunter2"), ["secret", "7 bytes", "16"]),
        (RedisRepository::builder("http://:hunter2@a"), ["scheme", "`http`", "redis+cluster"]),
    ] {
        let text = refused(builder);
        for part in parts {
            assert!(text.contains(part), "{text:?} does not contain {part:?}");
        }
    }
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let text = refused(builder());
    assert!(text.contains("tokio runtime") && text.contains("#[tokio::main]"), "{text}");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn options_for_encryption_need_a_url_that_encrypts() {
    let text = refused(builder().tls(TlsOptions::new()));
    assert!(text.contains("does not encrypt") && text.contains("rediss://"), "{text}");
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn a_url_that_encrypts_needs_the_feature() {
    let text = refused(RedisRepository::builder("rediss://:hunter2@a"));
    assert!(text.contains("feature `tls`"), "{text}");
}

#[tokio::test]
async fn building_waits_for_nobody_and_debug_shows_no_secret() {
    // Nobody answers at this address, and it is not even asked before we yield.
    let store = builder().key_secret("hunter2 hunter2 hunter2").build().unwrap();
    assert!(!store.health().is_well());
    assert!(!format!("{store:?} {:?}", store.health()).contains("hunter2"), "{store:?}");
}

/// Nobody can subscribe before there is a repository.
#[tokio::test]
async fn whoever_asks_for_changes_first_hears_that_digests_are_pseudonyms() {
    let store = builder().build().unwrap();
    let change = store.health_changes().next().await.unwrap();
    assert_eq!(change.event, HealthEvent::DigestsArePseudonyms);
}
