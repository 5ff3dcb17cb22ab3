//! What operators post in the place of the rules of a file.

use crate::problem::Flaw;
use crate::source::Source;
use crate::tree::{Node, Value};

/// How messages call it.
pub(crate) const NAME: &str = "posted";

/// What it takes the place of, all of it at once.
const REPLACED: [&str; 4] = ["rule", "tiers", "exempt", "block"];

/// What stays as the file and the environment say. Whoever may change rules over the network may not
/// move the counters or decide whom to believe.
const KEPT: [&str; 3] = ["store", "identity", "responses"];

/// Puts what was posted in the place of the rules of the file.
pub(crate) fn replace_rules(file: &mut Node, posted: Node, source: &mut Source<'_>) {
    let (Value::Table(file), Value::Table(posted)) = (&mut file.value, posted.value) else {
        return;
    };
    REPLACED.iter().for_each(|key| _ = file.remove(*key));
    for (key, (place, node)) in posted {
        if KEPT.contains(&key.as_str()) {
            let flaw = Flaw::expected(
                "only `rule`, `tiers`, `exempt` and `block`; all else stays as the file and the \
                 environment say",
            );
            source.refuse(&place, &key, flaw);
            continue;
        }
        // What nobody knows is refused where all such keys are.
        file.insert(key, (place, node));
    }
}
