//! Five buckets in two cache lines, and the protocol by which threads share them.
//!
//! ```text
//! word   0        1 .. 5    6, 7      8, 9   ..   14, 15
//!        version  tags      state 0   state 1     state 4
//! ```
//!
//! # Protocol
//!
//! The version is even while nobody writes, odd while somebody does, and larger after each change:
//! twice the nanosecond of the monotonic axis at which the change was decided, or the next even
//! number if that is not larger.
//!
//! - **Reading** takes no lock: read the version, then the buckets, then the version again. If it is
//!   the same even number, all that was read between stood there at one moment. This is how
//!   everything is decided, and all that a denial does.
//! - **Writing** begins with a compare-and-swap from the version under which the decision was taken
//!   to the odd number after it. It succeeds exactly if nothing has changed since, so what was
//!   decided is still true, and it keeps others out for the two or three stores that follow.
//!
//! A decision over several groups reads each as above and then takes all versions by
//! compare-and-swap, or none. Since each group stood still from its first reading to its taking,
//! there was a moment at which all that was read was true.
//!
//! # Time
//!
//! A decision must not be older than what it decides on: whoever was held up between reading the
//! clock and reading the bucket would find debt from a later moment, and be denied for it, or take it
//! for impossibly large. So the clock would have to be read last. But then it waits for the bucket,
//! which is likely to be far away, and with it everything that follows.
//!
//! The version makes the other order right. The clock is read first, while the bucket is on its way;
//! if the version then names a later instant, somebody has changed the group in between, and the
//! clock is read once more. Otherwise the bucket is as it was at the instant that was read, as if
//! each change had happened when it was decided.
//!
//! # Orderings
//!
//! Words are stored with release and loaded with acquire ordering: whoever sees a word of a change
//! also sees the odd version that came before it, and so finds the version changed. On x86 these
//! are plain loads and stores.

use rate_limit_core::{PackedState, Timestamp};

use crate::hints;
use crate::sync::{AtomicU64, Backoff, Ordering};

/// Buckets of a group. Two in the model that loom explores, so that it comes to an end.
pub(crate) const SLOTS: usize = if cfg!(loom) { 2 } else { 5 };

/// Words of a group: 128 bytes outside of loom.
pub(crate) const WORDS: usize = 1 + 3 * SLOTS;

/// One group of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a>(&'a [AtomicU64; WORDS]);

/// What names a bucket in its group. Zero is nobody's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Tag(pub(crate) u64);

impl Tag {
    pub(crate) const NOBODY: Self = Self(0);
}

/// The even version of a group at the moment at which it was read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Version(u64);

/// A group that this thread may write. The others get it back when this is dropped.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    pub(crate) group: Group<'a>,
    version: Version,
    /// When it was changed, if it was.
    changed_at: Option<Timestamp>,
}

impl Version {
    /// The one after this, of a group that is changed at an instant.
    #[inline]
    fn next(self, at: Timestamp) -> Self {
        // Sixty-three bits do not run out: at a change per nanosecond they last 292 years. A later
        // instant than that is none that a version can name, and the next number has to do.
        Self(self.0.wrapping_add(2).max(at.as_nanos() << 1))
    }

    /// Whether the group has been changed since an instant, if that may be so.
    #[inline]
    pub(crate) fn is_after(self, now: Timestamp) -> bool {
        self.0 >> 1 > now.as_nanos()
    }
}

impl<'a> Group<'a> {
    pub(crate) const fn new(words: &'a [AtomicU64; WORDS]) -> Self {
        Self(words)
    }

    /// Asks the processor for it, because it will be read in a moment.
    #[inline]
    pub(crate) fn fetch(self) {
        hints::fetch(self.0);
    }

    /// Begins to read.
    #[inline]
    pub(crate) fn version(self) -> Version {
        let version = self.version_word().load(Ordering::Acquire);
        if version.is_multiple_of(2) { Version(version) } else { self.version_later() }
    }

    /// Begins to read unless somebody is writing.
    #[inline]
    pub(crate) fn version_if_free(self) -> Option<Version> {
        let version = self.version_word().load(Ordering::Acquire);
        version.is_multiple_of(2).then_some(Version(version))
    }

