//! The inbox over the database in memory, held to the laws.

use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::inbox::conformance::{self, Script, Subject};
use axiomatic_coordination::inbox::memory::{Database, Transaction};
use axiomatic_coordination::inbox::{
    Admission, Config, Delivery, Error, Gap, Id, Inbox, Ordered, Outcome, Quarantined, Stream,
};
use axiomatic_core::BoxError;
use bytes::Bytes;

struct Memory {
    inbox: Inbox,
    database: Database<Vec<String>>,
}

type Tx<'a> = Transaction<'a, Vec<String>>;

impl Memory {
    /// One transaction, which is committed or not as the script says.
    fn transact<T, E>(
        &self,
        script: Script,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, BoxError>
    where
        BoxError: From<E>,
    {
        self.database.transact(|tx| {
            let done = work(tx).map_err(BoxError::from);
            match script {
                Script::FailAndCommit => Ok::<_, BoxError>(done),
                Script::Succeed | Script::Fail => Ok(Ok(done?)),
            }
        })?
    }
}

fn append(tx: &mut Tx<'_>, delivery: &Delivery, script: Script) -> Result<(), StoreError> {
    let body = String::from_utf8_lossy(delivery.body()).into_owned();
    tx.app_mut().push(body);
    match script {
        Script::Succeed => Ok(()),
        Script::Fail | Script::FailAndCommit => {
            Err(StoreError::new(axiomatic_coordination::Why::Refused))
        }
    }
}

impl Subject for Memory {
    async fn fresh(config: Config) -> Self {
        Memory {
            inbox: config.build().expect("a configuration"),
            database: Database::new(Vec::new()),
        }
    }

    async fn once(
        &self,
        consumer: &str,
        delivery: &Delivery,
        script: Script,
    ) -> Result<Outcome<Bytes>, BoxError> {
        // Others get their turn between any two.
        tokio::task::yield_now().await;
        self.transact(script, |tx| {
            self.inbox.once_with_result(tx, consumer, delivery, |tx| {
                append(tx, delivery, script)?;
                Ok::<_, StoreError>(delivery.body().to_ascii_uppercase().into())
            })
        })
    }

    async fn in_order(
        &self,
        consumer: &str,
        delivery: &Delivery,
        script: Script,
    ) -> Result<Ordered, BoxError> {
        self.transact(script, |tx| {
            let work = |tx: &mut Tx<'_>, delivery: &Delivery| append(tx, delivery, script);
            self.inbox.in_order(tx, consumer, delivery, work)
        })
    }

    async fn give_up_overdue(
        &self,
        consumer: &str,
        of: &Delivery,
    ) -> Result<(usize, Vec<Gap>), BoxError> {
        self.transact(Script::Succeed, |tx| {
            let stream = Stream::of(consumer, of).ok_or("no key")?;
            let work = |tx: &mut Tx<'_>, delivery: &Delivery| append(tx, delivery, Script::Succeed);
            let given_up = self.inbox.give_up_overdue(tx, &stream, work);
            given_up.map_err(BoxError::from)
        })
    }

    async fn begin(&self, consumer: &str, delivery: &Delivery) -> Result<Admission, BoxError> {
        self.transact(Script::Succeed, |tx| {
            self.inbox.begin(tx, consumer, delivery)
        })
    }

    async fn failed(&self, consumer: &str, delivery: &Delivery) -> Result<(), BoxError> {
        self.transact(Script::Succeed, |tx| {
            self.inbox.failed(tx, consumer, delivery)
        })
    }

    async fn quarantined(&self) -> Vec<Quarantined> {
        self.database.quarantined()
    }

    async fn release(
        &self,
        consumer: &str,
        id: &Id,
        script: Script,
    ) -> Result<Option<Outcome<()>>, BoxError> {
        self.transact(script, |tx| {
            let work = |tx: &mut Tx<'_>, delivery: &Delivery| append(tx, delivery, script);
            self.inbox.release(tx, consumer, id, work)
        })
    }

    async fn discard(&self, consumer: &str, id: &Id) -> Result<bool, BoxError> {
        self.transact(Script::Succeed, |tx| self.inbox.discard(tx, consumer, id))
    }

    async fn sweep(&self, at_most: usize) -> Result<usize, BoxError> {
        Ok(self.database.sweep(self.inbox.retention(), at_most)?)
    }

    async fn elapse(&self, time: Duration) {
        self.database.advance(time);
    }

