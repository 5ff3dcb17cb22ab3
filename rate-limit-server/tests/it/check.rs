//! `POST /check`.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::server::{Files, Server};

const RULES: &str = r#"
[identity]
verified_by = "program"

[[rule]]
name = "per-user"
key = "user"
limit = { limit = 3, window = "1h", algorithm = "fixed_window" }
on_missing = "reject"

[[rule]]
name = "per-tenant"
group = "tenants"
key = "tenant"
limit = { limit = 5, window = "1h", algorithm = "fixed_window" }

[[rule]]
name = "per-key"
group = "keys"
key = "api_key"
limit = { limit = 2, window = "1h", algorithm = "fixed_window" }

[[rule]]
name = "per-ip"
group = "addresses"
key = "ip"
limit = { limit = 2, window = "1h", algorithm = "fixed_window" }

[tiers.premium]
per-ip = { limit = 4, window = "1h", algorithm = "fixed_window" }

[[block]]
networks = ["203.0.113.0/24"]

[[exempt]]
networks = ["198.51.100.7"]
"#;

fn with_rules() -> (Server, Files) {
    let files = Files::new();
    let file = files.write("limits.toml", RULES);
    (Server::start(&["--config", &file]), files)
}

fn check(server: &Server, question: Value) -> Answer {
    server.post("/check", &question.to_string())
}

fn acme(key: &str, limit: u64) -> Value {
    json!({ "tenantId": "acme", "key": key, "limit": limit, "windowSeconds": 60 })
}

/// The first line of what the service has to show, as far as it needs no restart.
#[test]
fn a_hundred_per_minute_are_a_hundred_and_another_tenant_is_untouched() {
    let server = Server::start(&[]);
    let mut client = server.client();
    for left in (0..100).rev() {
        let question = acme("acme:192.0.2.1", 100).to_string();
        let answer = client.send("POST /check", &[], question.as_bytes());
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!((&body["allowed"], &body["remaining"]), (&json!(true), &json!(left)));
        assert_eq!(body.as_object().unwrap().len(), 3, "allowed, remaining, resetAt: {body}");
        assert_eq!(answer.field("x-ratelimit-remaining"), Some(&*left.to_string()));
    }
    let denied = check(&server, acme("acme:192.0.2.1", 100));
    assert_eq!(denied.status, 429);
    let body = denied.json();
    assert_eq!((&body["allowed"], &body["remaining"]), (&json!(false), &json!(0)));
    assert_eq!(body.as_object().unwrap().len(), 4, "and retryAfter: {body}");
    let retry_after = body["retryAfter"].as_u64().unwrap();
    assert!((1..=60).contains(&retry_after), "{body}");
    assert_eq!(denied.field("retry-after"), Some(&*retry_after.to_string()));
    assert_eq!(denied.field("content-type"), Some("application/json"));

    let mut other = acme("acme:192.0.2.1", 100);
    other["tenantId"] = json!("other");
    assert_eq!(check(&server, other).json()["remaining"], json!(99));
}

/// The first line of what the service has to show, to its end: what was charged is still charged after
/// the process was killed.
#[test]
fn a_kill_forgives_nothing_where_the_store_is_a_file() {
    let files = Files::new();
    let store = format!("sqlite://{}", files.path("limits.db").display());
    // A busy machine must not make a test fail; the deadline has a test of its own.
    let patient = [("RATE_LIMIT__STORE__TIMEOUT", "10s")];
    let start = || Server::start_with(&["--store", &store], &patient);
    let mut server = start();
    for left in (0..100).rev() {
        let answer = check(&server, acme("k", 100));
        assert_eq!((answer.status, &answer.json()["remaining"]), (200, &json!(left)));
    }
    for _ in 0..3 {
        assert_eq!(check(&server, acme("k", 100)).status, 429);
        server.kill();
        server = start();
    }
    let denied = check(&server, acme("k", 100));
    assert_eq!(denied.status, 429, "{}", denied.text());
    assert_eq!(check(&server, acme("other", 100)).json()["remaining"], json!(99));
}

#[test]
fn tenants_never_share_a_bucket_whatever_they_write_into_keys() {
    let server = Server::start(&[]);
    let ask = |tenant: &str, key: &str| {
        let question = json!({ "tenantId": tenant, "key": key, "limit": 1, "windowSeconds": 60 });
        check(&server, question).status
    };
    for (tenant, key) in [("a", "b:c"), ("a:b", "c"), ("a", "b"), ("ab", "c"), ("a\u{0}b", "c")] {
        assert_eq!(ask(tenant, key), 200, "{tenant:?} {key:?}");
        assert_eq!(ask(tenant, key), 429, "{tenant:?} {key:?}");
    }
}