    #[cold]
    fn version_later(self) -> Version {
        let mut backoff = Backoff::default();
        loop {
            let version = self.version_word().load(Ordering::Acquire);
            if version.is_multiple_of(2) {
                return Version(version);
            }
            backoff.wait();
        }
    }

    /// Ends reading: whether what was read since [`version`](Self::version) stood there at one
    /// moment.
    #[inline]
    pub(crate) fn is_still(self, version: Version) -> bool {
        // Relaxed is enough, because the loads of the words acquire, so this one comes after them.
        self.version_word().load(Ordering::Relaxed) == version.0
    }

    /// Begins to write if nothing has changed since `version`.
    #[inline]
    pub(crate) fn try_write(self, version: Version) -> Option<Writing<'a>> {
        let odd = version.0 | 1;
        self.version_word()
            .compare_exchange(version.0, odd, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| Writing { group: self, version, changed_at: None })
    }

    /// Begins to write, waiting for whoever else does.
    pub(crate) fn write(self) -> Writing<'a> {
        let mut backoff = Backoff::default();
        loop {
            if let Some(writing) = self.try_write(self.version()) {
                return writing;
            }
            backoff.wait();
        }
    }

    /// The slot of `tag`, if it has one here.
    #[inline]
    pub(crate) fn find(self, tag: Tag) -> Option<usize> {
        // All tags are compared, and nothing is decided before the last one: a processor that had to
        // guess which of them it will be would be wrong most of the time, and begin anew only when
        // the tags have come from memory.
        let mut slot = 0;
        for (number, word) in self.tag_words().iter().enumerate().skip(1) {
            slot = if word.load(Ordering::Acquire) == tag.0 { number } else { slot };
        }
        (self.tag(slot) == tag).then_some(slot)
    }

    #[inline]
    pub(crate) fn tag(self, slot: usize) -> Tag {
        Tag(self.tag_words().get(slot).map_or(0, |word| word.load(Ordering::Acquire)))
    }

    /// When the bucket at `slot` is as good as new.
    #[inline]
    pub(crate) fn full_at(self, slot: usize) -> Timestamp {
        let words = self.state_words(slot);
        Timestamp::from_nanos(words.map_or(0, |[first, _]| first.load(Ordering::Acquire)))
    }

    #[inline]
    pub(crate) fn state(self, slot: usize) -> PackedState {
        let words = self.state_words(slot);
        PackedState::from_words(words.map_or([0; 2], |words| {
            let [first, second] = words;
            [first.load(Ordering::Acquire), second.load(Ordering::Acquire)]
        }))
    }

    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(crate) fn address(self) -> usize {
        self.0.as_ptr().addr()
    }

    #[inline]
    fn version_word(self) -> &'a AtomicU64 {
        let [version, ..] = self.0;
        version
    }

    #[inline]
    fn tag_words(self) -> &'a [AtomicU64] {
        self.0.get(1..=SLOTS).unwrap_or_default()
    }

    #[inline]
    fn state_words(self, slot: usize) -> Option<&'a [AtomicU64; 2]> {
        self.0.get(1 + SLOTS..)?.as_chunks().0.get(slot)
    }
}

impl Writing<'_> {
    /// Gives `slot` a state, and to `tag`.
    #[inline]
    pub(crate) fn set(&mut self, slot: usize, tag: Tag, state: PackedState, at: Timestamp) {
        self.set_state(slot, state, at);
        if let Some(word) = self.group.tag_words().get(slot) {
            word.store(tag.0, Ordering::Release);
        }
    }

    /// Gives `slot` a new state, which was decided at an instant of the monotonic axis.
    #[inline]
    pub(crate) fn set_state(&mut self, slot: usize, state: PackedState, at: Timestamp) {
        self.changed_at = Some(at);
        if let Some([first, second]) = self.group.state_words(slot) {
            let [instant, rest] = state.to_words();
            first.store(instant, Ordering::Release);
            second.store(rest, Ordering::Release);
        }
    }

    /// Makes `slot` nobody's.
    pub(crate) fn clear(&mut self, slot: usize, at: Timestamp) {
        self.set(slot, Tag::NOBODY, PackedState::default(), at);
    }
}

impl Drop for Writing<'_> {
    #[inline]
    fn drop(&mut self) {
        let version = self.changed_at.map_or(self.version, |at| self.version.next(at));
        self.group.version_word().store(version.0, Ordering::Release);
    }
}
