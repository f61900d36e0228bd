//! The loop of an executor.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_core::backoff::Delays;
use futures::FutureExt;
use futures::future::{Fuse, FusedFuture, pending};
use tokio::task::JoinSet;

use super::ExecutorError;
use super::driving::{ask, drive, is_broken, is_its_own, load};
use super::shared::{Orphan, Shared};
use super::tending::{give_back, tend};
use crate::StoreError;
use crate::crash_points::reach;
use crate::saga::store::{Departing, Loaded, Store, Taken};

/// Runs an executor.
pub(super) async fn run<S: Store>(
    shared: &Arc<Shared<S>>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ExecutorError> {
    let clock = &shared.config.clock;
    // However this ends, nobody prolongs leases afterwards.
    let _leaving = Leaving(shared);
    let mut shutdown = pin!(shutdown.fuse());
    let mut wake_ups = shared.store.wake_ups();
    let mut orphaned = shared.orphans.wake_ups();
    let mut sagas = JoinSet::new();
    let mut tending = pin!(tend(shared, true).fuse());
    let mut taking = pin!(Fuse::terminated());
    let mut sweeping = pin!(Fuse::terminated());
    let mut pauses = shared.config.outage.start();
    let mut next_tending = clock.now();
    let mut next_taking = clock.now();
    let mut drained_by = None;

    // Of callers who went away when nobody heard of it.
    for orphan in shared.orphans.take() {
        adopt(shared, orphan, &mut sagas);
    }
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
        let is_empty = sagas.is_empty() && shared.in_memory() == 0 && shared.orphans.is_empty();
        if drained_by.is_some_and(|by| is_empty || by <= now) && tending.is_terminated() {
            break;
        }
        // What is being asked is heard of when it is answered. When a lease
        // ends is looked at in any case: who does not get an answer must know.
        let may_tend = tending.is_terminated().then_some(next_tending);
        let may_take = taking.is_terminated() && free > 0 && !is_draining;
        let may_take = may_take.then_some(next_taking);
        let drained = drained_by.filter(|by| *by > now);
        let timers = [may_tend, may_take, ends, drained];
        let alarm = async {
            match timers.into_iter().flatten().min() {
                Some(wake) => tokio::time::sleep_until(wake.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = &mut shutdown, if !is_draining => {
                drained_by = Some(clock.now() + shared.config.drain);
                shared.tenures.leave(|_| true);
                next_tending = clock.now() + shared.config.lease / 3;
            }
            tended = &mut tending => {
                let pause = heed(shared, tended, &mut pauses)?;
                if is_draining {
                    // What was asked for before the shutdown.
                    shared.tenures.leave(|_| true);
                }
                next_tending = clock.now() + pause.unwrap_or(shared.config.lease / 3);
                next_taking = clock.now();
                if sweeping.is_terminated() && !is_draining {
                    sweeping.set(sweep(shared).fuse());
                }
            }
            swept = &mut sweeping => match swept {
                Ok(SWEPT_AT_ONCE) if !is_draining => sweeping.set(sweep(shared).fuse()),
                swept => drop(heed(shared, swept.map(drop), &mut pauses)?),
            },
            taken = &mut taking => {
                next_taking = match taken {
                    Ok(taken) => {
                        if !taken.sagas.is_empty() {
                            reach("saga.taken");
                        }
                        let next = taken.next.unwrap_or(shared.config.poll);
                        let before = sagas.len();
                        for saga in taken.sagas {
                            match saga {
                                Ok(loaded) => dispatch(shared, loaded, &mut sagas),
                                Err(broken) => shared.counts.broken(broken.saga, &broken.error),
                            }
                        }
                        // Those that run already have their mail by now, and
                        // would be given again until they have read it.
                        let is_new = sagas.len() > before;
                        let pause = if taken.more && is_new { Duration::ZERO } else { next };
                        clock.now() + pause.min(shared.config.poll)
                    }
                    Err(error) => {
                        let pause = heed(shared, Err(error), &mut pauses)?;
                        // What was taken of which nobody heard is due when the
                        // buckets are claimed anew.
                        shared.tenures.leave(|_| true);
                        next_tending = clock.now();
                        clock.now() + pause.unwrap_or(shared.config.poll)
                    }
                };
            }
            Some(ended) = sagas.join_next() => {
                if let Ok(Some(error)) = ended {
                    heed(shared, Err(error), &mut pauses)?;
                }
                if is_draining && sagas.is_empty() {
                    next_tending = clock.now() + shared.config.lease / 3;
                }
            }
            () = wake_ups.next(), if !is_draining => next_taking = clock.now(),
            () = orphaned.next() => {
                for orphan in shared.orphans.take() {
                    adopt(shared, orphan, &mut sagas);
                }
            }
            () = alarm => {}
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

/// That an executor runs, while this lives.
struct Leaving<'a, S: Store>(&'a Shared<S>);

impl<S: Store> Drop for Leaving<'_, S> {
    fn drop(&mut self) {
        // Whoever runs a saga hears of it; and who runs this executor again
        // claims the buckets anew, so that what was running is due.
        self.0.tenures.clear();
    }
}

/// What the store failed with is waited out if it passes.
fn heed<S: Store>(
    shared: &Shared<S>,
    asked: Result<(), StoreError>,
    pauses: &mut Delays,
) -> Result<Option<Duration>, StoreError> {
    let Err(error) = asked else {
        *pauses = shared.config.outage.start();
        return Ok(None);
    };
    shared.counts.store_error(&error);
    match error.why().is_transient() {
        true => Ok(pauses.next()),
        false => Err(error),
    }
}

/// Not measured.
const SWEPT_AT_ONCE: usize = 256;

async fn sweep<S: Store>(shared: &Shared<S>) -> Result<usize, StoreError> {
    let (retention, swept) = (shared.config.retention, shared.config.swept);
    shared.store.sweep(retention, swept, SWEPT_AT_ONCE).await
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
    shared.counts.taken();
    let shared = Arc::clone(shared);
    sagas.spawn(async move { drive(&shared, held, loaded).await });
}

/// Runs a saga that its caller has left.
fn adopt<S: Store>(
    shared: &Arc<Shared<S>>,
    mut orphan: Orphan,
    sagas: &mut JoinSet<Option<StoreError>>,
) {
    // Whoever left it had a lease that may have ended, and been followed.
    let now = shared.config.clock.now();
    if let Some(held) = shared.tenures.of(orphan.saga.bucket(), now) {
        orphan.held = held;
    }
    let shared = Arc::clone(shared);
    sagas.spawn(async move {
        match adopted(&shared, &orphan).await {
            // It has ended, or is another's.
            Ok(None) => None,
            Ok(Some(loaded)) => drive(&shared, orphan.held, loaded).await,
            Err(error) => is_broken(&shared, orphan.saga, error),
        }
    });
}

async fn adopted<S: Store>(
    shared: &Shared<S>,
    orphan: &Orphan,
) -> Result<Option<Loaded>, StoreError> {
    let Orphan { saga, held, start } = orphan;
    let loaded = load(shared, held, *saga).await?;
    if let (None, Some(start)) = (&loaded, start) {
        // What begins it may be on its way, and nobody would look for a saga
        // that comes to be held. After this, it is there in any case.
        match ask(shared, || shared.store.start(start)).await {
            Ok(_) => return load(shared, held, *saga).await,
            // It cannot begin, and its caller has heard so, or has gone.
            Err(error) if is_its_own(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(loaded)
}
