//! Many transactions, one commit.

use std::num::NonZeroUsize;
use std::sync::mpsc;

use axiomatic_coordination::Why;
use axiomatic_coordination::outbox::Message;
use axiomatic_sqlite::{Options, RunError};
use rusqlite::Error;

use crate::support::{Place, count, hold, insert, queue};

#[tokio::test]
async fn business_and_message_are_seen_by_others_when_the_caller_resumes() {
    let place = Place::new();
    let database = place.open(Options::new());
    for n in 1..20 {
        let run = database.writer().run(move |tx| {
            insert(tx, &format!("name {n}"))?;
            tx.enqueue(Message::new("accounts", "opened"))
                .expect("room");
            Ok::<_, Error>(())
        });
        run.await.expect("commits");
        assert_eq!(place.count("account"), n);
        assert_eq!(place.count("outbox"), n);
    }
}

#[tokio::test]
async fn those_who_wait_share_one_commit() {
    let place = Place::new();
    let database = place.open(Options::new());
    let gate = hold(database.writer()).await;
    let runs: Vec<_> = (0..20)
        .map(|n| {
            let outside = place.look();
            queue(database.writer(), move |tx| {
                insert(tx, &format!("name {n}"))?;
                tx.enqueue(Message::new("accounts", "opened"))
                    .expect("room");
                Ok::<_, Error>((count(tx, "account"), count(&outside, "account")))
            })
        })
        .collect();
    gate.open().await;
    for (n, run) in runs.into_iter().enumerate() {
        let (inside, outside) = run.await.expect("commits");
        assert_eq!(inside, n as i64 + 1, "in one transaction with those before");
        assert_eq!(outside, 0, "of which nothing is committed yet");
    }
    assert_eq!(place.count("account"), 20);
    assert_eq!(place.count("outbox"), 20);
}

#[tokio::test]
async fn a_group_has_no_more_closures_than_allowed() {
    let place = Place::new();
    let three = NonZeroUsize::new(3).expect("not zero");
    let database = place.open(Options::new().group_at_most(three));
    let gate = hold(database.writer()).await;
    let runs: Vec<_> = (0..10)
        .map(|n| {
            let outside = place.look();
            queue(database.writer(), move |tx| {
                insert(tx, &format!("name {n}"))?;
                Ok::<_, Error>(count(tx, "account") - count(&outside, "account"))
            })
        })
        .collect();
    gate.open().await;
    let mut uncommitted = Vec::new();
    for run in runs {
        uncommitted.push(run.await.expect("commits"));
    }
    assert_eq!(uncommitted, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1]);
}

#[tokio::test]
async fn an_error_undoes_its_own_closure_and_no_other() {
    let place = Place::new();
    let database = place.open(Options::new());
    let gate = hold(database.writer()).await;
    let runs: Vec<_> = (0..10)
        .map(|n| {
            queue(database.writer(), move |tx| {
                insert(tx, &format!("name {n}")).expect("a row of its own");
                tx.enqueue(Message::new("accounts", format!("{n}")))
                    .expect("room");
                if n % 3 == 0 { Err(n) } else { Ok(n) }
            })
        })
        .collect();
    gate.open().await;
    for (n, run) in runs.into_iter().enumerate() {
        match run.await {
            Ok(kept) => assert_ne!(kept % 3, 0),
            Err(RunError::Rejected(error)) => assert_eq!((error, error % 3), (n, 0)),
            Err(RunError::Store(error)) => panic!("{error}"),
        }
    }
    let bodies = "SELECT CAST(body AS TEXT) FROM outbox ORDER BY id";
    let look = place.look();
    let mut bodies = look.prepare(bodies).expect("prepares");
    let bodies = bodies
        .query_map((), |row| row.get::<_, String>(0))
        .expect("queries");
    let bodies: Vec<_> = bodies.map(|body| body.expect("reads")).collect();
    assert_eq!(bodies, ["1", "2", "4", "5", "7", "8"]);
    assert_eq!(place.count("account"), 6);
}

#[tokio::test]
async fn a_panic_undoes_its_own_closure_and_goes_on_at_the_caller() {
    let place = Place::new();
    let database = place.open(Options::new());
    let gate = hold(database.writer()).await;
    let before = queue(database.writer(), |tx| insert(tx, "before"));
    let panics = queue(database.writer(), |tx| -> Result<(), Error> {
        insert(tx, "panics")?;
        tx.enqueue(Message::new("accounts", "opened"))
            .expect("room");
        panic!("of the closure");
    });
    let after = queue(database.writer(), |tx| insert(tx, "after"));
    let panics = tokio::spawn(panics);
    gate.open().await;
    before.await.expect("commits");
    after.await.expect("commits");
    let panic = panics.await.expect_err("panics").into_panic();
    assert_eq!(panic.downcast_ref(), Some(&"of the closure"));
    assert_eq!(place.count("account"), 2);
    assert_eq!(place.count("outbox"), 0);
}

