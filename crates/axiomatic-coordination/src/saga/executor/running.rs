//! The loop of an executor.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{Fuse, FusedFuture};
use tokio::task::JoinSet;

use super::ExecutorError;
use super::driver::{Driver, Left};
use super::moving::text;
use super::shared::Shared;
use super::tending::{give_back, tend};
use super::tenure::Held;
use crate::StoreError;
use crate::crash_points::reach;
use crate::saga::change::{Append, Change, Wake};
use crate::saga::id::SagaId;
use crate::saga::mail::Subject;
use crate::saga::record::{Kind, Record, Stage};
use crate::saga::store::{Departing, Loaded, Store, Taken};

/// Runs an executor.
pub(super) async fn run<S: Store>(
    shared: &Arc<Shared<S>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ExecutorError> {
    let clock = &shared.config.clock;
    let mut shutdown = pin!(shutdown.fuse());
    let mut wake_ups = shared.store.wake_ups();
    let mut orphaned = shared.orphans.wake_ups();
    let mut sagas = JoinSet::new();
    let mut tending = pin!(tend(shared, true).fuse());
    let mut taking = pin!(Fuse::terminated());
    let mut pauses = shared.config.outage.start();
    let mut next_tending = clock.now();
    let mut next_taking = clock.now();
    let mut drained_by = None;

    loop {
        let now = clock.now();
        let is_draining = drained_by.is_some();
        let ends = shared.tenures.expire(now);
        if tending.is_terminated() && next_tending <= now {
            tending.set(tend(shared, !is_draining).fuse());
        }
        let free = shared.config.at_once.saturating_sub(sagas.len());
        if taking.is_terminated() && next_taking <= now && free > 0 && !is_draining {
            taking.set(take(shared, free.min(256)).fuse());
        }
        let is_empty = sagas.is_empty() && shared.is_idle();
        if drained_by.is_some_and(|by| is_empty || by <= now) && tending.is_terminated() {
            break;
        }
        let mut wake = next_tending.max(now);
        if free > 0 && !is_draining {
            wake = wake.min(next_taking.max(now));
        }
        wake = wake
            .min(ends.unwrap_or(wake))
            .min(drained_by.unwrap_or(wake));
        // What is being waited for is heard of when it ends.
        let is_asking = !tending.is_terminated() || !taking.is_terminated();
        if is_asking && wake <= now {
            wake = now + shared.config.lease / 10;
        }
        tokio::select! {
            () = &mut shutdown, if !is_draining => {
                drained_by = Some(clock.now() + shared.config.drain);
                shared.tenures.leave(|_| true);
                next_tending = clock.now() + shared.config.lease / 3;
            }
            tended = &mut tending => {
                let pause = heed(tended, &mut pauses)?;
                next_tending = clock.now() + pause.unwrap_or(shared.config.lease / 3);
                next_taking = clock.now();
            }
            taken = &mut taking => {
                next_taking = match taken {
                    Ok(taken) => {
                        if !taken.sagas.is_empty() {
                            reach("saga.taken");
                        }
                        let next = taken.next.unwrap_or(shared.config.poll);
                        let pause = if taken.more { None } else { Some(next) };
                        for loaded in taken.sagas.into_iter().flatten() {
                            dispatch(shared, loaded, &mut sagas);
                        }
                        clock.now() + pause.unwrap_or_default().min(shared.config.poll)
                    }
                    Err(error) => {
                        let pause = heed(Err(error), &mut pauses)?;
                        clock.now() + pause.unwrap_or(shared.config.poll)
                    }
                };
            }
            Some(ended) = sagas.join_next() => {
                if let Ok(Some(error)) = ended {
                    heed(Err(error), &mut pauses)?;
                }
                if is_draining && sagas.is_empty() {
                    next_tending = clock.now() + shared.config.lease / 3;
                }
            }
            () = wake_ups.next(), if !is_draining => next_taking = clock.now(),
            () = orphaned.next() => {
                for (saga, held) in shared.orphans.take() {
                    adopt(shared, saga, held, &mut sagas);
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    }
    // What still runs is dropped: it may have happened, and whoever takes the
    // bucket goes on from there.
    sagas.shutdown().await;
    match give_back(shared, Departing::Yes).await {
        Err(error) if !error.why().is_transient() => Err(error.into()),
        _ => Ok(()),
    }
}

/// What the store failed with is waited out if it passes.
fn heed(
    asked: Result<(), StoreError>,
    pauses: &mut axiomatic_core::backoff::Delays,
) -> Result<Option<std::time::Duration>, StoreError> {
    match asked {
        Ok(()) => Ok(None),
        Err(error) if error.why().is_transient() => Ok(pauses.next()),
        Err(error) => Err(error),
    }
}

async fn take<S: Store>(shared: &Shared<S>, at_most: usize) -> Result<Taken, StoreError> {
    let leases = shared.tenures.held(shared.config.clock.now());
    if leases.is_empty() {
        return Ok(Taken {
            sagas: Vec::new(),
            more: false,
            next: None,
        });
    }
    shared
        .store
        .take(&leases, at_most, shared.config.park)
        .await
}

/// Has a saga that was taken run; or, if it runs, gives it its mail.
fn dispatch<S: Store>(
    shared: &Arc<Shared<S>>,
    loaded: Loaded,
    sagas: &mut JoinSet<Option<StoreError>>,
) {
    if shared.deliver(loaded.saga, &loaded.mail) {
        return;
    }
    let now = shared.config.clock.now();
    let Some(held) = shared.tenures.of(loaded.lease.bucket, now) else {
        // Its lease ended meanwhile: whoever follows finds it due.
        return;
    };
    let shared = Arc::clone(shared);
    sagas.spawn(async move { drive(&shared, held, loaded).await });
}

/// Runs a saga that its caller has left.
fn adopt<S: Store>(
    shared: &Arc<Shared<S>>,
    saga: SagaId,
    held: Held,
    sagas: &mut JoinSet<Option<StoreError>>,
) {
    let shared = Arc::clone(shared);
    sagas.spawn(async move {
        let mut pauses = shared.config.outage.start();
        loop {
            match shared.store.load(&held.lease, saga).await {
                // It had not begun, has ended, or is another's.
                Ok(None) => return None,
                Ok(Some(loaded)) => return drive(&shared, held, loaded).await,
                Err(error) if error.why().is_transient() => {
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                }
                Err(error) => return Some(error),
            }
        }
    });
}

/// Returns what the store failed with for good.
async fn drive<S: Store>(
    shared: &Arc<Shared<S>>,
    held: Held,
    loaded: Loaded,
) -> Option<StoreError> {
    let saga = loaded.saga;
    let entry = loop {
        match shared.enter(saga) {
            Some(entry) => break entry,
            None if shared.deliver(saga, &loaded.mail) => return None,
            None => {}
        }
    };
    let resumes = |subject| loaded.mail.iter().any(|letter| letter.subject == subject);
    let is_poison = loaded.loads > shared.config.max_loads && !resumes(Subject::Resume);
    let plan = shared.plans.get(&loaded.definition.name);
    let plan = plan.filter(|plan| plan.runs(&loaded.definition));
    let left = match plan {
        _ if is_poison => return park(shared, &held, &loaded, Parking::Poison).await,
        None => return park(shared, &held, &loaded, Parking::NoDefinition).await,
        Some(plan) => {
            let mailbox = Arc::clone(&entry.mailbox);
            match Driver::resume(shared, Arc::clone(plan), held.clone(), mailbox, &loaded) {
                Ok(driver) => driver.run().await,
                Err(illegal) => Left::Illegal(illegal),
            }
        }
    };
    match left {
        Left::Illegal(illegal) => {
            let why = illegal.to_string();
            let loaded = shared.store.load(&held.lease, saga).await.ok()??;
            park(shared, &held, &loaded, Parking::Illegal(why)).await
        }
        Left::Store(error) => Some(error),
        Left::Ended(..) | Left::Waiting | Left::Lost | Left::Before(_) => {
            if entry.leave() {
                shared.orphans.put(saga, held);
            }
            None
        }
    }
}

/// Why a saga is put aside.
enum Parking {
    /// No definition that is known here runs it.
    NoDefinition,
    /// It was loaded too often without going forward.
    Poison,
    /// Its log is not one of its definition.
    Illegal(String),
}

/// Puts a saga aside, so that it costs the others nothing.
async fn park<S: Store>(
    shared: &Shared<S>,
    held: &Held,
    loaded: &Loaded,
    parking: Parking,
) -> Option<StoreError> {
    let abandon = loaded
        .mail
        .iter()
        .find(|letter| letter.subject == Subject::Abandon);
    let change = match (abandon, parking) {
        (Some(letter), _) => Change {
            records: vec![Record {
                kind: Kind::Abandoned,
                step: "".into(),
                item: 0,
                attempt: 0,
                data: letter.data.clone(),
                mail: Some(letter.id),
            }],
            stage: Stage::Abandoned,
            wake: Wake::In(std::time::Duration::MAX),
            result: Some(letter.data.clone()),
            progress: false,
        },
        (None, parking) => {
            let (why, pause) = match parking {
                Parking::NoDefinition => {
                    let name = &loaded.definition.name;
                    let version = loaded.definition.version;
                    let why = format!("no definition here runs {name:?} version {version}");
                    (why, shared.config.park)
                }
                Parking::Poison => (
                    format!("loaded {} times without going forward", loaded.loads),
                    std::time::Duration::MAX,
                ),
                Parking::Illegal(why) => (why, shared.config.park),
            };
            Change {
                records: Vec::new(),
                stage: Stage::Parked,
                wake: Wake::In(pause),
                result: Some(because(&why)),
                progress: false,
            }
        }
    };
    let append = Append {
        saga: loaded.saga,
        after: loaded.records.len() as u64,
        change,
        read: abandon.map_or(0, |_| loaded.mail.len() as u32),
    };
    reach("saga.parking");
    // If it fails, it is loaded again after the bucket's next claim.
    let appended = shared.store.append(&held.lease, &append).await;
    appended.err().filter(|error| !error.why().is_transient())
}

fn because(why: &str) -> Bytes {
    let mut json = br#"{"step":"","why":"#.to_vec();
    json.extend_from_slice(&text(why));
    json.push(b'}');
    json.into()
}
