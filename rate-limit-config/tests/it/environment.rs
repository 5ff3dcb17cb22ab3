use std::ffi::OsString;

use rate_limit_config::{Configuration, ConfigurationError, Environment, StoreKind};

const TEXT: &str = r#"
[store]
url = "memory://"

[[rule]]
name = "log-in"
limit = "5/min"

[[rule]]
name = "api"
group = "other"
limit = "100/min"
"#;

fn with<const N: usize>(variables: [(&str, &str); N]) -> Result<Configuration, ConfigurationError> {
    Configuration::from_toml("limits.toml", TEXT, &Environment::from_variables(variables))
}

#[test]
fn a_variable_wins_over_the_file() {
    let configuration = with([
        ("RATE_LIMIT__STORE__URL", "redis://db.example.com"),
        ("RATE_LIMIT__STORE__NODES", "4"),
        ("RATE_LIMIT__STORE__TIMEOUT", "10ms"),
        ("RATE_LIMIT__STORE__BREAKER__FAILURES", "7"),
        ("RATE_LIMIT__RESPONSES__LEGACY_HEADERS", "false"),
        ("UNRELATED", "1"),
    ])
    .unwrap();
    assert_eq!(configuration.store.url.kind(), StoreKind::Redis);
    assert_eq!((configuration.store.nodes, configuration.store.timeout.as_millis()), (4, 10));
    assert_eq!(configuration.store.breaker.failures, 7);
}

#[test]
fn a_rule_is_found_by_its_name_or_its_place() {
    let limits = |variable: &str, value: &str| {
        let configuration = with([(variable, value)]).unwrap();
        configuration.rules.iter().map(|rule| rule.limits[0].limit()).collect::<Vec<_>>()
    };
    assert_eq!(limits("RATE_LIMIT__RULE__LOG_IN__LIMIT", "7/min"), [7, 100]);
    assert_eq!(limits("RATE_LIMIT__rule__api__limit", "7/min"), [5, 7]);
    assert_eq!(limits("rate_limit__rule__api__limit", "7/min"), [5, 7]);
    assert_eq!(limits("RATE_LIMIT__RULE__0__LIMIT", "7/min"), [7, 100]);
    assert_eq!(limits("RATE_LIMIT__RULE__1__LIMIT", "[\"7/s\", \"50/min\"]"), [5, 7]);
    assert_eq!(limits("RATE_LIMIT__RULE__API__LIMIT", "{ limit = 7, window = \"1m\" }"), [5, 7]);
}

/// A message names what was typed, which is not the variable that it stands for.
#[test]
fn an_argument_wins_over_a_variable_and_is_named() {
    let environment = |url: &str| {
        Environment::from_variables([("Rate_Limit__Store__URL", "sqlite://of-the-variable")])
            .with_argument("--store", "RATE_LIMIT__STORE__URL", url)
    };
    let read = |url: &str| Configuration::from_toml("limits.toml", TEXT, &environment(url));
    assert_eq!(read("sqlite://limits.db").unwrap().store.url.expose(), "sqlite://limits.db");
    let message = read("pigeon://roof").unwrap_err().to_string();
    assert!(message.starts_with("--store: store.url: "), "{message}");
}

#[test]
fn a_variable_may_add_a_section() {
    let configuration = with([
        ("RATE_LIMIT__IDENTITY__TRUSTED_PROXIES", "10.0.0.0/8"),
        ("RATE_LIMIT__IDENTITY__FORWARDING_HEADER", "x-forwarded-for"),
        ("RATE_LIMIT__IDENTITY__DEFAULT_TIER", "free"),
        ("RATE_LIMIT__TIERS__FREE__API", "1/min"),
    ])
    .unwrap();
    assert_eq!(configuration.rules[1].tiers["free"][0].limit(), 1);
}

#[test]
fn a_problem_in_a_variable_names_the_variable() {
    let error = with([("RATE_LIMIT__RULE__API__LIMIT", "100/mint")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "RATE_LIMIT__RULE__API__LIMIT: rule.api.limit: \"100/mint\": `mint` is no unit of time; \
         expected a limit such as \"100/min\", did you mean \"100/min\"?",
    );
}

#[test]
fn a_table_of_the_file_can_get_one_more_key() {
    let text = "[[rule]]\nname = \"api\"\nlimit = { limit = 5, window = \"1m\" }\n";
    let environment = Environment::from_variables([("RATE_LIMIT__RULE__API__LIMIT__BURST", "50")]);
    let configuration = Configuration::from_toml("limits.toml", text, &environment).unwrap();
    assert_eq!(configuration.rules[0].limits[0].capacity(), 50);
}

#[test]
fn the_process_is_an_environment_too() {
    // What it holds is nobody's business here, but it must be readable and must not be shown.
    let shown = format!("{:?}", Environment::of_process());
    if let Ok(path) = std::env::var("PATH") {
        assert!(shown.contains("PATH") && !shown.contains(&path));
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let value = OsString::from_vec(vec![0xff]);
    let variables = [(OsString::from("RATE_LIMIT__STORE__URL"), value.clone())];
    let environment = Environment::from_variables(variables);
    let error = Configuration::from_toml("limits.toml", TEXT, &environment).unwrap_err();
    assert_eq!(error.to_string(), "RATE_LIMIT__STORE__URL: the value is not UTF-8");

    let others = Environment::from_variables([(value.clone(), value)]);
    assert!(Configuration::from_toml("limits.toml", TEXT, &others).is_ok());
}
