//! What a fetch finds.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};

use axiomatic_coordination::outbox::{
    Bucket, Buckets, Epoch, Fetch, Lane, Lease, Operate, RowId, Scope, Store,
};
use axiomatic_postgres::outbox::{Options, Outbox};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proptest::test_runner::{TestCaseError, TestRunner};

use crate::scene::Scene;

const TOPICS: [&str; 2] = ["orders", "bills"];
const TENANTS: [Option<&str>; 3] = [None, Some("north"), Some("south")];

/// A row as the reference knows it; rows are numbered from 1.
#[derive(Clone, Debug)]
struct Given {
    lane: Lane,
    topic: &'static str,
    tenant: Option<&'static str>,
}

#[derive(Copy, Clone, Debug, PartialEq)]
enum Block {
    Parked,
    Waits,
    Waited,
}

/// All that a fetch depends on.
#[derive(Clone, Debug)]
struct World {
    buckets: Buckets,
    rows: Vec<Given>,
    blocks: BTreeMap<Lane, Block>,
    pauses: BTreeSet<Scope>,
    held: Vec<Bucket>,
    after: Lane,
    busy: Vec<Lane>,
    limits: (usize, usize, usize),
}

/// A bucket's lease, whichever it is: a fetch needs none that is held.
fn lease(bucket: &Bucket) -> Lease {
    Lease {
        bucket: *bucket,
        epoch: Epoch(1),
        suspect_through: RowId(0),
    }
}

impl World {
    /// In place of what was there.
    async fn insert_into(&self, scene: &Scene) {
        let remove = "DELETE FROM {s}.outbox; DELETE FROM {s}.outbox_lane; \
                      DELETE FROM {s}.outbox_pause";
        scene.execute(remove).await;
        let lanes: Vec<_> = self.rows.iter().map(|row| row.lane.to_stored()).collect();
        let topics: Vec<_> = self.rows.iter().map(|row| row.topic).collect();
        let tenants: Vec<_> = self.rows.iter().map(|row| row.tenant).collect();
        let rows = "INSERT INTO {s}.outbox (id, lane, message_id, topic, tenant, body) \
                    SELECT id, lane, gen_random_uuid(), topic, tenant, '' \
                    FROM unnest($1::int8[], $2::text[], $3::text[]) \
                    WITH ORDINALITY AS r (lane, topic, tenant, id)";
        let rows = scene
            .client
            .execute(&scene.sql(rows), &[&lanes, &topics, &tenants])
            .await;
        rows.unwrap();
        for (lane, block) in &self.blocks {
            let until = match block {
                Block::Parked => "NULL",
                Block::Waits => "clock_timestamp() + interval '1 hour'",
                Block::Waited => "clock_timestamp()",
            };
            let lane = lane.to_stored();
            let block =
                format!("INSERT INTO {{s}}.outbox_lane VALUES ({lane}, {until}, NULL, '', now())");
            scene.execute(&block).await;
        }
        for scope in &self.pauses {
            scene.outbox.pause(scope).await.unwrap();
        }
    }

    /// What the outbox finds.
    async fn fetch(&self, outbox: &Outbox) -> (Vec<RowId>, Option<Lane>, bool) {
        let leases: Vec<_> = self.held.iter().map(lease).collect();
        let (rows, per_lane, lanes) = self.limits;
        let fetch = Fetch {
            leases: &leases,
            after: self.after,
            busy: &self.busy,
            rows,
            per_lane,
            lanes,
        };
        let fetched = outbox.fetch(&fetch).await.unwrap();
        let rows = fetched.rows.iter().map(|stored| stored.row).collect();
        (rows, fetched.reached, fetched.came_round)
    }

    fn is_paused(&self, given: &Given) -> bool {
        let has = |scope| self.pauses.contains(&scope);
        has(Scope::Topic(given.topic.into()))
            || given
                .tenant
                .is_some_and(|tenant| has(Scope::Tenant(tenant.into())))
    }

