//! Local steps, of closures.

use std::fmt;
use std::sync::Arc;

use axiomatic_coordination::saga::{Context, Fault, LocalAction, Then, encode};
use serde::Serialize;

use super::{SagaWork, Sagas};
use crate::transaction::Transaction;

impl Sagas {
    /// A local step of a definition: a closure over the transaction that
    /// appends to the log. It runs on the [`Writer`](crate::Writer)'s thread.
    pub fn local<V, O, F>(action: F) -> SagaLocal<F>
    where
        F: Fn(&mut Transaction<'_>, &Context, V) -> Result<O, Fault>,
    {
        SagaLocal(Arc::new(action))
    }
}

/// A local step of a definition, made by [`Sagas::local`].
pub struct SagaLocal<F>(Arc<F>);

impl<V, O, F> LocalAction<Sagas, V, O> for SagaLocal<F>
where
    F: Fn(&mut Transaction<'_>, &Context, V) -> Result<O, Fault> + Send + Sync + 'static,
    V: Send + 'static,
    O: Serialize,
{
    fn work(&self, context: Context, values: V, then: Then) -> SagaWork {
        let action = Arc::clone(&self.0);
        SagaWork::new(move |tx| then(encode(&action(tx, &context, values)?)?))
    }
}

impl<F> fmt::Debug for SagaLocal<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaLocal").finish_non_exhaustive()
    }
}
