use std::fs;

use rate_limit_config::Configuration;

use super::EXAMPLE;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/limits.schema.json");

fn validator() -> jsonschema::Validator {
    let schema = serde_json::from_str(&Configuration::json_schema()).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

/// A rules file as JSON, which is what editors validate.
fn json(text: &str) -> serde_json::Value {
    let table: toml::Table = toml::from_str(text).unwrap();
    let mut value = serde_json::to_value(table).unwrap();
    plain_moments(&mut value);
    value
}

/// Moments are tables of their own on the way through serde.
fn plain_moments(value: &mut serde_json::Value) {
    if let Some(moment) = value.get("$__toml_private_datetime") {
        *value = moment.clone();
    }
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(plain_moments),
        serde_json::Value::Object(object) => object.values_mut().for_each(plain_moments),
        _ => {}
    }
}

/// After a change, run the tests with `BLESS=1`.
#[test]
fn the_schema_beside_the_example_is_the_current_one() {
    if std::env::var_os("BLESS").is_some() {
        fs::write(SCHEMA, Configuration::json_schema()).unwrap();
    }
    let is_current = fs::read_to_string(SCHEMA).unwrap() == Configuration::json_schema();
    assert!(is_current, "{SCHEMA} is not what the code says; run this test with BLESS=1");
}

#[test]
fn the_schema_accepts_the_example() {
    let example = json(&fs::read_to_string(EXAMPLE).unwrap());
    let errors: Vec<String> =
        validator().iter_errors(&example).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_schema_refuses_what_an_editor_can_see() {
    let validator = validator();
    for name in [
        "algorithms",
        "choices",
        "f02_unknown_field",
        "floats",
        "jwt_algorithm_none",
        "missing_keys",
        "names",
        "no_rules",
        "one_bracket",
        "prefixes",
        "wrong_types",
    ] {
        let path = format!("{}/tests/broken/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        // JSON has no such number, and TOML none that is as long.
        let text = fs::read_to_string(path).unwrap().replace("nan", "0.5");
        assert!(!validator.is_valid(&json(&text)), "{name} is accepted");
    }
}

#[test]
fn every_key_is_described() {
    fn undescribed(name: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
        for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
            let name = format!("{name}.{key}");
            if schema["description"].as_str().is_none_or(str::is_empty) {
                found.push(name.clone());
            }
            undescribed(&name, schema, found);
            undescribed(&name, &schema["items"], found);
        }
    }
    let mut found = Vec::new();
    let schema = serde_json::from_str(&Configuration::json_schema()).unwrap();
    undescribed("", &schema, &mut found);
    assert!(found.is_empty(), "{found:?}");
}
