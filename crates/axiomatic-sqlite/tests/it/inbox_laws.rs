//! The inbox in SQLite, held to the laws of every inbox.

use std::time::Duration;

use axiomatic_coordination::inbox::conformance::{self, Script, Subject};
use axiomatic_coordination::inbox::{
    Admission, Config, Delivery, Gap, Id, Ordered, Outcome, Quarantined, Stream,
};
use axiomatic_core::BoxError;
use axiomatic_sqlite::inbox::{Connected, Inbox};
use axiomatic_sqlite::{Database, Options, Transaction};
use bytes::Bytes;

use crate::support::Place;

struct Sqlite {
    place: Place,
    database: Database,
    inbox: Inbox,
}

impl Sqlite {
    /// One transaction of the writer's, which is committed or not as the
    /// script says.
    async fn transact<T: Send + 'static, E: 'static>(
        &self,
        script: Script,
        work: impl FnOnce(&Inbox, &mut Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, BoxError>
    where
        BoxError: From<E>,
    {
        let inbox = self.inbox.clone();
        let run = self.database.writer().run(move |tx| {
            let done = work(&inbox, tx).map_err(BoxError::from);
            match script {
                Script::FailAndCommit => Ok::<_, BoxError>(done),
                Script::Succeed | Script::Fail => Ok(Ok(done?)),
            }
        });
        run.await.map_err(said)?
    }
}

fn append(tx: &mut Transaction<'_>, delivery: &Delivery, script: Script) -> Result<(), BoxError> {
    let body = std::str::from_utf8(delivery.body())?;
    tx.execute("INSERT INTO effect (body) VALUES (?1)", [body])?;
    match script {
        Script::Succeed => Ok(()),
        Script::Fail | Script::FailAndCommit => Err("told to fail".into()),
    }
}

/// What the work says in any of these is text.
fn said<E: std::fmt::Display>(error: E) -> BoxError {
    error.to_string().into()
}

impl Subject for Sqlite {
    async fn fresh(config: Config) -> Self {
        let place = Place::new();
        let database = place.open(Options::new());
        let inbox = config.build().expect("a configuration");
        let inbox = Inbox::new(&database, inbox).expect("tables");
        let table = "CREATE TABLE effect (id INTEGER PRIMARY KEY, body TEXT NOT NULL)";
        place.look().execute_batch(table).expect("a table");
        Sqlite {
            place,
            database,
            inbox,
        }
    }

    async fn once(
        &self,
        consumer: &str,
        delivery: &Delivery,
        script: Script,
    ) -> Result<Outcome<Bytes>, BoxError> {
        let (consumer, delivery) = (consumer.to_owned(), delivery.clone());
        self.transact(script, move |inbox, tx| {
            let work = |tx: &mut Transaction<'_>| {
                append(tx, &delivery, script)?;
                Ok::<_, BoxError>(delivery.body().to_ascii_uppercase().into())
            };
            let done = inbox.once_with_result(tx, &consumer, &delivery, work);
            done.map_err(said)
        })
        .await
    }

    async fn in_order(
        &self,
        consumer: &str,
        delivery: &Delivery,
        script: Script,
    ) -> Result<Ordered, BoxError> {
        let (consumer, delivery) = (consumer.to_owned(), delivery.clone());
        self.transact(script, move |inbox, tx| {
            let work = |tx: &mut Transaction<'_>, of: &Delivery| append(tx, of, script);
            let done = inbox.in_order(tx, &consumer, &delivery, work);
            done.map_err(said)
        })
        .await
    }

    async fn give_up_overdue(
        &self,
        consumer: &str,
        of: &Delivery,
    ) -> Result<(usize, Vec<Gap>), BoxError> {
        let (consumer, of) = (consumer.to_owned(), of.clone());
        self.transact(Script::Succeed, move |inbox, tx| {
            let stream = Stream::of(&consumer, &of).ok_or("no key")?;
            let work = |tx: &mut Transaction<'_>, of: &Delivery| append(tx, of, Script::Succeed);
            let done = inbox.give_up_overdue(tx, &stream, work);
            done.map_err(said)
        })
        .await
    }

    async fn begin(&self, consumer: &str, delivery: &Delivery) -> Result<Admission, BoxError> {
        let (consumer, delivery) = (consumer.to_owned(), delivery.clone());
        let begin = move |inbox: &Inbox, tx: &mut Transaction<'_>| {
            inbox.begin(tx, &consumer, &delivery).map_err(said)
        };
        self.transact(Script::Succeed, begin).await
    }

