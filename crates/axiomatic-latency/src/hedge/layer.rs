use std::marker::PhantomData;

use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::repeat::WhenDeclared;
use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{Hedge, HedgeService};

/// Hedges the calls of a service, as a [`Hedge`] decides.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol, `R`
/// the rule that says which requests may be sent twice, `Bu` the budget.
pub struct HedgeLayer<E = BoxError, B = Plain, R = WhenDeclared, Bu = RetryBudget<Deposits>> {
    hedge: Hedge<Bu>,
    rule: R,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(HedgeLayer<R, Bu> { hedge: Hedge<Bu>, rule: R });

impl<S, E, B: Clone, R: Clone, Bu: Clone> Layer<S> for HedgeLayer<E, B, R, Bu> {
    type Service = HedgeService<S, E, B, R, Bu>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService::new(
            inner,
            self.hedge.clone(),
            self.rule.clone(),
            self.binding.clone(),
        )
    }
}
