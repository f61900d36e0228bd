use std::thread::LocalKey;

use axiomatic_core::shared::Stash;
use axiomatic_core::{Outcome, Pattern};

use super::Core;

/// What is measured of the calls that have slots: nothing, or how long they
/// take. The inside of the patterns that are made of slots.
#[expect(
    unnameable_types,
    reason = "the inside of `Bulkhead` and `AdaptiveLimit`"
)]
pub trait Meter: Send + Sync + Sized + 'static {
    /// Which pattern it makes.
    #[doc(hidden)]
    const PATTERN: Pattern;

    /// What is remembered of a call.
    #[doc(hidden)]
    type Mark: Copy + Send + Sync + Unpin;

    /// Of a call that is let through unseen.
    #[doc(hidden)]
    const UNSEEN: Self::Mark;

    /// A call has its slot.
    #[doc(hidden)]
    fn begin(core: &Core<Self>) -> Self::Mark;

    /// A call has an answer. Its slot is given back after this.
    #[doc(hidden)]
    fn settle(core: &Core<Self>, mark: Self::Mark, outcome: Outcome);

    /// Nobody waits for a call any more.
    #[doc(hidden)]
    fn cancelled(core: &Core<Self>, mark: Self::Mark);

    /// A call found no slot: it is refused, or waits.
    #[doc(hidden)]
    fn turned_away(&self);

    /// Where threads keep references.
    #[doc(hidden)]
    fn stash() -> &'static LocalKey<Stash<Core<Self>>>;
}
