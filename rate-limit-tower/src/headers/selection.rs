//! Which fields a layer writes.

/// Which fields a response carries. By default, the `X-RateLimit-*` that most clients read, and
/// those of the current draft.
///
/// # Example: only what the draft of the IETF says
///
/// ```
/// use rate_limit_tower::HeaderFields;
///
/// let fields = HeaderFields::new().without_legacy();
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct HeaderFields {
    pub(crate) legacy: Option<ResetFormat>,
    pub(crate) draft: DraftFields,
}

/// What `X-RateLimit-Reset` means. There is no standard; clients differ.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ResetFormat {
    /// The second since the Unix epoch, as on GitHub.
    #[default]
    EpochSeconds,
    /// Seconds from now.
    DeltaSeconds,
}

/// Which revision of draft-ietf-httpapi-ratelimit-headers the `RateLimit` fields follow. The text
/// still changes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum DraftFields {
    /// None of them.
    None,
    /// Up to revision 06: `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset` in seconds
    /// from now, and `RateLimit-Policy: 100;w=60`.
    Revision06,
    /// Revision 07: `RateLimit: limit=100, remaining=50, reset=5` and `RateLimit-Policy: 100;w=60`.
    Revision07,
    /// Revisions 08 to 11: `RateLimit: "name";r=50;t=5` and `RateLimit-Policy: "name";q=100;w=60`.
    #[default]
    Revision08To11,
}

impl HeaderFields {
    /// The default selection.
    pub const fn new() -> Self {
        Self { legacy: Some(ResetFormat::EpochSeconds), draft: DraftFields::Revision08To11 }
    }

    /// No `X-RateLimit-*`.
    #[must_use]
    pub const fn without_legacy(mut self) -> Self {
        self.legacy = None;
        self
    }

    /// `X-RateLimit-*`, with this meaning of the reset.
    #[must_use]
    pub const fn legacy(mut self, reset: ResetFormat) -> Self {
        self.legacy = Some(reset);
        self
    }

    /// `RateLimit` fields of this revision.
    #[must_use]
    pub const fn draft(mut self, revision: DraftFields) -> Self {
        self.draft = revision;
        self
    }
}

impl Default for HeaderFields {
    fn default() -> Self {
        Self::new()
    }
}
