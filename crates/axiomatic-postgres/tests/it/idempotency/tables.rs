//! The table, and what writing it costs.

use axiomatic_coordination::Why;
use axiomatic_postgres::{Tables, idempotency};

use super::*;

/// All columns, indexes and functions of the schema.
async fn shape(scene: &Client, place: &Place) -> Vec<String> {
    let all = "SELECT concat_ws(' ', a.attrelid::regclass, a.attname, \
               format_type(a.atttypid, a.atttypmod), a.attnotnull) \
               FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
               WHERE c.relnamespace = $1::text::regnamespace AND a.attnum > 0 \
               UNION ALL SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i \
               JOIN pg_class c ON c.oid = i.indexrelid \
               WHERE c.relnamespace = $1::text::regnamespace \
               UNION ALL SELECT pg_get_functiondef(p.oid) FROM pg_proc p \
               WHERE p.pronamespace = $1::text::regnamespace ORDER BY 1";
    let rows = scene.query(all, &[&place.schema]).await.unwrap();
    let rows = rows.iter().map(|row| row.get::<_, String>(0));
    rows.map(|row| row.replace(&place.schema, "s")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_script_makes_what_starting_makes() {
    let (Some(started), Some(printed)) = (Place::find().await, Place::find().await) else {
        return;
    };
    let expecting = printed.options().tables(Tables::Expect);
    let expecting = Database::new(&printed.url, expecting).unwrap();
    let refused = Idempotency::new(&expecting).await.unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible);

    let client = started.client().await;
    Idempotency::new(&started.database()).await.unwrap();
    let script = idempotency::schema(&printed.options());
    let (tables, indexes) = script.split_once("-- Not in a transaction:").unwrap();
    client.batch_execute(tables).await.unwrap();
    for index in indexes.split_inclusive(";\n") {
        client.batch_execute(index).await.unwrap();
    }
    let made = shape(&client, &started).await;
    assert!(made.len() > 30, "{made:#?}");
    assert_eq!(made, shape(&client, &printed).await);
    Idempotency::new(&expecting).await.expect("as expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_release_is_refused() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let other = "UPDATE {schema}.schema_version SET version = 99, oldest_code = 99 \
                 WHERE component = 'idempotency'";
    scene.execute(other).await;
    let refused = Idempotency::new(&scene.place.database()).await.unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible);
}

/// It stands in no index, so the row is written again on its page.
#[tokio::test(flavor = "multi_thread")]
async fn steps_and_renewals_of_a_request_that_is_not_stored_write_no_index() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let mut hot = Vec::new();
    for is_stored in [false, true] {
        let name = name(if is_stored { "stored" } else { "bare" });
        let request = request();
        let mut first = claim(&name);
        first.request = is_stored.then_some(&request);
        let ours = scene.mine(&first).await;
        let mut look = scene.client().await;
        let tx = look.transaction().await.unwrap();
        let renew = scene.sql("SELECT {schema}.idempotency_renew($1::text::uuid, 1, 1000000)");
        let record = ours.lease.record.to_string();
        for _ in 0..3 {
            tx.execute(&renew, &[&record]).await.unwrap();
        }
        let counted = scene.sql(
            "SELECT pg_stat_get_xact_tuples_updated('{schema}.idempotency'::regclass), \
             pg_stat_get_xact_tuples_hot_updated('{schema}.idempotency'::regclass)",
        );
        let counted = tx.query_one(&counted, &[]).await.unwrap();
        assert_eq!(counted.get::<_, i64>(0), 3);
        hot.push(counted.get::<_, i64>(1));
        tx.commit().await.unwrap();
    }
    // That the lease of a stored one stands in an index is what finds it.
    assert_eq!(hot, [3, 0]);
}

/// Nothing is written, and no transaction gets a number.
#[tokio::test(flavor = "multi_thread")]
async fn repeating_an_answer_is_a_read() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let name = name("answered");
    let ours = scene.mine(&claim(&name)).await;
    assert_eq!(scene.complete(&ours.lease, "ok").await, Fence::Held);
    let mut look = scene.client().await;
    let begin = look.build_transaction().read_only(true);
    let tx = begin.start().await.unwrap();
    let claim = scene.sql(
        "SELECT outcome, head FROM {schema}.idempotency_claim('acme', 'POST', '/charges', \
         'answered', decode(repeat('07', 32), 'hex'), gen_random_uuid(), 1, 1, NULL, NULL)",
    );
    let row = tx.query_one(&claim, &[]).await.expect("it only reads");
    assert_eq!(row.get::<_, &str>(0), "completed");
}

/// In a table that has been empty, and has ten thousand rows now, of which
/// nobody has taken statistics.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_indexes() {
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let name = name("one");
    scene.mine(&claim(&name)).await;
    scene
        .execute(
            "INSERT INTO {schema}.idempotency (tenant, method, route, key, record, epoch, owner, \
             fingerprint, state, lease_until, lease_lasts, attempts, steps, request_head, \
             expires_at) SELECT '', '', '', n, gen_random_uuid(), 1, gen_random_uuid(), '', \
             'running', now() + interval '1 hour', '1 hour', 1, '', '', now() + interval '1 hour' \
             FROM generate_series(1, 10000) n",
        )
        .await;
    let read = "SELECT seq_tup_read FROM pg_stat_user_tables \
                WHERE relid = '{schema}.idempotency'::regclass";
    let before = scene.number(read).await;
    let name = self::name("two");
    for _ in 0..20 {
        let ours = scene.mine(&claim(&name)).await;
        assert!(matches!(
            scene.claim(&claim(&name)).await,
            Claimed::InProgress { .. }
        ));
        let _ = scene.store.renew(&ours.lease, HOUR).await.unwrap();
        let _ = scene.store.record(&ours.lease, &step("a")).await.unwrap();
        let _ = scene.store.adopt(&adopt()).await.unwrap();
        let _ = scene.store.sweep(10).await.unwrap();
        let _ = scene.store.release(&ours.lease).await.unwrap();
    }
    // The one session tells what it has counted before it answers this.
    let flush = "SELECT pg_terminate_backend(pid)::int::bigint FROM pg_stat_activity \
                 WHERE application_name = '{schema}'";
    assert_eq!(scene.number(flush).await, 1);
    until("its session is gone", async || {
        scene.sessions("true").await == 0
    })
    .await;
    let scanned = scene.number(read).await - before;
    assert_eq!(scanned, 0, "rows were read by reading all");
}
