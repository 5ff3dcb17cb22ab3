//! Who may depend on whom.

use cargo_metadata::DependencyKind;
use rate_limit_workspace_checks::edges::{self, Edge, Features, ROOMS};
use rate_limit_workspace_checks::workspace::LIBRARIES;

use crate::assert_none;

#[test]
fn no_library_has_a_dependency_that_is_not_listed() {
    let declared = edges::declared().unwrap();
    for library in LIBRARIES {
        assert!(declared.iter().any(|edge| edge.from == library), "{library} was looked at");
    }
    assert_none(edges::violations(&declared));
}

#[test]
fn no_library_reaches_what_is_out_of_its_reach() {
    for room in &ROOMS {
        // axum is a web framework and brings what it needs; without the feature the room is clean.
        let features = match room.name {
            "rate-limit-tower" => [Features::None, Features::Default].as_slice(),
            _ => [Features::None, Features::Default, Features::All].as_slice(),
        };
        for &features in features {
            let reached = edges::reached(room.name, features).unwrap();
            assert!(reached.iter().any(|name| name == room.name), "{reached:?}");
            assert_none(edges::out_of_reach(room, &reached));
        }
    }
}

#[test]
fn a_fabricated_edge_is_reported_with_crate_dependency_and_list() {
    let cases = [
        ("rate-limit-core", "tokio", DependencyKind::Normal, false),
        ("rate-limit-core", "rate-limit-memory", DependencyKind::Normal, false),
        ("rate-limit-core", "rate-limit-memory", DependencyKind::Development, false),
        ("rate-limit-core", "num-rational", DependencyKind::Normal, false),
        ("rate-limit-memory", "http", DependencyKind::Normal, false),
        ("rate-limit-memory", "http", DependencyKind::Build, true),
        ("rate-limit-memory", "rate-limit-redis", DependencyKind::Normal, false),
        ("rate-limit-tower", "tokio", DependencyKind::Normal, true),
        ("rate-limit-tower", "axum", DependencyKind::Normal, false),
        ("rate-limit-tower", "rate-limit-memory", DependencyKind::Normal, false),
        ("rate-limit-workspace-checks", "rate-limit-examples", DependencyKind::Normal, false),
        ("rate-limit-examples", "rate-limit-benches", DependencyKind::Development, false),
    ];
    for (from, to, kind, conditional) in cases {
        let edge = Edge { from: from.to_owned(), to: to.to_owned(), kind, conditional };
        let reported = edges::violations(std::slice::from_ref(&edge));
        let [message] = reported.as_slice() else { panic!("{edge:?} gave {reported:?}") };
        assert!(message.contains(from) && message.contains(to), "{message}");
        let listed = kind != DependencyKind::Development && LIBRARIES.contains(&from);
        assert_eq!(
            listed && !message.contains("for people"),
            message.contains(edges::LIST),
            "{message}"
        );
    }
}

#[test]
fn a_listed_edge_is_not_reported() {
    let cases = [
        ("rate-limit-core", "num-rational", DependencyKind::Normal, true),
        ("rate-limit-memory", "rate-limit-core", DependencyKind::Normal, false),
        ("rate-limit-memory", "tokio", DependencyKind::Development, false),
        ("rate-limit-examples", "tokio", DependencyKind::Normal, false),
    ];
    for (from, to, kind, conditional) in cases {
        let edge = Edge { from: from.to_owned(), to: to.to_owned(), kind, conditional };
        assert_none(edges::violations(&[edge]));
    }
}

#[test]
fn something_reached_through_somebody_else_is_reported() {
    let core = &ROOMS[0];
    let reached = ["rate-limit-core", "async-trait", "tokio"].map(str::to_owned);
    let reported = edges::out_of_reach(core, &reached);
    assert!(matches!(reported.as_slice(), [one] if one.contains("tokio")), "{reported:?}");
}
