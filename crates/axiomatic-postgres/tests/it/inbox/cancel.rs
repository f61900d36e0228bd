//! Futures that are dropped at each of their awaits.
//!
//! A future can be dropped at once when it has been polled so often, or when
//! it was woken and not polled again, so that what was done for it is not
//! heard of. Both are tried for every number of polls until it completes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use axiomatic_coordination::inbox::Error;

use super::*;
use crate::support::until;

/// When a future is dropped that has been polled as often as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dropped {
    AtOnce,
    WhenWoken,
}

/// Polls a future so often at most. Whether it was complete by then.
async fn polled<F: Future>(future: F, mut polls: usize, dropped: Dropped) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| {
        if polls == 0 {
            return Poll::Ready(false);
        }
        polls -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if polls == 0 && dropped == Dropped::AtOnce => Poll::Ready(false),
            polled => polled.map(|_| true),
        }
    })
    .await
}

/// Nobody is in a transaction, and the redelivery makes it one effect.
async fn is_whole(scene: &Scene, id: usize, what: &str) {
    until("no transaction is left open", async || {
        scene.sessions("state <> 'idle'").await == 0
    })
    .await;
    let of_id = format!("inbox_seen WHERE id = '{id}'");
    let effects = "SELECT count(*) FROM {schema}.account";
    let effects = scene
        .number(&format!("{effects} WHERE name = '{id}'"))
        .await;
    assert_eq!(effects, scene.count(&of_id).await, "{what}");
    assert!(effects < 2, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_handling_is_cancelled_the_effect_happens_once() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let text = format!(
        "INSERT INTO {}.account (name) VALUES ($1)",
        scene.place.schema
    );
    let mut id = 0;
    for dropped in [Dropped::AtOnce, Dropped::WhenWoken] {
        for polls in 0.. {
            let what = format!("{dropped:?} after {polls} polls");
            let mut client = scene.client().await;
            let name = id.to_string();
            let work = async |tx: &mut Transaction<'_>, _: &Delivery| {
                tx.execute(&text, &[&name]).await.map(drop)
            };
            let paid = message(id.to_string());
            let second = paid.clone().attempted(2);
            let handling = scene.inbox.handle(&mut client, "bank", &second, work);
            let complete = polled(handling, polls, dropped).await;
            is_whole(&scene, id, &what).await;
            let third = paid.attempted(3);
            let handled = scene.inbox.handle(&mut client, "bank", &third, work);
            assert!(handled.await.is_ok(), "{what}");
            is_whole(&scene, id, &what).await;
            id += 1;
            if complete {
                assert!(polls > 3, "it was dropped somewhere: {polls}");
                break;
            }
        }
    }
    let all = i64::try_from(id).unwrap();
    assert_eq!(scene.count("account").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_handling_by_sqlx_is_cancelled_the_effect_happens_once() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let mut id = 0;
    for dropped in [Dropped::AtOnce, Dropped::WhenWoken] {
        for polls in 0.. {
            let what = format!("{dropped:?} after {polls} polls");
            let mut sqlx = scene.sqlx().await;
            let text = format!(
                "INSERT INTO {}.account (name) VALUES ('{id}')",
                scene.place.schema
            );
            let work = async |tx: &mut PgConnection, _: &Delivery| insert_by_sqlx(tx, &text).await;
            let paid = message(id.to_string());
            let second = paid.clone().attempted(2);
            let handling = scene
                .inbox
                .handle_with_sqlx(&mut sqlx, "bank", &second, work);
            let complete = polled(handling, polls, dropped).await;
            // Not before this is the connection out of its transaction: sqlx
            // rolls back when it is used again, and if it was dropped while it
            // began a transaction, when the next one ends.
            let third = paid.attempted(3);
            let handled = scene
                .inbox
                .handle_with_sqlx(&mut sqlx, "bank", &third, work);
            assert!(handled.await.is_ok(), "{what}");
            is_whole(&scene, id, &what).await;
            id += 1;
            if complete {
                assert!(polls > 3, "it was dropped somewhere: {polls}");
                break;
            }
        }
    }
    let all = i64::try_from(id).unwrap();
    assert_eq!(scene.count("account").await, all);
}

/// A caller that gives up waiting for `once`, and commits what else it did:
/// nothing of it remains, or all.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_cancelled_leaves_nothing_even_if_its_transaction_commits() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let text = format!(
        "INSERT INTO {}.account (name) VALUES ($1)",
        scene.place.schema
    );
    let mut id = 0;
    let mut kept = 0;
    let mut around_by_sqlx = 0;
    for dropped in [Dropped::AtOnce, Dropped::WhenWoken] {
        for polls in 0.. {
            let what = format!("{dropped:?} after {polls} polls");
            let name = id.to_string();
            let paid = message(id.to_string());
            let mut client = scene.client().await;
            let mut tx = client.transaction().await.unwrap();
            let work = async |tx: &mut Transaction<'_>| {
                tx.execute(&text, &[&name]).await?;
                tx.execute(&text, &[&"more"]).await.map(drop)
            };
            let once = scene.inbox.once(&mut tx, "bank", &paid, work);
            let complete = polled(once, polls, dropped).await;
            tx.execute(&text, &[&"around"]).await.unwrap();
            tx.commit().await.unwrap();
            is_whole(&scene, id, &what).await;

            let mut sqlx = scene.sqlx().await;
            let mut tx = sqlx.begin().await.unwrap();
            let both = format!(
                "INSERT INTO {}.account (name) VALUES ('{id}')",
                scene.place.schema
            );
            let work = async |tx: &mut PgConnection| {
                insert_by_sqlx(tx, &both).await?;
                insert_by_sqlx(tx, &both.replace(&format!("'{id}'"), "'more'")).await
            };
            let again = message(id.to_string()).attempted(2);
            let once = scene.inbox.once(&mut *tx, "bank", &again, work);
            polled(once, polls, dropped).await;
            let around = both.replace(&format!("'{id}'"), "'around by sqlx'");
            let went_on = insert_by_sqlx(&mut tx, &around).await;
            if tx.commit().await.is_ok() && went_on.is_ok() {
                around_by_sqlx += 1;
            }
            let _ = sqlx.ping().await;
            is_whole(&scene, id, &what).await;
            kept += scene.count(&format!("account WHERE name = '{id}'")).await;
            id += 1;
            if complete {
                assert!(polls > 3, "it was dropped somewhere: {polls}");
                break;
            }
        }
    }
    assert_eq!(scene.count("account WHERE name = 'more'").await, kept);
    let around = scene.count("account WHERE name = 'around'").await;
    assert_eq!(
        around,
        i64::try_from(id).unwrap(),
        "what was done around it"
    );
    let around = scene.count("account WHERE name = 'around by sqlx'").await;
    assert_eq!(
        around, around_by_sqlx,
        "none is lost that was said to be there"
    );
    assert!(around + 2 >= i64::try_from(id).unwrap(), "{around} of {id}");
    assert!(
        kept > 0 && kept < i64::try_from(id).unwrap(),
        "{kept} of {id}"
    );
}

/// The attempt that was cancelled is heard of no more: it is counted.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_are_cancelled_end_in_quarantine() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let mut client = scene.client().await;
    let for_ever = async |_: &mut Transaction<'_>, _: &Delivery| {
        std::future::pending::<Result<(), Error<()>>>().await
    };
    for attempt in 2..5 {
        let hangs = message("1").attempted(attempt);
        let handling = scene.inbox.handle(&mut client, "bank", &hangs, for_ever);
        let mut handling = pin!(handling);
        until("the work has begun", async || {
            let polled = poll_fn(|cx| Poll::Ready(handling.as_mut().poll(cx).is_ready())).await;
            assert!(!polled);
            scene
                .count(&format!("inbox_start WHERE started = {}", attempt - 1))
                .await
                == 1
                && scene.sessions("state = 'idle in transaction'").await == 1
        })
        .await;
    }
    let last = message("1").attempted(5);
    let handled = scene
        .inbox
        .handle(&mut client, "bank", &last, for_ever)
        .await;
    assert!(matches!(
        handled,
        Ok(axiomatic_postgres::inbox::Handled::Quarantined)
    ));
}
