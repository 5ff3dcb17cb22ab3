use std::fs;
use std::path::Path;

use rate_limit_config::{Configuration, ConfigurationError, Environment};

use super::{accepted, read};

const RULE: &str = "[[rule]]\nname = \"api\"\nlimit = \"5/min\"\n";

/// Writes bytes to a file of their own and reads that; the message calls it `limits.toml`.
fn read_bytes(bytes: &[u8]) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    fs::write(&path, bytes).unwrap();
    read_file(&path)
}

fn read_file(path: &Path) -> Result<Configuration, String> {
    let folder = format!("{}/", path.parent().unwrap().display());
    Configuration::from_file(path, &Environment::empty())
        .map_err(|error: ConfigurationError| error.to_string().replace(&folder, ""))
}

#[test]
fn a_byte_order_mark_and_any_line_ends_are_accepted() {
    assert!(read_bytes(format!("\u{feff}{RULE}").as_bytes()).is_ok());
    assert!(read_bytes(RULE.replace('\n', "\r\n").as_bytes()).is_ok());
    let error = read(&format!("\u{feff}{}", RULE.replace('\n', "\r\n").replace("5/", "x/")));
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("limits.toml:3:9: rule.api.limit: \"x/min\": "), "{error}");
}

#[test]
fn columns_count_characters() {
    let error =
        read("[[rule]]\nname = \"api\"\nlimit = [\"5/min\", \"größe\", \"x\"]\n").unwrap_err();
    let lines: Vec<String> =
        error.problems().iter().map(|one| one.location().to_string()).collect();
    assert_eq!(lines, ["limits.toml:3:19", "limits.toml:3:28"]);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_place() {
    let mut bytes = RULE.as_bytes().to_vec();
    bytes.extend_from_slice(b"# caf\xe9\n");
    assert_eq!(
        read_bytes(&bytes).unwrap_err(),
        "limits.toml:4:6: the bytes from here on are no text; expected UTF-8",
    );
    let utf_16: Vec<u8> = RULE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [&[0xff, 0xfe], &*utf_16].concat();
    assert_eq!(
        read_bytes(&marked).unwrap_err(),
        "limits.toml:1:1: the bytes from here on are no text; expected UTF-8",
    );
}

#[test]
fn a_file_that_is_too_long_is_refused() {
    let long = format!("{RULE}#{}\n", "x".repeat(16 << 20));
    let expected = "limits.toml: the file is too long; expected at most 16777216 bytes";
    assert_eq!(read_bytes(long.as_bytes()).unwrap_err(), expected);
    assert_eq!(read(&long).unwrap_err().to_string(), expected);
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let error = read_file(&folder.path().join("limits.toml")).unwrap_err();
    assert!(error.starts_with("limits.toml: the file cannot be read: "), "{error}");
    assert!(read_file(folder.path()).unwrap_err().contains(": the file cannot be read: "));
}

#[test]
fn relative_paths_start_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("[store]\nkey_secret = \"file:secrets/key\"\n\n{RULE}");
    fs::write(folder.path().join("limits.toml"), text).unwrap();
    fs::create_dir(folder.path().join("secrets")).unwrap();
    let secret = folder.path().join("secrets/key");

    fs::write(&secret, "a secret of seventeen\r\n").unwrap();
    let configuration = read_file(&folder.path().join("limits.toml")).unwrap();
    let found = configuration.store.key_secret.unwrap();
    assert_eq!(found.expose(), b"a secret of seventeen", "without the end of the line");

    for (content, message) in [
        (String::new(), "it is empty"),
        ("\n".to_owned(), "it is empty"),
        ("x".repeat(70_000), "it is longer than 65536 bytes"),
    ] {
        fs::write(&secret, content).unwrap();
        assert_eq!(
            read_file(&folder.path().join("limits.toml")).unwrap_err(),
            format!(
                "limits.toml:2:14: store.key_secret: the file `secrets/key` cannot be used: {message}"
            ),
        );
    }
}

#[test]
fn a_hundred_problems_are_told_and_the_others_counted() {
    let text = RULE.replace("5/min", "5 per mint").repeat(150);
    let error = read(&text).unwrap_err();
    assert_eq!(error.problems().len(), 100);
    assert!(error.to_string().ends_with("\nand 199 more"), "{error}");
}

#[test]
fn a_line_of_twenty_thousand_mistakes_is_read() {
    let rules = "{ name = \"api\", limit = \"5/min\" }, ".repeat(20_000);
    let error = read(&format!("rule = [{rules}]\n")).unwrap_err();
    assert_eq!(error.problems().len(), 100);
    assert!(error.to_string().ends_with("\nand 39898 more"), "{error}");
}

#[test]
fn ten_thousand_rules_are_read() {
    let rule = |number: u32| {
        format!(
            "[[rule]]\nname = \"rule-{number}\"\nmethods = [\"GET\", \"POST\"]\n\
             paths = [\"/api/{number}\", \"/api/{number}/{{id}}\"]\nlimit = [\"10/s\", \"1000/day\"]\n"
        )
    };
    let text: String = (0..10_000).map(rule).collect();
    assert_eq!(accepted(&text).rules.len(), 10_000);
}
