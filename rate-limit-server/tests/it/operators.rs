//! What operators do while the service runs.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::{Files, Server, TOKEN};

const FILE: &str = r#"
[identity]
verified_by = "program"

[[rule]]
name = "api"
key = "user"
limit = { limit = 100, window = "1h", algorithm = "fixed_window" }
"#;

const RULES: &str = r#"
[[rule]]
name = "api"
key = "user"
limit = { limit = 100, window = "1h", algorithm = "fixed_window" }
"#;

fn posted(limit: u64) -> String {
    RULES.replace("limit = 100", &format!("limit = {limit}"))
}

fn server() -> (Server, Files) {
    let files = Files::new();
    let file = files.write("limits.toml", FILE);
    let audit = files.path("audit.jsonl");
    let server = Server::administered(&["--config", &file, "--audit-log", audit.to_str().unwrap()]);
    (server, files)
}

fn check(server: &Server, user: &str, cost: u64) -> Answer {
    let body =
        json!({ "rule": "api", "identity": { "user": user, "ip": "192.0.2.1" }, "cost": cost });
    server.post("/check", &body.to_string())
}

fn left(server: &Server, user: &str) -> Value {
    check(server, user, 0).json()["remaining"].clone()
}

fn audit(files: &Files) -> Vec<Value> {
    files.lines("audit.jsonl")
}

/// The second line of what the service has to show.
#[test]
fn a_posted_limit_counts_from_the_next_check_and_what_was_used_stays_used() {
    let (server, files) = server();
    assert_eq!(check(&server, "alice", 60).status, 200);
    let before = server.administer("GET /rate_limit/config", &[], "");
    assert_eq!(before.field("etag"), Some("\"0\""));
    assert_eq!(before.json()["origin"], "file");

    let answer = server.administer("POST /rate_limit/config", &[], &posted(200));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((answer.field("etag"), &answer.json()["origin"]), (Some("\"1\""), &json!("posted")));
    assert_eq!(left(&server, "alice"), json!(140), "60 of 200 are used");
    let answer =
        server.administer("POST /rate_limit/config", &[("if-match", "\"1\"")], &posted(50));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(check(&server, "alice", 1).status, 429, "60 of 50 are used");

    let deleted = server.administer("DELETE /rate_limit/config", &[("if-match", "\"2\"")], "");
    assert_eq!((deleted.status, &deleted.json()["origin"]), (200, &json!("file")));
    assert_eq!(left(&server, "alice"), json!(40), "the file is in force again");

    let actions: Vec<(Value, Value, Value)> = audit(&files)
        .into_iter()
        .map(|line| (line["action"].clone(), line["before"].clone(), line["after"].clone()))
        .collect();
    let expected = [
        (json!("show_config"), json!(null), json!(null)),
        (json!("post_config"), json!(null), json!(1)),
        (json!("post_config"), json!(1), json!(2)),
        (json!("delete_config"), json!(2), json!(null)),
    ];
    assert_eq!(actions, expected);
}

#[test]
fn a_bad_document_is_refused_whole_and_changes_nothing() {
    let (server, _files) = server();
    let bad = r#"
[store]
url = "memory://"
[[rule]]
name = "api"
pahts = "/x"
limit = "5 per mint"
[[rule]]
name = "api"
limit = "1/s"
"#;
    let version =
        server.administer("GET /rate_limit/config", &[], "").json()["configVersion"].clone();
    let answer = server.administer("POST /rate_limit/config", &[], bad);
    assert_eq!(answer.status, 422);
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "what is not the operator's to say comes first: {problem}");
    let bad = bad.replace("[store]\nurl = \"memory://\"\n", "");
    let problem = server.administer("POST /rate_limit/config", &[], &bad).json();
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "all of them: {problem}");
    assert_eq!(errors[0]["location"], "posted:4:1");
    assert!(errors[0]["suggestion"].as_str().unwrap().contains("paths"), "{problem}");
    assert_eq!(errors[1]["value"], "\"5 per mint\"");
    for broken in ["", "= 1", "\u{0}", "[[rule]]\nname = \"a\"\n"] {
        let answer = server.administer("POST /rate_limit/config", &[], broken);
        assert_eq!(answer.status, 422, "{broken:?}: {}", answer.text());
    }
    let after = server.administer("GET /rate_limit/config", &[], "");
    assert_eq!((after.field("etag"), &after.json()["configVersion"]), (Some("\"0\""), &version));
    assert_eq!(left(&server, "alice"), json!(100));
}

