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