    /// The same, by looking at all rows of all lanes.
    fn reference(&self) -> (Vec<RowId>, Option<Lane>, bool) {
        let (rows, per_lane, lanes) = self.limits;
        let mut all: BTreeMap<(bool, Lane), Vec<(RowId, &Given)>> = BTreeMap::new();
        for (at, given) in self.rows.iter().enumerate() {
            let bucket = self.buckets.of(given.lane);
            let paused = [Scope::All, Scope::Bucket(bucket)];
            if self.held.contains(&bucket) && !paused.iter().any(|it| self.pauses.contains(it)) {
                let place = (given.lane <= self.after, given.lane);
                let row = RowId(i64::try_from(at).unwrap() + 1);
                all.entry(place).or_default().push((row, given));
            }
        }
        let (mut found, mut reached) = (Vec::new(), None);
        for (nth, ((_, lane), of_lane)) in all.into_iter().enumerate() {
            if nth == lanes || found.len() == rows {
                return (found, reached, false);
            }
            reached = Some(lane);
            let block = self.blocks.get(&lane);
            if self.busy.contains(&lane) || block.is_some_and(|block| *block != Block::Waited) {
                continue;
            }
            let ready = of_lane
                .iter()
                .take_while(|(_, given)| !self.is_paused(given));
            let ready = ready.take(per_lane.min(rows - found.len()));
            found.extend(ready.map(|(row, _)| *row));
        }
        (found, reached, true)
    }
}

/// A few lanes, the first and the last of each bucket among them.
fn lanes(buckets: Buckets) -> impl Strategy<Value = Vec<Lane>> {
    let edges = buckets.all().flat_map(move |bucket| {
        let lanes = buckets.lanes(bucket);
        [*lanes.start(), *lanes.end()]
    });
    let edges: Vec<_> = edges.collect();
    let inner = prop::collection::vec(any::<i64>().prop_map(Lane::from_stored), 1..30);
    let some = subsequence(edges.clone(), 0..=edges.len());
    (some, inner).prop_map(|(edges, inner)| [edges, inner].concat())
}

fn worlds() -> impl Strategy<Value = World> {
    let buckets = (1_u16..6).prop_map(|count| Buckets::new(NonZeroU16::new(count).unwrap()));
    let lanes = buckets.prop_flat_map(|buckets| (Just(buckets), lanes(buckets)));
    lanes.prop_flat_map(|(buckets, lanes)| {
        let row = (
            select(lanes.clone()),
            select(&TOPICS[..]),
            select(&TENANTS[..]),
        );
        let row = row.prop_map(|(lane, topic, tenant)| Given {
            lane,
            topic,
            tenant,
        });
        let block = select(&[Block::Parked, Block::Waits, Block::Waited][..]);
        let scopes = vec![
            Scope::Topic("bills".into()),
            Scope::Tenant("south".into()),
            Scope::Bucket(Bucket(0)),
            Scope::Bucket(Bucket(1)),
            Scope::All,
        ];
        let pauses = (subsequence(scopes, 0..=3), any::<Index>(), any::<Index>());
        // All is paused seldom, and often nothing, or nothing else would be
        // tried.
        let pauses = pauses.prop_map(|(mut pauses, all, nothing)| {
            pauses.retain(|scope| *scope != Scope::All || all.index(4) == 0);
            pauses.retain(|_| nothing.index(2) == 0);
            pauses.into_iter().collect()
        });
        let all: Vec<_> = buckets.all().collect();
        let after = prop_oneof![select(lanes.clone()), Just(Lane::LAST), Just(Lane::FIRST)];
        let busy = subsequence(lanes.clone(), 0..=lanes.len().min(3));
        let busy = busy.prop_map(|mut busy| {
            busy.sort_unstable();
            busy
        });
        (
            prop::collection::vec(row, 0..150),
            prop::collection::btree_map(select(lanes), block, 0..4),
            pauses,
            subsequence(all.clone(), 0..=all.len()),
            after,
            busy,
            (1_usize..80, 1_usize..25, 1_usize..30),
        )
            .prop_map(
                move |(rows, blocks, pauses, held, after, busy, limits)| World {
                    buckets,
                    rows,
                    blocks,
                    pauses,
                    held,
                    after,
                    busy,
                    limits,
                },
            )
    })
}

