//! What the children do.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::saga::{Client, Config, Ended, Executor, Found, SagaId, Stage, Store};
use axiomatic_core::backoff::Backoff;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::place::{self, Sagas};
use super::running::{PLACE, ROLE};
use super::stories::{ACCOUNTS, DOUBTED, FINE, HALL, NOBODY, REFUSED, Stories, Transfer, saga};

/// Long enough that no lease is lost to a machine that is busy.
const LONG_LEASE: Duration = Duration::from_secs(60);

/// How short the lease of an executor is that shall lose it.
const SHORT_LEASE: Duration = Duration::from_millis(300);

/// Longer than it takes until a saga ends.
const FOR_EVER: Duration = Duration::from_secs(60);

const TICK: Duration = Duration::from_millis(2);

const WARM: SagaId = saga(1);
const LINEAR: SagaId = saga(2);
const UNWOUND: SagaId = saga(3);
const UNSURE: SagaId = saga(4);
const TOUR: SagaId = saga(5);
const CANCELLED: SagaId = saga(6);

/// What the matrix is about.
pub(crate) const ALL: [SagaId; 6] = [WARM, LINEAR, UNWOUND, UNSURE, TOUR, CANCELLED];

/// What a zombie holds.
pub(crate) const HELD: SagaId = saga(7);

/// Transfers have ids from here on.
pub(crate) const TRANSFERS: u128 = 1000;

/// Nothing, unless a parent says where and what.
#[test]
fn child() {
    let (Some(place), Ok(role)) = (std::env::var_os(PLACE), std::env::var(ROLE)) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let place = PathBuf::from(place);
    runtime.block_on(async {
        let store = place::open(&place).await;
        let child = Child {
            stories: Arc::new(Stories::of(&place)),
            place,
            store,
        };
        let mut working = std::pin::pin!(child.work(&role));
        let mut before = 0;
        while tokio::time::timeout(FOR_EVER, &mut working).await.is_err() {
            // Many sagas take their time where others have the processor.
            let ended = child.ended().await;
            if ended == before {
                panic!("{role} does not end: {:#?}", child.open().await);
            }
            before = ended;
        }
    });
}

struct Child {
    stories: Arc<Stories<Sagas>>,
    place: PathBuf,
    store: Sagas,
}

impl Child {
    async fn work(&self, role: &str) {
        match role.split_once(' ') {
            Some(("money", transfers)) => self.money(transfers.parse().unwrap()).await,
            Some(("first", wrong)) => self.first(wrong.parse().unwrap()).await,
            _ if role == "second" => self.second().await,
            _ => self.all().await,
        }
    }

    /// How many sagas have.
    async fn ended(&self) -> u64 {
        let counts = Stage::ALL
            .into_iter()
            .zip(self.store.count().await.unwrap());
        let ended = counts.filter(|(stage, _)| stage.is_end());
        ended.map(|(_, count)| count).sum()
    }

    /// The sagas that have not ended.
    async fn open(&self) -> Vec<Option<Found>> {
        let mut open = Vec::new();
        for stage in Stage::ALL.into_iter().filter(|stage| !stage.is_end()) {
            for summary in self.store.list(stage, None, 10).await.unwrap() {
                open.push(self.store.find(summary.saga).await.unwrap());
            }
        }
        open
    }