#[tokio::test]
async fn a_closure_whose_caller_has_gone_before_its_turn_is_not_executed() {
    let place = Place::new();
    let database = place.open(Options::new());
    let gate = hold(database.writer()).await;
    let (executed, hears) = mpsc::channel();
    let dropped = queue(database.writer(), move |tx| {
        executed.send(()).expect("is heard");
        insert(tx, "dropped")
    });
    let kept = queue(database.writer(), |tx| insert(tx, "kept"));
    drop(dropped);
    gate.open().await;
    kept.await.expect("commits");
    assert!(hears.recv().is_err(), "dropped without having been called");
    assert_eq!(place.count("account"), 1);
}

#[tokio::test]
async fn a_closure_whose_caller_goes_in_its_turn_is_executed_whole() {
    let place = Place::new();
    let database = place.open(Options::new());
    let gate = hold(database.writer()).await;
    let (entered, inside) = tokio::sync::oneshot::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let run = queue(database.writer(), move |tx| {
        let _ = entered.send(());
        let _ = waits.recv();
        insert(tx, "whole")?;
        tx.enqueue(Message::new("accounts", "opened"))
            .expect("room");
        Ok::<_, Error>(())
    });
    gate.open().await;
    inside.await.expect("its turn has come");
    drop(run);
    drop(go_on);
    database.close().await;
    assert_eq!(place.count("account"), 1);
    assert_eq!(place.count("outbox"), 1);
}

#[tokio::test]
async fn what_is_queued_when_the_last_handle_goes_is_done() {
    let place = Place::new();
    let database = place.open(Options::new());
    let gate = hold(database.writer()).await;
    let runs: Vec<_> = (0..5)
        .map(|n| {
            queue(database.writer(), move |tx| {
                insert(tx, &format!("name {n}"))
            })
        })
        .collect();
    let closed = tokio::spawn(database.close());
    gate.open().await;
    for run in runs {
        run.await.expect("commits");
    }
    closed.await.expect("the threads end");
    assert!(
        !place.dir().join("test.db-wal").exists(),
        "the file is closed"
    );
    assert_eq!(place.count("account"), 5);
}

/// The statements that would end a group's transaction.
const ENDS: [&str; 5] = [
    "COMMIT",
    "ROLLBACK",
    "COMMIT; BEGIN IMMEDIATE",
    "ROLLBACK; BEGIN IMMEDIATE; SAVEPOINT axiomatic",
    "RELEASE axiomatic",
];

#[tokio::test]
async fn a_closure_that_ends_the_transaction_is_found_out_and_nothing_of_it_is_kept() {
    for end in ENDS {
        let place = Place::new();
        let database = place.open(Options::new());
        let gate = hold(database.writer()).await;
        let before = queue(database.writer(), |tx| {
            tx.enqueue(Message::new("accounts", "opened"))
                .expect("room");
            insert(tx, "before")
        });
        let ends = queue(database.writer(), move |tx| {
            insert(tx, "ends")?;
            // What becomes a rollback is an error, which it swallows.
            let _ = tx.execute_batch(end);
            Ok::<_, Error>(())
        });
        let after = queue(database.writer(), |tx| insert(tx, "after"));
        gate.open().await;
        let ends = ends.await;
        assert!(matches!(&ends, Err(RunError::Store(_))), "{end}: {ends:?}");
        let before = before.await;
        assert!(
            matches!(&before, Err(RunError::Store(_))),
            "{end}: {before:?}"
        );
        after.await.expect("is in a transaction of its own");
        assert_eq!(place.count("account"), 1, "{end}");
        assert_eq!(place.count("outbox"), 0, "{end}");
    }
}

#[tokio::test]
async fn savepoints_of_the_closure_are_its_own_business() {
    let place = Place::new();
    let database = place.open(Options::new());
    let run = database.writer().run(|tx| {
        insert(tx, "kept")?;
        tx.execute_batch("SAVEPOINT own; INSERT INTO account (name) VALUES ('undone')")?;
        tx.execute_batch("ROLLBACK TO own; RELEASE own")?;
        // One that is left open is closed with the closure.
        tx.execute_batch("SAVEPOINT left; INSERT INTO account (name) VALUES ('left')")
    });
    run.await.expect("commits");
    assert_eq!(place.count("account"), 2);
}

#[test]
fn a_thread_can_wait_for_its_transaction_but_not_for_one_within_it() {
    let place = Place::new();
    let database = place.open(Options::new());
    let writer = database.writer().clone();
    let within = database.writer().run_blocking(move |tx| {
        insert(tx, "outer")?;
        Ok::<_, Error>(writer.run_blocking(|tx| insert(tx, "inner")))
    });
    let within = within.expect("the outer one commits");
    let refused = matches!(&within, Err(RunError::Store(error)) if error.why() == Why::Refused);
    assert!(refused, "{within:?}");
    assert_eq!(place.count("account"), 1);
}