#[test]
fn a_stale_version_is_refused_and_says_which_one_there_is() {
    let (server, _files) = server();
    let post = |fields: &[(&str, &str)], limit| {
        server.administer("POST /rate_limit/config", fields, &posted(limit))
    };
    assert_eq!(post(&[("if-match", "\"3\"")], 1).status, 412, "there is none");
    assert_eq!(post(&[("if-none-match", "*")], 200).status, 200);
    assert_eq!(post(&[("if-none-match", "*")], 1).status, 412);
    assert_eq!(post(&[("if-match", "\"0\"")], 1).status, 412);
    let stale = post(&[("if-match", "\"7\"")], 1);
    assert_eq!((stale.status, &stale.json()["version"]), (412, &json!(1)));
    assert_eq!(
        server.administer("DELETE /rate_limit/config", &[("if-match", "\"7\"")], "").status,
        412
    );
    for unreadable in ["1", "W/\"1\"", "*", "\"\"", "\"-1\"", "\"1\", \"2\""] {
        assert_eq!(post(&[("if-match", unreadable)], 1).status, 400, "{unreadable}");
    }
    assert_eq!(left(&server, "alice"), json!(200));
    let document =
        server.administer("GET /rate_limit/config", &[("accept", "application/toml")], "");
    assert_eq!((document.text(), document.field("etag")), (posted(200).as_str(), Some("\"1\"")));
}

/// Case F07: what stands in the file may be a secret, and is not shown.
#[test]
fn f07_secrets_are_not_in_the_configuration_that_is_shown() {
    let files = Files::new();
    let text = format!("{FILE}\n[store]\nkey_secret = \"canary-of-the-file\"\n");
    let file = files.write("limits.toml", &text);
    let server = Server::administered(&["--config", &file]);
    let shown = server.administer("GET /rate_limit/config", &[], "");
    assert_eq!(shown.status, 200);
    let log = server.kill();
    for canary in ["canary-of-the-file", TOKEN] {
        assert!(!shown.text().contains(canary) && !log.contains(canary), "{canary}");
    }
}

