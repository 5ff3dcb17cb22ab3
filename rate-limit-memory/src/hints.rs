//! Hints to the machine. They change when something is done, never what.
//!
//! The unsafe code of this crate is here: two calls for which there is no safe one, each of which
//! gets an address that a reference has just given.

#![allow(unsafe_code, reason = "see above; Rust has no safe call for either")]

use crate::group::WORDS;
use crate::sync::AtomicU64;

/// Asks the processor for a group that will be read in a moment.
///
/// Unlike reading it, this does not keep the processor from reading its counter meanwhile, nor from
/// beginning with the next decision. Nothing on processors other than x86-64, where the standard
/// library has no such call yet.
#[inline]
pub(crate) fn fetch(group: &[AtomicU64; WORDS]) {
    #[cfg(all(target_arch = "x86_64", not(any(loom, miri, shuttle))))]
    for line in group.chunks(LINE_WORDS) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: no address is wrong for a hint, and this one belongs to a reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(any(loom, miri, shuttle)))))]
    let _ = group;
}

/// Words of a cache line.
#[cfg(all(target_arch = "x86_64", not(any(loom, miri, shuttle))))]
const LINE_WORDS: usize = 64 / size_of::<AtomicU64>();

/// Asks the operating system to provide this memory in pages of two megabytes, where it can.
pub(crate) fn provide_huge_pages(words: &[AtomicU64]) {
    #[cfg(all(target_os = "linux", not(any(loom, miri, shuttle))))]
    {
        use nix::sys::mman::{MmapAdvise, madvise};

        const HUGE_PAGE_BYTES: usize = 2 << 20;

        let begin = words.as_ptr().align_offset(HUGE_PAGE_BYTES / size_of::<AtomicU64>());
        if let Some(words) = words.get(begin..) {
            let begin = std::ptr::NonNull::from(words).cast();
            // SAFETY: the advice is about memory that a reference has just given, and leaves what is
            // in it as it is. Where it cannot be followed, the pages stay as they are.
            let advised = unsafe { madvise(begin, size_of_val(words), MmapAdvise::MADV_HUGEPAGE) };
            // It stays a hint: a kernel may have been built without such pages.
            advised.unwrap_or_default();
        }
    }
    #[cfg(not(all(target_os = "linux", not(any(loom, miri, shuttle)))))]
    let _ = words;
}
