//! Any text in place of a rules file, and of a variable: no panic, something to say about whatever
//! is refused, and of whatever is accepted a line about each rule, and a layer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rate_limit_config::{
    ApplyError, Configuration, ConfiguredLayer, Environment, Problem, Severity,
};
use rate_limit_memory::MemoryRepository;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    // What stands behind a form feed, which files hardly have, is a variable and its value.
    let (text, variable) = text.split_once('\u{c}').unwrap_or((&text, ""));
    let variable = variable
        .split_once('=')
        .map(|(name, value)| (format!("RATE_LIMIT__{}", name.replace('\0', "")), value.to_owned()));
    let environment = Environment::from_variables(variable);
    match Configuration::from_toml("limits.toml", text, &environment) {
        Ok(configuration) => {
            let explained = configuration.explain();
            for rule in &configuration.rules {
                let line = format!("{}: ", rule.name);
                assert!(explained.lines().any(|said| said.starts_with(&line)));
                assert!(!rule.limits.is_empty() && !rule.key.is_empty());
            }
            let is_warning = |problem: &_| Problem::severity(problem) == Severity::Warning;
            assert!(configuration.warnings().iter().all(is_warning));
            let store = MemoryRepository::builder().build().unwrap();
            match ConfiguredLayer::builder(store).without_fallback().build(configuration) {
                // Without the feature that verifies tokens, which has tests of its own.
                Ok(_) | Err(ApplyError::JwtUnsupported) => {}
                Err(error) => panic!("what is accepted makes no layer: {error}"),
            }
        }
        Err(error) => {
            let is_error = |problem: &_| Problem::severity(problem) == Severity::Error;
            assert!(error.problems().iter().any(is_error));
            assert!(error.to_string().lines().count() >= error.problems().len());
        }
    }
});
