//! Case V03, promise G14: questions that are no questions are answered with what is wrong with them,
//! and cost little.

use serde_json::Value;

use crate::client::Answer;
use crate::server::{Server, TOKEN};

fn refused(server: &Server, body: &str, status: u16) -> Value {
    let answer: Answer = server.post("/check", body);
    assert_eq!(answer.status, status, "{:.200}: {}", body, answer.text());
    assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{body:.200}");
    answer.json()
}

#[test]
fn v03_costs_and_limits_that_are_none() {
    let server = Server::start(&[]);
    for cost in ["-1", "0.5", "\"1\"", "1e3", "4294967296", "null", "[]", "{}", "true"] {
        let body =
            format!(r#"{{"tenantId":"a","key":"k","limit":5,"windowSeconds":60,"cost":{cost}}}"#);
        let problem = refused(&server, &body, 422);
        let error = &problem["errors"][0];
        assert_eq!(error["field"], "cost");
        assert_eq!(error["expected"], "a whole number from 0 to 4294967295");
        assert!(error["value"].is_string(), "{error}");
    }
    // No JSON at all.
    for cost in ["1e309", "NaN", "Infinity", "0x1", "01", ""] {
        let body =
            format!(r#"{{"tenantId":"a","key":"k","limit":5,"windowSeconds":60,"cost":{cost}}}"#);
        let problem = refused(&server, &body, 400);
        assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");
    }
    for limit in ["0", "-5", "4294967296", "1.5", "\"5\""] {
        let body = format!(r#"{{"tenantId":"a","key":"k","limit":{limit},"windowSeconds":60}}"#);
        assert_eq!(refused(&server, &body, 422)["errors"][0]["field"], "limit");
    }
    for window in ["0", "31622401", "-1"] {
        let body = format!(r#"{{"tenantId":"a","key":"k","limit":5,"windowSeconds":{window}}}"#);
        assert_eq!(refused(&server, &body, 422)["errors"][0]["field"], "windowSeconds");
    }
    // More than a million per second is beyond what is counted exactly.
    let fast = r#"{"tenantId":"a","key":"k","limit":2000001,"windowSeconds":2}"#;
    let problem = refused(&server, fast, 422);
    assert_eq!(
        problem["detail"],
        "limit: 2000001; expected at most 1000000 per second, which is 2000000 in 2 s",
    );
    assert_eq!(problem["errors"][0]["value"], "2000001");
    for (limit, window) in [(2_000_000_u64, 2), (4_294_967_295, 4_295)] {
        let body =
            format!(r#"{{"tenantId":"a","key":"k","limit":{limit},"windowSeconds":{window}}}"#);
        assert_eq!(server.post("/check", &body).status, 200, "{body}");
    }
}

#[test]
fn v03_everything_that_is_wrong_is_told_at_once() {
    let server = Server::start(&[]);
    let problem = refused(&server, r#"{"tenantID":"a","key":"","limit":"5"}"#, 422);
    let fields: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["tenantID", "key", "limit", "tenantId", "windowSeconds"]);
    let problem = refused(&server, r#"{"rule":"defualt","identity":{"ip":"localhost"}}"#, 422);
    let errors = problem["errors"].as_array().unwrap();
    assert!(errors[0]["expected"].as_str().unwrap().contains("`default`"), "{problem}");
    assert_eq!(errors[1]["field"], "identity.ip");
    assert!(!problem.to_string().contains("localhost"), "what an identity holds is not repeated");
}

/// Of two limits nobody knows which one is meant, and the wrong one may let everybody pass.
#[test]
fn what_is_said_twice_is_refused_at_every_depth() {
    let server = Server::administered(&[]);
    let told = |problem: &Value| -> Vec<String> {
        let errors = problem["errors"].as_array().unwrap().iter();
        errors
            .map(|it| {
                assert_eq!(it["message"], "said twice; expected once", "{problem}");
                it["field"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    for (body, fields) in [
        (
            r#"{"tenantId":"a","key":"k","limit":1,"limit":500,"windowSeconds":60,"limit":1}"#,
            &["limit"][..],
        ),
        (
            r#"{"batch":[{"rule":"default","identity":{"ip":"::1","ip":"::2"},"cost":1,"cost":1}]}"#,
            &["batch[0].identity.ip", "batch[0].cost"],
        ),
        (
            r#"{"dimensions":[{"rule":"default","identity":{"headers":{"a":"1","a":"2"}}}]}"#,
            &["dimensions[0].identity.headers.a"],
        ),
        // One field of a header, however it is written.
        (
            r#"{"rule":"default","identity":{"headers":{"x-a":"1","X-A":"2"}}}"#,
            &["identity.headers.x-a"],
        ),
        (
            r#"{"rule":"default","identity":{"apiKey":"1","headers":{"x-api-key":"2"}}}"#,
            &["identity.headers.x-api-key"],
        ),
        (
            r#"{"rule":"default","identity":{"headers":{"host":"a"}},"request":{"host":"b"}}"#,
            &["request.host"],
        ),
    ] {
        assert_eq!(told(&refused(&server, body, 422)), fields, "{body}");
    }
    let one = refused(&server, r#"{"rule":"default","rule":"default"}"#, 422);
    assert_eq!(one["detail"], "rule: said twice; expected once");

    let receipt = r#"{"receipt":"00","receipt":"01","cost":1}"#;
    let answer = server.post("/settle", receipt);
    assert_eq!((answer.status, told(&answer.json())), (422, vec!["receipt".to_owned()]));
    let bearer = format!("Bearer {TOKEN}");
    for (line, body, field) in [
        ("POST /rate_limit/blocks", r#"{"ip":"192.0.2.1","ip":"192.0.2.2"}"#, "ip"),
        ("DELETE /rate_limit/blocks?ip=192.0.2.1&ip=192.0.2.2", "", "ip"),
        ("GET /rate_limit/keys/default?ip=192.0.2.1&%69p=192.0.2.2", "", "ip"),
        ("DELETE /rate_limit/keys/default?ip=::1&claim.a=1&claim.a=2", "", "claim.a"),
        ("GET /rate_limit/keys?tenantId=a&key=k&limit=5&windowSeconds=60&limit=6", "", "limit"),
    ] {
        let fields = [("authorization", bearer.as_str())];
        let answer = server.client().send(line, &fields, body.as_bytes());
        assert_eq!((answer.status, told(&answer.json())), (422, vec![field.to_owned()]), "{line}");
    }
    assert_eq!(server.get("/auth?denied=401&denied=403").status, 400);
    // Nothing was charged and nobody is blocked.
    let blocks = server.administer("GET /rate_limit/blocks", &[], "");
    assert_eq!(blocks.json()["blocks"], Value::Array(Vec::new()));
    let asking = r#"{"tenantId":"a","key":"k","limit":500,"windowSeconds":60,"cost":0}"#;
    assert_eq!(server.post("/check", asking).json()["remaining"], 500);
}

/// Whatever is routed is answered by us, and not by a framework in a line of text.
#[test]
fn every_mistake_is_a_problem_document_with_an_id() {
    let server = Server::administered(&[]);
    let bearer = format!("Bearer {TOKEN}");
    for (line, token, status) in [
        ("GET /rate_limit/keys/%ff?ip=::1", bearer.as_str(), 400),
        ("DELETE /rate_limit/keys/%ff?ip=::1", bearer.as_str(), 400),
        // Who has no token is not told more.
        ("GET /rate_limit/keys/%ff?ip=::1", "", 401),
        ("GET /rate_limit/keys/a/b", &bearer, 404),
        ("GET /rate_limit/keys/", &bearer, 404),
        ("GET /auth/%ff", "", 200),
        ("GET /%ff", "", 404),
        ("GET //", "", 404),
        ("OPTIONS *", "", 404),
        ("PUT /rate_limit/keys/%ff", &bearer, 405),
        ("BREW /check", "", 405),
    ] {
        let answer = server.client().send(line, &[("authorization", token)], b"");
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        assert!(answer.field("x-request-id").is_some(), "{line}");
        if status != 200 {
            assert_eq!(answer.field("content-type"), Some("application/problem+json"), "{line}");
            assert_eq!(answer.json()["status"], status, "{line}");
        }
    }
}

#[test]
fn v03_bodies_that_are_deep_long_or_none() {
    let server = Server::start(&[]);
    for deep in [10_000, 30_000] {
        let body = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
        refused(&server, &body, 400);
        let body = format!("{}1{}", r#"{"batch":["#.repeat(deep / 10), "]}".repeat(deep / 10));
        refused(&server, &body, 400);
    }
    for body in ["", "null", "1", "\"text\"", "[]", "\u{feff}{}", "{\"a\":", "{}{}"] {
        let answer = server.post("/check", body);
        assert!((400..=422).contains(&answer.status), "{body:?}: {}", answer.status);
    }
    refused(&server, &format!("\"{}\"", "a".repeat(64 << 10)), 413);
    assert_eq!(server.get("/health").status, 200);
}

/// A hundred megabytes that are announced are not begun, and those that are not are cut off.
#[test]
fn v03_a_hundred_megabytes() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.send_raw(b"POST /check HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 413);

    let mut client = server.client();
    client.send_raw(b"POST /check HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x1_0000], b"\r\n"].concat();
    (0..3).for_each(|_| client.send_raw(&chunk));
    assert_eq!(client.answer().unwrap().status, 413);
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn heads_that_are_too_long_and_lines_that_are_none() {
    let server = Server::start(&[]);
    let long = "a".repeat(40 << 10);
    let answer = server.client().send("GET /health", &[("x-long", &long)], b"");
    assert_eq!(answer.status, 431);
    assert_eq!((answer.field("x-request-id"), answer.body.len()), (None, 0), "as the docs say");
    let mut client = server.client();
    client.send_raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n");
    let answer = client.answer();
    assert!(answer.is_none_or(|answer| answer.status == 400));
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.get("/check").status, 405);
}