    async fn failed(&self, consumer: &str, delivery: &Delivery) -> Result<(), BoxError> {
        let (consumer, delivery) = (consumer.to_owned(), delivery.clone());
        let failed = move |inbox: &Inbox, tx: &mut Transaction<'_>| {
            inbox.failed(tx, &consumer, &delivery).map_err(said)
        };
        self.transact(Script::Succeed, failed).await
    }

    async fn quarantined(&self) -> Vec<Quarantined> {
        let look = self.place.look();
        self.inbox.peek(&look, 100).expect("a quarantine")
    }

    async fn release(
        &self,
        consumer: &str,
        id: &Id,
        script: Script,
    ) -> Result<Option<Outcome<()>>, BoxError> {
        let (consumer, id) = (consumer.to_owned(), id.clone());
        self.transact(script, move |inbox, tx| {
            let work = |tx: &mut Transaction<'_>, of: &Delivery| append(tx, of, script);
            inbox.release(tx, &consumer, &id, work).map_err(said)
        })
        .await
    }

    async fn discard(&self, consumer: &str, id: &Id) -> Result<bool, BoxError> {
        let (consumer, id) = (consumer.to_owned(), id.clone());
        let discard =
            move |inbox: &Inbox, tx: &mut Transaction<'_>| inbox.discard(tx, &consumer, &id);
        self.transact(Script::Succeed, discard).await
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, BoxError> {
        let sweep = move |inbox: &Inbox, tx: &mut Transaction<'_>| inbox.sweep(tx, at_most);
        self.transact(Script::Succeed, sweep).await
    }

    async fn elapse(&self, time: Duration) {
        // SQLite's clock is the machine's, and tells milliseconds.
        let now = || {
            let now = "SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER)";
            let now = self.place.look().query_row(now, (), |row| row.get(0));
            now.expect("a time")
        };
        let from: i64 = now();
        let time = i64::try_from(time.as_millis()).expect("a short time");
        while now() - from <= time {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn effects(&self) -> Vec<String> {
        let look = self.place.look();
        let select = look.prepare("SELECT body FROM effect ORDER BY id");
        let mut select = select.expect("a table");
        let rows = select.query_map((), |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }
}

/// One test for each law, so that a failure says which.
macro_rules! laws {
    ($($(#[$attribute:meta])* async fn $law:ident();)+) => {
        $($(#[$attribute])* async fn $law() {
            conformance::$law::<Sqlite>().await;
        })+
    };
}

laws! {
    #[tokio::test]
    async fn a_repeat_has_no_effect_and_is_answered_with_the_first_result();
    #[tokio::test]
    async fn repeats_at_the_same_time_have_one_effect();
    #[tokio::test]
    async fn each_consumer_handles_a_message_once();
    #[tokio::test]
    async fn what_fails_leaves_nothing_and_may_come_again();
    #[tokio::test]
    async fn a_result_that_is_too_long_leaves_nothing();
    #[tokio::test]
    async fn a_message_without_an_id_is_refused();
    #[tokio::test]
    async fn ids_are_equal_only_if_every_byte_is();
    #[tokio::test]
    async fn ids_are_forgotten_by_age_and_in_pieces();
    #[tokio::test]
    async fn a_key_is_handled_in_order_whatever_the_broker_does();
    #[tokio::test]
    async fn what_is_accepted_out_of_order_is_handled_once();
    #[tokio::test]
    async fn what_is_rejected_is_handled_when_it_comes_again();
    #[tokio::test]
    async fn streams_have_an_order_each();
    #[tokio::test]
    async fn a_failure_behind_a_gap_leaves_all_as_it_was();
    #[tokio::test]
    async fn a_gap_is_given_up_when_patience_is_at_its_end();
    #[tokio::test]
    async fn a_message_that_ends_processes_goes_to_quarantine();
    #[tokio::test]
    async fn an_attempt_of_which_one_hears_is_not_counted();
    #[tokio::test]
    async fn what_leaves_quarantine_is_handled_once_or_never();
}

/// A timer asks which streams wait, and gives up what is overdue.
#[tokio::test]
async fn streams_of_which_something_is_missing_are_found() {
    let at_most = std::num::NonZeroU32::new(5).expect("not zero");
    let patience = Duration::from_millis(1);
    let id = axiomatic_coordination::inbox::IdRule::BrokerId;
    let policy = axiomatic_coordination::inbox::Policy::Buffer { at_most, patience };
    let inbox = Sqlite::fresh(Config::new(id, Duration::ZERO).out_of_order(policy)).await;
    let ahead = Delivery::new("2")
        .with_broker_id("2")
        .keyed("key")
        .of_tenant("acme")
        .from_source("shop")
        .with_header("outbox-sequence", "2");
    let _ = inbox
        .in_order("bank", &ahead, Script::Succeed)
        .await
        .unwrap();
    let waiting = inbox.inbox.waiting(&inbox.place.look(), 10).unwrap();
    let [one] = &waiting[..] else {
        panic!("one stream: {waiting:?}");
    };
    assert_eq!(Some(one.stream()), Stream::of("bank", &ahead));
    assert_eq!(one.watermark.ahead.to_string(), "2");
    inbox.elapse(patience).await;
    let given_up = inbox.give_up_overdue("bank", &ahead).await.unwrap();
    assert_eq!(given_up.0, 1);
    assert_eq!(inbox.effects().await, ["2"]);
    assert!(
        inbox
            .inbox
            .waiting(inbox.place.look().connection(), 10)
            .unwrap()
            .is_empty()
    );
}
