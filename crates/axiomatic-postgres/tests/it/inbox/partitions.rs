//! How messages are forgotten.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::num::NonZeroU32;

use axiomatic_coordination::inbox::Id;
use axiomatic_postgres::inbox::{Handled, Swept};
use bytes::Bytes;

use super::*;
use crate::support::until;

impl Scene {
    /// A partition from so many hours ago to the next hour, with one message
    /// whose id is the number.
    async fn old(&self, hours: u32) {
        let schema = &self.place.schema;
        let make = format!(
            "DO $$ DECLARE at timestamptz := date_trunc('hour', now()) - interval '{hours} hours'; \
             BEGIN EXECUTE format('CREATE TABLE {schema}.old_{hours} PARTITION OF \
             {schema}.inbox_seen FOR VALUES FROM (%L) TO (%L)', at, at + interval '1 hour'); \
             CREATE UNIQUE INDEX ON {schema}.old_{hours} (consumer, id); \
             INSERT INTO {schema}.inbox_seen VALUES ('bank', '{hours}', at, NULL); END $$"
        );
        self.look.batch_execute(&make).await.unwrap();
    }

    async fn partitions(&self) -> Vec<String> {
        let all = format!(
            "SELECT inhrelid::regclass::text FROM pg_inherits \
             WHERE inhparent = '{}.inbox_seen'::regclass ORDER BY 1",
            self.place.schema
        );
        let all = self.look.query(&all, &[]).await.unwrap();
        all.iter().map(|row| row.get(0)).collect()
    }

    async fn handle(&self, client: &mut Client, id: &str) -> Handled<()> {
        let works = async |_: &mut Transaction<'_>, _: &Delivery| Ok::<_, Infallible>(());
        let message = message(id);
        let handled = self.inbox.handle(client, "bank", &message, works).await;
        handled.unwrap()
    }
}

