//! Texts that stay as long as the program, because no response should count who refers to them.
//!
//! A value that is shared by all responses has all cores count in one place in memory; one that is
//! copied costs each response memory of its own. A text that is never given back costs neither. How
//! many there are depends on the configuration alone: a few for each policy, one for each different
//! list of policies, and one for each small number of units that a client can be told it has left.
//! Each is kept once however often the rules are read again. And they are bounded all the same.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use http::HeaderValue;

/// How much may stay. Texts beyond it are shared.
const MAX_BYTES: usize = 4 << 20;

/// What it takes to find a text again.
const ENTRY_BYTES: usize = 2 * size_of::<&str>();

#[derive(Default)]
struct Kept {
    texts: HashSet<&'static str>,
    bytes: usize,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

impl Kept {
    fn keep(&mut self, text: &str, max_bytes: usize) -> Option<&'static str> {
        if let Some(kept) = self.texts.get(text) {
            return Some(kept);
        }
        let bytes =
            self.bytes.checked_add(text.len() + ENTRY_BYTES).filter(|bytes| *bytes <= max_bytes)?;
        self.bytes = bytes;
        let kept: &'static str = Box::leak(text.into());
        self.texts.insert(kept);
        Some(kept)
    }
}

/// The value, cheap to clone; `None` if it has anything in it but visible ASCII. Only called while a
/// layer is built, and when something is told for the first time.
pub(super) fn value(text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok()?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    Some(kept.keep(text, MAX_BYTES).map_or(value, HeaderValue::from_static))
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_BYTES, Kept};

    #[test]
    fn a_text_is_kept_once_and_all_of_them_within_bounds() {
        let mut kept = Kept::default();
        let max_bytes = "1;w=1".len() + "2;w=60".len() + 2 * ENTRY_BYTES;
        let first = kept.keep("1;w=1", max_bytes).unwrap();
        for _ in 0..100 {
            assert!(std::ptr::eq(kept.keep("1;w=1", max_bytes).unwrap(), first));
        }
        assert!(kept.keep("2;w=60", max_bytes).is_some());
        assert!(kept.keep("3;w=60", max_bytes).is_none(), "there is no room for another one");
        assert!(std::ptr::eq(kept.keep("1;w=1", max_bytes).unwrap(), first));
    }
}
