//! The layer under test, with what the kit may do to it.

use std::fmt;

use tower_layer::Layer;

use crate::Probe;

/// A layer under test, and what the kit has to know of its mechanism.
///
/// Only the layer is required. Each hook opens obligations that cannot be
/// judged from outside: without one the [`Report`](crate::Report) says what
/// it skipped.
pub struct Subject<'a, S> {
    pub(crate) layer: Box<dyn Fn(Probe) -> S + 'a>,
    pub(crate) refuse: Option<Box<dyn Fn() + 'a>>,
    pub(crate) relent: Option<Box<dyn Fn() + 'a>>,
    pub(crate) held: Option<Box<dyn Fn() -> usize + 'a>>,
    pub(crate) limit: Option<Limit>,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Limit {
    InFlight(usize),
    Calls(usize),
}

impl Limit {
    /// How many calls may be in flight at once, as far as is known.
    pub(crate) fn in_flight(self) -> Option<usize> {
        match self {
            Limit::InFlight(limit) => Some(limit),
            Limit::Calls(_) => None,
        }
    }
}

impl<'a, S> Subject<'a, S> {
    /// The services of this layer.
    pub fn new<L>(layer: L) -> Self
    where
        L: Layer<Probe, Service = S> + 'a,
    {
        Subject::from_fn(move |inner| layer.layer(inner))
    }

    /// The services that `layer` makes: for a stack, for a middleware without
    /// a [`Layer`], or to adapt the error or the request around a layer.
    pub fn from_fn(layer: impl Fn(Probe) -> S + 'a) -> Self {
        Subject {
            layer: Box::new(layer),
            refuse: None,
            relent: None,
            held: None,
            limit: None,
        }
    }

    /// How to make the layer refuse every call from now on: open the breaker,
    /// take the slots.
    #[must_use]
    pub fn refuse(mut self, refuse: impl Fn() + 'a) -> Self {
        self.refuse = Some(Box::new(refuse));
        self
    }

    /// How to undo [`refuse`](Subject::refuse).
    #[must_use]
    pub fn relent(mut self, relent: impl Fn() + 'a) -> Self {
        self.relent = Some(Box::new(relent));
        self
    }

    /// What the mechanism itself counts as given out: permits, slots,
    /// waiters. After every call the count has to be what it was before the
    /// first.
    #[must_use]
    pub fn held(mut self, held: impl Fn() -> usize + 'a) -> Self {
        self.held = Some(Box::new(held));
        self
    }

    /// The layer lets `limit` calls be in flight at once, and makes others
    /// wait or refuses them. The kit can then fill it up by itself. A small
    /// limit is the sharpest: 1 or 2.
    #[must_use]
    pub fn limit_in_flight(mut self, limit: usize) -> Self {
        self.limit = Some(Limit::InFlight(limit));
        self
    }

    /// The layer lets `limit` calls pass, and then makes others wait or
    /// refuses them for as long as no time passes. Judge such a subject on
    /// [`SharedState`](crate::Obligation::SharedState) alone, since checks
    /// spend calls freely.
    #[must_use]
    pub fn limit_calls(mut self, limit: usize) -> Self {
        self.limit = Some(Limit::Calls(limit));
        self
    }
}

impl<S> fmt::Debug for Subject<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("refuse", &self.refuse.is_some())
            .field("relent", &self.relent.is_some())
            .field("held", &self.held.is_some())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
