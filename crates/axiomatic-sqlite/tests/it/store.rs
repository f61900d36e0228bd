//! What a relay asks of the outbox, and is promised.

use std::time::Duration;

use axiomatic_coordination::outbox::{Fate, Message, Operate, Store};
use axiomatic_sqlite::outbox::{Keep, Options};

use crate::scene::{HOUR, Scene, again, bodies, failure, message, settled, under};

#[tokio::test]
async fn what_is_published_goes_or_is_archived() {
    let kept = Options::new().keep(Keep::Archive(HOUR));
    for (options, archived) in [(Options::new(), 0), (kept, 1)] {
        let scene = Scene::new(options);
        scene
            .enqueue([message("key", "first"), message("key", "second")])
            .await;
        let leases = scene.claim_all().await;
        let first = scene.fetch(&leases).await.rows.remove(0);
        for _ in 0..2 {
            // The second time, nothing is there to settle.
            let kept = scene.settle(&leases, &first, Fate::Published).await;
            assert_eq!(kept.len(), 1);
        }
        assert_eq!(bodies(&scene.fetch(&leases).await), ["second"]);
        assert_eq!(scene.place.count("outbox_archive"), archived);
        assert_eq!(scene.number("SELECT messages FROM outbox_backlog"), 1);
    }
}

#[tokio::test]
async fn what_failed_keeps_its_lane_until_it_is_tried_again() {
    let scene = Scene::new(Options::new());
    scene
        .enqueue([message("key", "first"), message("key", "second")])
        .await;
    let leases = scene.claim_all().await;
    let first = scene.fetch(&leases).await.rows.remove(0);
    let start = [under(&leases, &first, first.next_attempt(), &scene.outbox)];
    scene.outbox.start(&scene.relay, &start).await.unwrap();
    let started = scene.fetch(&leases).await.rows.remove(0);
    assert_eq!((started.started, started.failures), (1, 0));

    scene.settle(&leases, &first, again("no route")).await;
    assert_eq!(bodies(&scene.fetch(&leases).await), [""; 0]);
    scene.expire_blocks();
    let tried = scene.fetch(&leases).await;
    assert_eq!(bodies(&tried), ["first", "second"]);
    assert_eq!((tried.rows[0].started, tried.rows[0].failures), (0, 1));

    // Nobody knows how this one ended: it is not charged, and what failed
    // before is still to be read.
    let after = HOUR;
    let unknown = Fate::Again {
        after,
        failure: None,
    };
    scene.settle(&leases, &first, unknown).await;
    let [blocked] = &scene.outbox.blocked(9).await.unwrap()[..] else {
        panic!("one lane is blocked");
    };
    assert_eq!(&*blocked.error, "no route");
    scene.expire_blocks();
    assert_eq!(scene.fetch(&leases).await.rows[0].failures, 1);
}

#[tokio::test]
async fn what_keeps_a_lane_goes_with_its_first_message_and_not_with_another() {
    let scene = Scene::new(Options::new());
    scene
        .enqueue([message("key", "first"), message("key", "second")])
        .await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    scene.settle(&leases, &rows[0], again("no")).await;
    scene.settle(&leases, &rows[1], Fate::Published).await;
    assert_eq!(scene.outbox.blocked(9).await.unwrap().len(), 1);
    scene.settle(&leases, &rows[0], Fate::Published).await;
    assert_eq!(scene.outbox.blocked(9).await.unwrap(), []);
    assert_eq!(scene.place.count("outbox_lane"), 0);
}

