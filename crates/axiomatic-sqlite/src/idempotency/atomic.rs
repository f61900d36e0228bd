//! Phases whose effect is in the database.

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{Begun, Fence, Kind, Phase, PhaseError, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Idempotency, leases};
use crate::error::store_error;
use crate::transaction::Transaction;
use crate::writer::RunError;

/// A [`Phase`] whose effect is in the same database.
pub trait AtomicPhase: sealed::Sealed {
    /// Does something in the database, once. In one transaction of the
    /// [`Writer`](crate::Writer) it is looked whether the request is ours
    /// still, the work is done, with the messages that it
    /// [enqueues](Transaction::enqueue), and its result is written down. A
    /// request that is run again has the result and not the work.
    ///
    /// Its future can be dropped: all of it is done, or nothing.
    ///
    /// # Errors
    ///
    /// [`PhaseError`]: nothing was done. If it is [`PhaseError::Lost`] the
    /// work was not even begun.
    ///
    /// # Panics
    ///
    /// If the work does; then nothing was done either.
    fn atomic<T, E, F>(self, work: F) -> impl Future<Output = Result<T, PhaseError<E>>> + Send
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static;
}

mod sealed {
    #[expect(unnameable_types, reason = "that is what it is for")]
    pub trait Sealed {}
}

impl sealed::Sealed for Phase<'_, Idempotency> {}

impl AtomicPhase for Phase<'_, Idempotency> {
    async fn atomic<T, E, F>(self, work: F) -> Result<T, PhaseError<E>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        if let Begun::Before(value) = self.begin(Kind::Atomic)? {
            return Ok(value);
        }
        let (phases, name) = (self.phases().clone(), self.name());
        let once = move |tx: &mut Transaction<'_>| once(tx, &phases.phase(name), work);
        let writer = self.phases().store().database().writer();
        match writer.run(once).await {
            Ok((value, step)) => {
                self.finish(step);
                Ok(value)
            }
            Err(RunError::Rejected(error)) => Err(error),
            Err(RunError::Store(error)) => Err(PhaseError::Store(error)),
        }
    }
}

/// What is done in the transaction, which is rolled back on any error.
fn once<T, E>(
    tx: &mut Transaction<'_>,
    phase: &Phase<'_, Idempotency>,
    work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
) -> Result<(T, Step), PhaseError<E>>
where
    T: Serialize + DeserializeOwned,
{
    let of_the_store = |error| PhaseError::Store(store_error(error));
    let lease = phase.phases().lease();
    let Some(steps) = leases::held(tx, lease).map_err(of_the_store)? else {
        return Err(PhaseError::Lost);
    };
    reach("sqlite.idempotency.fenced");
    // Written by somebody who had the same lease, and did not hear of it.
    if let Some(step) = steps.into_iter().find(|step| &*step.name == phase.name()) {
        if step.kind != Kind::Atomic {
            return Err(PhaseError::Value(
                phase.name(),
                "it was of another kind".into(),
            ));
        }
        let value = T::deserialize(&step.value);
        let value = value.map_err(|error| PhaseError::Value(phase.name(), error.into()))?;
        return Ok((value, step));
    }
    let value = work(tx).map_err(PhaseError::Work)?;
    reach("sqlite.idempotency.worked");
    let step = phase.step(Kind::Atomic, &value)?;
    match leases::append(tx, lease, &step).map_err(of_the_store)? {
        Fence::Held => Ok((value, step)),
        // The work itself has ended it, in this transaction.
        Fence::Lost => Err(PhaseError::Lost),
    }
}
