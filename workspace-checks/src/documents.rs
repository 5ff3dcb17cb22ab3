//! What the Markdown files refer to has to exist.

use crate::workspace::TextFile;

/// The relative links of `document` that lead nowhere, one sentence each. `exists` is asked for
/// paths from the root.
pub fn broken_links(document: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    links(&prose(&document.text))
        // Other sites, headings of the same page, and items that rustdoc finds and checks.
        .filter(|link| !["://", "mailto:", "::"].iter().any(|part| link.contains(part)))
        .filter(|link| !link.starts_with('#'))
        .filter_map(|link| {
            let target = link.split('#').next().unwrap_or(link);
            let path = resolve(folder, target)?;
            (!exists(&path)).then(|| format!("{}: the link `{link}` leads nowhere", document.path))
        })
        .collect()
}

/// The source files that `document` names in backticks and that do not exist, one sentence each.
/// A name is taken for a source file if it starts with the name of a member and ends in a suffix
/// of a text file.
pub fn missing_files(document: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<String> {
    code_spans(&prose(&document.text))
        .filter(|span| {
            let first = span.split('/').next().unwrap_or_default();
            let member = first.starts_with("rate-limit-")
                || ["docs", "scripts", "examples", "benches", "workspace-checks"].contains(&first);
            let named = [".rs", ".md", ".toml"].iter().any(|suffix| span.ends_with(suffix));
            span.contains('/') && member && named && !span.contains(['*', '<', ' ', '{'])
        })
        .filter(|span| !exists(span))
        .map(|span| format!("{}: there is no file `{span}`", document.path))
        .collect()
}

/// The tests that the table of promises in `readme` names and that no file in `sources` has, one
/// sentence each. The table is the one under the heading `heading`. Its last column names tests and
/// scenarios of the conformance suite in backticks.
pub fn missing_tests(readme: &TextFile, heading: &str, sources: &[TextFile]) -> Vec<String> {
    let rows: Vec<&str> = promise_rows(&readme.text, heading).collect();
    if rows.is_empty() {
        return vec![format!("{}: there is no table under `{heading}`", readme.path)];
    }
    let mut violations = Vec::new();
    for row in rows {
        let last = row.trim().trim_matches('|').rsplit('|').next().unwrap_or_default();
        let tests: Vec<&str> = code_spans(last).collect();
        if tests.is_empty() {
            violations.push(format!("{}: a promise without a test: {row}", readme.path));
        }
        for test in tests {
            let function = format!("fn {}(", test.rsplit("::").next().unwrap_or(test));
            let scenario = format!("\"{test}\"");
            let shows = |source: &TextFile| {
                source.text.contains(&function) || source.text.contains(&scenario)
            };
            if !sources.iter().any(shows) {
                violations.push(format!("{}: there is no test `{test}`", readme.path));
            }
        }
    }
    violations
}

/// Version numbers in the prose of `document`, one sentence each: a number of three parts, or one
/// of `versions`. They belong in manifests, where somebody keeps them true.
pub fn version_numbers(document: &TextFile, versions: &[&str]) -> Vec<String> {
    prose(&document.text)
        .split(|c: char| !(c.is_ascii_alphanumeric() || ".-_:/".contains(c)))
        .map(|word| word.trim_matches(['.', ':', '-', '/']).trim_start_matches('v'))
        .filter(|word| versions.contains(word) || is_version(word))
        .map(|word| format!("{}: the version number {word} in prose", document.path))
        .collect()
}

/// Three numbers; four are an address.
fn is_version(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.len() == 3 && parts.iter().all(number)
}

/// `text` without its fenced code blocks.
fn prose(text: &str) -> String {
    let mut inside = false;
    let mut prose = String::with_capacity(text.len());
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

fn links(prose: &str) -> impl Iterator<Item = &str> {
    prose.split("](").skip(1).filter_map(|after| after.split(')').next())
}

fn code_spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn promise_rows<'a>(text: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    let section = text.lines().skip_while(move |line| !line.starts_with(heading));
    let heading_row_and_ruler = 2;
    section
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with('|'))
        .skip(heading_row_and_ruler)
        .collect::<Vec<_>>()
        .into_iter()
}

/// `target` seen from `folder`, as a path from the root; `None` if it leaves the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