    async fn effects(&self) -> Vec<String> {
        self.database.app()
    }
}

#[tokio::test]
async fn a_duplicate_is_answered_with_the_first_result() {
    conformance::a_repeat_has_no_effect_and_is_answered_with_the_first_result::<Memory>().await;
}

#[tokio::test]
async fn the_database_in_memory_keeps_the_laws() {
    conformance::laws::<Memory>().await;
}

/// Each law fails for an inbox that remembers nothing.
#[tokio::test]
async fn the_laws_find_an_inbox_that_forgets() {
    struct Forgetful(Memory);

    impl Subject for Forgetful {
        async fn fresh(config: Config) -> Self {
            Forgetful(Memory::fresh(config).await)
        }

        async fn once(&self, c: &str, d: &Delivery, s: Script) -> Result<Outcome<Bytes>, BoxError> {
            let anew = format!(
                "{}/{}",
                d.broker_id().unwrap_or_default(),
                self.0.database.app().len()
            );
            self.0.once(c, &d.clone().with_broker_id(anew), s).await
        }

        async fn in_order(&self, c: &str, d: &Delivery, s: Script) -> Result<Ordered, BoxError> {
            self.0.in_order(c, d, s).await
        }

        async fn give_up_overdue(
            &self,
            c: &str,
            of: &Delivery,
        ) -> Result<(usize, Vec<Gap>), BoxError> {
            self.0.give_up_overdue(c, of).await
        }

        async fn begin(&self, c: &str, d: &Delivery) -> Result<Admission, BoxError> {
            self.0.begin(c, d).await
        }

        async fn failed(&self, c: &str, d: &Delivery) -> Result<(), BoxError> {
            self.0.failed(c, d).await
        }

        async fn quarantined(&self) -> Vec<Quarantined> {
            self.0.quarantined().await
        }

        async fn release(
            &self,
            c: &str,
            id: &Id,
            s: Script,
        ) -> Result<Option<Outcome<()>>, BoxError> {
            self.0.release(c, id, s).await
        }

        async fn discard(&self, c: &str, id: &Id) -> Result<bool, BoxError> {
            self.0.discard(c, id).await
        }

        async fn sweep(&self, at_most: usize) -> Result<usize, BoxError> {
            self.0.sweep(at_most).await
        }

        async fn elapse(&self, time: Duration) {
            self.0.elapse(time).await;
        }

        async fn effects(&self) -> Vec<String> {
            self.0.effects().await
        }
    }

    let law =
        conformance::a_repeat_has_no_effect_and_is_answered_with_the_first_result::<Forgetful>();
    assert!(tokio::spawn(law).await.is_err());
}

#[tokio::test]
async fn what_was_counted_can_be_read() {
    let inbox = Memory::fresh(Config::new(
        axiomatic_coordination::inbox::IdRule::BrokerId,
        Duration::ZERO,
    ))
    .await;
    let paid = Delivery::new("paid").with_broker_id("1");
    for _ in 0..3 {
        let _ = inbox.once("bank", &paid, Script::Succeed).await;
    }
    let snapshot = inbox.inbox.snapshot();
    assert_eq!((snapshot.done, snapshot.duplicates), (1, 2));
    assert!(snapshot.to_string().starts_with("1 handled, 2 duplicates;"));
}

/// Work that panics where somebody goes on with the transaction.
#[test]
fn a_panic_leaves_nothing_behind() {
    let id = Id::new("1").unwrap();
    let inbox = Config::new(
        axiomatic_coordination::inbox::IdRule::BrokerId,
        Duration::ZERO,
    );
    let inbox = inbox.build().unwrap();
    let database = Database::new(0);
    let gone_on = database.transact(|tx| {
        let work = std::panic::AssertUnwindSafe(|| {
            inbox.once(tx, "bank", &id, |tx| -> Result<(), StoreError> {
                *tx.app_mut() += 1;
                panic!("planned")
            })
        });
        assert!(std::panic::catch_unwind(work).is_err());
        Ok::<_, StoreError>(())
    });
    assert!(gone_on.is_ok());
    assert_eq!((database.app(), database.remembered()), (0, 0));
    let again = database.transact(|tx| {
        inbox.once(tx, "bank", &id, |tx| {
            *tx.app_mut() += 1;
            Ok::<_, StoreError>(())
        })
    });
    let again: Result<_, Error<StoreError>> = again;
    assert!(!again.unwrap().is_duplicate());
    assert_eq!(database.app(), 1);
}