#[tokio::test]
async fn in_one_settlement_what_goes_does_not_free_what_stays() {
    let scene = Scene::new(Options::new());
    scene
        .enqueue([message("key", "first"), message("key", "second")])
        .await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    let mut fates = under(
        &leases,
        &rows[0],
        settled(&rows[1], again("no")),
        &scene.outbox,
    );
    fates.rows.push(settled(&rows[0], Fate::Published));
    scene.outbox.settle(&scene.relay, &[fates]).await.unwrap();
    assert_eq!(scene.outbox.blocked(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_shorter_wait_does_not_end_a_longer_one_and_a_parked_lane_stays_so() {
    let scene = Scene::new(Options::new());
    scene
        .enqueue([message("key", "first"), message("key", "second")])
        .await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    scene.settle(&leases, &rows[0], again("no")).await;
    let after = Duration::ZERO;
    let at_once = Fate::Again {
        after,
        failure: None,
    };
    scene.settle(&leases, &rows[1], at_once.clone()).await;
    assert_eq!(bodies(&scene.fetch(&leases).await), [""; 0]);
    scene
        .settle(&leases, &rows[0], Fate::Parked(failure("never")))
        .await;
    scene.settle(&leases, &rows[1], at_once).await;
    scene.settle(&leases, &rows[0], Fate::Published).await;
    let [parked] = &scene.outbox.blocked(9).await.unwrap()[..] else {
        panic!("one lane is parked");
    };
    assert_eq!(parked.left, None);
}

#[tokio::test]
async fn what_is_given_up_is_a_dead_letter_and_its_lane_goes_on() {
    let scene = Scene::new(Options::new());
    scene
        .enqueue([message("key", "first"), message("key", "second")])
        .await;
    let leases = scene.claim_all().await;
    let first = scene.fetch(&leases).await.rows.remove(0);
    scene.settle(&leases, &first, again("no")).await;
    for _ in 0..2 {
        let buried = Fate::Buried(failure("never"));
        scene.settle(&leases, &first, buried).await;
    }
    assert_eq!(bodies(&scene.fetch(&leases).await), ["second"]);
    let [dead] = &scene.outbox.dead(9).await.unwrap()[..] else {
        panic!("one is dead");
    };
    assert_eq!(
        (&dead.stored.message, &*dead.error),
        (&first.message, "never")
    );
    assert_eq!((dead.stored.row, dead.stored.failures), (first.row, 2));
    assert_eq!(dead.cause, failure("").cause);
}

#[tokio::test]
async fn what_is_kept_no_longer_is_thrown_away_piece_by_piece() {
    let options = Options::new().keep(Keep::Archive(HOUR));
    let scene = Scene::new(options.forget_sequences_after(HOUR));
    let look = scene.place.look();
    let archive = "\
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500) \
        INSERT INTO outbox_archive (id, lane, message_id, topic, body, failures, started, \
          enqueued_at, published_at) \
        SELECT n + 1000000, 0, zeroblob(16), 'orders', x'', 0, 0, 0, \
          CASE WHEN n <= 1200 THEN 0 ELSE unixepoch() * 1000000 END FROM n";
    look.execute(archive, ()).unwrap();
    look.execute("INSERT INTO outbox_relay VALUES ('gone', 1)", ())
        .unwrap();
    let ordered = [None, Some("north")].map(|tenant| {
        let message = message("waits", "first").ordered();
        tenant.into_iter().fold(message, Message::of_tenant)
    });
    scene.enqueue(ordered).await;
    scene.enqueue([message("quiet", "second").ordered()]).await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    let quiet = rows
        .iter()
        .find(|stored| stored.message.key() == Some("quiet"));
    scene.settle(&leases, quiet.unwrap(), Fate::Published).await;
    look.execute("UPDATE outbox_sequence SET at = 0", ())
        .unwrap();

    assert!(scene.outbox.tidy().await.unwrap(), "there is more");
    assert_eq!(scene.place.count("outbox_archive"), 501);
    assert_eq!(scene.place.count("outbox_relay"), 0);
    // Keys with messages that wait are not quiet.
    assert_eq!(scene.place.count("outbox_sequence"), 2);
    assert_eq!(
        scene.number("SELECT count(*) FROM outbox_sequence WHERE at = 0"),
        0
    );
    assert!(!scene.outbox.tidy().await.unwrap(), "there is no more");
    assert_eq!(scene.place.count("outbox_archive"), 301);
}
