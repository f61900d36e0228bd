//! SQLite is held to what every store promises.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axiomatic_coordination::outbox::conformance::{StoreSubject, stores};
use axiomatic_coordination::outbox::{Keep, Message};
use axiomatic_core::BoxError;
use axiomatic_sqlite::outbox::{Options, Outbox};
use axiomatic_sqlite::{Database, Durability, RunError, Writer};

use crate::support::Place;

/// Databases with a file each. The suite has one at a time.
#[derive(Default)]
struct Files(Mutex<Option<(Place, Database)>>);

impl Files {
    fn writer(&self) -> Writer {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, database) = file.as_ref().expect("a store was made");
        database.writer().clone()
    }
}

impl StoreSubject for Files {
    type Store = Outbox;

    async fn fresh(&self, keep: Keep) -> Outbox {
        let place = Place::new();
        let options = axiomatic_sqlite::Options::new().durability(Durability::ProcessCrash);
        let database = place.open(options);
        let outbox = Outbox::new(&database, Options::new().keep(keep)).expect("is new");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((place, database));
        outbox
    }

    async fn commit(&self, _: &Outbox, messages: Vec<Message>) -> Result<(), BoxError> {
        let writer = self.writer();
        let committed = writer.run(move |tx| {
            messages
                .into_iter()
                .try_for_each(|message| tx.enqueue(message))
        });
        Ok(committed.await?)
    }

    async fn roll_back(&self, _: &Outbox, messages: Vec<Message>) {
        let writer = self.writer();
        let rejected = writer.run(move |tx| {
            for message in messages {
                tx.enqueue(message).expect("there is room");
            }
            Err::<(), _>("rolled back")
        });
        assert!(matches!(rejected.await, Err(RunError::Rejected(_))));
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test]
async fn sqlite_keeps_what_every_store_promises() {
    stores(&Files::default()).await;
}
