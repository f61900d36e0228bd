//! An operator learns by name who keeps the outbox from being vacuumed.

use std::time::Duration;

use axiomatic_postgres::outbox::{Health, Held, Holder, Options, Outbox, Who};
use axiomatic_postgres::{Database, Tables};
use tokio_postgres::{Client, Config, NoTls};

use crate::support::{Place, connect, until};

async fn outbox(place: &Place) -> Outbox {
    let outbox = Outbox::new(&place.database(), Options::new()).await;
    outbox.expect("there is no relay yet")
}

/// A session in a database, by a name of its own.
async fn session(place: &Place, database: Option<&str>, called: &str) -> Client {
    let mut config: Config = place.url.parse().expect("an address");
    config.application_name(called);
    if let Some(database) = database {
        config.dbname(database);
    }
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL is there");
    tokio::spawn(connection);
    client
}

async fn execute(client: &Client, sql: &str) {
    client.batch_execute(sql).await.expect("what is asked for");
}

/// Makes snapshots of later transactions differ from those of earlier ones.
async fn transact(client: &Client, times: usize) {
    for _ in 0..times {
        execute(client, "SELECT pg_current_xact_id()").await;
    }
}

fn of_application<'a>(health: &'a Health, called: &str) -> Option<&'a Holder> {
    let mut holders = health.holders.iter();
    holders.find(
        |holder| matches!(&holder.who, Who::Session { application, .. } if &**application == called),
    )
}

/// Removes what a test has made besides its schema.
struct Removed {
    url: String,
    sql: Vec<String>,
}

impl Drop for Removed {
    fn drop(&mut self) {
        let (url, sql) = (self.url.clone(), std::mem::take(&mut self.sql));
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                if let Ok(client) = connect(&url).await {
                    for sql in sql {
                        let _ = client.batch_execute(&sql).await;
                    }
                }
            });
        });
        let _ = removed.join();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_that_holds_back_the_vacuum_is_named_while_it_does() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = outbox(&place).await;
    let client = place.client().await;
    let called = format!("report of {}", place.schema);
    let report = session(&place, None, &called).await;
    execute(&report, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    transact(&client, 50).await;

    until("the report is idle and named", async || {
        let health = outbox.health().await.unwrap();
        let Some(holder) = of_application(&health, &called) else {
            return false;
        };
        assert!(holder.transactions >= 50, "{holder}");
        assert_eq!(holder.held, Held::Rows);
        assert!(holder.lasts.is_some_and(|lasts| !lasts.is_zero()));
        let Who::Session { state, .. } = &holder.who else {
            panic!("{holder} is a session");
        };
        &**state == "idle in transaction"
    })
    .await;
    let health = outbox.health().await.unwrap();
    let ages = health
        .holders
        .iter()
        .filter(|holder| holder.held == Held::Rows);
    let ages: Vec<_> = ages.map(|holder| holder.transactions).collect();
    assert!(
        ages.is_sorted_by(|older, younger| older >= younger),
        "{ages:?}"
    );
    assert_eq!(health.hidden, 0, "this role may see all");

    execute(&report, "COMMIT").await;
    until("it is named no more", async || {
        let health = outbox.health().await.unwrap();
        of_application(&health, &called).is_none()
    })
    .await;
}

