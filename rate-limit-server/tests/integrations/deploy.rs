//! The files of `deploy/`, checked by the programs that read them.

use std::path::Path;
use std::process::{Command, Output};

use crate::program;
use crate::server::{Files, run};

const UNIT: &str = "deploy/rate-limit-server.service";

#[track_caller]
fn succeeds(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{complained}");
    output
}

fn promtool(arguments: &[&str], folder: &Path) -> Command {
    let mut promtool = program("PROMTOOL_PROGRAM");
    promtool.args(arguments).current_dir(folder);
    promtool
}

/// The names of all alerts.
fn alerts() -> Vec<String> {
    let rules = crate::file("deploy/prometheus/alerts.yaml");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn prometheus_accepts_its_configuration_and_the_alerts() {
    let folder = crate::root().join("deploy/prometheus");
    succeeds(&mut promtool(&["check", "config", "prometheus.yaml"], &folder));
    succeeds(&mut promtool(&["check", "rules", "alerts.yaml"], &folder));
}

#[test]
fn every_alert_fires_when_it_should_and_not_before() {
    let folder = crate::root().join("deploy/prometheus");
    succeeds(&mut promtool(&["test", "rules", "alerts.test.yaml"], &folder));
}

/// A test that no mistake turns red shows nothing: without its expression, and without the time for
/// which it waits, every alert is missed or comes too early.
#[test]
fn the_tests_of_the_alerts_can_fail() {
    let rules = crate::file("deploy/prometheus/alerts.yaml");
    let tests = crate::file("deploy/prometheus/alerts.test.yaml");
    for alert in alerts() {
        let place = rules.find(&format!("      - alert: {alert}\n")).unwrap();
        let (before, after) = rules.split_at(place);
        let end = after[1..].find("      - alert: ").map_or(after.len(), |end| end + 1);
        let (this, rest) = after.split_at(end);
        let mut mutants = vec![without_its_expression(this)];
        if let Some(wait) = this.lines().find(|line| line.trim().starts_with("for: ")) {
            mutants.push(this.replace(wait, "        for: 0s"));
        }
        for mutant in mutants {
            let files = Files::new();
            files.write("alerts.yaml", &format!("{before}{mutant}{rest}"));
            files.write("alerts.test.yaml", &tests);
            let folder = files.path("");
            succeeds(&mut promtool(&["check", "rules", "alerts.yaml"], &folder));
            let tested = promtool(&["test", "rules", "alerts.test.yaml"], &folder).output();
            assert!(!tested.unwrap().status.success(), "no test misses this:\n{mutant}");
        }
    }
}

/// The alert, with an expression that is never true.
fn without_its_expression(alert: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in alert.lines() {
        let begins = line.trim_start().starts_with("expr: ");
        inside = begins || (inside && line.starts_with("          "));
        match (begins, inside) {
            (true, _) => text.push_str("        expr: vector(0) > 1\n"),
            (false, true) => {}
            (false, false) => text.extend([line, "\n"]),
        }
    }
    text
}

#[test]
fn every_alert_has_a_section_in_the_runbook() {
    let runbook = crate::file("docs/runbook.md");
    let rules = crate::file("deploy/prometheus/alerts.yaml");
    for alert in alerts() {
        assert!(runbook.contains(&format!("\n### {alert}\n")), "no section {alert}");
        let link = format!("runbook: docs/runbook.md#{}\n", alert.to_lowercase());
        assert!(rules.contains(&link), "no {link}");
    }
    let sections = runbook.lines().filter_map(|line| line.strip_prefix("### "));
    for section in sections.filter(|section| section.starts_with("RateLimit")) {
        assert!(alerts().iter().any(|alert| alert == section), "no alert {section}");
    }
}

/// systemd reads it without a complaint, and finds little that the process could do.
#[test]
fn the_unit_is_right_and_hardened() {
    let files = Files::new();
    // The program has to exist, and is not installed here.
    let unit = crate::file(UNIT)
        .replace("/usr/local/bin/rate-limit-server", env!("CARGO_BIN_EXE_rate-limit-server"));
    let unit = files.write("rate-limit-server.service", &unit);
    let verified = succeeds(program("SYSTEMD_ANALYZE_PROGRAM").args(["verify", unit.as_str()]));
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!complaints.contains("rate-limit-server.service"), "{complaints}");
    let bound = ["security", "--offline=true", "--threshold=15", unit.as_str()];
    succeeds(program("SYSTEMD_ANALYZE_PROGRAM").args(bound));
}

#[test]
fn the_image_is_made_as_the_linter_likes_it() {
    succeeds(program("HADOLINT_PROGRAM").arg(crate::root().join("deploy/Dockerfile")));
}

/// What a file says to the program has to be understood by it.
#[test]
fn every_option_and_variable_that_the_files_use_exists() {
    let help = run(&["--help"], &[]);
    let help = String::from_utf8(help.stdout).unwrap();
    let unit = crate::file(UNIT);
    let commands =
        unit.lines().filter(|line| line.starts_with("Exec")).collect::<Vec<_>>().join(" ");
    let files = [commands, crate::file("deploy/Dockerfile"), crate::file("deploy/compose.yaml")];
    let text = files.join(" ");
    let words = text.split(|c: char| c.is_whitespace() || "\"[],`)".contains(c));
    // Of other programs' options only these are in the files.
    let theirs = [
        "--from=build",
        "--release",
        "--locked",
        "--package",
        "--yes",
        "--rm",
        "--build",
        "--no-install-recommends",
    ];
    let options: Vec<&str> =
        words.filter(|word| word.starts_with("--") && !theirs.contains(word)).collect();
    assert!(options.len() > 6, "{options:?}");
    for option in options {
        assert!(
            help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
            "{option}"
        );
    }

    let rules = crate::root().join("deploy/limits.toml");
    let compose = crate::file("deploy/compose.yaml");
    let variables: Vec<(&str, &str)> = compose
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| name.starts_with("RATE_LIMIT__"))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    assert_eq!(variables.len(), 2, "{variables:?}");
    let checked = run(&["--check", "--config", rules.to_str().unwrap()], &variables);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
    assert!(said.contains("store: redis://redis:6379"), "{said}");
}
