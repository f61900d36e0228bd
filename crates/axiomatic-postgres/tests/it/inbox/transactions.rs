//! In whose transactions it works, and in which it does not.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use axiomatic_coordination::Why;
use axiomatic_coordination::inbox::{Error, Id, Policy, Stream};
use axiomatic_postgres::Tables;
use axiomatic_postgres::inbox::Handled;
use futures::FutureExt;
use tokio_postgres::IsolationLevel;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn work_that_borrows_can_be_handled_in_a_task_of_its_own() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let (inbox, text) = (scene.inbox.clone(), scene.insert());
    let (mut client, mut sqlx) = (scene.client().await, scene.sqlx().await);
    let spawned = tokio::spawn(async move {
        let text = text.as_str();
        let [one, two, three] = ["1", "2", "3"].map(message);
        let mut tx = client.transaction().await.unwrap();
        let work = async |tx: &mut Transaction<'_>| insert(tx, text).await;
        let done = inbox.once(&mut tx, "bank", &one, work).await;
        assert!(!done.unwrap().is_duplicate());
        tx.commit().await.unwrap();
        let work = async |tx: &mut Transaction<'_>, _: &Delivery| insert(tx, text).await;
        let done = inbox.handle(&mut client, "bank", &two, work).await;
        assert_eq!(done.unwrap(), Handled::Done(()));
        let work = async |tx: &mut PgConnection, _: &Delivery| insert_by_sqlx(tx, text).await;
        let done = inbox
            .handle_with_sqlx(&mut sqlx, "bank", &three, work)
            .await;
        assert_eq!(done.unwrap(), Handled::Done(()));
        let mut tx = sqlx.begin().await.unwrap();
        let first = message("4")
            .keyed("key")
            .with_header("outbox-sequence", "1");
        let work = async |tx: &mut PgConnection, _: &Delivery| insert_by_sqlx(tx, text).await;
        let done = inbox.in_order(&mut *tx, "bank", &first, work).await;
        assert_eq!(done.unwrap().handled, 1);
        tx.commit().await.unwrap();
    });
    spawned.await.unwrap();
    assert_eq!(scene.count("account").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_sees_an_old_state_is_refused() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let mut client = scene.client().await;
    for level in [IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let begin = client.build_transaction().isolation_level(level);
        let mut tx = begin.start().await.unwrap();
        let works = async |_: &mut Transaction<'_>| Ok::<_, Infallible>(());
        let refused = scene
            .inbox
            .once(&mut tx, "bank", &message("1"), works)
            .await;
        let Err(Error::Store(refused)) = refused else {
            panic!("{level:?}: {refused:?}");
        };
        assert_eq!(refused.why(), Why::Refused);
        assert!(
            format!("{refused:?}").contains("READ COMMITTED"),
            "{refused:?}"
        );
        let first = message("1")
            .keyed("key")
            .with_header("outbox-sequence", "1");
        let works = async |_: &mut Transaction<'_>, _: &Delivery| Ok::<_, Infallible>(());
        let refused = scene.inbox.in_order(&mut tx, "bank", &first, works).await;
        assert!(matches!(refused, Err(Error::Store(_))), "{level:?}");
        tx.commit().await.expect("nothing was done to it");
    }
    assert_eq!(scene.count("inbox_seen").await, 0);
    assert_eq!(scene.count("inbox_watermark").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_ones_own_will_do_and_none_will_not() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let (text, id) = (scene.insert(), Id::new("1").unwrap());
    let mut client = scene.client().await;
    for (commit, is_duplicate) in [(false, false), (true, false), (true, true)] {
        let mut tx = client.transaction().await.unwrap();
        let done = scene
            .inbox
            .once(&mut tx, "bank", &id, async |tx| insert(tx, &text).await);
        assert_eq!(done.await.unwrap().is_duplicate(), is_duplicate);
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let works = async |_: &mut Client| Ok::<_, Infallible>(());
    let without = scene.inbox.once(&mut client, "bank", &id, works).await;
    let Err(Error::Store(refused)) = without else {
        panic!("a connection without a transaction: {without:?}");
    };
    assert_eq!(refused.why(), Why::Refused);
    let mut sqlx = scene.sqlx().await;
    let works = async |_: &mut PgConnection| Ok::<_, Infallible>(());
    let without = scene.inbox.once(&mut sqlx, "bank", &id, works).await;
    assert!(matches!(without, Err(Error::Store(_))), "{without:?}");
    assert_eq!(scene.count("account").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_work_leaves_nothing_even_if_its_transaction_commits() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let text = scene.insert();
    let mut client = scene.client().await;
    let mut tx = client.transaction().await.unwrap();
    let work = async |tx: &mut Transaction<'_>| -> Result<(), Infallible> {
        insert(tx, &text).await.unwrap();
        panic!("planned")
    };
    let one = message("1");
    let panics = scene.inbox.once(&mut tx, "bank", &one, work);
    assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
    insert(&mut tx, &text).await.unwrap();
    tx.commit().await.unwrap();

    let mut sqlx = scene.sqlx().await;
    let mut tx = sqlx.begin().await.unwrap();
    let work = async |tx: &mut PgConnection| -> Result<(), Infallible> {
        insert_by_sqlx(tx, &text).await.unwrap();
        panic!("planned")
    };
    let two = message("2");
    let panics = scene.inbox.once(&mut *tx, "bank", &two, work);
    assert!(AssertUnwindSafe(panics).catch_unwind().await.is_err());
    insert_by_sqlx(&mut tx, &text).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(scene.count("account").await, 2, "what was done behind it");
    assert_eq!(scene.count("inbox_seen").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn handling_a_message_takes_all_the_steps() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let (inbox, text) = (&scene.inbox, scene.insert());
    let (mut client, mut sqlx) = (scene.client().await, scene.sqlx().await);
    for attempt in 1..9 {
        let paid = message("1").attempted(attempt);
        let ill = async |_: &mut Transaction<'_>, _: &Delivery| Err::<(), _>("ill");
        let failed = inbox.handle(&mut client, "bank", &paid, ill).await;
        assert!(matches!(failed, Err(Error::Work { error: "ill", .. })));
        let ill = async |_: &mut PgConnection, _: &Delivery| Err::<(), _>("ill");
        let failed = inbox.handle_with_sqlx(&mut sqlx, "bank", &paid, ill).await;
        assert!(matches!(failed, Err(Error::Work { error: "ill", .. })));
    }
    assert_eq!(scene.count("inbox_start").await, 0, "each was heard of");
    for (attempt, expected) in [(9, Handled::Done(())), (10, Handled::Duplicate)] {
        let paid = message("1").attempted(attempt);
        let work = async |tx: &mut Transaction<'_>, _: &Delivery| insert(tx, &text).await;
        let handled = inbox.handle(&mut client, "bank", &paid, work).await;
        assert_eq!(handled.unwrap(), expected);
        let paid = message("2").attempted(attempt);
        let work = async |tx: &mut PgConnection, _: &Delivery| insert_by_sqlx(tx, &text).await;
        let handled = inbox.handle_with_sqlx(&mut sqlx, "bank", &paid, work).await;
        assert_eq!(handled.unwrap(), expected);
    }
    assert_eq!(scene.count("account").await, 2);
    assert_eq!(scene.count("inbox_start").await, 0);
    assert_eq!(inbox.snapshot().done, 2);
    assert_eq!(inbox.snapshot().duplicates, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn handling_a_message_that_ended_processes_is_refused() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let poison = Delivery::new("poison").with_broker_id("2");
    let (mut client, mut sqlx) = (scene.client().await, scene.sqlx().await);
    for _ in 0..3 {
        let mut tx = client.transaction().await.unwrap();
        let _ = scene.inbox.begin(&mut tx, "bank", &poison).await.unwrap();
        tx.commit().await.unwrap();
    }
    let works = async |_: &mut Transaction<'_>, _: &Delivery| Ok::<_, Infallible>(());
    let handled = scene
        .inbox
        .handle(&mut client, "bank", &poison, works)
        .await;
    assert_eq!(handled.unwrap(), Handled::Quarantined);
    let works = async |_: &mut PgConnection, _: &Delivery| Ok::<_, Infallible>(());
    let handled = scene
        .inbox
        .handle_with_sqlx(&mut sqlx, "bank", &poison, works);
    assert_eq!(handled.await.unwrap(), Handled::Quarantined);
    let found = scene.inbox.peek(10).await.unwrap();
    assert_eq!(
        &*found[0].reason,
        "3 attempts began, and nobody heard of them"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_release_are_refused() {
    let Some(scene) = Scene::plain().await else {
        return;
    };
    let elsewhere = Place::at(scene.place.url.clone());
    let expects = |place: &Place| {
        let options = place.options().tables(Tables::Expect);
        Database::new(&place.url, options).expect("an address")
    };
    let inbox = async |database: &Database| {
        let inbox = config().build().expect("a configuration");
        Inbox::new(database, inbox, Options::new()).await
    };
    let missing = inbox(&expects(&elsewhere)).await;
    assert_eq!(missing.unwrap_err().why(), Why::Incompatible);
    let by_hand = axiomatic_postgres::inbox::schema(&elsewhere.options());
    scene.look.batch_execute(&by_hand).await.unwrap();
    inbox(&expects(&elsewhere)).await.unwrap();
    let newer = format!(
        "UPDATE {}.schema_version SET version = 9, oldest_code = 8 WHERE component = 'inbox'",
        elsewhere.schema
    );
    scene.look.batch_execute(&newer).await.unwrap();
    let newer = inbox(&elsewhere.database()).await;
    assert_eq!(newer.unwrap_err().why(), Why::Incompatible);
}

/// A timer asks which streams wait, and gives up what is overdue.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_which_something_is_missing_are_found() {
    let at_most = std::num::NonZeroU32::new(5).expect("not zero");
    let patience = Duration::from_micros(1);
    let config = config().out_of_order(Policy::Buffer { at_most, patience });
    let Some(scene) = Scene::new(config, Options::new()).await else {
        return;
    };
    let text = scene.insert();
    let ahead = message("2")
        .keyed("key")
        .of_tenant("acme")
        .from_source("shop")
        .with_header("outbox-sequence", "2");
    let mut client = scene.client().await;
    let mut tx = client.transaction().await.unwrap();
    let work = async |tx: &mut Transaction<'_>, _: &Delivery| insert(tx, &text).await;
    let ordered = scene.inbox.in_order(&mut tx, "bank", &ahead, work).await;
    assert_eq!(ordered.unwrap().handled, 0);
    tx.commit().await.unwrap();
    let waiting = scene.inbox.waiting(10).await.unwrap();
    let [one] = &waiting[..] else {
        panic!("one stream: {waiting:?}");
    };
    assert_eq!(Some(one.stream()), Stream::of("bank", &ahead));
    assert_eq!(one.watermark.ahead.to_string(), "2");
    let mut tx = client.transaction().await.unwrap();
    let stream = one.stream();
    let given_up = scene.inbox.give_up_overdue(&mut tx, &stream, work);
    assert_eq!(given_up.await.unwrap().0, 1);
    tx.commit().await.unwrap();
    assert_eq!(scene.count("account").await, 1);
    assert!(scene.inbox.waiting(10).await.unwrap().is_empty());
}
