//! What a relay asks of its store and its publisher: each returns what it was
//! asked with, since the loop asks several at once.

use std::time::Duration;

use tokio::time::timeout;

use crate::StoreError;
use crate::crash_points::reach;
use crate::outbox::desk::FetchPlan;
use crate::outbox::lane::Bucket;
use crate::outbox::publisher::{Publisher, Verdict};
use crate::outbox::record::{Attempt, Envelope};
use crate::outbox::store::{Departing, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store};

pub(super) async fn fetch<S: Store>(
    store: &S,
    plan: FetchPlan,
) -> (FetchPlan, Result<Fetched, StoreError>) {
    let fetched = store
        .fetch(&Fetch {
            leases: &plan.leases,
            after: plan.after,
            busy: &plan.busy,
            rows: plan.rows,
            per_lane: plan.per_lane,
            lanes: plan.lanes,
        })
        .await;
    reach("relay.fetched");
    (plan, fetched)
}

pub(super) async fn start<S: Store>(
    store: &S,
    me: &RelayId,
    rows: Vec<Settlement<Attempt>>,
) -> (Vec<Settlement<Attempt>>, Result<Vec<Bucket>, StoreError>) {
    let kept = store.start(me, &rows).await;
    reach("relay.started");
    (rows, kept)
}

pub(super) async fn publish<P: Publisher>(
    publisher: &P,
    wave: Vec<Envelope>,
    within: Duration,
) -> (Vec<Envelope>, Vec<Verdict>) {
    reach("relay.publishing");
    // Too late is not known: what is missing is unknown.
    let verdicts = timeout(within, publisher.publish(&wave)).await;
    reach("relay.published");
    (wave, verdicts.unwrap_or_default())
}

pub(super) async fn settle<S: Store>(
    store: &S,
    me: &RelayId,
    fates: Vec<Settlement<Settled>>,
) -> (Vec<Settlement<Settled>>, Result<Vec<Bucket>, StoreError>) {
    reach("relay.settling");
    let kept = store.settle(me, &fates).await;
    reach("relay.settled");
    (fates, kept)
}

pub(super) async fn release<S: Store>(
    store: &S,
    me: &RelayId,
    left: Vec<Lease>,
) -> Result<(), StoreError> {
    store.release(me, &left, Departing::No).await
}