/// Eight hours are remembered.
fn eight_hours() -> Config {
    config().retention(Duration::from_secs(8 * 60 * 60))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_drops_what_is_old_as_a_whole_and_nothing_else() {
    let Some(scene) = Scene::new(eight_hours(), Options::new()).await else {
        return;
    };
    for hours in [7, 8, 9, 10, 20] {
        scene.old(hours).await;
    }
    let before = scene.partitions().await.len();
    let swept = scene.inbox.sweep().await.unwrap();
    // Of what began nine hours ago the end is eight hours ago or less.
    let dropped = ["old_20", "old_10", "old_9"].map(Box::<str>::from);
    let expected = Swept {
        dropped: dropped.to_vec(),
        ..Swept::default()
    };
    assert_eq!(swept, expected);
    assert_eq!(scene.partitions().await.len(), before - 3);
    let mut client = scene.client().await;
    for (id, expected) in [
        ("7", Handled::Duplicate),
        ("8", Handled::Duplicate),
        ("9", Handled::Done(())),
        ("20", Handled::Done(())),
    ] {
        assert_eq!(scene.handle(&mut client, id).await, expected, "{id}");
    }
    assert_eq!(scene.inbox.sweep().await.unwrap(), Swept::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_handling_nor_forgetting_leaves_dead_rows() {
    let Some(scene) = Scene::new(eight_hours(), Options::new()).await else {
        return;
    };
    let mut client = scene.client().await;
    for id in 0..50 {
        for _ in 0..2 {
            let _ = scene.handle(&mut client, &format!("plain {id}")).await;
            let mut tx = client.transaction().await.unwrap();
            let work = async |_: &mut Transaction<'_>| Ok::<_, Infallible>(Bytes::from("done"));
            let id = Id::new(format!("kept {id}")).unwrap();
            let kept = scene.inbox.once_with_result(&mut tx, "bank", &id, work);
            assert_eq!(kept.await.unwrap().into_result().unwrap(), "done");
            tx.commit().await.unwrap();
        }
    }
    // A session says what it did when it ends, at the latest.
    drop(client);
    let of = |column: &str| {
        format!(
            "SELECT coalesce(sum({column}), 0)::bigint FROM pg_stat_user_tables \
             WHERE schemaname = '{}' AND relname LIKE 'inbox_seen%'",
            scene.place.schema
        )
    };
    until("the server has counted", async || {
        scene.number(&of("n_tup_ins")).await == 100
    })
    .await;
    assert_eq!(
        scene
            .number(&of("n_tup_upd + n_tup_del + n_dead_tup"))
            .await,
        0
    );
    assert_eq!(scene.count("inbox_seen").await, 100);
    assert_eq!(scene.count("inbox_seen_default").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_gives_way_to_a_long_transaction() {
    let Some(scene) = Scene::new(eight_hours(), Options::new()).await else {
        return;
    };
    scene.old(20).await;
    let mut client = scene.client().await;
    let mut tx = client.transaction().await.unwrap();
    let works = async |_: &mut Transaction<'_>| Ok::<_, Infallible>(());
    let long = message("long");
    let once = scene.inbox.once(&mut tx, "bank", &long, works);
    assert!(!once.await.unwrap().is_duplicate());
    let swept = scene.inbox.sweep().await.unwrap();
    assert!(swept.is_held_up && swept.dropped.is_empty(), "{swept:?}");
    let mut another = scene.client().await;
    let other = scene.handle(&mut another, "another").await;
    assert_eq!(other, Handled::Done(()), "nobody waits behind it");
    tx.commit().await.unwrap();
    let swept = scene.inbox.sweep().await.unwrap();
    assert_eq!((swept.dropped.len(), swept.is_held_up), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeps_at_the_same_time_drop_each_partition_once() {
    let Some(scene) = Scene::new(eight_hours(), Options::new()).await else {
        return;
    };
    for hours in 10..20 {
        scene.old(hours).await;
    }
    let mut dropped = BTreeMap::new();
    until("all of them are dropped", async || {
        let sweeping = (0..4).map(|_| {
            let inbox = scene.inbox.clone();
            tokio::spawn(async move { inbox.sweep().await })
        });
        for swept in sweeping.collect::<Vec<_>>() {
            for name in swept.await.unwrap().unwrap().dropped {
                *dropped.entry(name).or_insert(0) += 1;
            }
        }
        dropped.len() == 10
    })
    .await;
    assert!(dropped.values().all(|times| *times == 1), "{dropped:?}");
}

/// Nobody swept for longer than partitions were made ahead.
#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_sweeps_messages_are_taken_and_forgotten_later() {
    let narrow = Options::new()
        .partitions_of(Duration::from_millis(100))
        .ahead(NonZeroU32::MIN);
    let retention = Duration::from_millis(1);
    let config = Config::new(axiomatic_coordination::inbox::IdRule::BrokerId, retention);
    let Some(scene) = Scene::new(config.retention(retention), narrow).await else {
        return;
    };
    let mut client = scene.client().await;
    let mut id = 0;
    until("what comes stands in the default", async || {
        id += 1;
        assert_eq!(
            scene.handle(&mut client, &id.to_string()).await,
            Handled::Done(())
        );
        scene.count("inbox_seen_default").await > 0
    })
    .await;
    let last = id.to_string();
    assert_eq!(scene.handle(&mut client, &last).await, Handled::Duplicate);
    let mut dropped = Vec::new();
    until("the default is emptied", async || {
        dropped.extend(scene.inbox.sweep().await.unwrap().dropped);
        scene.count("inbox_seen_default").await == 0
    })
    .await;
    assert!(dropped.iter().any(|name| &**name == "inbox_seen_default"));
    assert_eq!(scene.handle(&mut client, &last).await, Handled::Done(()));
}

/// Partitions are made beside a default that holds rows for the time being.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_behind_what_stands_in_the_default() {
    let narrow = Options::new().partitions_of(Duration::from_millis(300));
    let Some(scene) = Scene::new(eight_hours(), narrow).await else {
        return;
    };
    let mut client = scene.client().await;
    let mut id = 0;
    until("what comes stands in the default", async || {
        id += 1;
        assert_eq!(
            scene.handle(&mut client, &id.to_string()).await,
            Handled::Done(())
        );
        scene.count("inbox_seen_default").await > 0
    })
    .await;
    let swept = scene.inbox.sweep().await.unwrap();
    assert!(swept.made > 3, "{swept:?}");
    let stood = scene.count("inbox_seen_default").await;
    until("what comes stands in a partition again", async || {
        id += 1;
        assert_eq!(
            scene.handle(&mut client, &id.to_string()).await,
            Handled::Done(())
        );
        let _ = scene.inbox.sweep().await.unwrap();
        scene.count("inbox_seen_default").await < stood + i64::from(id) && {
            let newest = "SELECT count(*) FROM {schema}.inbox_seen WHERE tableoid <> \
                          '{schema}.inbox_seen_default'::regclass AND first_seen > \
                          (SELECT max(first_seen) FROM {schema}.inbox_seen_default)";
            scene.number(newest).await > 0
        }
    })
    .await;
    for id in 1..=id {
        assert_eq!(
            scene.handle(&mut client, &id.to_string()).await,
            Handled::Duplicate
        );
    }
}
