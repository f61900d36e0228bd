//! What relays and operators ask, on the threads of the database: what is
//! only read on the one that reads, and what changes something as one of the
//! transactions that share a commit.

use std::time::Duration;

use super::fetch::Search;
use super::{Outbox, leases, operate, settle, tidy};
use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{
    Attempt, Backlog, Blocked, Bucket, Buckets, DeadLetter, Departing, Fetch, Fetched, Holding,
    Lane, Lease, Operate, RelayId, Replay, RowId, Scope, Settled, Settlement, Store, Waiting,
    WakeUps,
};

impl Store for Outbox {
    fn buckets(&self) -> Buckets {
        self.options.buckets
    }

    fn wake_ups(&self) -> WakeUps {
        self.wake.wake_ups()
    }

    async fn attend(&self, relay: &RelayId, ttl: Duration) -> Result<Vec<RelayId>, StoreError> {
        let relay = relay.clone();
        self.change(move |tx| leases::attend(tx, &relay, ttl)).await
    }

    async fn claim(
        &self,
        relay: &RelayId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        let (relay, wanted) = (relay.clone(), wanted.to_vec());
        self.change(move |tx| leases::claim(tx, &relay, &wanted, ttl))
            .await
    }

    async fn renew(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        ttl: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        let (relay, leases) = (relay.clone(), leases.to_vec());
        self.change(move |tx| leases::renew(tx, &relay, &leases, ttl))
            .await
    }

    async fn release(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        let (relay, leases) = (relay.clone(), leases.to_vec());
        // Others of this process may take what is given back.
        self.change_and_wake(move |tx| leases::release(tx, &relay, &leases, departing))
            .await
    }

    async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, StoreError> {
        let (search, buckets) = (Search::from(fetch), self.options.buckets);
        self.database
            .read(move |connection| search.run(connection, buckets))
            .await
    }

    async fn start(
        &self,
        relay: &RelayId,
        rows: &[Settlement<Attempt>],
    ) -> Result<Vec<Bucket>, StoreError> {
        let (relay, rows, buckets) = (relay.clone(), rows.to_vec(), self.options.buckets);
        self.change(move |tx| settle::start(tx, &relay, &rows, buckets))
            .await
    }

    async fn settle(
        &self,
        relay: &RelayId,
        fates: &[Settlement<Settled>],
    ) -> Result<Vec<Bucket>, StoreError> {
        let (relay, fates, options) = (relay.clone(), fates.to_vec(), self.options);
        self.change(move |tx| settle::settle(tx, &relay, &fates, options.buckets, options.keep))
            .await
    }

    async fn tidy(&self) -> Result<bool, StoreError> {
        let options = self.options;
        self.change(move |tx| tidy::tidy(tx, options.keep, options.forget_sequences_after))
            .await
    }
}

impl Operate for Outbox {
    async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.database.read(operate::backlog).await
    }

    async fn leases(&self) -> Result<Vec<Holding>, StoreError> {
        self.database.read(operate::leases).await
    }

    async fn pause(&self, what: &Scope) -> Result<(), StoreError> {
        let what = what.clone();
        self.change(move |tx| operate::pause(tx, &what)).await
    }

    async fn resume(&self, what: &Scope) -> Result<bool, StoreError> {
        let what = what.clone();
        self.change_and_wake(move |tx| operate::resume(tx, &what))
            .await
    }

    async fn paused(&self) -> Result<Vec<Scope>, StoreError> {
        self.database.read(operate::paused).await
    }

    async fn peek(&self, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.database
            .read(move |connection| operate::peek(connection, most))
            .await
    }

    async fn blocked(&self, most: usize) -> Result<Vec<Blocked>, StoreError> {
        self.database
            .read(move |connection| operate::blocked(connection, most))
            .await
    }

    async fn unblock(&self, lane: Lane) -> Result<bool, StoreError> {
        self.change_and_wake(move |tx| operate::unblock(tx, lane))
            .await
    }

    async fn dead(&self, most: usize) -> Result<Vec<DeadLetter>, StoreError> {
        self.database
            .read(move |connection| operate::dead(connection, most))
            .await
    }

    async fn requeue(&self, rows: &[RowId]) -> Result<u64, StoreError> {
        let rows = rows.to_vec();
        self.change_and_wake(move |tx| operate::requeue(tx, &rows))
            .await
    }

    async fn discard(&self, rows: &[RowId]) -> Result<u64, StoreError> {
        let rows = rows.to_vec();
        self.change(move |tx| operate::discard(tx, &rows)).await
    }

    async fn replay(&self, what: &Replay, most: usize) -> Result<Option<RowId>, StoreError> {
        let what = what.clone();
        self.change_and_wake(move |tx| operate::replay(tx, &what, most))
            .await
    }
}