/// The limit is no part of the bucket: what was used stays used.
#[test]
fn another_limit_counts_what_was_used() {
    let server = Server::start(&[]);
    for _ in 0..6 {
        assert_eq!(check(&server, acme("k", 10)).status, 200);
    }
    assert_eq!(check(&server, acme("k", 20)).json()["remaining"], json!(13));
    assert_eq!(check(&server, acme("k", 5)).status, 429);
    let mut hour = acme("k", 10);
    hour["windowSeconds"] = json!(3_600);
    assert_eq!(
        check(&server, hour).json()["remaining"],
        json!(9),
        "another window is another bucket"
    );
}

#[test]
fn a_cost_is_charged_and_zero_only_asks() {
    let server = Server::start(&[]);
    let ask = |cost: u64| {
        let mut question = acme("k", 10);
        question["cost"] = json!(cost);
        check(&server, question)
    };
    assert_eq!(ask(4).json()["remaining"], json!(6));
    assert_eq!(ask(0).json()["remaining"], json!(6));
    assert_eq!(ask(7).status, 429);
    assert_eq!(ask(6).json()["remaining"], json!(0));
    let never = ask(11);
    assert_eq!((never.status, never.field("retry-after")), (429, None));
    assert!(never.json().get("retryAfter").is_none(), "waiting does not help");
}

#[test]
fn a_rule_decides_for_the_identity_that_is_told() {
    let (server, _files) = with_rules();
    let ask =
        |user: &str| check(&server, json!({ "rule": "per-user", "identity": { "user": user } }));
    for left in [2, 1, 0] {
        let answer = ask("alice");
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!(body["policies"][0]["policy"], json!("per-user"));
        assert_eq!((&body["remaining"], &body["policies"][0]["limit"]), (&json!(left), &json!(3)));
    }
    let denied = ask("alice");
    assert_eq!(denied.status, 429);
    assert_eq!(denied.json()["reason"], json!("quota-exceeded"));
    for field in ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "retry-after"] {
        assert!(denied.field(field).is_some(), "{field}");
    }
    assert_eq!(ask("bob").status, 200);
}

#[test]
fn keys_addresses_and_tiers_are_those_of_the_layer() {
    let (server, _files) = with_rules();
    let ask = |rule: &str, identity: Value| {
        check(&server, json!({ "rule": rule, "identity": identity })).json()["remaining"].clone()
    };
    assert_eq!(ask("per-key", json!({ "apiKey": "one" })), json!(1));
    assert_eq!(ask("per-key", json!({ "apiKey": "two" })), json!(1));
    // One subscriber of IPv6 owns a /64, and a mapped address is the one that it carries.
    assert_eq!(ask("per-ip", json!({ "ip": "2001:db8::1" })), json!(1));
    assert_eq!(ask("per-ip", json!({ "ip": "2001:db8::ffff" })), json!(0));
    assert_eq!(ask("per-ip", json!({ "ip": "192.0.2.1" })), json!(1));
    assert_eq!(ask("per-ip", json!({ "ip": "::ffff:192.0.2.1" })), json!(0));
    assert_eq!(ask("per-ip", json!({ "ip": "192.0.2.9", "tier": "premium" })), json!(3));
}

#[test]
fn who_is_missing_blocked_or_exempt_is_so_here_too() {
    let (server, _files) = with_rules();
    let ask =
        |rule: &str, identity: Value| check(&server, json!({ "rule": rule, "identity": identity }));
    let missing = ask("per-user", json!({ "ip": "192.0.2.1" }));
    assert_eq!(missing.status, 400);
    assert_eq!(missing.field("content-type"), Some("application/problem+json"));
    let blocked = ask("per-ip", json!({ "ip": "203.0.113.9" }));
    assert_eq!((blocked.status, &blocked.json()["reason"]), (403, &json!("blocked")));
    for _ in 0..5 {
        let exempt = ask("per-ip", json!({ "ip": "198.51.100.7" }));
        assert_eq!((exempt.status, &exempt.json()["allowed"]), (200, &json!(true)));
    }
}

