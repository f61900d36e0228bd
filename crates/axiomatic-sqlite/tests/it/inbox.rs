//! What the inbox does with SQLite's transactions.

use std::convert::Infallible;
use std::time::Duration;

use axiomatic_coordination::Why;
use axiomatic_coordination::inbox::{self as protocol, Config, Delivery, Error, Id, IdRule};
use axiomatic_coordination::outbox::Message;
use axiomatic_core::BoxError;
use axiomatic_sqlite::inbox::{Handled, Inbox};
use axiomatic_sqlite::{Database, Options, RunError, Tables, Transaction};
use rusqlite::{Connection, TransactionBehavior};

use crate::support::{Place, count, insert};

fn protocol() -> protocol::Inbox {
    let config = Config::new(IdRule::BrokerId, Duration::from_secs(60));
    config.build().expect("a configuration")
}

fn open() -> (Place, Database, Inbox) {
    let place = Place::new();
    let database = place.open(Options::new());
    let inbox = Inbox::new(&database, protocol()).expect("tables");
    (place, database, inbox)
}

fn paid() -> Delivery {
    Delivery::new("paid").with_broker_id("1").attempted(1)
}

/// A row and a message.
fn work(tx: &mut Transaction<'_>) -> Result<(), BoxError> {
    insert(tx, "paid")?;
    tx.enqueue(Message::new("mail", "thanks"))?;
    Ok(())
}

#[tokio::test]
async fn a_duplicate_enqueues_nothing() {
    let (place, database, inbox) = open();
    for _ in 0..3 {
        let inbox = inbox.clone();
        let once = database
            .writer()
            .run(move |tx| inbox.once(tx, "bank", &paid(), work));
        let _ = once.await.unwrap();
    }
    assert_eq!((place.count("account"), place.count("outbox")), (1, 1));
    assert_eq!(place.count("inbox_seen"), 1);
}

#[tokio::test]
async fn work_that_fails_publishes_nothing_even_if_its_transaction_commits() {
    let (place, database, inbox) = open();
    let run = database.writer().run(move |tx| {
        tx.enqueue(Message::new("mail", "before"))?;
        let failed = inbox.once(tx, "bank", &paid(), |tx| {
            work(tx)?;
            Err::<(), BoxError>("after all".into())
        });
        assert!(matches!(failed, Err(Error::Work { .. })));
        tx.enqueue(Message::new("mail", "behind"))?;
        Ok::<_, BoxError>(())
    });
    run.await.unwrap();
    assert_eq!(place.count("account"), 0);
    assert_eq!(place.count("inbox_seen"), 0);
    assert_eq!(place.count("outbox"), 2, "what was said around it");
}

#[tokio::test]
async fn a_panic_in_the_work_leaves_nothing() {
    let (place, database, inbox) = open();
    let writer = database.writer().clone();
    let panics = tokio::spawn(async move {
        let once = writer.run(move |tx| {
            inbox.once(tx, "bank", &paid(), |tx| -> Result<(), BoxError> {
                work(tx)?;
                panic!("planned")
            })
        });
        once.await.map(drop)
    });
    assert!(panics.await.is_err());
    for table in ["account", "inbox_seen", "outbox"] {
        assert_eq!(place.count(table), 0, "{table}");
    }
}

#[test]
fn a_transaction_of_ones_own_will_do_and_none_will_not() {
    let place = Place::new();
    let mut connection = Connection::open(place.file()).unwrap();
    connection
        .execute_batch("CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)")
        .unwrap();
    let inbox = Inbox::on_connection(&mut connection, Tables::Migrate, protocol()).unwrap();
    let id = Id::new("1").unwrap();
    for (commit, is_duplicate) in [(false, false), (true, false), (true, true)] {
        let immediate = TransactionBehavior::Immediate;
        let mut tx = connection.transaction_with_behavior(immediate).unwrap();
        let done = inbox.once(&mut tx, "bank", &id, |tx| insert(tx, "paid"));
        assert_eq!(done.unwrap().is_duplicate(), is_duplicate);
        if commit {
            tx.commit().unwrap();
        }
    }
    let without = inbox.once(&mut connection, "bank", &id, |tx| insert(tx, "paid"));
    let Err(Error::Store(refused)) = without else {
        panic!("a connection without a transaction: {without:?}");
    };
    assert_eq!(refused.why(), Why::Refused);
    assert_eq!(count(&connection, "account"), 1);
}

