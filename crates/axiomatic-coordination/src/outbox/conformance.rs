//! What every store and every publisher must do: suites for the tests of
//! whoever writes one.
//!
//! A suite panics at the first obligation that is not met, and says which.
//! [`stores`] takes a [`StoreSubject`], [`publishes`] a [`PublisherSubject`]:
//! both say how the test makes what is tested.

mod leases;
mod operators;
mod publishing;
mod rows;

use std::collections::HashMap;
use std::time::Duration;

use axiomatic_core::BoxError;

pub use publishing::{PublisherSubject, Received, publishes};

use super::lane::{Bucket, Buckets, Lane};
use super::memory::Keep;
use super::message::Message;
use super::operations::Operate;
use super::record::Stored;
use super::store::{Fate, Fetch, Fetched, Lease, RelayId, Settled, Settlement, Store};

/// How a test makes a store.
pub trait StoreSubject: Sync {
    /// The store.
    type Store: Store + Operate;

    /// An empty one, with 64 buckets.
    fn fresh(&self, keep: Keep) -> impl Future<Output = Self::Store> + Send;

    /// Enqueues these messages in one transaction, which commits.
    fn commit(
        &self,
        store: &Self::Store,
        messages: Vec<Message>,
    ) -> impl Future<Output = Result<(), BoxError>> + Send;

    /// Enqueues these messages in one transaction, which does not.
    fn roll_back(
        &self,
        store: &Self::Store,
        messages: Vec<Message>,
    ) -> impl Future<Output = ()> + Send;

    /// Lets so much time pass by the store's clock: advances it, or sleeps.
    /// Suites use it between two looks at a condition that time brings about,
    /// and never rely on its exactness.
    fn pass(&self, time: Duration) -> impl Future<Output = ()> + Send;
}

/// Holds a store to what [`Store`] and [`Operate`] say.
///
/// # Panics
///
/// If it does not do it.
pub async fn stores<S: StoreSubject>(subject: &S) {
    rows::suite(subject).await;
    leases::suite(subject).await;
    operators::suite(subject).await;
}

/// A lease that does not run out while a suite runs.
const LONG: Duration = Duration::from_secs(600);

/// A lease that the suite lets run out.
const SHORT: Duration = Duration::from_millis(60);

/// A store, the subject that made it, and one relay that holds everything.
struct Bench<'a, S: StoreSubject> {
    subject: &'a S,
    store: S::Store,
    relay: RelayId,
    leases: Vec<Lease>,
}

impl<'a, S: StoreSubject> Bench<'a, S> {
    async fn new(subject: &'a S) -> Self {
        Self::keeping(subject, Keep::Nothing).await
    }

    async fn keeping(subject: &'a S, keep: Keep) -> Self {
        let store = subject.fresh(keep).await;
        let relay = RelayId::new("first");
        let all: Vec<_> = store.buckets().all().collect();
        let mut leases = store.claim(&relay, &all, LONG).await.expect("a claim");
        leases.sort_unstable_by_key(|lease| lease.bucket);
        assert_eq!(leases.len(), all.len(), "who is alone gets every bucket");
        Bench {
            subject,
            store,
            relay,
            leases,
        }
    }

    async fn commit(&self, messages: impl IntoIterator<Item = Message>) {
        let messages = messages.into_iter().collect();
        let committed = self.subject.commit(&self.store, messages).await;
        committed.expect("the transaction commits");
    }

    fn buckets(&self) -> Buckets {
        self.store.buckets()
    }

    fn lease(&self, lane: Lane) -> Lease {
        self.leases[usize::from(self.buckets().of(lane).0)]
    }

    /// What is ready, from one fetch around all lanes.
    async fn ready(&self) -> Vec<Stored> {
        let fetched = self
            .fetch(usize::MAX >> 1, usize::MAX >> 1, Lane::LAST, &[])
            .await;
        assert!(fetched.came_round, "without a limit a fetch goes around");
        fetched.rows
    }

    async fn ready_bodies(&self) -> Vec<String> {
        bodies(&self.ready().await)
    }

    async fn fetch(&self, rows: usize, per_lane: usize, after: Lane, busy: &[Lane]) -> Fetched {
        let fetch = Fetch {
            leases: &self.leases,
            after,
            busy,
            rows,
            per_lane,
            lanes: usize::MAX >> 1,
        };
        self.store.fetch(&fetch).await.expect("a fetch")
    }

    /// Waits until something is ready.
    async fn until_ready(&self) -> Vec<Stored> {
        loop {
            let ready = self.ready().await;
            if !ready.is_empty() {
                return ready;
            }
            self.subject.pass(SHORT / 4).await;
        }
    }

    async fn settle(&self, stored: &Stored, fate: Fate) -> bool {
        let kept = self
            .settle_as(&self.relay, self.lease(stored.lane), stored, fate)
            .await;
        !kept.is_empty()
    }

    async fn settle_as(
        &self,
        relay: &RelayId,
        lease: Lease,
        stored: &Stored,
        fate: Fate,
    ) -> Vec<Bucket> {
        let settled = Settled {
            row: stored.row,
            lane: stored.lane,
            fate,
        };
        let rows = vec![settled];
        let fates = [Settlement { lease, rows }];
        self.store
            .settle(relay, &fates)
            .await
            .expect("a settlement")
    }

    async fn start_as(&self, relay: &RelayId, lease: Lease, stored: &Stored) -> Vec<Bucket> {
        let rows = [Settlement {
            lease,
            rows: vec![stored.next_attempt()],
        }];
        self.store.start(relay, &rows).await.expect("a start")
    }

    /// Waits until another relay can take these buckets, which are held no
    /// longer than shortly.
    async fn claim_when_free(
        &self,
        relay: &RelayId,
        buckets: &[Bucket],
        ttl: Duration,
    ) -> Vec<Lease> {
        let mut claimed = Vec::new();
        while claimed.len() < buckets.len() {
            claimed.extend(
                self.store
                    .claim(relay, buckets, ttl)
                    .await
                    .expect("a claim"),
            );
            self.subject.pass(SHORT / 4).await;
        }
        claimed
    }
}

fn bodies(rows: &[Stored]) -> Vec<String> {
    let bodies = rows.iter().map(|stored| stored.message.body().to_vec());
    bodies
        .map(|body| String::from_utf8(body).expect("text"))
        .collect()
}

/// Bodies by key, in the order in which they came.
fn by_key(rows: &[Stored]) -> HashMap<String, Vec<String>> {
    let mut keys: HashMap<String, Vec<String>> = HashMap::new();
    for (stored, body) in rows.iter().zip(bodies(rows)) {
        let key = stored.message.key().unwrap_or_default().to_owned();
        keys.entry(key).or_default().push(body);
    }
    keys
}

fn keyed(key: &str, body: impl std::fmt::Display) -> Message {
    Message::new("topic", body.to_string()).keyed(key)
}
