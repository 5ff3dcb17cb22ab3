//! Spellings, and properties over many of them.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{canonical_path, path_with_dot_segments};

#[test]
fn spellings() {
    for (spelling, canonical) in [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("*", "*"),
        ("/*", "/*"),
        ("login", "/login"),
        ("/login/", "/login"),
        ("/login//", "/login"),
        ("//login", "/login"),
        ("/./login", "/login"),
        ("/login/.", "/login"),
        ("/a/../login", "/login"),
        ("/a//../login", "/login"),
        ("/../../login", "/login"),
        ("/%2e%2E/login", "/login"),
        ("/%6Cogin", "/login"),
        ("/%6cogin", "/login"),
        ("/...", "/..."),
        ("/.hidden", "/.hidden"),
        ("/LOGIN", "/LOGIN"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2Fb", "/a%2Fb"),
        ("/a%252fb", "/a%252fb"),
        ("/%", "/%25"),
        ("/%4", "/%254"),
        ("/%zz", "/%25zz"),
        // Decoded carelessly, this would become an encoding that it was not.
        ("/%%34%31", "/%2541"),
        ("/%c3%a4", "/%C3%A4"),
        ("/ä", "/ä"),
        ("/%ä", "/%25ä"),
        ("/a;v=1", "/a;v=1"),
    ] {
        assert_eq!(canonical_path(spelling), canonical, "{spelling}");
    }
}

#[test]
fn spellings_with_dot_segments() {
    for (spelling, with_dots) in [
        ("/a/../b", Some("/a/../b")),
        ("//a/%2E%2e//%62/", Some("/a/../b")),
        ("/users/.", Some("/users/.")),
        ("..", Some("/..")),
        ("/a", None),
        ("//a/", None),
        ("/a/...", None),
        ("/.hidden", None),
        ("*", None),
    ] {
        assert_eq!(path_with_dot_segments(spelling).as_deref(), with_dots, "{spelling}");
    }
}

#[test]
fn a_canonical_path_is_borrowed() {
    for path in ["/", "*", "/a", "/a/b.c/~d", "/a%2Fb", "/ä"] {
        assert!(matches!(canonical_path(path), Cow::Borrowed(_)), "{path}");
    }
}

/// Paths made of pieces that mean something, so that they meet often.
fn any_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("//"),
        Just("."),
        Just(".."),
        Just("%"),
        Just("%2"),
        Just("%2e"),
        Just("%2F"),
        Just("%25"),
        Just("%41"),
        Just("4"),
        Just("1"),
        Just("a"),
        Just("ä"),
    ];
    prop_oneof![proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()), ".*"]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn canonical_once_is_canonical_for_good(path in any_path()) {
        let once = canonical_path(&path).into_owned();
        prop_assert!(matches!(canonical_path(&once), Cow::Borrowed(twice) if twice == once));
    }

    #[test]
    fn nothing_is_left_to_spell_differently(path in any_path()) {
        let path = canonical_path(&path);
        prop_assert!(path.starts_with('/') || path == "*");
        prop_assert!(!path.contains("//"));
        prop_assert!(path == "/" || !path.ends_with('/'));
        prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
    }

    #[test]
    fn encoding_any_letter_changes_nothing(path in "(/[a-z.]{1,5}){1,4}", index in 0_usize..20) {
        let index = index % path.len();
        let encoded = match path.as_bytes()[index] {
            b'/' => path.clone(),
            byte => format!("{}%{byte:02x}{}", &path[..index], &path[index + 1..]),
        };
        prop_assert_eq!(canonical_path(&encoded), canonical_path(&path));
    }
}
