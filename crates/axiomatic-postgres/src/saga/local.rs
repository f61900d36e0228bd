//! Local steps, of closures.

use std::fmt;
use std::sync::Arc;

use axiomatic_coordination::saga::{Context, Fault, LocalAction, Then, encode};
use futures::future::BoxFuture;
use serde::Serialize;
use tokio_postgres::Transaction;

use super::{SagaWork, Sagas};

impl Sagas {
    /// A local step of a definition: a closure over the transaction that
    /// appends to the log.
    ///
    /// ```
    /// use axiomatic_coordination::saga::{Builder, Context};
    /// use axiomatic_postgres::saga::Sagas;
    ///
    /// let mut saga = Builder::<Sagas, i64>::new("booking", 1);
    /// let cents = saga.input();
    /// let book = Sagas::local(|tx, _: &Context, cents: i64| {
    ///     Box::pin(async move {
    ///         let insert = "INSERT INTO ledger (cents) VALUES ($1)";
    ///         Ok(tx.execute(insert, &[&cents]).await?)
    ///     })
    /// });
    /// saga.local_step("book", cents, book).without_undo();
    /// # saga.build()?;
    /// # Ok::<_, axiomatic_coordination::saga::DefinitionError>(())
    /// ```
    pub fn local<V, O, F>(action: F) -> SagaLocal<F>
    where
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t Context, V) -> BoxFuture<'t, Result<O, Fault>>,
    {
        SagaLocal(Arc::new(action))
    }
}

/// A local step of a definition, made by [`Sagas::local`].
pub struct SagaLocal<F>(Arc<F>);

impl<V, O, F> LocalAction<Sagas, V, O> for SagaLocal<F>
where
    F: for<'t> Fn(&'t mut Transaction<'_>, &'t Context, V) -> BoxFuture<'t, Result<O, Fault>>
        + Send
        + Sync
        + 'static,
    V: Send + 'static,
    O: Serialize + Send,
{
    fn work(&self, context: Context, values: V, then: Then) -> SagaWork {
        let action = Arc::clone(&self.0);
        SagaWork::step(
            move |tx| {
                Box::pin(async move {
                    let output = action(tx, &context, values).await?;
                    encode(&output)
                })
            },
            then,
        )
    }
}

impl<F> fmt::Debug for SagaLocal<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SagaLocal").finish_non_exhaustive()
    }
}
