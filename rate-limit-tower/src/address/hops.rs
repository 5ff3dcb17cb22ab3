//! The hops of a forwarding header, nearest first.
//!
//! Each proxy appends what it saw, so the walk goes from right to left, from what the nearest proxy
//! wrote towards what the client may have invented. Several lines of the same name are one list in
//! their order (RFC 9110, section 5.2). A hop is read from its own bytes alone: nothing to its left
//! can change what it means.

use std::net::IpAddr;

use http::HeaderValue;
use http::header::{GetAll, ValueIter};

use super::trusted::TrustedProxies;

/// How many bytes of a forwarding header are looked at, counted from its end.
pub(super) const MAX_BYTES: usize = 8 * 1024;

/// How many hops of a forwarding header are looked at, counted from its end.
pub(super) const MAX_HOPS: u8 = 16;

/// The addresses of the hops.
///
/// Ends at the first hop that cannot be read, and an empty one cannot; at the last hop there is; or
/// at the first one that does not lie wholly within the last [`MAX_BYTES`].
pub(super) struct Hops<'a> {
    lines: ValueIter<'a, HeaderValue>,
    /// What is left of the current line.
    rest: Option<&'a [u8]>,
    budget: usize,
    read: Read,
}

/// Reads one hop.
pub(super) type Read = fn(&[u8]) -> Option<IpAddr>;

impl<'a> Hops<'a> {
    pub(super) fn new(lines: GetAll<'a, HeaderValue>, read: Read) -> Self {
        Self { lines: lines.iter(), rest: None, budget: MAX_BYTES, read }
    }

    /// The first hop that is not crossed; or the last one, if all are; or `nearest`, who connected
    /// and is trusted, if there are none.
    pub(super) fn client(
        self,
        nearest: Option<IpAddr>,
        trusted: &TrustedProxies,
    ) -> Option<IpAddr> {
        let mut client = nearest;
        for (number, hop) in (1..=MAX_HOPS).zip(self) {
            client = Some(hop);
            if !trusted.cross(hop, number) {
                break;
            }
        }
        client
    }
}

impl Iterator for Hops<'_> {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let line = match self.rest.take() {
            Some(rest) => rest,
            None => self.lines.next_back()?.as_bytes(),
        };
        let unseen = line.len().saturating_sub(self.budget);
        let seen = line.get(unseen..)?;
        let hop = match seen.iter().rposition(|byte| *byte == b',') {
            Some(comma) => {
                self.rest = line.get(..unseen + comma);
                seen.get(comma + 1..)?
            }
            None if unseen == 0 => seen,
            None => return None,
        };
        // One more for the comma, which is only thought where a line begins.
        self.budget = self.budget.saturating_sub(hop.len() + 1);
        (self.read)(hop.trim_ascii())
    }
}
