//! The description is true: it names every path and no other, its schemas are schemas, and answers are
//! as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::{Files, Server};

pub(crate) fn description(server: &Server) -> Value {
    server.get("/openapi.json").json()
}

fn server() -> (Server, Files) {
    let files = Files::new();
    let text = "[identity]\nverified_by = \"program\"\n[[rule]]\nname = \"api\"\nkey = \"user\"\nlimit = \"3/h\"\non_missing = \"reject\"\n\
                [[block]]\nusers = [\"mallory\"]\n";
    let file = files.write("limits.toml", text);
    (Server::administered(&["--config", &file]), files)
}

/// Compares with the source, because a router does not tell its paths.
#[test]
fn every_path_is_described_and_no_other() {
    let (server, _files) = server();
    let described: BTreeSet<String> =
        description(&server)["paths"].as_object().unwrap().keys().cloned().collect();
    let source = include_str!("../../src/routes.rs");
    let routed: BTreeSet<String> = source
        .split(".route(")
        .skip(1)
        .map(|after| after.split('"').nth(1).unwrap())
        // The router has the empty target by itself, and marks what takes several segments.
        .filter(|path| *path != "/auth/")
        .map(|path| path.replace("{*", "{"))
        .collect();
    assert_eq!(described, routed);
    for (path, operations) in description(&server)["paths"].as_object().unwrap() {
        for method in ["get", "post", "delete", "put", "patch"] {
            let path = path.replace("{rule}", "api").replace("{target}", "page?of=client");
            let line = format!("{} {path}", method.to_uppercase());
            let status = server.administer(&line, &[], "").status;
            let is_described = operations.get(method).is_some();
            if !path.starts_with("/auth") {
                assert_eq!(status != 405, is_described, "{line}: {status}");
            }
            if is_described {
                let statuses = &operations[method]["responses"];
                assert!(statuses.get(status.to_string()).is_some(), "{line}: {status}");
            }
        }
    }
}

/// Whether an answer is as its operation describes it.
pub(crate) fn assert_described(description: &Value, method: &str, path: &str, answer: &Answer) {
    let what = format!("{method} {path}: {} {}", answer.status, answer.text());
    let operation = &description["paths"][path][method];
    let mut response = &operation["responses"][answer.status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = description.pointer(&reference[1..]).unwrap();
    }
    assert!(response.is_object(), "{what}");
    let Some(content) = response["content"].as_object() else {
        assert!(answer.body.is_empty(), "{what}");
        return;
    };
    let kind = answer.field("content-type").unwrap().split(';').next().unwrap();
    let schema = content.get(kind).unwrap_or_else(|| panic!("{kind}: {what}"))["schema"].clone();
    if !kind.ends_with("json") {
        return;
    }
    // The schemas refer to each other by their place in the whole document.
    let mut root =
        json!({ "$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema] });
    root["components"] = description["components"].clone();
    let validator = jsonschema::validator_for(&root).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&answer.json()).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what}: {errors:?}");
}

