//! Servers that answer and refuse: credentials, permissions, settings.

use redis_testbed::RedisServer;

use super::*;
use crate::health::AwayReason;

const ACL: &str = ">sesame ~rl:* ~{* -@all +eval +evalsha +get +set +incr +time +ping +hello \
                   +client|setname";

/// Every text that the outside may see.
fn texts(bench: &Bench, seen: &[HealthEvent]) -> String {
    let error = match bench.decide("{a}") {
        Answer::Ready(Err(error)) => error,
        _ => panic!("it should be refused at once"),
    };
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let shown: Vec<_> = seen.iter().map(ToString::to_string).collect();
    format!("{error} {error:?} {source:?} {seen:?} {shown:?} {:?}", bench.link)
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_wrong_password_is_named_and_never_shown() {
    let server = RedisServer::builder().password("sesame").start().unwrap();
    let url = server.url().replace("sesame", "hunter2");
    let mut bench = Bench::open(&url);
    let seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    let [HealthEvent::Away(reason @ AwayReason::WrongCredentials { code })] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(&**code, "WRONGPASS");
    assert!(reason.needs_action());
    let texts = texts(&bench, &seen);
    assert!(texts.contains("user:password@ in the Redis URL"), "{texts}");
    assert!(texts.contains("Misconfigured"), "{texts}");
    assert!(!texts.contains("hunter2") && !texts.contains("sesame"), "{texts}");
    // The password is put right on the server, and nobody restarts us.
    server.command(&["CONFIG", "SET", "requirepass", "hunter2"]).unwrap();
    bench.is_connected().await;
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_missing_password_is_named() {
    let server = RedisServer::builder().password("sesame").start().unwrap();
    let mut bench = Bench::open(&server.url().replace(":sesame@", ""));
    let seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    assert!(
        matches!(&seen[..], [HealthEvent::Away(AwayReason::WrongCredentials { .. })]),
        "{seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_a_user_without_eval_is_named_and_used_once_it_is_allowed() {
    let rules = ACL.replace("+eval ", "").replace("+evalsha ", "");
    let server = RedisServer::builder().user("limiter", &rules).start().unwrap();
    let mut bench = Bench::open(&server.url_for("limiter", "sesame"));
    let seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    assert!(matches!(&seen[..], [HealthEvent::Away(AwayReason::NoPermission { .. })]), "{seen:?}");
    let texts = texts(&bench, &seen);
    assert!(texts.contains("eval") && texts.contains("ACL SETUSER"), "{texts}");
    assert!(!texts.contains("sesame"), "{texts}");
    server.command(&["ACL", "SETUSER", "limiter", "+eval", "+evalsha"]).unwrap();
    bench.is_connected().await;
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_needs_no_permission_beyond_those_of_the_request_path() {
    let server = RedisServer::builder().user("limiter", ACL).start().unwrap();
    let mut bench = Bench::open(&server.url_for("limiter", "sesame"));
    let seen = bench.sees("a connection", |event| *event == HealthEvent::Connected).await;
    assert_eq!(seen, [HealthEvent::Connected]);
    bench.is_served("{a}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_evicts_debt_is_warned_of_once() {
    for (policy, warns) in [("allkeys-lru", true), ("volatile-lru", true), ("volatile-ttl", false)]
    {
        let server = RedisServer::builder().option("maxmemory-policy", policy).start().unwrap();
        let mut bench = Bench::open(&server.url());
        eventually("the policy is asked for", async || {
            ["config|get", "config"].iter().any(|name| server.calls(name).is_ok_and(|n| n > 0))
        })
        .await;
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
        let connections = std::cell::Cell::new(0);
        let again = |event: &HealthEvent| {
            connections.set(connections.get() + u32::from(*event == HealthEvent::Connected));
            connections.get() == 2
        };
        let seen = bench.sees("two connections", again).await;
        let warnings: Vec<_> = seen
            .iter()
            .filter(|event| matches!(event, HealthEvent::EvictsDebt { .. }))
            .map(ToString::to_string)
            .collect();
        assert_eq!(warnings.len(), usize::from(warns), "{policy}: {seen:?}");
        for warning in warnings {
            assert!(warning.contains(policy) && warning.contains("volatile-ttl"), "{warning}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_cluster_says_so() {
    let server = RedisServer::start().unwrap();
    let mut bench = Bench::open(&server.url().replace("redis://", "redis+cluster://"));
    let seen = bench.sees("the refusal", |event| matches!(event, HealthEvent::Away(_))).await;
    assert_eq!(seen, [HealthEvent::Away(AwayReason::NotACluster)]);
    let texts = texts(&bench, &seen);
    assert!(texts.contains("redis:// URL instead of redis+cluster://"), "{texts}");
}
