use std::marker::PhantomData;

use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::fairness::Fairness;
use super::sorting::{AsCarried, ByUser, Exempting};
use super::{LoadShedService, LoadShedder};
use crate::rate_limit::keyed::KeyHasher;

/// Puts a [`LoadShedder`] in front of a service.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol:
/// priorities and deadlines come from there. `Q` tells how requests are sorted.
pub struct LoadShedLayer<E = BoxError, B = Plain, Q = AsCarried> {
    shedder: LoadShedder,
    announces: bool,
    sorting: Q,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(LoadShedLayer<Q> {
    shedder: LoadShedder,
    announces: bool,
    sorting: Q
});

impl LoadShedLayer {
    pub(super) fn of(shedder: LoadShedder) -> Self {
        LoadShedLayer::new(shedder, false, AsCarried)
    }
}

impl<E, B, Q> LoadShedLayer<E, B, Q> {
    /// The same, where the binding writes into each answer from which priority
    /// on requests are admitted, while not all are: callers that heed it keep
    /// back what would be refused. It shows to whoever calls how busy this is.
    /// What refusals say is up to who makes answers of them.
    #[must_use]
    pub fn announcing(mut self) -> Self {
        self.announces = true;
        self.shedder.prioritizer().is_announced();
        self
    }

    /// The same, where requests of which this is true are let in unasked and
    /// uncounted: health checks, for example, which would have a busy instance
    /// restarted. The service behind must be ready for them all the same.
    pub fn exempting<R, F>(self, is_exempt: F) -> LoadShedLayer<E, B, Exempting<Q, F>>
    where
        F: Fn(&R) -> bool,
    {
        self.sorted(|sorting| Exempting::new(sorting, is_exempt))
    }

    /// The same, where the level of a request in its class is that of its
    /// user: heavier users have lower ones. Requests of no user keep the level
    /// that they came with. The request carries its level from here on, so that
    /// whoever is asked for it further in, or in another process, sheds the same
    /// users.
    pub fn by_user<R, F>(self, fairness: &Fairness, user_of: F) -> LoadShedLayer<E, B, ByUser<Q, F>>
    where
        F: Fn(&R, &KeyHasher) -> Option<u64>,
    {
        self.sorted(|sorting| ByUser::new(sorting, fairness.clone(), user_of))
    }

    fn sorted<P>(self, sorting: impl FnOnce(Q) -> P) -> LoadShedLayer<E, B, P> {
        LoadShedLayer {
            shedder: self.shedder,
            announces: self.announces,
            sorting: sorting(self.sorting),
            binding: self.binding,
            error: PhantomData,
        }
    }
}

impl<S, E, B: Clone, Q: Clone> Layer<S> for LoadShedLayer<E, B, Q> {
    type Service = LoadShedService<S, E, B, Q>;

    fn layer(&self, inner: S) -> Self::Service {
        LoadShedService::new(
            inner,
            self.shedder.clone(),
            self.announces,
            self.sorting.clone(),
            self.binding.clone(),
        )
    }
}
