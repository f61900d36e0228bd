//! PostgreSQL is held to what every store promises.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axiomatic_coordination::outbox::conformance::{StoreSubject, stores};
use axiomatic_coordination::outbox::{Keep, Message};
use axiomatic_core::BoxError;
use axiomatic_postgres::outbox::{Options, Outbox};

use crate::support::{Place, connect, url};

/// Schemas, one for each store. The suite has one at a time.
#[derive(Default)]
struct Schemas(Mutex<Option<Place>>);

impl StoreSubject for Schemas {
    type Store = Outbox;

    async fn fresh(&self, keep: Keep) -> Outbox {
        let place = Place::at(url());
        let outbox = Outbox::new(&place.database(), Options::new().keep(keep)).await;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
        outbox.expect("is new")
    }

    async fn commit(&self, outbox: &Outbox, messages: Vec<Message>) -> Result<(), BoxError> {
        let mut client = connect(&url()).await?;
        let mut tx = client.transaction().await?;
        outbox.enqueue(&mut tx, messages).await?;
        Ok(tx.commit().await?)
    }

    async fn roll_back(&self, outbox: &Outbox, messages: Vec<Message>) {
        let mut client = connect(&url()).await.expect("PostgreSQL is there");
        let mut tx = client.transaction().await.expect("a transaction");
        let enqueued = outbox.enqueue(&mut tx, messages).await;
        enqueued.expect("there is room");
        tx.rollback().await.expect("rolls back");
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_every_store_promises() {
    if Place::find().await.is_some() {
        stores(&Schemas::default()).await;
    }
}
