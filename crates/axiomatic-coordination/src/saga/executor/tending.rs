//! Leases: held, taken, and given back.

use std::time::Duration;

use axiomatic_core::time::Instant;

use super::shared::Shared;
use crate::StoreError;
use crate::crash_points::reach;
use crate::outbox::Bucket;
use crate::saga::id::{BUCKETS, ExecutorId};
use crate::saga::store::{Departing, Store};

/// Renews leases, and takes those that are this executor's by the count of
/// those who are here, and gives back those that are not any more.
pub(super) async fn tend<S: Store>(shared: &Shared<S>, wants: bool) -> Result<(), StoreError> {
    let lasts = shared.config.lease;
    let asked = shared.config.clock.now();
    let attended = shared.store.attend(&shared.me, lasts).await?;
    reach("saga.attended");
    let (now, ends) = (shared.config.clock.now(), until(asked, lasts));
    let forgotten = shared.tenures.renew(attended.leases, now, ends);
    if !forgotten.is_empty() {
        // They ended here before the answer came, and what ran under them was
        // dropped. The store has it held still: nobody looks for it before the
        // buckets have been claimed anew.
        let stays = Departing::No;
        shared.store.release(&shared.me, &forgotten, stays).await?;
    }
    let names: Vec<&str> = attended.executors.iter().map(ExecutorId::as_str).collect();
    let ours = match wants {
        true => crate::outbox::buckets_of(shared.me.as_str(), &names, BUCKETS),
        false => Vec::new(),
    };
    shared.tenures.leave(|bucket| !ours.contains(&bucket));
    give_back(shared, Departing::No).await?;
    let is_free = |bucket: &Bucket| !shared.tenures.has(*bucket);
    let wanted: Vec<Bucket> = ours.into_iter().filter(is_free).collect();
    if !wanted.is_empty() {
        let asked = shared.config.clock.now();
        reach("saga.claiming");
        let leases = shared.store.claim(&shared.me, &wanted, lasts).await?;
        reach("saga.claimed");
        shared.tenures.add(&leases, until(asked, lasts));
    }
    Ok(())
}

/// Gives back what is left and idle.
pub(super) async fn give_back<S: Store>(
    shared: &Shared<S>,
    departing: Departing,
) -> Result<(), StoreError> {
    let left = shared.tenures.left();
    if !left.is_empty() || departing == Departing::Yes {
        reach("saga.releasing");
        shared.store.release(&shared.me, &left, departing).await?;
        reach("saga.released");
        shared.tenures.lose(&left);
    }
    Ok(())
}

/// Until when a lease is surely held that was asked for then.
fn until(asked: Instant, lasts: Duration) -> Instant {
    // Clocks may run unequally by a thousandth: not measured.
    asked + (lasts - lasts / 1000)
}
