//! What a load shedder asks about a request besides what it carries.

use std::fmt;

use axiomatic_core::time::Instant;

use super::Ask;
use super::fairness::Fairness;
use crate::rate_limit::keyed::KeyHasher;

/// How requests are sorted before it is asked about them. It is sealed.
pub trait Sorting<Req>: Sealed {
    /// What to ask; nothing, if the request is exempt.
    #[doc(hidden)]
    fn sort(&self, request: &Req, ask: Ask, now: Instant) -> Option<Ask>;
}

#[expect(unnameable_types, reason = "that nobody can name it is what seals")]
pub trait Sealed {}

/// As they come: by the priority that they carry.
#[derive(Copy, Clone, Debug, Default)]
pub struct AsCarried;

impl Sealed for AsCarried {}

impl<Req> Sorting<Req> for AsCarried {
    #[inline(always)]
    fn sort(&self, _: &Req, ask: Ask, _: Instant) -> Option<Ask> {
        Some(ask)
    }
}

/// Some are let in unasked.
#[derive(Copy, Clone)]
pub struct Exempting<Q, F> {
    sorting: Q,
    is_exempt: F,
}

impl<Q, F> Exempting<Q, F> {
    pub(super) fn new(sorting: Q, is_exempt: F) -> Self {
        Exempting { sorting, is_exempt }
    }
}

impl<Q, F> Sealed for Exempting<Q, F> {}

impl<Q: Sorting<Req>, F: Fn(&Req) -> bool, Req> Sorting<Req> for Exempting<Q, F> {
    #[inline]
    fn sort(&self, request: &Req, ask: Ask, now: Instant) -> Option<Ask> {
        if (self.is_exempt)(request) {
            None
        } else {
            self.sorting.sort(request, ask, now)
        }
    }
}

impl<Q: fmt::Debug, F> fmt::Debug for Exempting<Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exempting")
            .field("sorting", &self.sorting)
            .finish_non_exhaustive()
    }
}

/// Inside of a class by user.
#[derive(Clone)]
pub struct ByUser<Q, F> {
    sorting: Q,
    fairness: Fairness,
    user_of: F,
}

impl<Q, F> ByUser<Q, F> {
    pub(super) fn new(sorting: Q, fairness: Fairness, user_of: F) -> Self {
        ByUser {
            sorting,
            fairness,
            user_of,
        }
    }
}

impl<Q, F> Sealed for ByUser<Q, F> {}

impl<Q, F, Req> Sorting<Req> for ByUser<Q, F>
where
    Q: Sorting<Req>,
    F: Fn(&Req, &KeyHasher) -> Option<u64>,
{
    #[inline]
    fn sort(&self, request: &Req, ask: Ask, now: Instant) -> Option<Ask> {
        let mut ask = self.sorting.sort(request, ask, now)?;
        if let Some(user) = (self.user_of)(request, self.fairness.hasher()) {
            ask.priority = self.fairness.rank(now, user, ask.priority);
        }
        Some(ask)
    }
}

impl<Q: fmt::Debug, F> fmt::Debug for ByUser<Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByUser")
            .field("sorting", &self.sorting)
            .field("fairness", &self.fairness)
            .finish_non_exhaustive()
    }
}
