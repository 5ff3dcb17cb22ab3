//! What operators see, and what they do not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::server::{Files, Server};

const RULES: &str = r#"
[identity]
verified_by = "program"

[[rule]]
name = "login"
paths = "/login"
key = "api_key"
limit = { limit = 10, window = "1h", algorithm = "fixed_window" }
[rule.penalty]
after = 3
within = "1h"
ban = "1h"

[[rule]]
name = "open"
group = "everybody"
key = "user"
limit = { limit = 1_000_000, window = "1h", algorithm = "fixed_window" }
"#;

fn server(arguments: &[&str]) -> (Server, Files) {
    let files = Files::new();
    let file = files.write("limits.toml", RULES);
    (Server::administered(&[arguments, &["--config", &file]].concat()), files)
}

/// The names and labels of all series.
fn series(metrics: &str) -> BTreeSet<String> {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
        .collect()
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(series));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}"))
        .rsplit_once(' ')
        .unwrap()
        .1
        .parse()
        .unwrap()
}

#[test]
fn every_series_is_there_before_anything_happens() {
    let (server, _files) = server(&[]);
    let metrics = server.get("/metrics");
    assert!(metrics.field("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let text = metrics.text();
    for name in [
        "rate_limit_build_info{version=",
        "rate_limit_config_reloads_total{outcome=\"refused\"} 0",
        "rate_limit_config_version ",
        "rate_limit_current_usage{rank=\"1\"} 0",
        "rate_limit_current_usage{rank=\"10\"} 0",
        "rate_limit_degraded_total 0",
        "rate_limit_exceeded_total{rule=\"login\",policy=\"login\"} 0",
        "rate_limit_requests_total{rule=\"login\",policy=\"login\",outcome=\"denied\"} 0",
        "rate_limit_store_errors_total{kind=\"timeout\"} 0",
    ] {
        assert!(text.contains(name), "no {name} in {text}");
    }
}

/// Case O01, promise G17: a crowd adds no series. Four thousand calls of 256 questions.
#[test]
fn o01_a_million_clients_add_no_series() {
    let (server, _files) = server(&[]);
    let mut client = server.client();
    let mut ask = |round: usize| {
        let batch: Vec<_> = (0..256)
            .map(|number| match number % 2 {
                0 => json!({ "rule": "open", "identity": { "user": format!("{round}-{number}") } }),
                _ => json!({ "tenantId": format!("{round}"), "key": format!("{number}"),
                             "limit": 3, "windowSeconds": 60, "cost": number % 5 }),
            })
            .collect();
        let body = json!({ "batch": batch }).to_string();
        assert_eq!(client.send("POST /check", &[], body.as_bytes()).status, 200);
    };
    (0..10).for_each(&mut ask);
    let before = series(server.get("/metrics").text());
    (10..4_000).for_each(&mut ask);
    let after = server.get("/metrics");
    assert_eq!(before, series(after.text()));
    let counted = value(
        after.text(),
        "rate_limit_requests_total{rule=\"open\",policy=\"open\",outcome=\"allowed\"}",
    );
    assert_eq!(counted as u64, 512_000);
}

/// Case O02, promise G16: nothing of who asked is in the log, in the metrics or in the audit log.
#[test]
fn o02_no_canary_is_found_in_logs_or_metrics() {
    let files = Files::new();
    let audit = files.path("audit.jsonl");
    let (server, _rules) = server(&["--log", "debug", "--audit-log", audit.to_str().unwrap()]);
    let jwt = "eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOiJqd3QifQ.canary-signature";
    let fields = [
        ("x-original-method", "POST"),
        ("x-original-uri", "/login?canary-query=1"),
        ("x-api-key", "canary-api-key"),
        ("authorization", jwt),
        ("x-forwarded-for", "203.0.113.77"),
    ];
    for _ in 0..20 {
        server.client().send("GET /auth", &fields, b"");
        let body = json!({ "rule": "login", "identity": {
            "apiKey": "canary-other-key", "user": "canary-user", "ip": "203.0.113.78",
            "tenant": "canary-tenant", "claims": { "a": "canary-claim" } } });
        server.post("/check", &body.to_string());
        let body = json!({ "tenantId": "canary-acme", "key": "canary-key", "limit": 1, "windowSeconds": 60 });
        server.post("/check", &body.to_string());
    }
    server.post(
        "/check",
        r#"{"rule":"login","identity":{"apiKey":7,"canary-field":"canary-value"}}"#,
    );
    let metrics = server.get("/metrics").text().to_owned();
    let top = server.administer("GET /rate_limit/top", &[], "").text().to_owned();
    let log = server.kill();
    assert!(log.contains("\"verdict\":\"deny\"") && log.contains("client_id"), "{log}");
    let audit = std::fs::read_to_string(audit).unwrap();
    assert!(audit.contains("\"action\":\"ban\""), "{audit}");
    for text in [&log, &metrics, &top, &audit] {
        for canary in ["canary", jwt, "203.0.113.7"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

/// Case O04: denials are counted exactly and logged once per second at most.
#[test]
fn o04_a_million_denials_are_counted_exactly_and_logged_seldom() {
    let server = Server::start(&[]);
    let question = json!({ "tenantId": "acme", "key": "k", "limit": 1, "windowSeconds": 3600 });
    let body = json!({ "batch": vec![question; 250] }).to_string();
    let mut client = server.client();
    for _ in 0..4_000 {
        assert_eq!(client.send("POST /check", &[], body.as_bytes()).status, 200);
    }
    let metrics = server.get("/metrics").text().to_owned();
    let denied = "rate_limit_requests_total{rule=\"ad-hoc\",policy=\"chosen\",outcome=\"denied\"}";
    assert_eq!(value(&metrics, denied) as u64, 999_999);
    assert_eq!(
        value(&metrics, "rate_limit_exceeded_total{rule=\"ad-hoc\",policy=\"chosen\"}") as u64,
        999_999
    );
    let log = server.kill();
    let lines: Vec<serde_json::Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let denials: Vec<_> = lines.iter().filter(|line| line["verdict"] == "deny").collect();
    // One per second; the bound is that of a run which takes five minutes.
    assert!((1..=300).contains(&denials.len()), "{} lines", denials.len());
    for field in ["client_id", "endpoint", "limit", "current_count", "timestamp", "level"] {
        assert!(denials[0].get(field).is_some(), "{field}: {}", denials[0]);
    }
}

#[test]
fn the_top_clients_are_told_by_rank_and_by_digest() {
    let (server, _files) = server(&[]);
    for (number, cost) in [(1, 300_000), (2, 900_000), (3, 500_000)] {
        let body = json!({ "rule": "open", "identity": { "user": format!("user-{number}") }, "cost": cost });
        assert_eq!(server.post("/check", &body.to_string()).status, 200);
    }
    let metrics = server.get("/metrics").text().to_owned();
    for (rank, share) in [(1, 0.9), (2, 0.5), (3, 0.3), (4, 0.0)] {
        assert_eq!(value(&metrics, &format!("rate_limit_current_usage{{rank=\"{rank}\"}}")), share);
    }
    assert_eq!(value(&metrics, "rate_limit_near_limit_total{policy=\"open\"}"), 1.0);
    let top = server.administer("GET /rate_limit/top", &[], "").json();
    let clients = top["clients"].as_array().unwrap();
    let used: Vec<u64> = clients.iter().map(|client| client["used"].as_u64().unwrap()).collect();
    assert_eq!(used, [900_000, 500_000, 300_000]);
    assert_eq!(clients[0]["clientId"].as_str().unwrap().len(), 16);
    assert!(!top.to_string().contains("user-"), "{top}");
}

#[test]
fn a_ban_is_written_into_the_audit_log_once() {
    let files = Files::new();
    let audit = files.path("audit.jsonl");
    let (server, _rules) = server(&["--audit-log", audit.to_str().unwrap()]);
    for _ in 0..30 {
        let body = json!({ "rule": "login", "identity": { "apiKey": "k" } });
        server.post("/check", &body.to_string());
    }
    let text = std::fs::read_to_string(&audit).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert_eq!((&lines[0]["action"], &lines[0]["policy"]), (&json!("ban"), &json!("login")));
    // A server that starts again goes on where the file ends.
    drop(server);
    let (server, _rules) = crate::observing::server(&["--audit-log", audit.to_str().unwrap()]);
    server.administer("POST /rate_limit/reload", &[], "");
    assert_eq!(std::fs::read_to_string(&audit).unwrap().lines().count(), 2);
}

#[test]
fn a_ban_after_a_fresh_start_is_written_into_the_audit_log_too() {
    let files = Files::new();
    let audit = files.path("audit.jsonl");
    let (server, _rules) = server(&["--audit-log", audit.to_str().unwrap()]);
    let actions = || -> Vec<Value> {
        files.lines("audit.jsonl").iter().map(|line| line["action"].clone()).collect()
    };
    for _ in 0..2 {
        for _ in 0..30 {
            let body = json!({ "rule": "login", "identity": { "apiKey": "k" } });
            server.post("/check", &body.to_string());
        }
        let reset = server.administer("DELETE /rate_limit/keys/login?apiKey=k", &[], "");
        assert_eq!(reset.status, 200, "{}", reset.text());
    }
    assert_eq!(actions(), ["ban", "reset", "ban", "reset"]);
}

/// A file is one instance's. A server may be everybody's.
#[test]
fn nobody_is_reminded_to_count_the_instances_on_one_file() {
    let log = |store: &str, rules: &str| {
        let files = Files::new();
        let file = files.write("limits.toml", rules);
        let url = store.replace("FOLDER", files.path("").to_str().unwrap());
        Server::start(&["--config", &file, "--store", &url]).kill()
    };
    for rules in [RULES.to_owned(), format!("{RULES}\n[store]\nnodes = 1\n")] {
        let log = log("sqlite://FOLDER/limits.db", &rules);
        assert!(!log.contains("RL007"), "{log}");
    }
    // Nobody listens there, and nobody has to.
    let log = log("redis://127.0.0.1:1", RULES);
    assert!(log.contains("RL007"), "{log}");
}
