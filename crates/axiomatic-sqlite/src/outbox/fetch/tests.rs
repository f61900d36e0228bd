use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use axiomatic_coordination::outbox::{Epoch, Lease, Message, RowId};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use rusqlite::StatementStatus;

use super::*;

/// The outbox's tables, in memory.
fn tables() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    connection
        .execute_batch(&crate::outbox::schema())
        .expect("tables can be made");
    connection
}

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

impl World {
    fn insert_into(&self, connection: &Connection) {
        let row = "INSERT INTO outbox (lane, message_id, topic, tenant, body, enqueued_at) \
                   VALUES (?1, randomblob(16), ?2, ?3, x'', 0)";
        for given in &self.rows {
            let row = connection.execute(row, (given.lane.to_stored(), given.topic, given.tenant));
            row.expect("inserts");
        }
        let now = row::now(connection).expect("a clock").as_micros();
        let block = "INSERT INTO outbox_lane (lane, blocked_until, error, since) \
                     VALUES (?1, ?2, '', 0)";
        for (lane, block_of_lane) in &self.blocks {
            let until = match block_of_lane {
                Block::Parked => None,
                Block::Waits => Some(now + 3_600_000_000),
                Block::Waited => Some(now),
            };
            let block = connection.execute(block, (lane.to_stored(), until));
            block.expect("inserts");
        }
        for scope in &self.pauses {
            operate::pause(connection, scope).expect("pauses");
        }
    }

