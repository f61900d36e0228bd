//! What an operator asks of the outbox, and is promised.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use axiomatic_coordination::outbox::{
    Backlog, Bucket, Buckets, Fate, Ids, Lane, Message, Operate, Replay, RowId, Scope, Store,
    WakeUps,
};
use axiomatic_sqlite::outbox::{Keep, Options};

use crate::scene::{HOUR, Scene, again, bodies, failure, message};

/// Whether relays were woken since the last time.
async fn were_woken(wake_ups: &mut WakeUps) -> bool {
    let woken = tokio::time::timeout(Duration::ZERO, wake_ups.next()).await;
    woken.is_ok()
}

#[tokio::test]
async fn the_backlog_says_what_waits_for_whom_and_for_how_long() {
    let scene = Scene::new(Options::new());
    assert_eq!(scene.outbox.backlog().await.unwrap(), Backlog::default());

    let of_parked = [message("parked", "1"), message("parked", "2")];
    scene.enqueue(of_parked).await;
    scene
        .enqueue([message("blocked", "3"), message("given up", "4")])
        .await;
    let leases = scene.claim_all().await;
    for stored in scene.fetch(&leases).await.rows {
        let fate = match &stored.message.body()[..] {
            b"1" => Fate::Parked(failure("never")),
            b"3" => again("no"),
            b"4" => Fate::Buried(failure("never")),
            _ => continue,
        };
        scene.settle(&leases, &stored, fate).await;
    }
    let look = scene.place.look();
    let age = "UPDATE outbox SET enqueued_at = enqueued_at - ?2 * 1000000 WHERE body = ?1";
    look.execute(age, (&b"1"[..], 9000)).unwrap();
    look.execute(age, (&b"3"[..], 100)).unwrap();
    let backlog = scene.outbox.backlog().await.unwrap();
    let expected = Backlog {
        messages: 3,
        parked: 2,
        parked_lanes: 1,
        blocked_lanes: 1,
        dead: 1,
        lag: backlog.lag,
    };
    assert_eq!(backlog, expected);
    // The oldest that waits for no operator is the one that is blocked.
    let lag = backlog.lag.as_secs();
    assert!((100..8000).contains(&lag), "{lag}");
}

