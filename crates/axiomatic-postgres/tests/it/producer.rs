//! What is enqueued, and what is written of it.

use axiomatic_coordination::outbox::Message;
use axiomatic_postgres::outbox::{Options, Outbox};
use sqlx_core::connection::Connection;
use sqlx_postgres::PgConnection;
use tokio_postgres::Client;

use crate::support::Place;

/// Bodies, in the order of the rows.
async fn bodies(client: &Client, place: &Place) -> Vec<String> {
    let sql = format!("SELECT body FROM {}.outbox ORDER BY id", place.schema);
    let rows = client.query(&sql, &[]).await.expect("reads");
    let body = |row: &tokio_postgres::Row| String::from_utf8(row.get(0)).expect("text");
    rows.iter().map(body).collect()
}

#[tokio::test]
async fn messages_commit_and_roll_back_with_the_business() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let mut client = place.client().await;
    for (name, commit) in [("kept", true), ("undone", false)] {
        let mut tx = client.transaction().await.unwrap();
        let messages = [1, 2].map(|n| Message::new("t", format!("{name} {n}")));
        outbox.enqueue(&mut tx, messages).await.unwrap();
        let ordered = Message::new("t", format!("{name} 3")).keyed("k").ordered();
        outbox.enqueue(&mut tx, [ordered]).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let mut own = PgConnection::connect(&place.url).await.unwrap();
    for (name, commit) in [("sqlx", true), ("sqlx undone", false)] {
        let mut tx = own.begin().await.unwrap();
        let messages = [1, 2].map(|n| Message::new("t", format!("{name} {n}")));
        outbox.enqueue(&mut *tx, messages).await.unwrap();
        let ordered = Message::new("t", format!("{name} 3")).keyed("k").ordered();
        outbox.enqueue(&mut *tx, [ordered]).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
    }
    let expected = ["kept 1", "kept 2", "kept 3", "sqlx 1", "sqlx 2", "sqlx 3"];
    assert_eq!(bodies(&client, &place).await, expected);
}
