//! What was posted and is not in force, because the file no longer accepts it.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::openapi::{assert_described, description};
use crate::server::{Files, Server};

/// Accepts rules that count by user.
const BEFORE: &str = r#"
[identity]
verified_by = "program"

[[rule]]
name = "api"
key = "ip"
limit = "1000/h"
"#;

/// Does not.
const AFTER: &str = "[[rule]]\nname = \"api\"\nkey = \"ip\"\nlimit = \"500/h\"\n";

const POSTED: &str = "[[rule]]\nname = \"api\"\nkey = \"user\"\nlimit = \"20/h\"\n";

/// A server whose rules and blocks outlive it.
fn server(files: &Files, rules: &str) -> Server {
    let file = files.write("limits.toml", rules);
    let store = format!("sqlite://{}", files.path("limits.db").display());
    Server::administered(&["--config", &file, "--store", &store])
}

/// One that was started again with a file that does not accept what was posted.
fn restarted(files: &Files) -> Server {
    let server = server(files, BEFORE);
    let posted = server.administer("POST /rate_limit/config", &[("if-match", "\"0\"")], POSTED);
    assert_eq!(posted.status, 200, "{}", posted.text());
    let block = json!({ "ip": "203.0.113.9" }).to_string();
    assert_eq!(server.administer("POST /rate_limit/blocks", &[], &block).status, 201);
    server.kill();
    self::server(files, AFTER)
}

fn state(server: &Server) -> Answer {
    server.administer("GET /rate_limit/config", &[], "")
}

fn check(server: &Server, ip: &str) -> Answer {
    let body = json!({ "rule": "api", "identity": { "ip": ip } });
    server.post("/check", &body.to_string())
}

#[test]
fn blocks_hold_after_a_restart_although_the_posted_rules_are_refused() {
    let files = Files::new();
    let server = restarted(&files);
    assert_eq!(check(&server, "203.0.113.9").status, 403);
    assert_eq!(check(&server, "203.0.113.8").json()["remaining"], json!(499), "as the file says");
    let lifted = server.administer("DELETE /rate_limit/blocks?ip=203.0.113.9", &[], "");
    assert_eq!(lifted.status, 200, "{}", lifted.text());
    assert_eq!(check(&server, "203.0.113.9").status, 200);
    let log = server.kill();
    assert!(log.contains("the posted document of version 1 is refused"), "{log}");
}

#[test]
fn the_state_tells_what_is_in_force_and_what_is_refused() {
    let files = Files::new();
    let server = restarted(&files);
    let shown = state(&server);
    let body = shown.json();
    assert_eq!([&body["origin"], &body["document"]], [&json!("file"), &Value::Null]);
    assert_eq!(body["documentVersion"], Value::Null);
    let refused = &body["refused"];
    assert_eq!((&refused["version"], &refused["status"]), (&json!(1), &json!(422)), "{body}");
    assert_eq!(refused["errors"][0]["location"], "posted:3:7", "{body}");
    // Whoever changes the document changes the one that is stored.
    assert_eq!(shown.field("etag"), Some("\"1\""));
    let accept = [("accept", "application/toml")];
    let document = server.administer("GET /rate_limit/config", &accept, "");
    assert_eq!((document.text(), document.field("etag")), (POSTED, Some("\"1\"")));

    let ready = server.get("/ready");
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));
    let said = ready.json()["config"][0].as_str().unwrap().to_owned();
    assert!(said.starts_with("the posted document of version 1 is refused"), "{said}");
    assert!(!ready.text().contains("user"), "no rules without a token: {}", ready.text());
    assert_eq!(ready.json()["store"], json!([]));

    let description = description(&server);
    assert_described(&description, "get", "/rate_limit/config", &shown);
    assert_described(&description, "get", "/ready", &ready);
}

#[test]
fn what_is_refused_is_replaced_as_the_version_that_it_has() {
    let files = Files::new();
    let server = restarted(&files);
    let good = POSTED.replace("\"user\"", "\"ip\"");
    let post =
        |tag: &str| server.administer("POST /rate_limit/config", &[("if-match", tag)], &good);
    assert_eq!(post("\"0\"").status, 412);
    let posted = post("\"1\"");
    assert_eq!((posted.status, posted.field("etag")), (200, Some("\"2\"")), "{}", posted.text());
    let body = state(&server).json();
    assert_eq!((&body["origin"], &body["document"]), (&json!("posted"), &json!(good)));
    assert_eq!((&body["documentVersion"], &body["refused"]), (&json!(2), &Value::Null));
    assert_eq!(server.get("/ready").json()["status"], "ok");
    assert_eq!(check(&server, "203.0.113.9").status, 403, "blocks stay");
}

#[test]
fn what_is_refused_is_in_force_once_the_file_accepts_it() {
    let files = Files::new();
    let server = restarted(&files);
    files.write("limits.toml", BEFORE);
    assert_eq!(server.administer("POST /rate_limit/reload", &[], "").status, 200);
    let body = state(&server).json();
    assert_eq!((&body["origin"], &body["document"]), (&json!("posted"), &json!(POSTED)));
    assert_eq!((&body["documentVersion"], &body["refused"]), (&json!(1), &Value::Null));
    assert_eq!(check(&server, "203.0.113.9").status, 403);
}

/// A file that breaks later takes nothing away from what is in force already.
#[test]
fn a_posted_document_stays_in_force_while_the_file_is_broken() {
    let files = Files::new();
    let server = server(&files, BEFORE);
    assert_eq!(server.administer("POST /rate_limit/config", &[], POSTED).status, 200);
    files.write("limits.toml", "[[rule]\n");
    assert_eq!(server.administer("POST /rate_limit/reload", &[], "").status, 422);
    let body = state(&server).json();
    assert_eq!((&body["origin"], &body["document"]), (&json!("posted"), &json!(POSTED)));
    assert_eq!((&body["documentVersion"], &body["refused"]), (&json!(1), &Value::Null));
    let deleted = server.administer("DELETE /rate_limit/config", &[], "");
    assert_eq!(deleted.status, 422, "{}", deleted.text());
    assert_eq!(state(&server).field("etag"), Some("\"1\""), "it was not deleted");
}
