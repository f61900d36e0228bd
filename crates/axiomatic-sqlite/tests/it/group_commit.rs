//! Many transactions, one commit.

use axiomatic_coordination::outbox::Message;
use axiomatic_sqlite::Options;

use crate::support::{Place, insert};

#[tokio::test]
async fn business_and_message_are_seen_by_others_when_the_caller_resumes() {
    let place = Place::new();
    let database = place.open(Options::new());
    database
        .writer()
        .run(|tx| {
            insert(tx, "ada")?;
            tx.enqueue(Message::new("accounts", "opened").keyed("ada"))
                .expect("room");
            Ok::<_, rusqlite::Error>(())
        })
        .await
        .expect("commits");
    assert_eq!(place.count("account"), 1);
    assert_eq!(place.count("outbox"), 1);
}