#[test]
fn several_dimensions_are_charged_all_or_none() {
    let (server, _files) = with_rules();
    let both = |user: &str| {
        check(
            &server,
            json!({ "dimensions": [
                { "rule": "per-user", "identity": { "user": user } },
                { "rule": "per-tenant", "identity": { "tenant": "acme" } },
            ]}),
        )
    };
    let left = |rule: &str, identity: Value| {
        let asking = json!({ "rule": rule, "identity": identity, "cost": 0 });
        check(&server, asking).json()["remaining"].clone()
    };
    for _ in 0..3 {
        assert_eq!(both("alice").status, 200);
    }
    let denied = both("alice");
    assert_eq!(denied.status, 429);
    let violated: Vec<Value> = denied.json()["policies"].as_array().unwrap().clone();
    assert_eq!(violated[0]["violated"], json!(true));
    assert_eq!(violated[1]["violated"], json!(false));
    assert_eq!(
        left("per-tenant", json!({ "tenant": "acme" })),
        json!(2),
        "the denial charged none"
    );
    assert_eq!(both("bob").status, 200);

    let two = |limit: u64| {
        check(
            &server,
            json!({ "dimensions": [acme("ip:192.0.2.1", 5), acme("user:alice", limit)] }),
        )
    };
    assert_eq!(two(1).status, 200);
    assert_eq!(two(1).status, 429);
    assert_eq!(check(&server, acme("ip:192.0.2.1", 5)).json()["remaining"], json!(3));
}

/// What clients are told is said by `[responses]`, whoever brings the limit along.
#[test]
fn responses_are_as_the_rules_file_wants_them_also_after_a_reload() {
    const FIELDS: [&str; 5] = [
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ];
    let files = Files::new();
    let file = files.write("limits.toml", &format!("[responses]\nexpose = \"none\"\n{RULES}"));
    let server = Server::administered(&["--config", &file]);
    let reload = |responses: &str| {
        files.write("limits.toml", &format!("[responses]\n{responses}\n{RULES}"));
        let answer = server.administer("POST /rate_limit/reload", &[], "");
        assert_eq!((answer.status, &answer.json()["needsRestart"]), (200, &json!([])));
    };
    let told = |key: &str| {
        let mut fields = Vec::new();
        for status in [200, 429] {
            let answer = check(&server, acme(key, 1));
            assert_eq!(answer.status, status, "{key}: {}", answer.text());
            assert_eq!(answer.field("retry-after").is_some(), status == 429, "{key}");
            fields.push(FIELDS.map(|name| answer.field(name).is_some()));
        }
        assert_eq!(fields[0], fields[1], "{key}: on success and on denial alike");
        fields[0]
    };
    assert_eq!(told("none, from the start"), [false; 5]);
    reload("");
    assert_eq!(told("all"), [true; 5]);
    reload("draft_headers = \"none\"");
    assert_eq!(told("legacy"), [false, false, true, true, true]);
    reload("legacy_headers = false");
    assert_eq!(told("draft"), [true, true, false, false, false]);
    reload("expose = \"none\"");
    assert_eq!(told("none"), [false; 5]);
    reload("draft_headers = \"none\"\nlegacy_headers = false");
    assert_eq!(told("no fields"), [false; 5]);

    // Of the same counters, whichever layer counts.
    let metrics = server.get("/metrics");
    let counted = |outcome: &str| -> u64 {
        let of = |line: &&str| {
            line.starts_with("rate_limit_requests_total")
                && line.contains("rule=\"ad-hoc\"")
                && line.contains(&format!("outcome=\"{outcome}\""))
        };
        let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        metrics.text().lines().filter(of).map(count).sum()
    };
    assert_eq!((counted("allowed"), counted("denied")), (6, 6));
}

/// A wait of an hour is told up to six minutes longer, so that not all come back at once.
#[test]
fn waits_are_spread_for_limits_of_questions_too() {
    let files = Files::new();
    let text = format!("[responses]\nretry_jitter_percent = 10\n{RULES}");
    let server = Server::start(&["--config", &files.write("limits.toml", &text)]);
    let question = |key: u32| json!({ "tenantId": "acme", "key": key.to_string(), "limit": 1, "windowSeconds": 3_600 });
    let waits: Vec<u64> = (0..40)
        .map(|key| {
            assert_eq!(check(&server, question(key)).status, 200);
            check(&server, question(key)).json()["retryAfter"].as_u64().unwrap()
        })
        .collect();
    assert!(waits.iter().all(|wait| (3_540..=3_960).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait > 3_600), "{waits:?}");
}

