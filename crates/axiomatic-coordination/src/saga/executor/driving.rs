//! One saga that was taken, run here until it ends, waits, or is put aside.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use super::driver::{Driver, Left};
use super::parking::{Parking, park};
use super::shared::{Entry, Orphan, Shared};
use super::tenure::{Held, Tenure};
use crate::saga::id::SagaId;
use crate::saga::mail::{Mail, Subject};
use crate::saga::store::{Loaded, Store};
use crate::{StoreError, Why};

/// A saga as it stands, however long the store does not answer.
pub(super) async fn load<S: Store>(
    shared: &Shared<S>,
    held: &Held,
    saga: SagaId,
) -> Result<Option<Loaded>, StoreError> {
    ask(shared, || shared.store.load(&held.lease, saga)).await
}

/// Asks the store until it answers, or fails for good.
pub(super) async fn ask<S: Store, T, F>(
    shared: &Shared<S>,
    mut question: impl FnMut() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pauses = shared.config.outage.start();
    loop {
        match question().await {
            Err(error) if error.why().is_transient() => {
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
            answer => return answer,
        }
    }
}

/// Returns what the store failed with for good.
pub(super) async fn drive<S: Store>(
    shared: &Arc<Shared<S>>,
    held: Held,
    mut loaded: Loaded,
) -> Option<StoreError> {
    let saga = loaded.saga;
    let entry = shared.enter_or_tell(saga, &loaded.mail)?;
    // A saga that ran here is given with its mail, too, and may have been let
    // go of since: what was read then is older than its log. A line appended
    // once more would be taken for one that is asked again.
    loaded = match load(shared, &held, saga).await {
        Ok(now) => Loaded {
            loads: loaded.loads,
            ..now?
        },
        Err(error) => return is_broken(shared, saga, error),
    };
    let mut pauses = shared.config.outage.start();
    loop {
        let parking = match run_once(shared, &held, &loaded, &entry).await {
            Ran::Left => return None,
            Ran::Lost if held.tenure() == Tenure::Lost => {
                // The next lease of this executor may have taken it already,
                // and told who ran it under this one.
                let next = shared.tenures.of(saga.bucket(), shared.config.clock.now());
                if let Some(held) = next {
                    let start = None;
                    shared.orphans.put(Orphan { saga, held, start });
                }
                return None;
            }
            // The log is another than it was, and the bucket is held: an
            // append came late whose caller had gone away.
            Ran::Lost => {
                // Not measured: one that says so for ever is not asked for ever.
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                None
            }
            Ran::Cannot(parking) => Some(parking),
            Ran::Store(error) => return Some(error),
        };
        loaded = match load(shared, &held, saga).await {
            Ok(loaded) => loaded?,
            Err(error) => return is_broken(shared, saga, error),
        };
        let Some(parking) = parking else { continue };
        if let Err(error) = park(shared, &held, &loaded, parking).await {
            return Some(error);
        }
        // A letter that came before it was parked, and was not seen, makes
        // nobody look for it.
        let seen = loaded.mail.len();
        loaded = match load(shared, &held, saga).await {
            Ok(loaded) => loaded?,
            Err(error) => return is_broken(shared, saga, error),
        };
        if loaded.mail.len() <= seen {
            return None;
        }
    }
}

/// How far a saga was run.
enum Ran {
    /// Until it had ended, or waits.
    Left,
    /// Until it was another's, or its log another.
    Lost,
    /// Not so far: it is to be put aside.
    Cannot(Parking),
    /// Until the store failed for good.
    Store(StoreError),
}

async fn run_once<S: Store>(
    shared: &Arc<Shared<S>>,
    held: &Held,
    loaded: &Loaded,
    entry: &Entry<'_, S>,
) -> Ran {
    let Some(plan) = shared.plans.running(&loaded.definition) else {
        return Ran::Cannot(Parking::NoDefinition);
    };
    let resumes = |letter: &Mail| letter.subject == Subject::Resume;
    if loaded.loads > shared.config.max_loads && !loaded.mail.iter().any(resumes) {
        return Ran::Cannot(Parking::Poison);
    }
    let running = async {
        let mailbox = Arc::clone(&entry.mailbox);
        match Driver::resume(shared, Arc::clone(plan), held.clone(), mailbox, loaded) {
            Ok(driver) => driver.run().await,
            Err(illegal) => Left::Illegal(illegal),
        }
    };
    // Actions that panic are caught one by one; this is a value that panics
    // when it is read.
    match AssertUnwindSafe(running).catch_unwind().await {
        Ok(Left::Ended(..) | Left::Waiting(_) | Left::Before(_) | Left::Begun) => Ran::Left,
        Ok(Left::Lost) => Ran::Lost,
        Ok(Left::Illegal(illegal)) => Ran::Cannot(Parking::Illegal(illegal.to_string())),
        // If the store does not take that it is parked either, it is the store.
        Ok(Left::Store(error)) if is_its_own(&error) => Ran::Cannot(Parking::Refused(error)),
        Ok(Left::Store(error)) => Ran::Store(error),
        Err(_) => Ran::Cannot(Parking::Panicked),
    }
}

/// Whether a failure for good may be one of a single saga: it costs the others
/// nothing.
pub(super) fn is_its_own(error: &StoreError) -> bool {
    matches!(error.why(), Why::Refused | Why::Corrupt)
}

/// A saga that cannot be read stays as it is, for who repairs it. Returns what
/// is no fault of its own.
pub(super) fn is_broken<S: Store>(
    shared: &Shared<S>,
    saga: SagaId,
    error: StoreError,
) -> Option<StoreError> {
    if error.why() != Why::Corrupt {
        return Some(error);
    }
    shared.counts.broken(saga, &error);
    None
}
