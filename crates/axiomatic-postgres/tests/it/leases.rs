//! Leases: who may write down what became of messages.

use std::num::NonZeroU16;
use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::outbox::{
    Bucket, Buckets, Departing, Epoch, Fate, Lease, Operate, RelayId, RowId, Settlement, Store,
};
use axiomatic_postgres::outbox::{Options, Outbox};

use crate::scene::{HOUR, Scene, again, failure, message, settled, under};
use crate::support::until;

fn buckets(count: u16) -> Options {
    Options::new().buckets(Buckets::new(NonZeroU16::new(count).expect("not zero")))
}

/// How a lease can be no lease any more.
#[derive(Copy, Clone, Debug)]
enum Lost {
    Expired,
    TakenByAnother,
    TakenAgain,
    Released,
    AnothersAllAlong,
}

#[tokio::test(flavor = "multi_thread")]
async fn under_a_lease_that_is_lost_nothing_is_changed() {
    let all = [
        Lost::Expired,
        Lost::TakenByAnother,
        Lost::TakenAgain,
        Lost::Released,
        Lost::AnothersAllAlong,
    ];
    for lost in all {
        let Some(mut scene) = Scene::find(buckets(1)).await else {
            return;
        };
        scene.enqueue([message("key", "first")]).await;
        let leases = scene.claim_all().await;
        let stored = scene.fetch(&leases).await.rows.remove(0);
        let (outbox, relay) = (scene.outbox.clone(), scene.relay.clone());
        match lost {
            Lost::Expired => scene.expire_leases().await,
            Lost::TakenByAnother => {
                scene.expire_leases().await;
                let other = RelayId::new("other");
                let taken = outbox.claim(&other, &[Bucket(0)], HOUR).await.unwrap();
                assert_eq!(taken.len(), 1);
            }
            Lost::TakenAgain => {
                scene.expire_leases().await;
                assert_eq!(scene.claim_all().await.len(), 1);
            }
            Lost::Released => outbox
                .release(&relay, &leases, Departing::No)
                .await
                .unwrap(),
            Lost::AnothersAllAlong => scene.relay = RelayId::new("other"),
        }
        let relay = scene.relay.clone();
        let lease_row = async || {
            let of = "SELECT (extract(epoch FROM until) * 1000000)::int8 + epoch \
                      + (owner IS NULL)::int4 FROM {s}.outbox_lease";
            scene.number(of).await
        };
        let before = lease_row().await;
        let fates = [
            Fate::Published,
            again("no"),
            Fate::Buried(failure("no")),
            Fate::Parked(failure("no")),
        ];
        for fate in fates {
            assert_eq!(scene.settle(&leases, &stored, fate).await, [], "{lost:?}");
        }
        let start = [under(&leases, &stored, stored.next_attempt(), &outbox)];
        assert_eq!(outbox.start(&relay, &start).await.unwrap(), [], "{lost:?}");
        let renewed = outbox.renew(&relay, &leases, 2 * HOUR).await.unwrap();
        assert_eq!(renewed, [], "{lost:?}");
        let released = outbox.release(&relay, &leases, Departing::No).await;
        released.unwrap();
        assert_eq!(lease_row().await, before, "{lost:?}");
        assert_eq!(scene.fetch(&leases).await.rows, [stored], "{lost:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_lost_is_left_out_and_the_others_are_settled() {
    let Some(scene) = Scene::find(buckets(2)).await else {
        return;
    };
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    scene.enqueue(keys.map(|key| message(key, "only"))).await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    let lose = "UPDATE {s}.outbox_lease SET epoch = epoch + 1 WHERE bucket = 0";
    scene.execute(lose).await;

    let of = |bucket| {
        let buckets = scene.outbox.buckets();
        let rows = rows
            .iter()
            .filter(move |row| buckets.of(row.lane) == bucket);
        rows.collect::<Vec<_>>()
    };
    let published = leases.iter().map(|lease| Settlement {
        lease: *lease,
        rows: of(lease.bucket)
            .into_iter()
            .map(|stored| settled(stored, Fate::Published))
            .collect(),
    });
    let published: Vec<_> = published.collect();
    let kept = scene.outbox.settle(&scene.relay, &published).await.unwrap();
    assert_eq!(kept, [Bucket(1)]);
    let left = scene.fetch(&leases).await.rows;
    assert_eq!(left.iter().collect::<Vec<_>>(), of(Bucket(0)));
    assert!(!left.is_empty() && left.len() < keys.len(), "keys of both");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fate_does_not_reach_beyond_the_bucket_of_its_lease() {
    let Some(scene) = Scene::find(buckets(2)).await else {
        return;
    };
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    scene.enqueue(keys.map(|key| message(key, "only"))).await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    let of_second = rows.last().expect("there are rows");
    let claimed_for_first = [Settlement {
        lease: leases[0],
        rows: vec![settled(of_second, Fate::Published)],
    }];
    let settle = scene.outbox.settle(&scene.relay, &claimed_for_first).await;
    settle.unwrap();
    let claimed_for_first = [Settlement {
        lease: leases[0],
        rows: vec![of_second.next_attempt()],
    }];
    let start = scene.outbox.start(&scene.relay, &claimed_for_first).await;
    start.unwrap();
    assert_eq!(scene.fetch(&leases).await.rows, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_not_released_is_suspect_up_to_its_last_message() {
    let Some(scene) = Scene::find(buckets(1)).await else {
        return;
    };
    scene.enqueue([message("key", "first")]).await;
    let first = scene.claim_all().await;
    assert_eq!(
        (first[0].epoch, first[0].suspect_through),
        (Epoch(1), RowId(0))
    );
    assert_eq!(scene.claim_all().await, [], "it is held");
    scene.expire_leases().await;
    let second = scene.claim_all().await;
    assert_eq!(
        (second[0].epoch, second[0].suspect_through),
        (Epoch(2), RowId(1))
    );
    scene.enqueue([message("key", "second")]).await;
    let release = scene.outbox.release(&scene.relay, &second, Departing::No);
    release.await.unwrap();
    // Released, it is suspect as far as it was.
    let third = scene.claim_all().await;
    assert_eq!(
        (third[0].epoch, third[0].suspect_through),
        (Epoch(3), RowId(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_leases_last_and_relays_see_each_other_until_they_depart() {
    let Some(scene) = Scene::find(buckets(4)).await else {
        return;
    };
    let leases = scene.claim_all().await;
    let renewed = scene.outbox.renew(&scene.relay, &leases, 3 * HOUR).await;
    assert_eq!(renewed.unwrap().len(), 4);
    let holdings = scene.outbox.leases().await.unwrap();
    assert!(
        holdings.iter().all(|held| held.left > 2 * HOUR),
        "{holdings:?}"
    );

    let other = RelayId::new("other");
    let there = scene.outbox.attend(&other, HOUR).await.unwrap();
    assert_eq!(there, std::slice::from_ref(&other));
    let mut both = vec![scene.relay.clone(), other.clone()];
    both.sort();
    assert_eq!(scene.outbox.attend(&scene.relay, HOUR).await.unwrap(), both);
    scene
        .outbox
        .release(&other, &[], Departing::Yes)
        .await
        .unwrap();
    let alone = scene.outbox.attend(&scene.relay, Duration::ZERO).await;
    assert_eq!(alone.unwrap(), [], "it came for no time at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_buckets_changes_only_while_no_relay_runs() {
    let Some(scene) = Scene::find(buckets(4)).await else {
        return;
    };
    scene.enqueue([message("key", "first")]).await;
    scene.claim_all().await;
    let refused = Outbox::new(&scene.database, buckets(8)).await.unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible);
    assert!(Outbox::new(&scene.database, buckets(4)).await.is_ok());

    scene.expire_leases().await;
    let changed = Outbox::new(&scene.database, buckets(8)).await.unwrap();
    let relay = RelayId::new("relay");
    let all: Vec<_> = changed.buckets().all().collect();
    let leases = changed.claim(&relay, &all, HOUR).await.unwrap();
    let expected = |lease: &Lease| (lease.epoch, lease.suspect_through) == (Epoch(2), RowId(1));
    assert!(
        leases.len() == 8 && leases.iter().all(expected),
        "{leases:?}"
    );
    changed
        .release(&relay, &leases, Departing::No)
        .await
        .unwrap();
    changed.attend(&relay, HOUR).await.unwrap();
    let refused = Outbox::new(&scene.database, buckets(4)).await.unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible, "a relay is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_relays_that_claim_at_once_each_bucket_has_one() {
    let Some(scene) = Scene::find(Options::new()).await else {
        return;
    };
    for round in 0..5 {
        let claiming = (0..4).map(|_| {
            let outbox = scene.outbox.clone();
            let relay = RelayId::new("relay");
            tokio::spawn(async move {
                let all: Vec<_> = outbox.buckets().all().collect();
                let mut taken = Vec::new();
                // Those that another was just taking are passed over.
                for _ in 0..3 {
                    taken.extend(outbox.claim(&relay, &all, HOUR).await.unwrap());
                }
                taken
            })
        });
        let mut taken = Vec::new();
        for claimed in claiming.collect::<Vec<_>>() {
            taken.extend(claimed.await.unwrap());
        }
        let mut buckets: Vec<_> = taken.iter().map(|lease| lease.bucket).collect();
        buckets.sort_unstable();
        assert_eq!(buckets, scene.outbox.buckets().all().collect::<Vec<_>>());
        let expected = Epoch(round + 1);
        assert!(taken.iter().all(|lease| lease.epoch == expected));
        scene.expire_leases().await;
    }
}

/// A settlement whose lease another transaction is just taking away.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_waits_for_a_claim_compares_again() {
    let fates = [
        ("published", Fate::Published),
        ("again", again("no")),
        ("start", Fate::Published),
    ];
    for (what, fate) in fates {
        let Some(scene) = Scene::find(buckets(1)).await else {
            return;
        };
        scene.enqueue([message("key", "first")]).await;
        let leases = scene.claim_all().await;
        let stored = scene.fetch(&leases).await.rows.remove(0);
        let mut other = scene.place.client().await;
        let tx = other.transaction().await.unwrap();
        let take = scene.sql(
            "UPDATE {s}.outbox_lease SET owner = 'other', epoch = epoch + 1, \
             until = clock_timestamp() + interval '1 hour'",
        );
        tx.execute(&take, &[]).await.unwrap();
        let (outbox, relay) = (scene.outbox.clone(), scene.relay.clone());
        let row = stored.clone();
        let late = tokio::spawn(async move {
            if what == "start" {
                let start = [under(&leases, &row, row.next_attempt(), &outbox)];
                return outbox.start(&relay, &start).await.unwrap();
            }
            let fates = [under(&leases, &row, settled(&row, fate), &outbox)];
            outbox.settle(&relay, &fates).await.unwrap()
        });
        waits_for_a_lock(&scene).await;
        tx.commit().await.unwrap();
        assert_eq!(late.await.unwrap(), [], "{what}");
        let leases = [Lease {
            bucket: Bucket(0),
            epoch: Epoch(2),
            suspect_through: RowId(0),
        }];
        assert_eq!(scene.fetch(&leases).await.rows, [stored], "{what}");
    }
}

/// While a settlement has not committed, its lease cannot be taken away, even
/// if it has expired by then.
#[tokio::test(flavor = "multi_thread")]
async fn no_claim_comes_between_what_a_settlement_compares_and_its_commit() {
    let Some(scene) = Scene::find(buckets(1)).await else {
        return;
    };
    scene.enqueue([message("key", "first")]).await;
    let leases = scene.claim_all().await;
    let stored = scene.fetch(&leases).await.rows.remove(0);
    // It has compared, and waits for the row.
    let mut other = scene.place.client().await;
    let tx = other.transaction().await.unwrap();
    let lock = scene.sql("SELECT FROM {s}.outbox FOR UPDATE");
    tx.query(&lock, &[]).await.unwrap();
    let (outbox, relay) = (scene.outbox.clone(), scene.relay.clone());
    let fates = [under(
        &leases,
        &stored,
        settled(&stored, Fate::Published),
        &outbox,
    )];
    let settling = tokio::spawn(async move { outbox.settle(&relay, &fates).await.unwrap() });
    waits_for_a_lock(&scene).await;
    // As a claim takes those that have expired.
    let take = "UPDATE {s}.outbox_lease SET owner = NULL, until = 'epoch' WHERE bucket = \
                (SELECT bucket FROM {s}.outbox_lease FOR UPDATE SKIP LOCKED)";
    let taken = scene.client.execute(&scene.sql(take), &[]).await.unwrap();
    assert_eq!(taken, 0, "it is locked until the settlement has committed");
    tx.commit().await.unwrap();
    assert_eq!(settling.await.unwrap(), [Bucket(0)]);
    assert_eq!(scene.count("outbox").await, 0);
}

/// Waits until a statement on this schema waits for a lock.
async fn waits_for_a_lock(scene: &Scene) {
    let waiting = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
         AND query LIKE '%{}\".outbox%'",
        scene.place.schema
    );
    until("a statement that waits for a lock", async || {
        scene.number(&waiting).await > 0
    })
    .await;
}
