//! A cap that the machine cannot hold, in a process that is allowed little memory.

#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]
#![allow(missing_docs, clippy::unwrap_used, reason = "these are tests")]

use std::process::Command;

use rate_limit_memory::{MemoryError, MemoryRepository};

const LIMITED: &str = "RATE_LIMIT_TEST_OF_LIMITED_MEMORY";

#[test]
fn a_cap_that_the_machine_cannot_hold_is_refused_with_the_figures() {
    if std::env::var_os(LIMITED).is_some() {
        // The process may take two gigabytes.
        let error = MemoryRepository::builder().max_keys(100_000_000).build().unwrap_err();
        let (max_keys, bytes) = (100_000_000, 2_560_000_000);
        assert_eq!(error, MemoryError::Memory { max_keys, bytes });
        assert_eq!(
            error.to_string(),
            "max_keys = 100000000 needs 2560000000 bytes, which the machine does not provide"
        );
        assert!(MemoryRepository::builder().max_keys(10_000_000).build().is_ok());
        return;
    }
    // The same test again, under a limit of the shell.
    let program = std::env::current_exe().unwrap();
    let name = "a_cap_that_the_machine_cannot_hold_is_refused_with_the_figures";
    let limited = Command::new("sh")
        .args(["-c", "ulimit -v 2000000 && exec \"$0\" --exact \"$1\""])
        .arg(program)
        .arg(name)
        .env(LIMITED, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&limited.stdout);
    assert!(limited.status.success() && text.contains("1 passed"), "{text}");
}
