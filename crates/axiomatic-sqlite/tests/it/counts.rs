//! Whatever is done in whatever order, the counts are right.

use axiomatic_coordination::outbox::{
    Fate, Ids, Message, Operate, Replay, RowId, Settlement, Store,
};
use axiomatic_sqlite::outbox::{Keep, Options};
use proptest::prelude::*;

use crate::scene::{HOUR, Scene, again, failure, message, settled, under};

#[derive(Clone, Debug)]
enum Step {
    Enqueue(Vec<u8>),
    Rejected(Vec<u8>),
    /// What becomes of the first messages that are ready.
    Settle(Vec<u8>),
    /// The same once more, as if the answer had been lost.
    Repeat,
    LoseLeases,
    Unblock,
    Requeue,
    Discard,
    Replay(Ids),
    Tidy,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec(0_u8..5, 1..6);
    let step = prop_oneof![
        4 => some().prop_map(Step::Enqueue),
        1 => some().prop_map(Step::Rejected),
        6 => some().prop_map(Step::Settle),
        1 => Just(Step::Repeat),
        1 => Just(Step::LoseLeases),
        1 => Just(Step::Unblock),
        1 => Just(Step::Requeue),
        1 => Just(Step::Discard),
        1 => Just(Step::Replay(Ids::Same)),
        1 => Just(Step::Replay(Ids::New)),
        1 => Just(Step::Tidy),
    ];
    prop::collection::vec(step, 1..30)
}

fn fate(which: u8) -> Fate {
    match which {
        0 | 1 => Fate::Published,
        2 => again("no"),
        3 => Fate::Buried(failure("never")),
        _ => Fate::Parked(failure("never")),
    }
}

fn messages(keys: Vec<u8>) -> Vec<Message> {
    let messages = keys.into_iter().map(|key| match key {
        4 => Message::new("bills", "bill"),
        key => message(&format!("key {key}"), "order").ordered(),
    });
    messages.collect()
}

async fn check(scene: &Scene, step: &Step) {
    let waiting = scene.place.count("outbox");
    let counted = scene.number("SELECT messages FROM outbox_backlog");
    assert_eq!(counted, waiting, "after {step:?}");
    let backlog = scene.outbox.backlog().await.expect("is read");
    assert_eq!(i64::try_from(backlog.messages), Ok(waiting));
    assert_eq!(
        i64::try_from(backlog.dead),
        Ok(scene.place.count("outbox_dead"))
    );
    // A lane is kept only by a message that waits.
    let kept_by_nothing = "SELECT count(*) FROM outbox_lane \
                           WHERE lane NOT IN (SELECT lane FROM outbox)";
    assert_eq!(scene.number(kept_by_nothing), 0, "after {step:?}");
}

async fn run(steps: Vec<Step>) {
    let scene = Scene::new(Options::new().keep(Keep::Archive(HOUR)));
    let mut leases = scene.claim_all().await;
    let mut last: Vec<Settlement<_>> = Vec::new();
    for step in steps {
        match step.clone() {
            Step::Enqueue(keys) => scene.enqueue(messages(keys)).await,
            Step::Rejected(keys) => {
                let rejected = scene.database.writer().run(move |tx| {
                    for message in messages(keys) {
                        tx.enqueue(message).expect("there is room");
                    }
                    Err::<(), _>("rejected")
                });
                rejected.await.expect_err("is rejected");
            }
            Step::Settle(fates) => {
                let rows = scene.fetch(&leases).await.rows;
                let fates = rows.iter().zip(fates).map(|(stored, which)| {
                    let settled = settled(stored, fate(which));
                    under(&leases, stored, settled, &scene.outbox)
                });
                last = fates.collect();
                scene
                    .outbox
                    .settle(&scene.relay, &last)
                    .await
                    .expect("settles");
            }
            Step::Repeat => {
                scene
                    .outbox
                    .settle(&scene.relay, &last)
                    .await
                    .expect("settles");
            }
            Step::LoseLeases => {
                scene.expire_leases();
                scene
                    .outbox
                    .settle(&scene.relay, &last)
                    .await
                    .expect("is refused");
                leases = scene.claim_all().await;
            }
            Step::Unblock => {
                for blocked in scene.outbox.blocked(2).await.expect("is read") {
                    assert!(scene.outbox.unblock(blocked.lane).await.expect("unblocks"));
                }
            }
            Step::Requeue | Step::Discard => {
                let dead = scene.outbox.dead(2).await.expect("is read");
                let rows: Vec<RowId> = dead.iter().map(|dead| dead.stored.row).collect();
                let done = match step {
                    Step::Requeue => scene.outbox.requeue(&rows).await,
                    _ => scene.outbox.discard(&rows).await,
                };
                assert_eq!(done.expect("is done"), rows.len() as u64);
            }
            Step::Replay(ids) => {
                let what = Replay {
                    ids,
                    ..Replay::default()
                };
                scene.outbox.replay(&what, 3).await.expect("is done");
            }
            Step::Tidy => {
                scene.outbox.tidy().await.expect("is done");
            }
        }
        check(&scene, &step).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_backlog_is_what_waits_whatever_was_done(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(run(steps));
    }
}