    fn search(&self) -> Search {
        let (rows, per_lane, lanes) = self.limits;
        Search {
            held: self.held.clone(),
            after: self.after,
            busy: self.busy.clone(),
            rows,
            per_lane,
            lanes,
        }
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
    let inner = prop::collection::vec(any::<i64>().prop_map(Lane::from_stored), 1..6);
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
        let pauses = (subsequence(scopes, 0..=3), any::<Index>());
        // All is paused seldom, or nothing else would be tried.
        let pauses = pauses.prop_map(|(mut pauses, seldom)| {
            pauses.retain(|scope| *scope != Scope::All || seldom.index(4) == 0);
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
            prop::collection::vec(row, 0..40),
            prop::collection::btree_map(select(lanes), block, 0..4),
            pauses,
            subsequence(all.clone(), 0..=all.len()),
            after,
            busy,
            (1_usize..20, 1_usize..5, 1_usize..12),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_fetch_finds_what_looking_at_every_row_would_find(world in worlds()) {
        let connection = tables();
        world.insert_into(&connection);
        let fetched = world.search().run(&connection, world.buckets).unwrap();
        let rows: Vec<_> = fetched.rows.iter().map(|stored| stored.row).collect();
        let found = (rows, fetched.reached, fetched.came_round);
        prop_assert_eq!(found, world.reference());
    }

    #[test]
    fn fetches_that_go_on_from_each_other_find_every_lane_that_is_ready(world in worlds()) {
        let connection = tables();
        world.insert_into(&connection);
        let mut whole = world.clone();
        whole.limits = (usize::MAX, world.limits.1, usize::MAX);
        let wanted: BTreeSet<_> = whole.reference().0.into_iter().collect();
        // A relay's next fetch leaves out the lanes that it has in hand.
        let mut search = whole.search();
        (search.rows, search.lanes) = (1, 2);
        search.per_lane = usize::MAX;
        let mut lanes = BTreeSet::new();
        for _ in 0..2 * world.rows.len() + 2 {
            let fetched = search.run(&connection, world.buckets).unwrap();
            for stored in fetched.rows {
                prop_assert!(lanes.insert(stored.lane), "twice: {}", stored.lane);
                search.busy.push(stored.lane);
                search.busy.sort_unstable();
            }
            search.after = fetched.reached.unwrap_or(search.after);
        }
        let wanted: BTreeSet<_> = wanted
            .into_iter()
            .map(|row| world.rows[usize::try_from(row.0).unwrap() - 1].lane)
            .collect();
        prop_assert_eq!(lanes, wanted);
    }
}

/// What SQLite did for one fetch: the instructions of all its statements, and
/// how many rows it loaded.
fn steps(connection: &Connection, search: &Search, buckets: Buckets) -> (i32, i32) {
    let all = [ENTRIES, BLOCKS, LABELS, ROW];
    for sql in all {
        let statement = connection.prepare_cached(sql).unwrap();
        statement.reset_status(StatementStatus::VmStep);
        statement.reset_status(StatementStatus::Run);
    }
    search.run(connection, buckets).unwrap();
    let steps = all.map(|sql| {
        let statement = connection.prepare_cached(sql).unwrap();
        statement.get_status(StatementStatus::VmStep)
    });
    let loaded = connection.prepare_cached(ROW).unwrap();
    (steps.iter().sum(), loaded.get_status(StatementStatus::Run))
}

/// So many messages behind one key, and a hundred keys with one each.
fn hot_and_cold(behind: i64, hot: Lane) -> Connection {
    let connection = tables();
    let hot_rows = "\
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
        INSERT INTO outbox (lane, message_id, topic, body, enqueued_at) \
        SELECT ?2, zeroblob(16), 'hot', x'', 0 FROM n";
    let inserted = connection.execute(hot_rows, (behind, hot.to_stored()));
    inserted.unwrap();
    let cold_row = "\
        INSERT INTO outbox (lane, message_id, topic, body, enqueued_at) \
        VALUES (?1, zeroblob(16), 'cold', x'', 0)";
    for cold in 0..100 {
        let lane = Lane::of_key(None, &format!("cold {cold}"));
        connection.execute(cold_row, [lane.to_stored()]).unwrap();
    }
    connection
}

#[test]
fn what_stands_behind_one_key_costs_the_others_nothing() {
    let buckets = Buckets::default();
    let hot = Lane::of_key(None, "hot");
    let both = [10, 100_000].map(|behind| hot_and_cold(behind, hot));
    let block = |until: Option<i64>| {
        let block = "INSERT INTO outbox_lane (lane, blocked_until, error, since) \
                     VALUES (?1, ?2, '', 0)";
        for connection in &both {
            connection.execute("DELETE FROM outbox_lane", ()).unwrap();
            connection.execute(block, (hot.to_stored(), until)).unwrap();
        }
    };
    let busy = [hot];
    for kind in ["many", "busy", "blocked", "parked", "paused"] {
        match kind {
            "blocked" => block(Some(i64::MAX)),
            "parked" => block(None),
            "paused" => both.each_ref().into_iter().for_each(|connection| {
                connection.execute("DELETE FROM outbox_lane", ()).unwrap();
                operate::pause(connection, &Scope::Topic("hot".into())).unwrap();
            }),
            _ => {}
        }
        let search = Search {
            held: buckets.all().collect(),
            after: Lane::LAST,
            busy: if kind == "busy" {
                busy.to_vec()
            } else {
                Vec::new()
            },
            rows: 500,
            per_lane: 1,
            lanes: 1000,
        };
        let cost = both.each_ref().map(|connection| {
            let fetched = search.run(connection, buckets).unwrap();
            assert_eq!(fetched.rows.len(), 100 + usize::from(kind == "many"));
            steps(connection, &search, buckets)
        });
        let [(few, loaded), (many, loaded_of_many)] = cost;
        assert!(
            many <= few + few / 10,
            "{kind}: {few} steps with 10, {many} with 100 000"
        );
        assert_eq!(loaded, loaded_of_many, "{kind}: rows that were loaded");
    }
}

#[test]
fn lanes_are_walked_in_the_index_and_bodies_of_others_are_not_loaded() {
    let connection = tables();
    let plan = |sql: &str| {
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = connection.prepare(&explained).unwrap();
        let count = statement.parameter_count();
        let zeros = rusqlite::params_from_iter(vec![0; count]);
        let lines = statement.query_map(zeros, |row| row.get::<_, String>(3));
        lines.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let walk = "SEARCH outbox USING COVERING INDEX outbox_by_lane (lane>? AND lane<?)";
    assert_eq!(plan(ENTRIES), [walk]);
    let blocks = "SEARCH outbox_lane USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    assert_eq!(plan(BLOCKS), [blocks]);
}

#[test]
fn a_message_comes_back_as_it_was_written() {
    let connection = tables();
    let message = Message::new("orders", &b"\0\xff body"[..])
        .keyed("order-17")
        .of_tenant("")
        .with_header("content-type", "text/\"quoted\"")
        .with_header("content-type", "again");
    let insert = "INSERT INTO outbox (lane, message_id, topic, key, tenant, body, headers, \
                  sequence, first, failures, started, enqueued_at) \
                  VALUES (?1, ?2, 'orders', 'order-17', '', ?3, ?4, 9, 1, 2, 3, 4)";
    let lane = message.lane().to_stored();
    let (id, body) = (message.id().into_bytes(), &message.body()[..]);
    connection
        .execute(insert, (lane, id, body, message.headers_to_json()))
        .unwrap();
    let buckets = Buckets::default();
    let leases = [Lease {
        bucket: buckets.of(message.lane()),
        epoch: Epoch(1),
        suspect_through: RowId(0),
    }];
    let fetch = Fetch {
        leases: &leases,
        after: Lane::LAST,
        busy: &[],
        rows: 1,
        per_lane: 1,
        lanes: 1,
    };
    let fetched = Search::from(&fetch).run(&connection, buckets).unwrap();
    let [stored] = &fetched.rows[..] else {
        panic!("{fetched:?}");
    };
    assert_eq!(stored.message, message.ordered());
    let sequence = stored.sequence.expect("is numbered");
    assert_eq!((sequence.number, sequence.first), (9, true));
    assert_eq!((stored.failures, stored.started), (2, 3));
    assert_eq!(stored.enqueued_at.as_micros(), 4);
}