/// Worlds of which few rows are asked for. In half of them nothing is in the
/// way of a scan.
fn worlds_to_scan() -> impl Strategy<Value = World> {
    worlds().prop_map(|mut world| {
        world.limits.0 = world.limits.0.min(6);
        if world.rows.len() % 2 == 0 {
            world.blocks.clear();
            world.pauses.clear();
            world.busy.clear();
            world.held = world.buckets.all().collect();
            world.after = Lane::LAST;
            world.limits.1 = usize::MAX;
        }
        world
    })
}

/// Tries worlds, on one outbox for each number of buckets.
async fn try_worlds(
    cases: u32,
    worlds: impl Strategy<Value = World>,
    holds: impl AsyncFn(&World, &Outbox) -> Result<(), TestCaseError>,
) {
    let Some(scene) = Scene::find(Options::new()).await else {
        return;
    };
    let mut outboxes = Vec::new();
    for count in 1..6 {
        let buckets = Buckets::new(NonZeroU16::new(count).unwrap());
        let outbox = Outbox::new(&scene.database, Options::new().buckets(buckets)).await;
        outboxes.push(outbox.expect("no relay runs"));
    }
    let mut runner = TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    });
    let runtime = tokio::runtime::Handle::current();
    let tried = tokio::task::block_in_place(|| {
        let tried = runner.run(&worlds, |world| {
            runtime.block_on(async {
                world.insert_into(&scene).await;
                let outbox = &outboxes[usize::from(world.buckets.count()) - 1];
                holds(&world, outbox).await
            })
        });
        tried.map_err(|error| error.to_string())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

/// A fetch without a limit finds no plenty: the next one walks.
async fn forget_plenty(world: &World, outbox: &Outbox) {
    let mut all = world.clone();
    all.limits.0 = usize::MAX;
    all.fetch(outbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_finds_what_looking_at_every_row_would_find() {
    try_worlds(200, worlds(), async |world, outbox| {
        forget_plenty(world, outbox).await;
        prop_assert_eq!(world.fetch(outbox).await, world.reference());
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_finds_the_first_of_what_a_walk_would_find() {
    let scans = AtomicUsize::new(0);
    try_worlds(300, worlds_to_scan(), async |world, outbox| {
        forget_plenty(world, outbox).await;
        let walked = world.fetch(outbox).await;
        prop_assert_eq!(&walked, &world.reference());
        let found = world.fetch(outbox).await;
        if found != walked {
            let (rows, reached, came_round) = found;
            prop_assert!(!rows.is_empty() && walked.0.starts_with(&rows));
            let last = world.rows[usize::try_from(rows[rows.len() - 1].0).unwrap() - 1].lane;
            prop_assert_eq!((reached, came_round), (Some(last), false));
            let next = &walked.0[rows.len()..];
            let lane_of = |row: &RowId| world.rows[usize::try_from(row.0).unwrap() - 1].lane;
            prop_assert!(next.iter().all(|row| lane_of(row) != last), "half a lane");
            scans.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    })
    .await;
    if Scene::find(Options::new()).await.is_some() {
        let scans = scans.into_inner();
        assert!(scans > 5, "{scans} fetches were scans");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fetches_that_go_on_from_each_other_find_every_lane_that_is_ready() {
    try_worlds(40, worlds(), async |world, outbox| {
        let mut whole = world.clone();
        whole.limits = (usize::MAX, world.limits.1, usize::MAX);
        let lane_of = |row: RowId| world.rows[usize::try_from(row.0).unwrap() - 1].lane;
        let wanted: BTreeSet<_> = whole.reference().0.into_iter().map(lane_of).collect();
        // A relay's next fetch leaves out the lanes that it has in hand.
        let mut part = world.clone();
        part.limits = (1, usize::MAX, 2);
        let mut lanes = BTreeSet::new();
        for _ in 0..2 * world.rows.len() + 2 {
            let (rows, reached, _) = part.fetch(outbox).await;
            for lane in rows.into_iter().map(lane_of) {
                prop_assert!(lanes.insert(lane), "twice: {}", lane);
                part.busy.push(lane);
                part.busy.sort_unstable();
            }
            part.after = reached.unwrap_or(part.after);
            if lanes.len() == wanted.len() {
                break;
            }
        }
        prop_assert_eq!(lanes, wanted);
        Ok(())
    })
    .await;
}