    fn executor(&self, name: &'static str, lease: Duration) -> Executor<Sagas> {
        let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(5));
        let config = Config::new()
            .named(name)
            .lease(lease)
            .poll(Duration::from_millis(20))
            // Loads are counted by those who die, too.
            .max_loads(10_000)
            .drain(Duration::from_secs(5))
            .outage_backoff(soon);
        Executor::new(self.store.clone(), self.stories.plans(), config).unwrap()
    }

    /// An executor, while something is done.
    async fn with<F: Future<Output = ()>>(executor: &Executor<Sagas>, work: F) {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let run = executor.run(async { drop(stopped.await) });
        let work = async {
            work.await;
            stop.send(()).unwrap();
        };
        let (ended, ()) = tokio::join!(run, work);
        ended.unwrap();
    }

    /// Begins all sagas and runs them to their ends.
    async fn all(&self) {
        let executor = self.executor("executor", LONG_LEASE);
        let client = executor.client();
        let Stories { transfer, tour, .. } = &*self.stories;
        Self::with(&executor, async {
            // When this has ended, the executor has its leases.
            client
                .start(transfer, WARM, &(1, 2, 5, FINE))
                .await
                .unwrap();
            client.wait(transfer, WARM).await.unwrap();
            tokio::join!(
                async {
                    let ended = executor.execute(transfer, LINEAR, &(2, 3, 10, FINE)).await;
                    assert_eq!(ended.unwrap(), Ended::Done(10));
                },
                async {
                    let input = (3, 4, 20, REFUSED);
                    let ended = executor.execute(transfer, UNWOUND, &input).await;
                    assert!(matches!(ended.unwrap(), Ended::Compensated(_)));
                },
                async {
                    let input = (4, 5, 40, DOUBTED);
                    let ended = executor.execute(transfer, UNSURE, &input).await;
                    assert_eq!(ended.unwrap(), Ended::Done(40));
                },
                async {
                    let input = (1, 1, 160, DOUBTED);
                    client.start(tour, CANCELLED, &input).await.unwrap();
                    until(async || has_come_to(&client, CANCELLED, "approved").await).await;
                    // It has the hall until it has ended.
                    client.start(tour, TOUR, &(1, 1, 80, FINE)).await.unwrap();
                    let signal = client.signal(TOUR, Uuid::from_u128(17), "approved", &4_u32);
                    signal.await.unwrap();
                    until(async || has_come_to(&client, TOUR, HALL).await).await;
                    client.cancel(CANCELLED, "anna", "rain").await.unwrap();
                    let ended = client.wait(tour, CANCELLED).await.unwrap();
                    assert!(matches!(ended, Ended::Compensated(_)));
                    assert_eq!(client.wait(tour, TOUR).await.unwrap(), Ended::Done(80));
                },
            );
        })
        .await;
    }

    /// Has a saga with a short lease, until there is a file `stop`.
    async fn first(&self, wrong: u8) {
        let executor = self.executor("first", SHORT_LEASE);
        let client = executor.client();
        let input = (6, 7, 320, wrong);
        let began = client.start(&self.stories.transfer, HELD, &input).await;
        began.unwrap();
        let stop = self.place.join("stop");
        Self::with(&executor, until(async || stop.exists())).await;
    }

    /// Runs what another began to its end.
    async fn second(&self) {
        let executor = self.executor("second", LONG_LEASE);
        let client = executor.client();
        Self::with(&executor, async {
            client.wait(&self.stories.transfer, HELD).await.unwrap();
        })
        .await;
    }

    /// So many transfers, but for those that have ended.
    async fn money(&self, transfers: u32) {
        let executor = self.executor("executor", LONG_LEASE);
        let mut ended = HashSet::new();
        for stage in [Stage::Done, Stage::Compensated] {
            let mut after = None;
            loop {
                let page = self.store.list(stage, after, 1000).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.saga);
                ended.extend(page.iter().map(|summary| summary.saga));
            }
        }
        let open = (0..transfers).filter(|number| !ended.contains(&transfer_id(*number)));
        let open: Arc<Mutex<Vec<u32>>> = Arc::new(Mutex::new(open.rev().collect()));
        Self::with(&executor, async {
            let mut workers = JoinSet::new();
            for _ in 0..64 {
                let (open, executor) = (Arc::clone(&open), executor.clone());
                let stories = Arc::clone(&self.stories);
                workers.spawn(async move {
                    while let Some(number) = next(&open) {
                        let (is_inner, input) = random_transfer(number);
                        let definition = match is_inner {
                            true => &stories.inner,
                            false => &stories.transfer,
                        };
                        let ended = executor.execute(definition, transfer_id(number), &input);
                        ended.await.unwrap();
                    }
                });
            }
            while let Some(ended) = workers.join_next().await {
                ended.unwrap();
            }
        })
        .await;
    }
}

fn next(open: &Mutex<Vec<u32>>) -> Option<u32> {
    open.lock().unwrap().pop()
}

pub(crate) fn transfer_id(number: u32) -> SagaId {
    saga(TRANSFERS + u128::from(number))
}

/// Whether both accounts are in the database, and what is done.
fn random_transfer(number: u32) -> (bool, Transfer) {
    // splitmix64
    let mut random = (u64::from(number) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    random ^= random >> 31;
    let mut next = |most: u64| {
        let value = random % most;
        random /= most;
        value
    };
    let accounts = u64::from(ACCOUNTS);
    let (from, mut to) = (next(accounts) as u32 + 1, next(accounts) as u32 + 1);
    let amount = next(20) as i64 + 1;
    let is_inner = next(2) == 0;
    let wrong = match next(5) {
        0 => REFUSED,
        1 => DOUBTED,
        _ => FINE,
    };
    if is_inner && wrong == REFUSED {
        to = NOBODY;
    }
    (is_inner, (from, to, amount, wrong))
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    while !is_so().await {
        tokio::time::sleep(TICK).await;
    }
}

/// Whether the saga has come to a step that waits.
async fn has_come_to(client: &Client<Sagas>, saga: SagaId, step: &str) -> bool {
    let found = client.find(saga).await.unwrap();
    found.is_some_and(|found| {
        let mut steps = found.records.iter().map(|line| &*line.record.step);
        steps.any(|name| name == step)
    })
}
