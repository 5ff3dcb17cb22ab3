//! Shape and vocabulary of the libraries' source files.

use crate::workspace::TextFile;

/// The longest source file, in lines, without its tests.
pub const MAX_LINES: usize = 450;

/// Words that only certain files may use.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// The words, in lower case.
    pub words: &'static [&'static str],
    /// The folder in which they are banned.
    pub banned_below: &'static str,
    /// The file (and the folder of the same name) that may use them all the same.
    pub except: Option<&'static str>,
    /// Why.
    pub reason: &'static str,
}

/// The banned words.
pub const VOCABULARIES: [Vocabulary; 3] = [
    Vocabulary {
        words: &["instant::now", "systemtime::now", "utc::now", "local::now"],
        banned_below: "rate-limit-core/src/",
        except: None,
        reason: "the core reads no clock; an instant is an argument",
    },
    Vocabulary {
        words: &["println!", "print!", "dbg!"],
        banned_below: "rate-limit-core/src/",
        except: None,
        reason: "the core performs no I/O",
    },
    Vocabulary {
        words: &["x-ratelimit", "ratelimit-policy", "retry-after", "from_static(\"ratelimit"],
        banned_below: "rate-limit-tower/src/",
        except: Some("rate-limit-tower/src/headers"),
        reason: "only headers.rs spells a header field",
    },
];

/// What is wrong with the shape of `file`, one sentence each.
pub fn shape_violations(file: &TextFile) -> Vec<String> {
    let mut violations = Vec::new();
    let TextFile { path, text } = file;
    if path.ends_with("/mod.rs") {
        violations.push(format!("{path}: expected `name.rs` beside `name/` instead of `mod.rs`"));
    }
    if is_test_file(path) {
        return violations;
    }
    let lines = lines_without_tests(text).len();
    if lines > MAX_LINES {
        violations
            .push(format!("{path}: {lines} lines; expected at most {MAX_LINES} without tests"));
    }
    let first = text.lines().next().unwrap_or_default();
    let documented = first.starts_with("//!")
        || first.starts_with("#![doc")
        || (first.starts_with("#![cfg_attr(") && first.contains("doc = "));
    if !documented {
        violations.push(format!("{path}: expected module docs (`//!`) in the first line"));
    }
    violations
}

/// The banned words that `file` uses in its code, one sentence each. Comments and tests may use
/// any word.
pub fn vocabulary_violations(file: &TextFile, vocabulary: &Vocabulary) -> Vec<String> {
    let TextFile { path, text } = file;
    let excepted = vocabulary
        .except
        .and_then(|except| path.strip_prefix(except))
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
    if !path.starts_with(vocabulary.banned_below) || excepted || is_test_file(path) {
        return Vec::new();
    }
    let code = without_comments(text).to_lowercase();
    let mut violations = Vec::new();
    for (number, line) in lines_without_tests(&code) {
        for word in vocabulary.words.iter().filter(|word| line.contains(**word)) {
            violations.push(format!("{path}:{number}: `{word}`; {}", vocabulary.reason));
        }
    }
    violations
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// The lines of `text` outside of its test modules, with their numbers. A test module ends with the
/// first brace that is not indented.
fn lines_without_tests(text: &str) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut lines = text.lines().map(str::trim_end).zip(1..).peekable();
    let mut kept = Vec::new();
    while let Some((line, number)) = lines.next() {
        if inside {
            inside = line != "}";
            continue;
        }
        let module_follows =
            lines.peek().is_some_and(|(next, _)| next.starts_with("mod ") && next.ends_with('{'));
        inside = module_follows && line.starts_with("#[cfg(") && line.contains("test");
        if !inside {
            kept.push((number, line));
        }
    }
    kept
}

/// `text` with comments replaced by blanks; lines stay where they are.
pub fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (token, kept) = token(rest, next);
        if kept {
            code.push_str(token);
        } else {
            code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = rest.get(token.len()..).unwrap_or_default();
    }
    code
}

/// The token at the start of `rest`, and whether it is code.
fn token(rest: &str, next: char) -> (&str, bool) {
    let upto = |end: Option<usize>| rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
    if rest.starts_with("//") {
        return (upto(rest.find('\n')), false);
    }
    if rest.starts_with("/*") {
        return (upto(end_of_block_comment(rest)), false);
    }
    if let Some(hashes) = raw_string_hashes(rest) {
        let close = format!("\"{}", "#".repeat(hashes));
        let body = hashes + 2;
        let end = rest.get(body..).and_then(|text| text.find(&close));
        return (upto(end.map(|end| body + end + close.len())), true);
    }
    if next == '"' {
        return (upto(end_of_string(rest)), true);
    }
    if rest.starts_with("'\"'") {
        return (upto(Some(3)), true);
    }
    (upto(Some(next.len_utf8())), true)
}

fn end_of_block_comment(rest: &str) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let text = rest.get(at..)?;
        if text.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += text.chars().next()?.len_utf8();
        }
    }
}

fn raw_string_hashes(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after.get(hashes..)?.starts_with('"').then_some(hashes)
}

fn end_of_string(rest: &str) -> Option<usize> {
    let mut escaped = false;
    rest.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at + 1)
    })
}
