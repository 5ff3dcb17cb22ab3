//! The two sets of rules that the README advises: each suffices, and permits nothing else.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use rate_limit_core::conformance::block_on;
use rate_limit_core::{
    Adjustment, Adjustments, Change, Charge, Charges, ClientIdentity, DocumentName,
    DocumentRepository, DocumentVersion, Expected, PenaltyLadder, RateLimitAdministration,
    RateLimitPolicy, RateLimitRepository, RepositoryErrorKind, Reset, Written,
};
use redis_testbed::RedisServer;

use crate::support::Stores;

/// What a decision needs.
const DECIDING: &str = "~rl:* resetchannels -@all +eval +evalsha +mget +set +psetex +pttl +time +ping \
                        +hello +role +client|setname";
/// What operators need besides.
const ADMINISTRATION: &str = "+scan +del";

fn server() -> RedisServer {
    RedisServer::builder()
        .user("decider", &format!("on >first {DECIDING}"))
        .user("operator", &format!("on >second {DECIDING} {ADMINISTRATION}"))
        .start()
        .unwrap()
}

fn everything() -> Vec<Arc<RateLimitPolicy>> {
    let ladder = PenaltyLadder::after(1, Duration::from_secs(60));
    let five = || RateLimitPolicy::per_minute(5);
    [
        five().named("bucket").penalty(ladder),
        five().named("fixed").fixed_window(),
        five().named("aligned").aligned_window(),
        five().named("sliding").sliding_window(),
        five().named("log").sliding_log(),
    ]
    .map(|builder| Arc::new(builder.build().unwrap()))
    .to_vec()
}

#[test]
fn a_decider_decides_and_settles_with_few_permissions() {
    let server = server();
    let store = Stores::at(server.url_for("decider", "first")).built(|builder| builder);
    let client = ClientIdentity::user("alice").unwrap();
    for policy in everything() {
        let charges = Charges::one(Charge::new(client.clone(), policy.clone(), 5));
        let outcome = *block_on(store.acquire(&charges)).unwrap().get(0).unwrap();
        assert!(!outcome.is_violated(), "{policy}");
        let denied = *block_on(store.acquire(&charges)).unwrap().get(0).unwrap();
        assert!(denied.is_violated(), "{policy}");
        let adjustment = Adjustment {
            identity: client.clone(),
            policy: policy.clone(),
            charged: outcome.charged.unwrap(),
            units: 5,
            change: Change::Refund(2),
        };
        let adjustments: Adjustments = [adjustment].into_iter().collect();
        assert!(block_on(store.settle(&adjustments)).unwrap().total().returned >= 1, "{policy}");
        block_on(store.peek(&client, &policy)).unwrap();
    }
    let refused = block_on(store.list(None, NonZeroUsize::MIN)).unwrap_err();
    assert_eq!(refused.kind(), RepositoryErrorKind::Misconfigured);
    let refused = block_on(store.reset(&client, &everything()[0])).unwrap_err();
    assert_eq!(refused.kind(), RepositoryErrorKind::Misconfigured);
}

/// Whoever decides can write whatever decides, so documents are no further permission.
#[test]
fn a_decider_reads_and_changes_documents() {
    let server = server();
    let store = Stores::at(server.url_for("decider", "first")).built(|builder| builder);
    let name = DocumentName::new("rules").unwrap();
    let written = block_on(store.write(&name, Expected::Absent, b"some")).unwrap();
    assert_eq!(written, Written::Done(DocumentVersion(1)));
    assert_eq!(block_on(store.read(&name)).unwrap().unwrap().content, b"some");
    let deleted = block_on(store.delete(&name, Expected::Version(DocumentVersion(1)))).unwrap();
    assert_eq!(deleted, Written::Done(DocumentVersion(2)));
}

#[test]
fn an_operator_lists_and_resets_with_two_more() {
    let server = server();
    let store = Stores::at(server.url_for("operator", "second")).built(|builder| builder);
    let client = ClientIdentity::user("alice").unwrap();
    for policy in everything() {
        let charges = Charges::one(Charge::new(client.clone(), policy.clone(), 5));
        block_on(store.acquire(&charges)).unwrap();
    }
    let page = block_on(store.list(None, NonZeroUsize::new(10).unwrap())).unwrap();
    assert_eq!((page.buckets.len(), page.next), (5, None));
    for policy in everything() {
        assert_eq!(block_on(store.reset(&client, &policy)).unwrap(), Reset::Restored);
        assert_eq!(block_on(store.reset(&client, &policy)).unwrap(), Reset::Nothing);
    }
}

/// Whoever takes over a decider reaches neither other keys nor other commands.
#[test]
fn neither_reaches_anything_else() {
    let server = server();
    for (user, password) in [("decider", "first"), ("operator", "second")] {
        let client = redis::Client::open(server.url_for(user, password)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut try_to = |words: &[&str]| {
            let mut command = redis::cmd(words[0]);
            words[1..].iter().for_each(|word| _ = command.arg(word));
            command.query::<redis::Value>(&mut connection)
        };
        for forbidden in [
            &["GET", "rl:v1:{x}:tb/api"][..],
            &["SET", "session:alice", "1"],
            &["MGET", "session:alice"],
            &["EVAL", "return redis.call('GET', KEYS[1])", "1", "rl:x"],
            &["EVAL", "return redis.call('SET', 'session:alice', 1)", "0"],
            &["SCRIPT", "LOAD", "return 1"],
            &["SCRIPT", "FLUSH"],
            &["CONFIG", "GET", "maxmemory-policy"],
            &["FLUSHALL"],
            &["KEYS", "*"],
            &["PUBLISH", "channel", "1"],
        ] {
            let error = try_to(forbidden).unwrap_err().to_string();
            let is_refused = ["no permission", "no permissions", "can't run", "can't access"];
            let is_refused = is_refused.iter().any(|text| error.contains(text));
            assert!(is_refused, "{user}: {forbidden:?}: {error}");
        }
        assert!(try_to(&["TIME"]).is_ok());
    }
}
