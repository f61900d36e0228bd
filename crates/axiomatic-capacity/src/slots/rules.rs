/// What becomes of the slots that are guaranteed to a partition which does not
/// use them.
///
/// That nothing is left unused, that there is never one call too many, and
/// that a guarantee is good at once: of the three one has to go. The third
/// always holds here.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// They are kept for it. There are never more calls in flight than the
    /// limit: for a resource that ends there.
    #[default]
    Reserved,
    /// Others borrow them. When it comes back, it has its guarantee at once,
    /// on top of what was borrowed: at the worst there are as many calls more
    /// than the limit as are guaranteed. For a limit that is a rule of thumb.
    Borrowing,
}

/// Whether a slot that is free may be taken although others wait.
///
/// A slot that is given back is handed to who waits, so it is seldom free. It
/// is while who waits needs more than there is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Barging {
    /// It may not: who comes waits behind the others, or is refused.
    #[default]
    Forbidden,
    /// It may. More is done, and what is heavy may wait for ever.
    Allowed,
}
