use std::marker::PhantomData;

use axiomatic_core::budget::{Deposits, RetryBudget};
use axiomatic_core::repeat::WhenDeclared;
use axiomatic_core::{BoxError, Plain};
use tower_layer::Layer;

use super::{Retry, RetryService};

/// Tries the calls of a service again, as a [`Retry`] decides.
///
/// `E` is the error of the stack, `B` the binding that reads its protocol, `R`
/// the rule that says which requests may be sent twice, `Bu` the budget.
pub struct RetryLayer<E = BoxError, B = Plain, R = WhenDeclared, Bu = RetryBudget<Deposits>> {
    retry: Retry<Bu>,
    rule: R,
    binding: B,
    error: PhantomData<fn() -> E>,
}

axiomatic_core::layer_parts!(RetryLayer<R, Bu> { retry: Retry<Bu>, rule: R });

impl<S, E, B: Clone, R: Clone, Bu: Clone> Layer<S> for RetryLayer<E, B, R, Bu> {
    type Service = RetryService<S, E, B, R, Bu>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(
            inner,
            self.retry.clone(),
            self.rule.clone(),
            self.binding.clone(),
        )
    }
}
