//! The tables come to be what this release needs, or it refuses them.

use axiomatic_postgres::outbox::{Options, Outbox};

use crate::support::Place;

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_start_at_once_migrate_once() {
    let Some(place) = Place::find().await else {
        return;
    };
    let starting = (0..4).map(|_| {
        let database = place.database();
        tokio::spawn(async move { Outbox::new(&database, Options::new()).await })
    });
    for started in starting.collect::<Vec<_>>() {
        started.await.unwrap().unwrap();
    }
    let client = place.client().await;
    let versions = format!(
        "SELECT component, version FROM {}.schema_version",
        place.schema
    );
    let versions = client.query(&versions, &[]).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].get::<_, &str>(0), "outbox");
}
