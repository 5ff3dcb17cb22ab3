//! How much clients are told.

/// How much a client is told about its limits. The order is by how much.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Exposure {
    /// When to come back, in `Retry-After` and in a body that says nothing else. Fields about limits
    /// that the inner service has written are removed, unless another of these layers has.
    None,
    /// All fields, the names of policies and the limits that were exceeded.
    #[default]
    Minimal,
    /// In bodies also what the request cost, and the limits that were not exceeded.
    Full,
}
