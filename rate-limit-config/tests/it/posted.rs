//! Rules that operators post in the place of those of the file.

use rate_limit_config::{Configuration, ConfigurationError, Environment};

const FILE: &str = r#"
[store]
nodes = 3

[identity]
ipv6_prefix = 56
verified_by = "program"

[[rule]]
name = "api"
limit = "100/min"

[tiers.gold]
api = "1000/min"

[[exempt]]
networks = ["192.0.2.0/24"]

[[block]]
users = ["mallory"]

[responses]
documentation_url = "https://example.com/limits"
"#;

const POSTED: &str = "[[rule]]\nname = \"search\"\nlimit = \"5/s\"\n";

fn read(file: &str, posted: &str) -> Result<Configuration, ConfigurationError> {
    Configuration::with_posted("limits.toml", file, posted, &Environment::empty())
}

fn refused(file: &str, posted: &str) -> String {
    read(file, posted).unwrap_err().to_string()
}

#[test]
fn all_four_are_replaced_and_all_else_stays() {
    let configuration = read(FILE, POSTED).unwrap();
    let names: Vec<&str> = configuration.rules.iter().map(|rule| &*rule.name).collect();
    assert_eq!(names, ["search"]);
    assert!(configuration.tiers.is_empty());
    assert!(configuration.exempt.is_empty() && configuration.block.is_empty());
    assert_eq!(configuration.store.nodes, 3);
    let file = Configuration::from_toml("limits.toml", FILE, &Environment::empty()).unwrap();
    assert_eq!((configuration.identity, configuration.responses), (file.identity, file.responses));
}

#[test]
fn what_is_not_the_operators_to_say_is_refused_where_it_stands() {
    for section in ["store", "identity", "responses"] {
        let message = refused(FILE, &format!("{POSTED}\n[{section}]\n"));
        assert!(
            message.starts_with(&format!("posted:5:2: {section}: expected only `rule`")),
            "{message}"
        );
    }
    let message = refused(FILE, "[[rules]]\nname = \"api\"\nlimit = \"5/s\"\n");
    assert!(message.contains("posted:1:3: rules: there is no such key"), "{message}");
}

#[test]
fn mistakes_are_told_with_the_text_that_they_stand_in() {
    let message = refused(FILE, "[[rule]]\nname = \"api\"\nlimit = \"5 per mint\"\n");
    assert!(message.starts_with("posted:3:9: rule.api.limit"), "{message}");
    let message = refused(&FILE.replace("nodes = 3", "nodes = 0"), POSTED);
    assert!(message.starts_with("limits.toml:3:9: store.nodes"), "{message}");
    let message = refused(FILE, "[[rule]\n");
    assert!(message.starts_with("posted:1:"), "{message}");
    let message = refused(FILE, "");
    assert!(message.starts_with("posted: "), "{message}");
}

#[test]
fn a_file_needs_no_rules_if_they_are_posted() {
    assert_eq!(read("[store]\nnodes = 2\n", POSTED).unwrap().rules.len(), 1);
}

#[test]
fn variables_win_over_what_was_posted() {
    let environment = Environment::from_variables([
        ("RATE_LIMIT__RULE__SEARCH__LIMIT", "7/s"),
        ("RATE_LIMIT__STORE__NODES", "4"),
    ]);
    let configuration = Configuration::with_posted("limits.toml", FILE, POSTED, &environment);
    let configuration = configuration.unwrap();
    assert_eq!((configuration.rules[0].limits[0].limit(), configuration.store.nodes), (7, 4));
}
