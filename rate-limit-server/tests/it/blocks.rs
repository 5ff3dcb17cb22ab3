//! Whom operators block, whatever has become of the rules.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::{Files, Server};

const RULES: &str = "[[rule]]\nname = \"api\"\nkey = \"ip\"\nlimit = \"1000/h\"\n";

fn server() -> (Server, Files) {
    let files = Files::new();
    let file = files.write("limits.toml", RULES);
    let audit = files.path("audit.jsonl");
    let server = Server::administered(&["--config", &file, "--audit-log", audit.to_str().unwrap()]);
    (server, files)
}

fn check(server: &Server, ip: &str) -> u16 {
    let body = json!({ "rule": "api", "identity": { "ip": ip } });
    server.post("/check", &body.to_string()).status
}

fn block(server: &Server, body: &Value) -> Answer {
    server.administer("POST /rate_limit/blocks", &[], &body.to_string())
}

fn lift(server: &Server, query: &str) -> Answer {
    server.administer(&format!("DELETE /rate_limit/blocks?{query}"), &[], "")
}

fn listed(server: &Server) -> Value {
    server.administer("GET /rate_limit/blocks", &[], "").json()["blocks"].clone()
}

#[test]
fn blocks_begin_and_end_also_while_the_file_is_broken() {
    let (server, files) = server();
    files.write("limits.toml", "[[rule]\n");
    assert_eq!(server.administer("POST /rate_limit/reload", &[], "").status, 422);
    let ip = json!({ "ip": "203.0.113.9" });
    let blocked = block(&server, &ip);
    assert_eq!(blocked.status, 201, "{}", blocked.text());
    assert_eq!(check(&server, "203.0.113.9"), 403);
    assert_eq!(check(&server, "203.0.113.8"), 200, "the rules stay as they were");
    let lifted = lift(&server, "ip=203.0.113.9");
    assert_eq!((lifted.status, lifted.json()), (200, ip.clone()));
    assert_eq!(check(&server, "203.0.113.9"), 200);

    let lines = files.lines("audit.jsonl");
    let changes: Vec<_> = lines
        .iter()
        .filter(|line| line["target"] == "ip:203.0.113.9")
        .map(|line| [&line["action"], &line["outcome"], &line["before"], &line["after"]])
        .collect();
    let (applied, nothing) = (json!("applied"), Value::Null);
    let expected =
        [[&json!("block"), &applied, &nothing, &ip], [&json!("unblock"), &applied, &ip, &nothing]];
    assert_eq!(changes, expected);
}

/// The list in the rules and the one of operators do not get into each other's way.
#[test]
fn blocks_of_the_rules_stay_when_those_of_operators_change() {
    let (server, files) = server();
    let rules = format!("{RULES}[[block]]\nnetworks = [\"192.0.2.1\", \"192.0.2.2\"]\n");
    files.write("limits.toml", &rules);
    for ip in ["192.0.2.3", "192.0.2.4"] {
        block(&server, &json!({ "ip": ip }));
        assert_eq!(server.administer("POST /rate_limit/reload", &[], "").status, 200);
    }
    assert_eq!(lift(&server, "ip=192.0.2.3").status, 200);
    assert_eq!(lift(&server, "ip=192.0.2.1").status, 404, "it stands in the rules");
    let statuses = [1, 2, 3, 4, 5].map(|host| check(&server, &format!("192.0.2.{host}")));
    assert_eq!(statuses, [403, 403, 200, 403, 200]);
    files.write("limits.toml", RULES);
    assert_eq!(server.administer("POST /rate_limit/reload", &[], "").status, 200);
    let statuses = [1, 2, 3, 4, 5].map(|host| check(&server, &format!("192.0.2.{host}")));
    assert_eq!(statuses, [200, 200, 200, 403, 200]);
}

#[test]
fn an_address_is_blocked_once_however_it_is_spelled() {
    let (server, _files) = server();
    for [first, second, query, canonical] in [
        ["2001:DB8::1", "2001:db8:0::1", "2001:db8::0:1", "2001:db8::1"],
        ["192.0.2.1", "192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.1"],
        ["2001:DB8:1::/48", "2001:db8:1::/48", "2001:db8:1:0::/48", "2001:db8:1::/48"],
    ] {
        block(&server, &json!({ "ip": first, "reason": "first" }));
        let again = block(&server, &json!({ "ip": second }));
        assert_eq!((again.status, again.json()), (201, json!({ "ip": canonical })));
        assert_eq!(listed(&server), json!([{ "ip": canonical }]));
        let address = canonical.trim_end_matches("/48");
        assert_eq!(check(&server, address), 403);
        assert_eq!(lift(&server, &format!("ip={query}")).status, 200);
        assert_eq!((check(&server, address), listed(&server)), (200, json!([])));
    }
}

#[test]
fn changes_of_blocks_that_are_refused_are_written_down() {
    let (server, files) = server();
    assert_eq!(block(&server, &json!({ "ip": "nowhere" })).status, 422);
    assert_eq!(lift(&server, "planet=mars").status, 422);
    assert_eq!(lift(&server, "user=alice").status, 404);
    let lines = files.lines("audit.jsonl");
    let refused: Vec<_> = lines.iter().map(|line| [&line["action"], &line["target"]]).collect();
    let expected = [
        [&json!("block"), &Value::Null],
        [&json!("unblock"), &Value::Null],
        [&json!("unblock"), &json!("user:alice")],
    ];
    assert_eq!(refused, expected);
    assert!(lines.iter().all(|line| line["outcome"] == "refused"), "{lines:?}");
}
