//! What operators see and do.

use super::{Bench, LONG, SHORT, StoreSubject, bodies, keyed};
use crate::outbox::lane::Lane;
use crate::outbox::memory::Keep;
use crate::outbox::message::Message;
use crate::outbox::operations::{Ids, Operate, Replay, Scope};
use crate::outbox::publisher::Class;
use crate::outbox::record::RowId;
use crate::outbox::store::{Cause, Failure, Fate, Store};

pub(super) async fn suite<S: StoreSubject>(subject: &S) {
    the_backlog_is_counted(subject).await;
    what_is_paused_is_not_ready(subject).await;
    what_waits_can_be_seen(subject).await;
    an_unblocked_key_has_all_its_attempts(subject).await;
    dead_letters_are_requeued_behind_all_others_or_discarded(subject).await;
    holders_are_known(subject).await;
    what_was_published_is_published_once_more(subject).await;
    what_is_kept_no_longer_is_thrown_away(subject).await;
}

fn poison() -> Failure {
    Failure {
        cause: Cause::Poison,
        error: "it bites".into(),
    }
}

async fn the_backlog_is_counted<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    assert_eq!(
        bench.store.backlog().await.expect("a count"),
        Default::default()
    );
    bench
        .commit([keyed("a", 1), keyed("a", 2), keyed("b", 3), keyed("c", 4)])
        .await;
    let of = |key: &str| {
        let key = key.to_owned();
        let ready = bench.ready();
        async move {
            let ready = ready.await;
            let found = ready
                .iter()
                .find(|stored| stored.message.key() == Some(&key));
            found.expect("it is ready").clone()
        }
    };
    let again = Fate::Again {
        after: LONG,
        failure: None,
    };
    bench.settle(&of("b").await, again).await;
    bench.settle(&of("c").await, Fate::Buried(poison())).await;
    while bench.store.backlog().await.expect("a count").lag < SHORT {
        subject.pass(SHORT / 4).await;
    }
    bench.settle(&of("a").await, Fate::Parked(poison())).await;
    let backlog = bench.store.backlog().await.expect("a count");
    assert_eq!((backlog.messages, backlog.parked), (3, 2));
    assert_eq!(
        (backlog.parked_lanes, backlog.blocked_lanes, backlog.dead),
        (1, 1, 1)
    );
    assert!(backlog.lag >= SHORT, "that of b, which is not parked");
    assert!(
        bench
            .store
            .unblock(Lane::of_key(None, "b"))
            .await
            .expect("an unblocking")
    );
    bench.settle(&of("b").await, Fate::Published).await;
    let backlog = bench.store.backlog().await.expect("a count");
    assert!(
        backlog.lag.is_zero(),
        "what is parked waits for an operator"
    );
}

async fn what_is_paused_is_not_ready<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let mine = Message::new("other topic", "1").keyed("a");
    let yours = keyed("b", 2).of_tenant("tenant");
    let behind = keyed("a", 3);
    bench.commit([mine.clone(), yours.clone(), behind]).await;
    let ready = async || {
        let mut ready = bench.ready_bodies().await;
        ready.sort_unstable();
        ready
    };
    let bucket = bench.buckets().of(yours.lane());
    assert_ne!(
        bucket,
        bench.buckets().of(mine.lane()),
        "the keys were chosen so"
    );
    let cases = [
        (Scope::Topic("other topic".into()), vec!["2"]),
        (Scope::Topic("topic".into()), vec!["1"]),
        (Scope::Tenant("tenant".into()), vec!["1", "3"]),
        (Scope::Bucket(bucket), vec!["1", "3"]),
        (Scope::All, vec![]),
    ];
    for (scope, expected) in cases {
        for _ in 0..2 {
            bench.store.pause(&scope).await.expect("a pause");
        }
        assert_eq!(
            bench.store.paused().await.expect("what is paused"),
            std::slice::from_ref(&scope)
        );
        assert_eq!(ready().await, expected, "{scope:?}");
        assert!(bench.store.resume(&scope).await.expect("an end of a pause"));
        assert!(!bench.store.resume(&scope).await.expect("no pause"));
        assert_eq!(ready().await, ["1", "2", "3"]);
    }
}

async fn what_waits_can_be_seen<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench
        .commit([keyed("a", 1), keyed("b", 2), keyed("a", 3)])
        .await;
    let ready = bench.ready().await;
    let of_a = ready
        .iter()
        .find(|stored| stored.message.key() == Some("a"));
    let of_a = of_a.expect("it is ready");
    bench.settle(of_a, Fate::Parked(poison())).await;
    let waiting = bench.store.peek(2).await.expect("a look");
    let seen: Vec<_> = waiting
        .iter()
        .map(|waiting| waiting.stored.clone())
        .collect();
    assert_eq!(bodies(&seen), ["1", "2"], "the oldest first");
    let blocked = waiting[0].blocked.as_ref().expect("it is parked");
    assert_eq!((blocked.cause, blocked.left), (Some(Cause::Poison), None));
    assert!(waiting[1].blocked.is_none());
    assert_eq!(
        bench.store.blocked(10).await.expect("a look")[..],
        *std::slice::from_ref(blocked)
    );
}

