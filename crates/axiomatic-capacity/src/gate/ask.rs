use std::num::NonZeroU32;

use axiomatic_core::Context;
use axiomatic_core::context::{Deadline, Priority};

/// What a call asks for.
///
/// ```
/// use axiomatic_capacity::bulkhead::Ask;
/// use axiomatic_core::context::Priority;
/// use std::num::NonZeroU32;
///
/// let report = Ask::default()
///     .weighing(NonZeroU32::new(4).unwrap())
///     .with_priority(Priority::SHEDDABLE);
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub(crate) weight: NonZeroU32,
    pub(crate) priority: Priority,
    pub(crate) deadline: Option<Deadline>,
}

impl Ask {
    /// One slot, for what matters as this context says, as long as it says.
    #[inline]
    pub fn of(context: &Context) -> Self {
        Ask {
            weight: NonZeroU32::MIN,
            priority: context.priority(),
            deadline: context.deadline(),
        }
    }

    /// So many slots, all at once.
    #[must_use]
    #[inline]
    pub const fn weighing(mut self, slots: NonZeroU32) -> Self {
        self.weight = slots;
        self
    }

    /// How much it matters, against others that wait.
    #[must_use]
    #[inline]
    pub const fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Until when a slot is worth anything.
    #[must_use]
    #[inline]
    pub const fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

impl Default for Ask {
    /// One slot, for a call that matters as most do, whenever there is one.
    #[inline]
    fn default() -> Self {
        Ask {
            weight: NonZeroU32::MIN,
            priority: Priority::default(),
            deadline: None,
        }
    }
}