#[test]
fn tables_of_another_release_are_refused() {
    let place = Place::new();
    let mut connection = Connection::open(place.file()).unwrap();
    let missing = Inbox::on_connection(&mut connection, Tables::Expect, protocol());
    assert_eq!(missing.unwrap_err().why(), Why::Incompatible);
    connection
        .execute_batch(&axiomatic_sqlite::inbox::schema())
        .unwrap();
    assert!(Inbox::on_connection(&mut connection, Tables::Expect, protocol()).is_ok());
    let newer =
        "UPDATE axiomatic_schema SET version = 9, oldest_code = 8 WHERE component = 'inbox'";
    connection.execute_batch(newer).unwrap();
    let newer = Inbox::on_connection(&mut connection, Tables::Migrate, protocol());
    assert_eq!(newer.unwrap_err().why(), Why::Incompatible);
}

#[tokio::test]
async fn handling_a_message_takes_all_the_steps() {
    let (place, database, inbox) = open();
    let writer = database.writer();
    let fails = |_: &mut Transaction<'_>, _: &Delivery| Err::<(), BoxError>("ill".into());
    for attempt in 1..9 {
        let failed = inbox
            .handle(writer, "bank", paid().attempted(attempt), fails)
            .await;
        assert!(matches!(
            failed,
            Err(RunError::Rejected(Error::Work { .. }))
        ));
    }
    assert_eq!(place.count("inbox_start"), 0, "each was heard of");
    let works = |tx: &mut Transaction<'_>, _: &Delivery| work(tx);
    let done = inbox
        .handle(writer, "bank", paid().attempted(9), works)
        .await;
    assert_eq!(done.unwrap(), Handled::Done(()));
    let again = inbox
        .handle(writer, "bank", paid().attempted(10), works)
        .await;
    assert_eq!(again.unwrap(), Handled::Duplicate);
    assert_eq!(place.count("account"), 1);
    assert_eq!(place.count("inbox_start"), 0);
}

#[tokio::test]
async fn handling_a_message_that_ended_processes_is_refused() {
    let (place, database, inbox) = open();
    let poison = Delivery::new("poison").with_broker_id("2");
    for _ in 0..3 {
        let (inbox, poison) = (inbox.clone(), poison.clone());
        let begin = database
            .writer()
            .run(move |tx| inbox.begin(tx, "bank", &poison));
        let _ = begin.await.unwrap();
    }
    let works = |_: &mut Transaction<'_>, _: &Delivery| Ok::<_, Infallible>(());
    let handled = inbox.handle(database.writer(), "bank", poison, works).await;
    assert_eq!(handled.unwrap(), Handled::Quarantined);
    let found = inbox.peek(&place.look(), 10).unwrap();
    assert_eq!(
        &*found[0].reason,
        "3 attempts began, and nobody heard of them"
    );
}

/// A redelivery that is dropped at any await is done whole or not at all, and
/// what comes afterwards has one effect.
#[tokio::test]
async fn wherever_handling_is_cancelled_the_effect_happens_once() {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    for polls in 0..6 {
        let (place, database, inbox) = open();
        let works = |tx: &mut Transaction<'_>, _: &Delivery| insert(tx, "paid");
        {
            let writer = database.writer();
            let mut handling = pin!(inbox.handle(writer, "bank", paid().attempted(2), works));
            for _ in 0..polls {
                let ended = poll_fn(|cx| Poll::Ready(handling.as_mut().poll(cx).is_ready())).await;
                if ended {
                    break;
                }
                // What the writer has been asked it does meanwhile.
                let nothing = database.writer().run(|_| Ok::<_, Infallible>(()));
                nothing.await.unwrap();
            }
        }
        let handled = inbox
            .handle(database.writer(), "bank", paid().attempted(3), works)
            .await;
        assert!(handled.is_ok());
        assert_eq!(place.count("account"), 1, "cancelled after {polls} polls");
    }
}