async fn an_unblocked_key_has_all_its_attempts<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench.commit([keyed("a", 1)]).await;
    let stored = &bench.ready().await[0];
    bench
        .start_as(&bench.relay, bench.lease(stored.lane), stored)
        .await;
    bench.settle(stored, Fate::Parked(poison())).await;
    assert!(bench.ready().await.is_empty());
    assert!(
        bench
            .store
            .unblock(stored.lane)
            .await
            .expect("an unblocking")
    );
    assert!(
        !bench
            .store
            .unblock(stored.lane)
            .await
            .expect("nothing to unblock")
    );
    assert_eq!(bench.ready().await, std::slice::from_ref(stored));
}

async fn dead_letters_are_requeued_behind_all_others_or_discarded<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    bench
        .commit([keyed("a", 1).ordered(), keyed("a", 2), keyed("a", 3)])
        .await;
    let ready = bench.ready().await;
    for stored in &ready[..2] {
        let failure = Failure {
            cause: Cause::Rejected(Class::TooLarge),
            error: "no".into(),
        };
        bench.settle(stored, Fate::Buried(failure)).await;
    }
    let dead = bench.store.dead(10).await.expect("a look");
    assert_eq!(
        dead.iter().map(|letter| letter.cause).collect::<Vec<_>>(),
        [Cause::Rejected(Class::TooLarge); 2]
    );
    let rows: Vec<_> = dead.iter().map(|letter| letter.stored.row).collect();
    assert_eq!(rows, [ready[0].row, ready[1].row]);
    assert_eq!(
        bench
            .store
            .requeue(&[rows[0], RowId(-1)])
            .await
            .expect("a requeue"),
        1
    );
    assert_eq!(
        bench
            .store
            .discard(&[rows[1], rows[0]])
            .await
            .expect("a discard"),
        1
    );
    assert!(bench.store.dead(10).await.expect("a look").is_empty());
    let after = bench.ready().await;
    assert_eq!(bodies(&after), ["3", "1"]);
    assert_eq!(after[1].message, ready[0].message, "the id is the same");
    assert_eq!(after[1].sequence, ready[0].sequence);
    assert_eq!(after[1].failures, 0);
}

async fn holders_are_known<S: StoreSubject>(subject: &S) {
    let bench = Bench::new(subject).await;
    let holdings = bench.store.leases().await.expect("a look");
    assert_eq!(holdings.len(), bench.leases.len());
    for (holding, lease) in holdings.iter().zip(&bench.leases) {
        assert_eq!((holding.bucket, holding.epoch), (lease.bucket, lease.epoch));
        assert_eq!(holding.owner.as_ref(), Some(&bench.relay));
        assert!(!holding.left.is_zero());
    }
}

async fn what_was_published_is_published_once_more<S: StoreSubject>(subject: &S) {
    let bench = Bench::keeping(subject, Keep::Archive(LONG)).await;
    bench
        .commit((0..6).map(|n| keyed(["a", "b"][n % 2], n).ordered()))
        .await;
    let before = bench.ready().await;
    for stored in &before {
        bench.settle(stored, Fate::Published).await;
    }
    assert!(bench.ready().await.is_empty());
    let mut what = Replay {
        key: Some("a".into()),
        ..Replay::default()
    };
    for expected in [true, true, false] {
        let reached = bench.store.replay(&what, 2).await.expect("a replay");
        assert_eq!(reached.is_some(), expected, "three of a, two at a time");
        what.after = reached.unwrap_or(what.after);
    }
    let again = bench.ready().await;
    assert_eq!(bodies(&again), ["0", "2", "4"]);
    for stored in &again {
        let once = before.iter().find(|once| once.message == stored.message);
        let once = once.expect("the message is the same");
        assert_eq!(once.sequence, stored.sequence);
        bench.settle(stored, Fate::Published).await;
    }
    let anew = Replay {
        topic: Some("topic".into()),
        ids: Ids::New,
        ..Replay::default()
    };
    bench.store.replay(&anew, 1).await.expect("a replay");
    let stored = &bench.ready().await[0];
    assert!(
        before
            .iter()
            .all(|once| once.message.id() != stored.message.id())
    );
    assert_eq!(
        stored.sequence, None,
        "a new message has no number among the old"
    );
}

async fn what_is_kept_no_longer_is_thrown_away<S: StoreSubject>(subject: &S) {
    let bench = Bench::keeping(subject, Keep::Archive(SHORT)).await;
    bench.commit([keyed("a", 1)]).await;
    bench.settle(&bench.ready().await[0], Fate::Published).await;
    let everything = Replay::default();
    // Each look publishes it once more, which is kept once more.
    loop {
        subject.pass(SHORT * 2).await;
        while bench.store.tidy().await.expect("tidying") {}
        if bench
            .store
            .replay(&everything, 1)
            .await
            .expect("a replay")
            .is_none()
        {
            break;
        }
    }
}
