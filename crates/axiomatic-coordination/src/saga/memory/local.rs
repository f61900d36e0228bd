//! Local steps in a [`Memory`](crate::Memory).

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::{MemorySagas, MemoryWork};
use crate::MemoryTransaction;
use crate::saga::definition::{Context, LocalAction, encode};
use crate::saga::fault::Fault;
use crate::saga::store::Then;

impl MemorySagas {
    /// A local step: a closure over the transaction that appends to the log.
    pub fn local<V, O, F>(action: F) -> MemoryLocal<F>
    where
        F: Fn(&mut MemoryTransaction<'_>, &Context, V) -> Result<O, Fault>,
    {
        MemoryLocal(Arc::new(action))
    }
}

/// A local step in a [`Memory`](crate::Memory), made by
/// [`MemorySagas::local`].
pub struct MemoryLocal<F>(Arc<F>);

impl<V, O, F> LocalAction<MemorySagas, V, O> for MemoryLocal<F>
where
    F: Fn(&mut MemoryTransaction<'_>, &Context, V) -> Result<O, Fault> + Send + Sync + 'static,
    V: Send + 'static,
    O: Serialize,
{
    fn work(&self, context: Context, values: V, then: Then) -> MemoryWork {
        let action = Arc::clone(&self.0);
        MemoryWork::new(move |tx| then(encode(&action(tx, &context, values)?)?))
    }
}

impl<F> fmt::Debug for MemoryLocal<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLocal").finish_non_exhaustive()
    }
}