#[test]
fn a_reload_reads_the_file_and_a_bad_file_changes_nothing() {
    let (server, files) = server();
    // The watch is quicker or slower; the call says what came of it in any case.
    files.write("limits.toml", &FILE.replace("limit = 100", "limit = 70"));
    let answer = server.administer("POST /rate_limit/reload", &[], "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(left(&server, "alice"), json!(70));
    files.write("limits.toml", "[[rule]]\nname = \"api\"\nlimit = \"none\"\n");
    let refused = server.administer("POST /rate_limit/reload", &[], "");
    assert_eq!(refused.status, 422);
    assert!(refused.json()["errors"][0]["location"].as_str().unwrap().ends_with("limits.toml:3:9"));
    assert_eq!(left(&server, "alice"), json!(70));
    let metrics = server.get("/metrics");
    assert!(metrics.text().contains("rate_limit_config_reloads_total{outcome=\"refused\"}"));
}

#[test]
fn a_peek_charges_nothing_and_a_reset_gives_a_fresh_start() {
    let (server, files) = server();
    check(&server, "alice", 30);
    let path = "/rate_limit/keys/api?user=alice";
    for _ in 0..2 {
        let peeked = server.administer(&format!("GET {path}"), &[], "").json();
        assert_eq!(
            (&peeked["keys"][0]["policy"], &peeked["keys"][0]["remaining"]),
            (&json!("api"), &json!(70))
        );
    }
    let reset = server.administer(&format!("DELETE {path}"), &[], "").json();
    assert_eq!((&reset["restored"], &reset["keys"][0]["remaining"]), (&json!(1), &json!(100)));
    assert_eq!(left(&server, "alice"), json!(100));
    let lines = audit(&files);
    let reset = lines.iter().find(|line| line["action"] == "reset").unwrap();
    assert_eq!(
        (&reset["before"][0]["remaining"], &reset["after"][0]["remaining"]),
        (&json!(70), &json!(100))
    );
    assert!(!reset.to_string().contains("alice"), "{reset}");

    let ad_hoc = json!({ "tenantId": "acme", "key": "k", "limit": 5, "windowSeconds": 60 });
    server.post("/check", &ad_hoc.to_string());
    let path = "/rate_limit/keys?tenantId=acme&key=k&limit=5&windowSeconds=60";
    let peeked = server.administer(&format!("GET {path}"), &[], "").json();
    assert_eq!(peeked["keys"][0]["remaining"], json!(4));
    assert_eq!(server.administer(&format!("DELETE {path}"), &[], "").json()["restored"], json!(1));
    for wrong in
        ["/rate_limit/keys/unknown?user=a", "/rate_limit/keys/api?usr=a", "/rate_limit/keys"]
    {
        assert_eq!(server.administer(&format!("GET {wrong}"), &[], "").status, 422, "{wrong}");
    }
}

#[test]
fn whoever_is_blocked_is_turned_away_until_it_ends_or_is_lifted() {
    let (server, files) = server();
    assert_eq!(check(&server, "mallory", 1).status, 200);
    let body = json!({ "user": "mallory", "expiresInSeconds": 3600, "reason": "abuse" });
    let blocked = server.administer("POST /rate_limit/blocks", &[], &body.to_string());
    assert_eq!(blocked.status, 201, "{}", blocked.text());
    assert_eq!(check(&server, "mallory", 1).status, 403);
    assert_eq!(check(&server, "alice", 1).status, 200);
    let network = json!({ "ip": "192.0.2.0/24" }).to_string();
    assert_eq!(server.administer("POST /rate_limit/blocks", &[], &network).status, 201);
    assert_eq!(check(&server, "alice", 1).status, 403, "by the address");
    let listed = server.administer("GET /rate_limit/blocks", &[], "").json();
    assert_eq!(listed["blocks"].as_array().unwrap().len(), 2);

    let lifted = |query: &str| {
        server.administer(&format!("DELETE /rate_limit/blocks?{query}"), &[], "").status
    };
    assert_eq!(lifted("ip=192.0.2.0%2F24"), 200);
    assert_eq!(lifted("user=mallory"), 200);
    assert_eq!(lifted("user=mallory"), 404);
    assert_eq!(check(&server, "mallory", 1).status, 200);
    let short = json!({ "user": "mallory", "expiresInSeconds": 1 }).to_string();
    server.administer("POST /rate_limit/blocks", &[], &short);
    crate::server::until("the block has ended", || check(&server, "mallory", 0).status == 200);

    let lines = audit(&files);
    let unblock =
        lines.iter().find(|line| line["target"] == "user:mallory" && line["action"] == "unblock");
    assert_eq!(unblock.unwrap()["before"]["reason"], "abuse");
    assert!(lines.iter().all(|line| line["who"]["address"] == "127.0.0.1"), "{lines:?}");
    assert!(lines.iter().all(|line| line["time"].as_str().unwrap().ends_with('Z')));
}

/// A posted document leaves the blocks of operators alone.
#[test]
fn blocks_hold_whatever_rules_are_posted() {
    let (server, _files) = server();
    let body = json!({ "user": "mallory" }).to_string();
    server.administer("POST /rate_limit/blocks", &[], &body);
    server.administer("POST /rate_limit/config", &[], &posted(10));
    assert_eq!(check(&server, "mallory", 1).status, 403);
}

#[test]
fn whoever_looks_is_written_down_too() {
    let (server, files) = server();
    for (path, action) in [
        ("/rate_limit/config", "show_config"),
        ("/rate_limit/blocks", "list_blocks"),
        ("/rate_limit/top", "show_top"),
        ("/rate_limit/keys/api?user=alice", "peek"),
    ] {
        assert_eq!(server.get(path).status, 401, "who may not look has seen nothing");
        assert_eq!(server.administer(&format!("GET {path}"), &[], "").status, 200, "{path}");
        let lines = audit(&files);
        let line = lines.last().unwrap();
        let who = &line["who"]["address"];
        assert_eq!((&line["action"], who), (&json!(action), &json!("127.0.0.1")));
    }
    assert_eq!(audit(&files).len(), 4);
}

/// Case V02: no token, wrong tokens, a part of the token.
#[test]
fn v02_only_the_whole_token_administers_and_wrong_ones_are_limited() {
    let (server, _files) = server();
    let ask = |fields: &[(&str, &str)]| server.client().send("GET /rate_limit/config", fields, b"");
    let nothing = ask(&[]);
    assert_eq!((nothing.status, nothing.field("www-authenticate")), (401, Some("Bearer")));
    let wrong = [
        format!("Bearer {}", &TOKEN[..TOKEN.len() - 1]),
        format!("Bearer {TOKEN}x"),
        format!("Basic {TOKEN}"),
        "Bearer".to_owned(),
    ];
    for value in &wrong {
        let answer = ask(&[("authorization", value)]);
        assert_eq!(answer.status, 401, "{value}");
        assert!(!answer.text().contains(TOKEN), "{}", answer.text());
    }
    let statuses: Vec<u16> =
        (0..20).map(|_| ask(&[("authorization", "Bearer guess")]).status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 6, "ten per minute");
    assert_eq!(statuses[19], 429);
    // Nobody is locked out by somebody who guesses.
    assert_eq!(server.administer("GET /rate_limit/config", &[], "").status, 200);
}

#[test]
fn v02_every_administrative_path_needs_the_token() {
    let (server, _files) = server();
    let without = Server::start(&[]);
    for line in [
        "GET /rate_limit/config",
        "POST /rate_limit/config",
        "DELETE /rate_limit/config",
        "POST /rate_limit/reload",
        "GET /rate_limit/keys/api?user=alice",
        "DELETE /rate_limit/keys/api?user=alice",
        "GET /rate_limit/keys?tenantId=a",
        "GET /rate_limit/blocks",
        "POST /rate_limit/blocks",
        "DELETE /rate_limit/blocks?user=alice",
        "GET /rate_limit/top",
    ] {
        assert_eq!(server.client().send(line, &[], b"{}").status, 401, "{line}");
        let answer = without.administer(line, &[], "{}");
        assert_eq!(answer.status, 401, "{line}");
        assert!(answer.text().contains("RATE_LIMIT_TOKEN"), "there is none: {}", answer.text());
    }
}
