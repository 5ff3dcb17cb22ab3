//! Several instances on one store, and the store away.

use redis_testbed::RedisServer;
use serde_json::{Value, json};

use crate::server::{Files, Server, until};

const RULES: &str = r#"
[identity]
verified_by = "program"

[[rule]]
name = "api"
key = "user"
limit = { limit = 100, window = "1h", algorithm = "fixed_window" }
"#;

/// The rules alone, which is what operators may post.
fn posted(limit: u64) -> String {
    let (_, rules) = RULES.split_once("\n\n").unwrap();
    rules.replace("limit = 100", &format!("limit = {limit}"))
}

fn instance(url: &str, files: &Files, arguments: &[&str]) -> Server {
    let file = files.write("limits.toml", RULES);
    let server = Server::administered(&[&["--config", &file, "--store", url], arguments].concat());
    until("connected", || server.get("/ready").json()["status"] == "ok");
    server
}

fn left(server: &Server) -> Value {
    let body = json!({ "rule": "api", "identity": { "user": "alice" }, "cost": 0 });
    server.post("/check", &body.to_string()).json()["remaining"].clone()
}

#[test]
fn other_instances_notice_what_is_posted_and_blocked() {
    let redis = RedisServer::start().unwrap();
    let files = Files::new();
    let (one, other) = (instance(&redis.url(), &files, &[]), instance(&redis.url(), &files, &[]));
    let body = json!({ "rule": "api", "identity": { "user": "alice" }, "cost": 60 });
    assert_eq!(one.post("/check", &body.to_string()).status, 200);
    let posted = posted(200);
    let answer = one.administer("POST /rate_limit/config", &[("if-match", "\"0\"")], &posted);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(left(&one), json!(140));
    until("the other instance has noticed", || left(&other) == json!(140));
    let etag = other.administer("GET /rate_limit/config", &[], "");
    assert_eq!(etag.field("etag"), Some("\"1\""));

    let block = json!({ "user": "alice" }).to_string();
    assert_eq!(other.administer("POST /rate_limit/blocks", &[], &block).status, 201);
    until("the first instance has noticed", || left(&one) == json!(null));

    // An instance that starts later knows all of it from its first request on.
    let late = instance(&redis.url(), &files, &[]);
    assert_eq!(late.post("/check", &body.to_string()).status, 403);
    assert_eq!(one.administer("DELETE /rate_limit/blocks?user=alice", &[], "").status, 200);
    assert_eq!(
        one.administer("DELETE /rate_limit/config", &[("if-match", "\"1\"")], "").status,
        200
    );
    until("all is as the file says", || left(&other) == json!(40) && left(&late) == json!(40));
}

/// One instance has another file, which does not accept what is posted; then that breaks too.
#[test]
fn other_instances_follow_blocks_whatever_their_files_say() {
    let redis = RedisServer::start().unwrap();
    let (files, others) = (Files::new(), Files::new());
    let one = instance(&redis.url(), &files, &[]);
    let by_address = "[[rule]]\nname = \"api\"\nkey = \"ip\"\nlimit = \"100/h\"\n";
    let file = others.write("limits.toml", by_address);
    let other = Server::administered(&["--config", &file, "--store", &redis.url()]);
    let answer = one.administer("POST /rate_limit/config", &[], &posted(200));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let state = || other.administer("GET /rate_limit/config", &[], "");
    until("it is refused there", || state().json()["refused"]["version"] == 1);
    let shown = state();
    let origin = &shown.json()["origin"];
    assert_eq!((origin, shown.field("etag")), (&json!("file"), Some("\"1\"")));

    let check = |ip: &str| {
        let body = json!({ "rule": "api", "identity": { "ip": ip }, "cost": 0 });
        other.post("/check", &body.to_string()).status
    };
    let block = |ip: &str| {
        let body = json!({ "ip": ip }).to_string();
        assert_eq!(one.administer("POST /rate_limit/blocks", &[], &body).status, 201);
    };
    assert_eq!([check("192.0.2.1"), check("192.0.2.2")], [200, 200]);
    block("192.0.2.1");
    until("the first block is noticed", || check("192.0.2.1") == 403);
    others.write("limits.toml", "[[rule]\n");
    block("192.0.2.2");
    until("the second block is noticed", || check("192.0.2.2") == 403);
    assert_eq!(one.administer("DELETE /rate_limit/blocks?ip=192.0.2.1", &[], "").status, 200);
    until("its end is noticed", || check("192.0.2.1") == 200);
    assert_eq!(check("192.0.2.2"), 403);
}

/// Case V08: without its store the process lives and decides; whether it is ready is the operator's
/// choice.
#[test]
fn v08_without_its_store_the_process_lives_and_is_ready_as_configured() {
    let redis = RedisServer::start().unwrap();
    let files = Files::new();
    let patient = instance(&redis.url(), &files, &[]);
    let strict = instance(&redis.url(), &files, &["--ready-when", "store"]);
    assert_eq!([patient.get("/ready").status, strict.get("/ready").status], [200, 200]);
    drop(redis);
    until("the store is missed", || strict.get("/ready").status == 503);
    until("the store is missed here too", || patient.get("/ready").json()["status"] == "degraded");
    assert_eq!(patient.get("/ready").status, 200);
    for server in [&patient, &strict] {
        assert_eq!(server.get("/health").status, 200);
        let body = json!({ "rule": "api", "identity": { "user": "bob" } });
        let answer = server.post("/check", &body.to_string());
        assert_eq!((answer.status, &answer.json()["degraded"]), (200, &json!(true)));
        let metrics = server.get("/metrics");
        assert!(metrics.text().contains("rate_limit_degraded_total"), "{}", metrics.text());
        let posted = server.administer("POST /rate_limit/config", &[], &posted(1));
        assert_eq!(posted.status, 503, "{}", posted.text());
    }
}