/// Snapshots of another database do not count here; what is written there
/// makes all snapshots here as old.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_database_is_named_if_it_has_written() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = outbox(&place).await;
    let client = place.client().await;
    let other = format!("{}_other", place.schema);
    let _removed = Removed {
        url: place.url.clone(),
        sql: vec![format!("DROP DATABASE IF EXISTS {other} WITH (FORCE)")],
    };
    execute(
        &client,
        &format!("CREATE DATABASE {other} TEMPLATE template0"),
    )
    .await;
    let (reads, writes) = (format!("reads {other}"), format!("writes {other}"));
    let reader = session(&place, Some(&other), &reads).await;
    execute(&reader, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let writer = session(&place, Some(&other), &writes).await;
    execute(&writer, "BEGIN; SELECT pg_current_xact_id()").await;
    transact(&client, 50).await;
    until("the writer is named", async || {
        let health = outbox.health().await.unwrap();
        assert_eq!(of_application(&health, &reads), None);
        of_application(&health, &writes).is_some_and(
            |holder| matches!(&holder.who, Who::Session { database, .. } if **database == *other),
        )
    })
    .await;

    // That is why: a snapshot of this database is as old as the writer.
    execute(&client, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let held = "SELECT age(backend_xmin) >= 50 FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let held: bool = client.query_one(held, &[]).await.unwrap().get(0);
    assert!(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_was_prepared_and_forgotten_is_named() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = outbox(&place).await;
    let client = place.client().await;
    let most = "SELECT current_setting('max_prepared_transactions')::int4";
    if client.query_one(most, &[]).await.unwrap().get::<_, i32>(0) == 0 {
        eprintln!("skipped: this PostgreSQL takes no prepared transactions");
        return;
    }
    let prepared = place.schema.clone();
    let _removed = Removed {
        url: place.url.clone(),
        sql: vec![format!("ROLLBACK PREPARED '{prepared}'")],
    };
    let prepare = format!("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION '{prepared}'");
    execute(&client, &prepare).await;
    transact(&client, 50).await;
    let health = outbox.health().await.unwrap();
    let mut holders = health.holders.iter();
    let holder = holders
        .find(|holder| matches!(&holder.who, Who::Prepared { gid, .. } if **gid == *prepared));
    assert!(
        holder.is_some_and(|holder| holder.transactions >= 50),
        "{health:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_rows_are_counted_until_they_are_vacuumed() {
    let Some(place) = Place::find().await else {
        return;
    };
    let outbox = outbox(&place).await;
    let client = place.client().await;
    assert_eq!(outbox.health().await.unwrap().vacuumed, None);
    let schema = &place.schema;
    let rows = format!(
        "INSERT INTO {schema}.outbox (lane, message_id, topic, body) \
         SELECT n, gen_random_uuid(), 'orders', '' FROM generate_series(1, 1000) n; \
         DELETE FROM {schema}.outbox WHERE lane > 100"
    );
    execute(&client, &rows).await;
    until("PostgreSQL has counted them", async || {
        let health = outbox.health().await.unwrap();
        (health.live, health.dead) == (100, 900)
    })
    .await;
    assert!(outbox.health().await.unwrap().bytes > 8192);
    execute(&client, &format!("VACUUM {schema}.outbox")).await;
    until("the vacuum is known", async || {
        outbox.health().await.unwrap().vacuumed.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_see_others_is_told_how_many_there_are() {
    let Some(place) = Place::find().await else {
        return;
    };
    drop(outbox(&place).await);
    let client = place.client().await;
    let (schema, role) = (&place.schema, format!("{}_role", place.schema));
    let _removed = Removed {
        url: place.url.clone(),
        sql: vec![
            format!("DROP OWNED BY {role} CASCADE"),
            format!("DROP ROLE {role}"),
        ],
    };
    let grant = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {schema} TO {role}; \
         GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {role}"
    );
    execute(&client, &grant).await;
    let called = format!("unseen {schema}");
    let unseen = session(&place, None, &called).await;
    execute(&unseen, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;

    let mut config: Config = place.url.parse().unwrap();
    config.user(&role);
    let options = place.options().tables(Tables::Expect);
    let database = Database::with_tls(config, NoTls, options).unwrap();
    let outbox = Outbox::new(&database, Options::new()).await.unwrap();
    let health = outbox.health().await.unwrap();
    assert!(health.hidden > 0, "{health:?}");
    assert_eq!(of_application(&health, &called), None);
    execute(&client, &format!("GRANT pg_monitor TO {role}")).await;
    let health = outbox.health().await.unwrap();
    assert_eq!(health.hidden, 0);
    assert!(of_application(&health, &called).is_some(), "{health:?}");
}

#[test]
fn health_is_a_sentence_that_an_operator_understands() {
    let session = |state: &str, lasts, transactions| Holder {
        who: Who::Session {
            pid: 4711,
            application: "report".into(),
            user: "bi".into(),
            database: "shop".into(),
            state: state.into(),
        },
        transactions,
        lasts: Some(Duration::from_secs(lasts)),
        held: Held::Rows,
    };
    let slot = Holder {
        who: Who::Slot {
            name: "debezium".into(),
            state: "inactive".into(),
        },
        transactions: 7,
        lasts: None,
        held: Held::Catalogs,
    };
    let prepared = Holder {
        who: Who::Prepared {
            gid: "transfer 17".into(),
            user: "xa".into(),
            database: "shop".into(),
        },
        transactions: 9,
        lasts: Some(Duration::from_secs(4 * 86_400)),
        held: Held::Rows,
    };
    let sentences = [
        session("idle in transaction", 31 * 60, 120_000).to_string(),
        session("active", 59, 3).to_string(),
        prepared.to_string(),
        slot.to_string(),
    ];
    assert_eq!(
        sentences,
        [
            "session 4711 `report` of user bi in database shop, idle in transaction for 31 min, \
             holds back vacuum by 120000 transactions",
            "session 4711 `report` of user bi in database shop, active in a transaction for 59 s, \
             holds back vacuum by 3 transactions",
            "transaction `transfer 17` of user xa in database shop, prepared for 4 days, holds \
             back vacuum by 9 transactions",
            "replication slot `debezium`, inactive, holds back vacuum of the catalogs by 7 \
             transactions",
        ]
    );
    let mut health = Health {
        live: 12,
        dead: 340_000,
        bytes: 98_304,
        vacuumed: Some(Duration::from_secs(7300)),
        holders: vec![session("idle in transaction", 31 * 60, 120_000), slot],
        hidden: 0,
    };
    assert_eq!(
        health.to_string(),
        "12 rows and 340000 dead ones in 98304 bytes, vacuumed 2 h ago; session 4711 `report` of \
         user bi in database shop, idle in transaction for 31 min, holds back vacuum by 120000 \
         transactions"
    );
    health.holders.remove(0);
    (health.vacuumed, health.hidden) = (None, 3);
    assert_eq!(
        health.to_string(),
        "12 rows and 340000 dead ones in 98304 bytes, never vacuumed; nobody who can be seen \
         holds back its vacuum; 3 sessions of other roles cannot be seen by one that is no member \
         of pg_monitor"
    );
}