/// One limit decides about a bucket. The stricter one of two would be dropped, or not, by their order.
#[test]
fn two_limits_on_one_bucket_are_refused() {
    let (server, _files) = with_rules();
    let refused = |question: Value| {
        let answer = check(&server, question);
        assert_eq!(answer.status, 422, "{}", answer.text());
        let errors = answer.json()["errors"].as_array().unwrap().clone();
        let told =
            |it: &Value| [&it["field"], &it["message"]].map(|it| it.as_str().unwrap().into());
        errors.iter().map(told).collect::<Vec<[String; 2]>>()
    };
    for limits in [[10, 1], [1, 10]] {
        let [one, other] = limits;
        assert_eq!(
            refused(json!({ "dimensions": [acme("same", one), acme("same", other)] })),
            [[
                "dimensions[1].limit".to_owned(),
                format!(
                    "dimensions[0] and dimensions[1] have the same tenantId, key and \
                     windowSeconds; expected one limit, not {one} in 60 s and {other} in 60 s"
                ),
            ]],
        );
    }
    // Everything is told, and none of the questions is decided.
    let three = json!({ "dimensions": [acme("a", 5), acme("b", 5), acme("a", 6), acme("b", 7)] });
    let told = refused(json!({ "batch": [acme("untouched", 5), three] }));
    let fields: Vec<&str> = told.iter().map(|[field, _]| field.as_str()).collect();
    assert_eq!(fields, ["batch[1].dimensions[2].limit", "batch[1].dimensions[3].limit"]);
    for key in ["same", "a", "untouched"] {
        assert_eq!(check(&server, acme(key, 5)).json()["remaining"], json!(4), "{key}");
    }

    // Tiers share the buckets of a rule, and have limits of their own.
    let of = |tier: Option<&str>| {
        let mut identity = json!({ "ip": "192.0.2.77" });
        if let Some(tier) = tier {
            identity["tier"] = json!(tier);
        }
        json!({ "rule": "per-ip", "identity": identity })
    };
    assert_eq!(
        refused(json!({ "dimensions": [of(Some("premium")), of(None)] })),
        [[
            "dimensions[1]",
            "dimensions[0] and dimensions[1] charge the same bucket of one rule, with different \
             tiers; expected one limit, not 4 in 3600 s and 2 in 3600 s",
        ]
        .map(str::to_owned)],
    );
}

#[test]
fn the_same_limit_twice_is_charged_twice() {
    let (server, _files) = with_rules();
    let of = |ip: &str| json!({ "rule": "per-ip", "identity": { "ip": ip } });
    let twice = check(&server, json!({ "dimensions": [of("192.0.2.1"), of("192.0.2.1")] }));
    assert_eq!((twice.status, &twice.json()["remaining"]), (200, &json!(0)));
    let twice = check(&server, json!({ "dimensions": [acme("k", 5), acme("k", 5)] }));
    assert_eq!((twice.status, &twice.json()["remaining"]), (200, &json!(3)));
    // Another window, key or tenant is another bucket, so other limits are no dispute.
    let mut hour = acme("k", 100);
    hour["windowSeconds"] = json!(3_600);
    let answer = check(&server, json!({ "dimensions": [acme("k", 5), hour, acme("l", 7)] }));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_batch_is_decided_one_by_one() {
    let (server, _files) = with_rules();
    let mut batch: Vec<Value> = (0..254).map(|_| acme("k", 100)).collect();
    batch.push(json!({ "rule": "per-user", "identity": { "user": "alice" } }));
    batch.push(json!({ "rule": "per-user", "identity": { "ip": "192.0.2.1" } }));
    let answer = check(&server, json!({ "batch": batch }));
    assert_eq!(answer.status, 200);
    let results = answer.json()["results"].as_array().unwrap().clone();
    assert_eq!(results.len(), 256);
    let allowed = |result: &&Value| result["allowed"] == json!(true);
    assert_eq!(results[..254].iter().filter(allowed).count(), 100);
    assert_eq!(results[99]["remaining"], json!(0), "in their order");
    assert_eq!((&results[254]["status"], &results[254]["remaining"]), (&json!(200), &json!(2)));
    assert_eq!(results[255]["reason"], json!("missing-identity"));
}

#[test]
fn a_batch_with_a_mistake_charges_nobody() {
    let server = Server::start(&[]);
    let mut wrong = acme("k", 5);
    wrong["limit"] = json!(0);
    let answer = check(&server, json!({ "batch": [acme("k", 5), wrong] }));
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["errors"][0]["field"], json!("batch[1].limit"));
    assert_eq!(check(&server, acme("k", 5)).json()["remaining"], json!(4));
    let long: Vec<Value> = (0..257).map(|_| acme("k", 5)).collect();
    let answer = check(&server, json!({ "batch": long }));
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains("1 to 256"), "{}", answer.text());
}
