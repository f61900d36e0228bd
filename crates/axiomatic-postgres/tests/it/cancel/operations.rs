//! What relays and operators ask of the outbox.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{
    Departing, Fate, Ids, Operate, Replay, Scope, Settlement, Store,
};

use super::stage::{HOUR, Operation, Stage, failure, operation};

/// Tried again after an hour, because it failed.
fn again() -> Fate {
    Fate::Again {
        after: HOUR,
        failure: Some(failure()),
    }
}

async fn done(step: impl Future<Output = ()>) -> Result<(), StoreError> {
    step.await;
    Ok(())
}

async fn try_all<const N: usize>(operations: [(&str, Operation); N]) {
    let Some(stage) = Stage::find().await else {
        return;
    };
    let mut drops = 0;
    for (name, operation) in operations {
        drops += stage.drop_at_each_await(name, operation).await;
    }
    println!("{N} operations, dropped {drops} times");
    assert!(drops >= 3 * N, "they wait for the server");
}

#[tokio::test]
async fn what_relays_ask_for_is_done_or_not_done() {
    try_all([
        (
            "attend",
            operation!(|stage| stage.outbox.attend(&stage.relay, 2 * HOUR)),
        ),
        (
            "claim",
            operation!(|stage| async {
                let all: Vec<_> = stage.outbox.buckets().all().collect();
                stage.outbox.claim(&stage.relay, &all, HOUR).await
            }),
        ),
        (
            "renew",
            operation!(|stage| stage.outbox.renew(&stage.relay, &stage.leases, HOUR)),
        ),
        (
            "release",
            operation!(|stage| {
                let (relay, leases) = (&stage.relay, &stage.leases);
                stage.outbox.release(relay, leases, Departing::Yes)
            }),
        ),
        (
            "fetch",
            operation!(|stage| async { Ok::<_, StoreError>(stage.fetch().await) }),
        ),
        (
            "start",
            operation!(|stage| async {
                let rows =
                    [0, 1].map(|which| stage.under(which, stage.stored[which].next_attempt()));
                stage.outbox.start(&stage.relay, &rows).await
            }),
        ),
        (
            "settle as published",
            operation!(|stage| done(stage.settle(0, Fate::Published))),
        ),
        (
            "settle several",
            operation!(|stage| async {
                let fates = [(0, Fate::Published), (1, again())];
                let rows = fates.map(|(which, fate)| stage.settled(which, fate));
                let lease = stage.under(0, ()).lease;
                let rows = rows.to_vec();
                let fates = [Settlement { lease, rows }];
                stage.outbox.settle(&stage.relay, &fates).await
            }),
        ),
        (
            "settle as failed",
            operation!(|stage| done(stage.settle(0, again()))),
        ),
        (
            "settle as parked",
            operation!(|stage| done(stage.settle(0, Fate::Parked(failure())))),
        ),
        (
            "settle as dead",
            operation!(|stage| done(stage.settle(0, Fate::Buried(failure())))),
        ),
        ("tidy", operation!(|stage| stage.outbox.tidy())),
    ])
    .await;
}

#[tokio::test]
async fn what_operators_ask_for_is_done_or_not_done() {
    try_all([
        ("backlog", operation!(|stage| stage.outbox.backlog())),
        ("pause", operation!(|stage| stage.outbox.pause(&Scope::All))),
        (
            "unblock",
            operation!(|stage| stage.outbox.unblock(stage.stored[0].lane)),
        ),
        (
            "requeue",
            operation!(|stage| async { stage.outbox.requeue(&[stage.stored[2].row]).await }),
        ),
        (
            "discard",
            operation!(|stage| async { stage.outbox.discard(&[stage.stored[2].row]).await }),
        ),
        (
            "replay",
            operation!(|stage| async {
                let all = Replay {
                    ids: Ids::New,
                    ..Replay::default()
                };
                stage.outbox.replay(&all, 10).await
            }),
        ),
    ])
    .await;
}