#[test]
fn answers_are_as_they_are_described() {
    let (server, _files) = server();
    let description = description(&server);
    let question = |body: Value| server.post("/check", &body.to_string());
    let user = |name: &str| json!({ "rule": "api", "identity": { "user": name }, "receipt": true });
    let ad_hoc = json!({ "tenantId": "a", "key": "k", "limit": 1, "windowSeconds": 60 });
    let mut receipts = Vec::new();
    for body in [
        ad_hoc.clone(),
        ad_hoc.clone(),
        user("alice"),
        user("alice"),
        user("alice"),
        user("alice"),
        user("mallory"),
        json!({ "rule": "api" }),
        json!({ "batch": [ad_hoc, user("bob"), user("mallory"), { "rule": "api" }] }),
        json!({ "dimensions": [{ "rule": "api", "identity": { "user": "x" } }] }),
        json!({ "rule": "none" }),
        json!([]),
    ] {
        let answer = question(body);
        assert_described(&description, "post", "/check", &answer);
        receipts.extend(answer.json()["receipt"].as_str().map(str::to_owned));
    }
    for receipt in [receipts[0].as_str(), receipts[0].as_str(), ""] {
        let body = json!({ "receipt": receipt, "cost": 0 }).to_string();
        assert_described(&description, "post", "/settle", &server.post("/settle", &body));
    }
    for (method, path, query, body) in [
        ("get", "/health", "", ""),
        ("get", "/ready", "", ""),
        ("get", "/metrics", "", ""),
        ("get", "/auth", "", ""),
        ("get", "/auth/{target}", "", ""),
        ("get", "/rate_limit/config", "", ""),
        (
            "post",
            "/rate_limit/config",
            "",
            "[[rule]]\nname = \"api\"\nkey = \"user\"\nlimit = \"5/h\"\n",
        ),
        ("post", "/rate_limit/config", "", "[[rules]]"),
        ("post", "/rate_limit/reload", "", ""),
        ("get", "/rate_limit/keys/{rule}", "?user=alice", ""),
        ("delete", "/rate_limit/keys/{rule}", "?user=alice", ""),
        ("get", "/rate_limit/keys/{rule}", "?ip=nowhere", ""),
        ("get", "/rate_limit/keys", "?tenantId=a&key=k&limit=1&windowSeconds=60", ""),
        ("get", "/rate_limit/keys", "", ""),
        ("post", "/rate_limit/blocks", "", r#"{"user":"eve","expiresInSeconds":60,"reason":"r"}"#),
        ("post", "/rate_limit/blocks", "", r#"{"planet":"mars"}"#),
        ("get", "/rate_limit/blocks", "", ""),
        ("delete", "/rate_limit/blocks", "?user=eve", ""),
        ("delete", "/rate_limit/blocks", "?user=eve", ""),
        ("get", "/rate_limit/top", "", ""),
        ("delete", "/rate_limit/config", "", ""),
    ] {
        let real = path.replace("{rule}", "api").replace("{target}", "page");
        let line = format!("{} {real}{query}", method.to_uppercase());
        let answer = server.administer(&line, &[], body);
        assert_described(&description, method, path, &answer);
        if path.starts_with("/rate_limit") {
            let answer = server.client().send(&line, &[], b"");
            assert_eq!(answer.status, 401, "{line}");
            assert_described(&description, method, path, &answer);
        }
    }
}

/// Whoever checks questions by the description before they are sent sends all that is accepted.
#[test]
fn what_is_accepted_is_described() {
    let (server, _files) = server();
    let description = description(&server);
    let validator = |schema: &str| {
        let mut root = json!({ "$ref": format!("#/components/schemas/{schema}") });
        root["components"] = description["components"].clone();
        jsonschema::validator_for(&root).unwrap()
    };
    let mut questions = vec![
        json!({ "tenantId": "t".repeat(10_000), "key": "k", "limit": 1, "windowSeconds": 60 }),
        json!({ "tenantId": "t", "key": "k".repeat(65_000), "limit": 1, "windowSeconds": 60 }),
        json!({ "tenantId": "t", "key": "k", "limit": 4_294_967_295_u32, "windowSeconds": 86_400 }),
    ];
    let long = "x".repeat(2_000);
    let by_rule = |identity: Value, request: Value| json!({ "rule": "api", "identity": identity, "request": request });
    for (identity, request) in [
        (json!({}), json!({ "path": "/Users/a.b?x=1" })),
        (json!({}), json!({ "path": format!("/{long}"), "method": "M-SEARCH" })),
        (json!({}), json!({ "host": "Example.COM:8443", "method": "get" })),
        (json!({ "apiKey": "a key with blanks" }), json!({ "host": "[::1]:80" })),
        (json!({ "tenant": long, "tier": long, "claims": { "org": long } }), json!({})),
        (json!({ "headers": { "X-A_b": format!("{long} ") } }), json!({ "path": "/" })),
    ] {
        let mut identity = identity;
        identity["user"] = json!(long);
        questions.push(by_rule(identity, request));
    }
    for byte in 0..=0x7f_u8 {
        let text = format!("a{}b", byte as char);
        let user = || json!({ "user": "u" });
        questions.push(by_rule(user(), json!({ "path": format!("/{text}") })));
        questions.push(by_rule(user(), json!({ "path": format!("/?{text}") })));
        questions.push(by_rule(user(), json!({ "host": text })));
        questions.push(by_rule(user(), json!({ "method": text })));
        questions.push(by_rule(json!({ "user": "u", "apiKey": text }), json!({})));
        questions.push(by_rule(json!({ "user": "u", "headers": { text: "a" } }), json!({})));
    }
    let (ad_hoc, rule) = (validator("AdHocQuestion"), validator("RuleQuestion"));
    let mut accepted = 0;
    for question in questions {
        let answer = server.post("/check", &question.to_string());
        let validator = if question.get("rule").is_some() { &rule } else { &ad_hoc };
        if matches!(answer.status, 200 | 429) {
            accepted += 1;
            assert!(validator.is_valid(&question), "{:.200}", question.to_string());
        }
    }
    assert!(accepted > 500, "{accepted}");
    let block = validator("NewBlock");
    for body in [
        json!({ "user": long, "reason": "r".repeat(200) }),
        json!({ "ip": "2001:DB8::/32" }),
        json!({ "apiKey": long }),
    ] {
        let answer = server.administer("POST /rate_limit/blocks", &[], &body.to_string());
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert!(block.is_valid(&body), "{:.200}", body.to_string());
    }
}

/// The examples of questions are questions.
#[test]
fn the_examples_are_answered() {
    let server = Server::start(&[]);
    let description = description(&server);
    let content = &description["paths"]["/check"]["post"]["requestBody"]["content"];
    let examples = content["application/json"]["examples"].as_object().unwrap();
    assert!(examples.len() >= 4);
    for (name, example) in examples {
        let answer = server.post("/check", &example["value"].to_string());
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        assert_described(&description, "post", "/check", &answer);
    }
}
