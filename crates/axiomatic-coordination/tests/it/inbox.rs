//! The inbox over the database in memory, held to the laws.

use std::time::Duration;

use axiomatic_coordination::inbox::conformance::{self, Script, Subject};
use axiomatic_coordination::inbox::{
    Admission, Config, Delivery, Error, Gap, Id, IdRule, Inbox, Ordered, Outcome, Policy,
    Quarantined, Stream,
};
use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::{Memory, MemoryTransaction, StoreError, Why};
use axiomatic_core::BoxError;
use axiomatic_core::time::{Clock, ManualClock};
use bytes::Bytes;

struct InMemory {
    inbox: Inbox,
    database: Memory,
    clock: ManualClock,
}

type Tx<'a> = MemoryTransaction<'a>;

impl InMemory {
    fn with(config: Config) -> Self {
        let clock = ManualClock::new();
        InMemory {
            inbox: config.build().expect("a configuration"),
            database: Memory::with_clock(Clock::Manual(clock.clone())),
            clock,
        }
    }

    /// One transaction, which is committed or not as the script says.
    fn transact<T, E>(
        &self,
        script: Script,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, BoxError>
    where
        BoxError: From<E>,
    {
        let done = self.database.transact(|tx| {
            let done = work(tx).map_err(BoxError::from);
            match script {
                Script::FailAndCommit => Ok::<_, BoxError>(done),
                Script::Succeed | Script::Fail => Ok(Ok(done?)),
            }
        });
        done.map_err(|error| error.to_string())?
    }

    fn list(&self) -> Vec<String> {
        let rows = self.database.read_all("effect/").into_iter();
        let texts = rows.map(|(_, body)| String::from_utf8_lossy(&body).into_owned());
        texts.collect()
    }
}

/// Appends to the list.
fn append(tx: &mut Tx<'_>, delivery: &Delivery, script: Script) -> Result<(), StoreError> {
    let length = tx.read("length").map_or(0, |length| length.len());
    tx.put("length", vec![0; length + 1]);
    tx.put(format!("effect/{length:09}"), delivery.body().clone());
    match script {
        Script::Succeed => Ok(()),
        Script::Fail | Script::FailAndCommit => Err(StoreError::new(Why::Refused)),
    }
}

impl Subject for InMemory {
    async fn fresh(config: Config) -> Self {
        InMemory::with(config)
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
        let peek = |tx: &mut Tx<'_>| self.inbox.peek(tx, 100);
        self.transact(Script::Succeed, peek).expect("a quarantine")
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
        self.transact(Script::Succeed, |tx| self.inbox.sweep(tx, at_most))
    }

    async fn elapse(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn effects(&self) -> Vec<String> {
        self.list()
    }
}

#[tokio::test]
async fn a_duplicate_is_answered_with_the_first_result() {
    conformance::a_repeat_has_no_effect_and_is_answered_with_the_first_result::<InMemory>().await;
}

#[tokio::test]
async fn the_database_in_memory_keeps_the_laws() {
    conformance::laws::<InMemory>().await;
}

/// The laws can fail: here is an inbox that takes each delivery for a new
/// message.
#[tokio::test]
async fn the_laws_find_an_inbox_that_forgets() {
    struct Forgetful(InMemory);

    impl Subject for Forgetful {
        async fn fresh(config: Config) -> Self {
            Forgetful(InMemory::with(config))
        }

        async fn once(&self, c: &str, d: &Delivery, s: Script) -> Result<Outcome<Bytes>, BoxError> {
            let anew = format!(
                "{}/{}",
                d.broker_id().unwrap_or_default(),
                self.0.list().len()
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

fn plain() -> InMemory {
    InMemory::with(Config::new(IdRule::BrokerId, Duration::ZERO))
}

#[tokio::test]
async fn what_was_counted_can_be_read() {
    let subject = plain();
    let paid = Delivery::new("paid").with_broker_id("1");
    for _ in 0..3 {
        let _ = subject.once("bank", &paid, Script::Succeed).await;
    }
    let snapshot = subject.inbox.snapshot();
    assert_eq!((snapshot.done, snapshot.duplicates), (1, 2));
    assert!(snapshot.to_string().starts_with("1 handled, 2 duplicates;"));
}

/// Work that fails or panics where somebody goes on with the transaction.
#[test]
fn a_panic_leaves_nothing_behind() {
    let subject = plain();
    let id = Id::new("1").unwrap();
    let paid = Delivery::new("paid");
    let gone_on = subject.transact(Script::Succeed, |tx| {
        let work = std::panic::AssertUnwindSafe(|| {
            subject.inbox.once(tx, "bank", &id, |tx| {
                append(tx, &paid, Script::Succeed)?;
                tx.enqueue(Message::new("mail", "thanks"));
                assert!(paid.body().is_empty(), "planned");
                Ok::<_, StoreError>(())
            })
        });
        assert!(std::panic::catch_unwind(work).is_err());
        Ok::<_, StoreError>(())
    });
    assert!(gone_on.is_ok());
    assert_eq!(subject.list(), [""; 0]);
    let again = subject.transact(Script::Succeed, |tx| {
        let work = |tx: &mut Tx<'_>| append(tx, &paid, Script::Succeed);
        let done: Result<_, Error<StoreError>> = subject.inbox.once(tx, "bank", &id, work);
        done
    });
    assert!(!again.unwrap().is_duplicate());
    assert_eq!(subject.list(), ["paid"]);
}

/// A timer asks which streams wait, and gives up what is overdue.
#[tokio::test]
async fn streams_of_which_something_is_missing_are_found() {
    let at_most = std::num::NonZeroU32::new(5).unwrap();
    let patience = Duration::from_secs(1);
    let config = Config::new(IdRule::BrokerId, Duration::ZERO);
    let subject = InMemory::with(config.out_of_order(Policy::Buffer { at_most, patience }));
    let waiting = || {
        let waiting = |tx: &mut Tx<'_>| subject.inbox.waiting(tx, 10);
        subject.transact(Script::Succeed, waiting).unwrap()
    };
    assert_eq!(waiting(), []);
    let ahead = Delivery::new("2").with_broker_id("2").keyed("key");
    let ahead = ahead.of_tenant("acme").with_header("outbox-sequence", "2");
    let held = subject.in_order("bank", &ahead, Script::Succeed).await;
    assert!(held.unwrap().fate.is_acknowledged());
    let found = waiting();
    assert_eq!(Some(found[0].stream()), Stream::of("bank", &ahead));
    assert_eq!(found[0].watermark.ahead.to_string(), "2");
    subject.clock.advance(patience);
    let given_up = subject.give_up_overdue("bank", &ahead).await.unwrap();
    assert_eq!(given_up.0, 1);
    assert_eq!(waiting(), []);
    assert_eq!(subject.list(), ["2"]);
}
