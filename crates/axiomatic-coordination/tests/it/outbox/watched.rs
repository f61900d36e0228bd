//! A store around a store, for tests that want to be between its steps.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{
    Attempt, Bucket, Buckets, Departing, Fetch, Fetched, Lease, RelayId, Settled, Settlement,
    Store, WakeUps,
};

/// Before an operation, or after it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

// Boxed, since each test's hook has futures of a type of its own, and a store of
// one type goes into helpers that do not care.
type Waiting = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;
type Hook = dyn Fn(&'static str, When) -> Waiting + Send + Sync;

/// A store that waits for a hook, or fails by it, before and after each
/// operation.
#[derive(Clone)]
pub(crate) struct Watched<S> {
    store: S,
    hook: Arc<Hook>,
}

impl<S> Watched<S> {
    pub(crate) fn new<F>(
        store: S,
        hook: impl Fn(&'static str, When) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        Watched {
            store,
            hook: Arc::new(move |what, when| Box::pin(hook(what, when))),
        }
    }

    /// A store whose every operation yields before and after: what waits for
    /// it can be dropped there.
    pub(crate) fn yielding(store: S) -> Self {
        Watched::new(store, |_, _| async {
            tokio::task::yield_now().await;
            Ok(())
        })
    }

    async fn around<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        (self.hook)(what, When::Before).await?;
        let done = work.await?;
        (self.hook)(what, When::After).await?;
        Ok(done)
    }
}

impl<S: Store> Store for Watched<S> {
    fn buckets(&self) -> Buckets {
        self.store.buckets()
    }

    fn wake_ups(&self) -> WakeUps {
        self.store.wake_ups()
    }

    async fn attend(&self, relay: &RelayId, ttl: Duration) -> Result<Vec<RelayId>, StoreError> {
        self.around("attend", self.store.attend(relay, ttl)).await
    }

    async fn claim(
        &self,
        relay: &RelayId,
        wanted: &[Bucket],
        ttl: Duration,
    ) -> Result<Vec<Lease>, StoreError> {
        self.around("claim", self.store.claim(relay, wanted, ttl))
            .await
    }

    async fn renew(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        ttl: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        self.around("renew", self.store.renew(relay, leases, ttl))
            .await
    }

    async fn release(
        &self,
        relay: &RelayId,
        leases: &[Lease],
        departing: Departing,
    ) -> Result<(), StoreError> {
        self.around("release", self.store.release(relay, leases, departing))
            .await
    }

    async fn fetch(&self, fetch: &Fetch<'_>) -> Result<Fetched, StoreError> {
        self.around("fetch", self.store.fetch(fetch)).await
    }

    async fn start(
        &self,
        relay: &RelayId,
        rows: &[Settlement<Attempt>],
    ) -> Result<Vec<Bucket>, StoreError> {
        self.around("start", self.store.start(relay, rows)).await
    }

    async fn settle(
        &self,
        relay: &RelayId,
        fates: &[Settlement<Settled>],
    ) -> Result<Vec<Bucket>, StoreError> {
        self.around("settle", self.store.settle(relay, fates)).await
    }

    async fn tidy(&self) -> Result<bool, StoreError> {
        self.around("tidy", self.store.tidy()).await
    }
}
