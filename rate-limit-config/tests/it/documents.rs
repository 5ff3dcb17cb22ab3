use std::fs;
use std::path::Path;

use super::{accepted, read};

/// The TOML of a document, block by block.
fn blocks(path: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1);
    blocks.filter_map(|block| block.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn what_the_documents_show_is_accepted() {
    let mut count = 0;
    for block in ["README.md", "../docs/rules-file.md"].into_iter().flat_map(blocks) {
        let rule = "[[rule]]\nname = \"api\"\nlimit = \"100/min\"\n";
        let text = match &*block {
            block if block.contains("[[rule]]") => block.to_owned(),
            // Tiers need somebody who can have one.
            block if block.contains("[tiers.premium]") => {
                format!("[identity]\ndefault_tier = \"premium\"\n{rule}{block}")
            }
            block => format!("{rule}{block}"),
        };
        assert!(!accepted(&text).rules.is_empty());
        count += 1;
    }
    assert!(count >= 4, "the documents show nothing any more");
}

#[test]
fn mistakes_are_told_as_the_readme_says() {
    let text = r#"[[rule]]
name = "login"
pahts = "/login"
limit = "5 per mint"
[[rule]]
name = "api"
paths = "/users/{id}"
limit = "100/min"
[[rule]]
name = "users"
paths = "/users/{name}"
limit = "100/min"
"#;
    let said = read(text).unwrap_err().to_string();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    assert!(readme.contains(&format!("```text\n{said}\n```")), "{said}");
}
