//! Texts that stay as long as the program, because no response should count who refers to them.
//!
//! A value that is shared by all responses has all cores count in one place in memory; one that is
//! copied costs each response memory of its own. A text that is never given back costs neither. How
//! many there are depends on the configuration alone: one for each different list of policies, which
//! is kept once however often the rules are read again. And they are bounded all the same.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use http::HeaderValue;

/// How much may stay. Lists beyond it are shared.
const MAX_BYTES: usize = 4 << 20;

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
        let bytes = self.bytes.checked_add(text.len()).filter(|bytes| *bytes <= max_bytes)?;
        self.bytes = bytes;
        let kept: &'static str = Box::leak(text.into());
        self.texts.insert(kept);
        Some(kept)
    }
}

/// The value, cheap to clone; `None` if it has anything in it but visible ASCII. Only called while a
/// layer is built.
pub(super) fn value(text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok()?;
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    Some(kept.keep(text, MAX_BYTES).map_or(value, HeaderValue::from_static))
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn a_text_is_kept_once_and_all_of_them_within_bounds() {
        let mut kept = Kept::default();
        let first = kept.keep("1;w=1", 12).unwrap();
        for _ in 0..100 {
            assert!(std::ptr::eq(kept.keep("1;w=1", 12).unwrap(), first));
        }
        assert!(kept.keep("2;w=60", 12).is_some());
        assert!(kept.keep("3;w=60", 12).is_none(), "there is no room for another one");
        assert!(std::ptr::eq(kept.keep("1;w=1", 12).unwrap(), first));
    }
}
