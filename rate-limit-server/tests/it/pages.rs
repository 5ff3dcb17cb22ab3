//! What page, dashboard and alerts say of metrics is what the service exposes, and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redis_testbed::RedisServer;

use crate::server::{Files, Server, until};

/// Rules under which everything happens that metrics are about.
const RULES: &str = r#"
[identity.jwt]
issuer = "https://issuer.test"
audience = "limits"
[[identity.jwt.key]]
algorithm = "HS256"
secret = "a-secret-of-the-tests-0123456789abcdef"

[[rule]]
name = "site"
limit = { limit = 1000, window = "1h", algorithm = "fixed_window" }
on_failure = "deny"

[tiers.premium]
site = { limit = 2000, window = "1h", algorithm = "fixed_window" }
"#;

/// Labels that Prometheus adds, or that histograms have.
const OTHERS: [&str; 4] = ["instance", "job", "le", "quantile"];

/// The labels of all metrics, by their names.
type Metrics = BTreeMap<String, BTreeSet<String>>;

fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// What a service exposes to which everything has happened that is counted.
fn exposed() -> Metrics {
    let files = Files::new();
    let rules = files.write("limits.toml", RULES);
    let redis = RedisServer::start().unwrap();
    let server = Server::administered(&["--config", &rules, "--store", &redis.url()]);
    let check = |cost: u32| {
        let body = format!(r#"{{"rule":"site","identity":{{"ip":"192.0.2.1"}},"cost":{cost}}}"#);
        server.post("/check", &body).status
    };
    until("the store decides", || check(1) == 200);
    // Close to the limit.
    assert_eq!(check(900), 200);
    redis.suspend().unwrap();
    until("the breaker opens", || {
        check(1);
        server.get("/metrics").text().contains("rate_limit_redis_breaker_open")
    });
    read(server.get("/metrics").text())
}

fn read(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let part = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix).filter(|name| name.ends_with("_seconds")));
        let name = part.unwrap_or(name).to_owned();
        let labels = labels.split("\",").filter_map(|label| label.split_once("=\""));
        metrics.entry(name).or_default().extend(labels.map(|(label, _)| label.to_owned()));
    }
    metrics
}

/// What the tables of the page say: a metric, and its labels in the next column.
fn documented() -> Metrics {
    let page = file("docs/metrics-and-logs.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `rate_limit_"));
    let spans = |text: &str| -> BTreeSet<String> {
        text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    rows.map(|row| {
        let (name, rest) = row.split_once('`').unwrap();
        let labels = rest.trim_start_matches(" |").split('|').next().unwrap();
        (format!("rate_limit_{name}"), spans(labels))
    })
    .collect()
}

/// The metrics that an expression names, each with the labels that it selects by.
fn named(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let uses = expression.match_indices("rate_limit_").map(|(place, _)| {
        let rest = &expression[place..];
        let (name, after) = rest.split_at(rest.find(|c: char| !word(c)).unwrap_or(rest.len()));
        let name = name.strip_suffix("_bucket").unwrap_or(name).to_owned();
        let selector = after.strip_prefix('{').map_or("", |text| text.split('}').next().unwrap());
        let labels = selector
            .split(',')
            .filter_map(|part| part.find(['=', '!']).map(|end| part[..end].trim().to_owned()));
        (name, labels.collect())
    });
    uses.collect()
}

/// Fails if an expression names what there is not.
#[track_caller]
fn is_exposed(place: &str, expression: &str, exposed: &Metrics) {
    for (name, labels) in named(expression) {
        let known = exposed.get(&name).unwrap_or_else(|| panic!("{place}: there is no {name}"));
        for label in labels {
            let is_known = known.contains(&label) || OTHERS.contains(&label.as_str());
            assert!(is_known, "{place}: {name} has no label {label}, only {known:?}");
        }
    }
}

/// All texts that are members of this name.
fn members(value: &serde_json::Value, name: &str, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| members(item, name, found)),
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                match value.as_str() {
                    Some(text) if key == name => found.push(text.to_owned()),
                    _ => members(value, name, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_page_the_dashboard_and_the_alerts_name_what_is_exposed() {
    let exposed = exposed();
    assert_eq!(documented(), exposed, "docs/metrics-and-logs.md left, /metrics right");

    let dashboard: serde_json::Value =
        serde_json::from_str(&file("deploy/grafana/rate-limit.json")).unwrap();
    let mut queries = Vec::new();
    for name in ["expr", "definition"] {
        members(&dashboard, name, &mut queries);
    }
    assert!(queries.len() > 20, "{queries:?}");
    for query in &queries {
        is_exposed("deploy/grafana/rate-limit.json", query, &exposed);
    }
    let all = queries.concat();
    for name in exposed.keys() {
        assert!(all.contains(name.as_str()), "the dashboard does not show {name}");
    }

    let alerts = file("deploy/prometheus/alerts.yaml");
    assert!(named(&alerts).len() > 10);
    is_exposed("deploy/prometheus/alerts.yaml", &alerts, &exposed);
}

#[test]
fn a_name_that_nobody_exposes_is_noticed() {
    let exposed = read(
        "# HELP x\nrate_limit_a_total{rule=\"x\",policy=\"y, z\"} 1\n\
         rate_limit_b_seconds_bucket{le=\"1\"} 2\nrate_limit_b_seconds_sum 2\n",
    );
    is_exposed(
        "here",
        "sum by (rule) (rate(rate_limit_a_total{rule!=\"q\", job=\"r\"}[5m]))",
        &exposed,
    );
    is_exposed("here", "rate_limit_b_seconds_bucket / 2", &exposed);
    for wrong in ["rate_limit_c_total", "rate_limit_a_total{ruel=\"x\"}"] {
        let noticed = std::panic::catch_unwind(|| is_exposed("here", wrong, &exposed));
        assert!(noticed.is_err(), "{wrong}");
    }
}
