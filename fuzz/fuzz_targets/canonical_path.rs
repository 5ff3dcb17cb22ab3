//! Any text in place of a path: no panic, a form that is its own canonical form, and the same form
//! for another spelling.

#![no_main]

use std::borrow::Cow;
use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use rate_limit_tower::canonical_path;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let canonical = canonical_path(&text);
    assert!(matches!(canonical_path(&canonical), Cow::Borrowed(again) if again == canonical));
    assert!(canonical.starts_with('/') || canonical == "*");
    assert!(canonical == "/" || !canonical.ends_with('/'));
    assert!(canonical.split('/').all(|segment| !matches!(segment, "." | "..")));
    assert!(!canonical.contains("//"));

    // Every letter, digit and dot encoded, every slash doubled, and a detour at the end.
    if canonical == "*" {
        return;
    }
    let mut spelling = String::new();
    let mut characters = canonical.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => {
                spelling.push('%');
                spelling
                    .extend(characters.by_ref().take(2).map(|digit| digit.to_ascii_lowercase()));
            }
            '/' => spelling.push_str("/./"),
            letter if letter.is_ascii_alphanumeric() || ".-_~".contains(letter) => {
                write!(spelling, "%{:02x}", u32::from(letter)).unwrap();
            }
            other => spelling.push(other),
        }
    }
    spelling.push_str("/detour/../");
    assert_eq!(canonical_path(&spelling), canonical);
});