#[tokio::test]
async fn what_is_paused_is_not_fetched_nor_what_stands_behind_it() {
    let two = Buckets::new(NonZeroU16::new(2).unwrap());
    let scene = Scene::new(Options::new().buckets(two));
    let bill = || Message::new("bills", "bill").keyed("key");
    let of_key = two.of(Lane::of_key(None, "key"));
    let in_other_bucket = |key: &String| two.of(Lane::of_key(Some("north"), key)) != of_key;
    let mut others = (0..).map(|nth| format!("other {nth}"));
    let other = others.find(in_other_bucket).expect("half of them are");
    let order = message(&other, "order").of_tenant("north");
    scene
        .enqueue([
            message("key", "first"),
            bill(),
            message("key", "third"),
            order,
        ])
        .await;
    let leases = scene.claim_all().await;
    let found = async || {
        let fetched = scene.fetch(&leases).await;
        assert!(fetched.came_round);
        bodies(&fetched)
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let all = found().await;
    assert_eq!(all.len(), 4);
    let mut wake_ups = scene.outbox.wake_ups();

    let pauses: [(Scope, &[&str]); 5] = [
        (Scope::All, &[]),
        (Scope::Topic("bills".into()), &["first", "order"]),
        (Scope::Topic("orders".into()), &[]),
        (Scope::Tenant("north".into()), &["bill", "first", "third"]),
        (Scope::Bucket(of_key), &["order"]),
    ];
    for (scope, left) in &pauses {
        scene.outbox.pause(scope).await.unwrap();
        scene.outbox.pause(scope).await.unwrap();
        let paused = scene.outbox.paused().await.unwrap();
        assert_eq!(paused, std::slice::from_ref(scope));
        let left: BTreeSet<_> = left.iter().map(|body| (*body).to_owned()).collect();
        assert_eq!(found().await, left, "{scope:?}");
        assert!(!were_woken(&mut wake_ups).await);
        assert!(scene.outbox.resume(scope).await.unwrap());
        assert!(
            were_woken(&mut wake_ups).await,
            "there may be something to do"
        );
        assert!(
            !scene.outbox.resume(scope).await.unwrap(),
            "it was not paused"
        );
        were_woken(&mut wake_ups).await;
        assert_eq!(found().await, all);
    }
    scene.outbox.pause(&Scope::Bucket(Bucket(9))).await.unwrap();
    assert_eq!(found().await, all);
}

#[tokio::test]
async fn an_operator_sees_what_waits_and_why_and_lets_it_go_on() {
    let scene = Scene::new(Options::new());
    scene
        .enqueue([message("key", "first"), message("key", "second")])
        .await;
    scene.enqueue([message("other", "third")]).await;
    let leases = scene.claim_all().await;
    for stored in scene.fetch(&leases).await.rows {
        let fate = match &stored.message.body()[..] {
            b"first" => Fate::Parked(failure("never")),
            b"third" => again("no"),
            _ => continue,
        };
        scene.settle(&leases, &stored, fate).await;
    }
    let waiting = scene.outbox.peek(9).await.unwrap();
    let seen: Vec<_> = waiting
        .iter()
        .map(|waiting| {
            let blocked = waiting.blocked.as_ref().expect("all of them");
            (
                waiting.stored.row.0,
                &*blocked.error,
                blocked.left.is_none(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [(1, "never", true), (2, "never", true), (3, "no", false)]
    );
    assert_eq!(scene.outbox.peek(1).await.unwrap().len(), 1);
    assert_eq!(scene.outbox.blocked(9).await.unwrap().len(), 2);
    assert_eq!(scene.outbox.blocked(1).await.unwrap().len(), 1);

    let mut wake_ups = scene.outbox.wake_ups();
    let parked = waiting[0].stored.lane;
    assert!(scene.outbox.unblock(parked).await.unwrap());
    assert!(were_woken(&mut wake_ups).await);
    assert!(!scene.outbox.unblock(parked).await.unwrap(), "it is ready");
    let ready = scene.fetch(&leases).await;
    assert_eq!(bodies(&ready), ["first", "second"]);
    assert_eq!(ready.rows[0].failures, 0, "it has all its attempts");
    assert_eq!(scene.outbox.peek(1).await.unwrap()[0].blocked, None);
}

#[tokio::test]
async fn dead_letters_wait_again_behind_all_others_or_are_thrown_away() {
    let scene = Scene::new(Options::new());
    let ordered = ["a", "b", "c", "d"].map(|body| message("key", body).ordered());
    scene.enqueue(ordered).await;
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    for stored in &rows[..3] {
        let buried = Fate::Buried(failure("never"));
        scene.settle(&leases, stored, buried).await;
    }
    let mut wake_ups = scene.outbox.wake_ups();
    let dead = scene.outbox.dead(9).await.unwrap();
    assert_eq!(
        dead.iter()
            .map(|dead| dead.stored.row.0)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(scene.outbox.dead(2).await.unwrap().len(), 2);
    assert_eq!(
        scene.outbox.discard(&[RowId(3), RowId(9)]).await.unwrap(),
        1
    );
    let again = [RowId(2), RowId(1), RowId(1), RowId(3)];
    assert_eq!(scene.outbox.requeue(&again).await.unwrap(), 2);
    assert!(were_woken(&mut wake_ups).await);
    assert_eq!(scene.outbox.dead(9).await.unwrap(), []);

    let fetched = scene.fetch(&leases).await;
    assert_eq!(
        bodies(&fetched),
        ["d", "a", "b"],
        "behind, and in their order"
    );
    assert_eq!(fetched.rows[1].message, rows[0].message, "the same message");
    assert_eq!(fetched.rows[1].sequence, rows[0].sequence);
    assert_eq!((fetched.rows[1].failures, fetched.rows[1].started), (0, 0));
    assert_eq!(scene.outbox.backlog().await.unwrap().messages, 3);
}

/// Publishes all that is there.
async fn publish_all(scene: &Scene) -> Vec<Message> {
    let leases = scene.claim_all().await;
    let rows = scene.fetch(&leases).await.rows;
    for stored in &rows {
        scene.settle(&leases, stored, Fate::Published).await;
    }
    let relay = &scene.relay;
    let release = scene.outbox.release(
        relay,
        &leases,
        axiomatic_coordination::outbox::Departing::No,
    );
    release.await.unwrap();
    rows.into_iter().map(|stored| stored.message).collect()
}

#[tokio::test]
async fn the_archive_is_published_once_more_piece_by_piece() {
    let scene = Scene::new(Options::new().keep(Keep::Archive(HOUR)));
    let published: Vec<_> = ["a", "b", "c"]
        .map(|body| message("key", body).ordered())
        .into();
    scene.enqueue(published.clone()).await;
    scene.enqueue([Message::new("bills", "bill")]).await;
    publish_all(&scene).await;
    assert_eq!(scene.place.count("outbox"), 0);

    let mut what = Replay {
        topic: Some("orders".into()),
        ..Replay::default()
    };
    let mut wake_ups = scene.outbox.wake_ups();
    let mut pieces = Vec::new();
    while let Some(last) = scene.outbox.replay(&what, 2).await.unwrap() {
        pieces.push(last);
        what.after = last;
    }
    assert_eq!(pieces, [RowId(2), RowId(3)]);
    assert!(were_woken(&mut wake_ups).await);
    assert_eq!(scene.outbox.backlog().await.unwrap().messages, 3);
    assert_eq!(publish_all(&scene).await, published, "with the same ids");

    let as_new = Replay {
        key: Some("key".into()),
        ids: Ids::New,
        ..Replay::default()
    };
    assert_eq!(
        scene.outbox.replay(&as_new, 3).await.unwrap(),
        Some(RowId(3))
    );
    let leases = scene.claim_all().await;
    let fetched = scene.fetch(&leases).await;
    assert_eq!(bodies(&fetched), ["a", "b", "c"]);
    for (new, old) in fetched.rows.iter().zip(&published) {
        assert_ne!(new.message.id(), old.id());
        assert_eq!((new.lane, new.sequence), (old.lane(), None));
    }
    let nothing = Replay {
        topic: Some("nobody's".into()),
        ..Replay::default()
    };
    assert_eq!(scene.outbox.replay(&nothing, 9).await.unwrap(), None);
}

#[tokio::test]
async fn a_message_without_a_key_that_is_replayed_as_new_has_a_lane_of_its_own() {
    let scene = Scene::new(Options::new().keep(Keep::Archive(HOUR)));
    scene.enqueue([Message::new("bills", "bill")]).await;
    publish_all(&scene).await;
    let as_new = Replay {
        ids: Ids::New,
        ..Replay::default()
    };
    scene.outbox.replay(&as_new, 9).await.unwrap();
    let leases = scene.claim_all().await;
    let [stored] = &scene.fetch(&leases).await.rows[..] else {
        panic!("there is one");
    };
    assert_eq!(stored.lane, stored.message.lane());
}

#[tokio::test]
async fn a_replay_looks_at_so_much_of_the_archive_and_says_where_to_go_on() {
    let scene = Scene::new(Options::new().keep(Keep::Archive(HOUR)));
    let archive = "\
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 25000) \
        INSERT INTO outbox_archive (id, lane, message_id, topic, body, failures, started, \
          enqueued_at, published_at) \
        SELECT n, n, randomblob(16), iif(n = 20500, 'rare', 'orders'), x'', 0, 0, 0, 0 FROM n";
    scene.place.look().execute(archive, ()).unwrap();
    let mut what = Replay {
        topic: Some("rare".into()),
        ..Replay::default()
    };
    let mut pieces = Vec::new();
    while let Some(last) = scene.outbox.replay(&what, 2).await.unwrap() {
        pieces.push(last.0);
        what.after = last;
    }
    assert_eq!(pieces, [10_000, 20_000, 20_500]);
    assert_eq!(scene.place.count("outbox"), 1);
}
