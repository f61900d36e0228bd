//! Leases: who may write down what became of messages.

use std::num::NonZeroU16;
use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::outbox::{
    Bucket, Buckets, Departing, Epoch, Fate, Lease, Operate, RelayId, RowId, Settlement, Store,
};
use axiomatic_sqlite::outbox::{Options, Outbox};

use crate::scene::{HOUR, Scene, again, failure, message, settled, under};

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

#[tokio::test]
async fn under_a_lease_that_is_lost_nothing_is_changed() {
    let all = [
        Lost::Expired,
        Lost::TakenByAnother,
        Lost::TakenAgain,
        Lost::Released,
        Lost::AnothersAllAlong,
    ];
    for lost in all {
        let mut scene = Scene::new(buckets(1));
        scene.enqueue([message("key", "first")]).await;
        let leases = scene.claim_all().await;
        let stored = scene.fetch(&leases).await.rows.remove(0);
        let (outbox, relay) = (scene.outbox.clone(), scene.relay.clone());
        match lost {
            Lost::Expired => scene.expire_leases(),
            Lost::TakenByAnother => {
                scene.expire_leases();
                let other = RelayId::new("other");
                let taken = outbox.claim(&other, &[Bucket(0)], HOUR).await.unwrap();
                assert_eq!(taken.len(), 1);
            }
            Lost::TakenAgain => {
                scene.expire_leases();
                assert_eq!(scene.claim_all().await.len(), 1);
            }
            Lost::Released => outbox
                .release(&relay, &leases, Departing::No)
                .await
                .unwrap(),
            Lost::AnothersAllAlong => scene.relay = RelayId::new("other"),
        }
        let relay = scene.relay.clone();
        let lease_row = || {
            let columns = ["until", "epoch", "owner IS NULL"];
            columns.map(|column| scene.number(&format!("SELECT {column} FROM outbox_lease")))
        };
        let before = lease_row();
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
        assert_eq!(lease_row(), before, "{lost:?}");
        assert_eq!(scene.fetch(&leases).await.rows, [stored], "{lost:?}");
        assert_eq!(scene.number("SELECT messages FROM outbox_backlog"), 1);
    }
}

#[tokio::test]
async fn a_bucket_that_is_lost_is_left_out_and_the_others_are_settled() {
    let scene = Scene::new(buckets(2));
    let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
    scene.enqueue(keys.map(|key| message(key, "only"))).await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    let lose = "UPDATE outbox_lease SET epoch = epoch + 1 WHERE bucket = 0";
    scene.place.look().execute(lose, ()).unwrap();

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

#[tokio::test]
async fn a_fate_does_not_reach_beyond_the_bucket_of_its_lease() {
    let scene = Scene::new(buckets(2));
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

#[tokio::test]
async fn a_bucket_that_was_not_released_is_suspect_up_to_its_last_message() {
    let scene = Scene::new(buckets(1));
    scene.enqueue([message("key", "first")]).await;
    let first = scene.claim_all().await;
    assert_eq!(
        (first[0].epoch, first[0].suspect_through),
        (Epoch(1), RowId(0))
    );
    assert_eq!(scene.claim_all().await, [], "it is held");
    scene.expire_leases();
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

#[tokio::test]
async fn renewed_leases_last_and_relays_see_each_other_until_they_depart() {
    let scene = Scene::new(buckets(4));
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

#[tokio::test]
async fn the_number_of_buckets_changes_only_while_no_relay_runs() {
    let scene = Scene::new(buckets(4));
    scene.enqueue([message("key", "first")]).await;
    scene.claim_all().await;
    let refused = Outbox::new(&scene.database, buckets(8)).unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible);
    assert!(Outbox::new(&scene.database, buckets(4)).is_ok());

    scene.expire_leases();
    let changed = Outbox::new(&scene.database, buckets(8)).unwrap();
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
    let refused = Outbox::new(&scene.database, buckets(4)).unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible, "a relay is there");
}
