//! The tables come to be what this release needs, or it refuses them.

use axiomatic_coordination::Why;
use axiomatic_postgres::outbox::{self, Options, Outbox};
use axiomatic_postgres::{Database, Tables};
use tokio_postgres::Client;

use crate::support::Place;

/// All tables and indexes of the schema, and whether they are whole.
async fn shape(client: &Client, place: &Place) -> Vec<(String, Option<String>, bool)> {
    let all = "SELECT c.relname::text, pg_get_indexdef(i.indexrelid), coalesce(i.indisvalid, true) \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               LEFT JOIN pg_index i ON i.indexrelid = c.oid \
               WHERE n.nspname = $1 ORDER BY c.relname";
    let rows = client.query(all, &[&place.schema]).await.unwrap();
    let schema = format!("{}.", place.schema);
    let rows = rows.iter().map(|row| {
        let index: Option<String> = row.get(1);
        (
            row.get(0),
            index.map(|index| index.replace(&schema, "")),
            row.get(2),
        )
    });
    rows.collect()
}

fn expecting(place: &Place) -> Database {
    Database::new(&place.url, place.options().tables(Tables::Expect)).unwrap()
}

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
    let versions = format!("SELECT component FROM {}.schema_version", place.schema);
    let versions = client.query(&versions, &[]).await.unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].get::<_, &str>(0), "outbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_script_makes_what_starting_makes() {
    let (Some(started), Some(printed)) = (Place::find().await, Place::find().await) else {
        return;
    };
    let client = started.client().await;
    Outbox::new(&started.database(), Options::new())
        .await
        .unwrap();
    let script = outbox::schema(&printed.options());
    // As psql does: each statement by itself, or some would be in a transaction.
    for statement in script.split_inclusive(";\n") {
        client.batch_execute(statement).await.unwrap();
    }
    assert_eq!(
        shape(&client, &started).await,
        shape(&client, &printed).await
    );
    let found = Outbox::new(&expecting(&printed), Options::new()).await;
    found.expect("it is what it expects");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_tables_is_refused_by_those_who_expect_them() {
    let Some(place) = Place::find().await else {
        return;
    };
    let refused = Outbox::new(&expecting(&place), Options::new()).await;
    assert_eq!(refused.unwrap_err().why(), Why::Incompatible);
    let client = place.client().await;
    assert_eq!(shape(&client, &place).await, [], "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_later_release_are_taken_if_they_say_so() {
    let Some(place) = Place::find().await else {
        return;
    };
    Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let client = place.client().await;
    let later = async |oldest_code: i32| {
        let later = format!(
            "UPDATE {}.schema_version SET version = 99, oldest_code = $1",
            place.schema
        );
        client.execute(&later, &[&oldest_code]).await.unwrap();
        Outbox::new(&place.database(), Options::new()).await
    };
    later(1).await.expect("works with code of version 1");
    let refused = later(99).await.expect_err("works with no code but its own");
    assert_eq!(refused.why(), Why::Incompatible);
    assert!(refused.to_string().contains("version 99"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_missing_or_broken_is_built_while_others_write() {
    let Some(place) = Place::find().await else {
        return;
    };
    Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    let client = place.client().await;
    let whole = shape(&client, &place).await;
    let schema = &place.schema;
    let drop = format!("DROP INDEX {schema}.outbox_archive_by_time");
    client.batch_execute(&drop).await.unwrap();
    // One whose building was broken off: the second row breaks it.
    let broken = format!(
        "INSERT INTO {schema}.outbox_sequence (tenant, key, last, at) \
         VALUES ('', 'one', 1, now()), ('', 'two', 1, now()); \
         DROP INDEX {schema}.outbox_sequence_by_time"
    );
    client.batch_execute(&broken).await.unwrap();
    let broken = format!(
        "CREATE UNIQUE INDEX CONCURRENTLY outbox_sequence_by_time \
         ON {schema}.outbox_sequence (last)"
    );
    client.batch_execute(&broken).await.unwrap_err();
    let is_whole = |(_, _, is_whole): &(_, _, bool)| *is_whole;
    assert!(!shape(&client, &place).await.iter().all(is_whole));
    Outbox::new(&place.database(), Options::new())
        .await
        .unwrap();
    assert_eq!(shape(&client, &place).await, whole);
}
