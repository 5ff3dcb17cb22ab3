//! The description of all paths, taken at its word: schemathesis makes requests of it, right ones and
//! wrong ones, and compares every answer with what the document says.

use crate::server::{Server, TOKEN};

/// Draws the same examples each time, so that a failure can be repeated.
const SEED: &str = "20261127";

/// For each operation, beside those that are in the document and at the edges of its schemas.
const EXAMPLES: &str = "15";

#[test]
fn every_answer_is_one_that_the_document_describes() {
    let server = Server::administered(&["--log", "error"]);
    let url = format!("http://{}/openapi.json", server.address);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                  response_headers_conformance,response_schema_conformance";
    let output = crate::program("SCHEMATHESIS_PROGRAM")
        .args(["run", &url, "--checks", checks, "--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        // Nothing of a run before this one is taken into account.
        .args(["--generation-database", "none"])
        .args(["--continue-on-failure", "--no-color", "--suppress-health-check", "all"])
        .env("PYTHONPATH", crate::root().join("rate-limit-server/tests/integrations"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "toml_bodies")
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.contains(" generated, ")).expect("a count of cases");
    let cases: u32 = line.split_whitespace().next().unwrap().parse().unwrap();
    assert!(cases >= 1_000, "{line}");
    assert_eq!(server.get("/health").status, 200);
}
