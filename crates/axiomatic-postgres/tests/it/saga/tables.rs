//! The tables, and what reading and writing them costs.

use axiomatic_coordination::Why;
use axiomatic_postgres::{Tables, saga};

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
    let refused = Sagas::new(&expecting).await.unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible);

    let client = started.client().await;
    Sagas::new(&started.database()).await.unwrap();
    let script = saga::schema(&printed.options());
    client.batch_execute(&script).await.unwrap();
    let made = shape(&client, &started).await;
    assert!(made.len() > 50, "{made:#?}");
    assert_eq!(made, shape(&client, &printed).await);
    Sagas::new(&expecting).await.expect("as expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_another_release_are_refused() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let other = "UPDATE {schema}.schema_version SET version = 99, oldest_code = 99 \
                 WHERE component = 'saga'";
    scene.execute(other).await;
    let refused = Sagas::new(&scene.place.database()).await.unwrap_err();
    assert_eq!(refused.why(), Why::Incompatible);
}

/// Where each row of a saga is, which changes when it is written.
async fn places(scene: &Scene) -> std::collections::HashMap<String, String> {
    let rows =
        scene.sql("SELECT id::text, ctid::text || xmin::text || xmax::text FROM {schema}.saga");
    let rows = scene.look.query(&rows, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Neither written nor locked, however many are due, or were held by who is
/// gone.
#[tokio::test(flavor = "multi_thread")]
async fn claims_takes_and_sweeps_write_only_what_they_return() {
    let Some(scene) = Scene::find().await else {
        return;
    };
    let leases = scene.claim().await;
    let mut ended = Vec::new();
    for number in 0..30 {
        let (saga, lease) = scene.held(&leases).await;
        if number % 3 == 0 {
            scene.store.start(&start(SagaId::unique())).await.unwrap();
        }
        if number % 5 == 0 {
            let mut last = line(saga, 1, "b");
            last.change.stage = Stage::Done;
            assert_eq!(scene.append(&lease, &last).await, Appended::Held);
            ended.push(saga);
        }
    }
    scene.let_leases_end().await;
    let before = places(&scene).await;
    let leases = scene.claim_as(&ExecutorId::new("other")).await;
    assert_eq!(before, places(&scene).await, "who claims writes no saga");
    let mut taken = Vec::new();
    for at_most in [1, 4, 7] {
        let some = scene.store.take(&leases, at_most, HOUR).await.unwrap();
        assert!(some.more);
        assert_eq!(some.sagas.len(), at_most);
        taken.extend(some.sagas.into_iter().map(|one| one.expect("whole").saga));
    }
    let now = places(&scene).await;
    for (saga, place) in &before {
        let is_taken = taken.iter().any(|taken| taken.to_string() == *saga);
        assert_eq!(now[saga] != *place, is_taken, "{saga}");
    }
    assert_eq!(
        scene
            .store
            .sweep(Duration::ZERO, Swept::Deleted, 2)
            .await
            .unwrap(),
        2
    );
    let swept = places(&scene).await;
    assert_eq!(swept.len(), now.len() - 2);
    for (saga, place) in &swept {
        assert_eq!(now[saga], *place, "{saga}");
    }
}

/// What a line changes stands in no index, so the row is written again on its
/// page.
#[tokio::test(flavor = "multi_thread")]
async fn appends_of_who_holds_a_saga_write_no_index_of_it() {
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let leases = scene.claim().await;
    let (saga, lease) = scene.held(&leases).await;
    for after in 1..5 {
        let mut next = line(saga, after, "b");
        next.change.progress = true;
        next.change.result = Some("so far".into());
        assert_eq!(scene.append(&lease, &next).await, Appended::Held);
    }
    end_session(&scene).await;
    let counted = |what: &str| {
        format!("SELECT {what} FROM pg_stat_user_tables WHERE relid = '{{schema}}.saga'::regclass")
    };
    assert_eq!(scene.number(&counted("n_tup_upd")).await, 4);
    assert_eq!(scene.number(&counted("n_tup_hot_upd")).await, 4);
}

/// The one session of the store tells what it has counted before it is gone.
pub(super) async fn end_session(scene: &Scene) {
    let flush = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE application_name = '{schema}'";
    assert_eq!(scene.number(flush).await, 1);
    until("its session is gone", async || {
        scene.sessions("true").await == 0
    })
    .await;
}

/// In tables that have been empty, and have thousands of rows now, of which
/// nobody has taken statistics. They are filled by who reads nothing, since what
/// a session has read is told late.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_found_by_indexes() {
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let leases = scene.claim().await;
    let all = async || {
        let mut deadline = start(SagaId::unique());
        deadline.deadline = Some(HOUR);
        scene.store.start(&deadline).await.unwrap();
        let (saga, lease) = scene.held(&leases).await;
        assert_eq!(scene.post(saga, &letter(1)).await, Posted::Accepted);
        let taken = scene.store.take(&leases, 3, HOUR).await.unwrap();
        assert!(!taken.sagas.is_empty());
        let mut read = line(saga, 1, "b");
        read.read = 1;
        assert_eq!(scene.append(&lease, &read).await, Appended::Held);
        assert_eq!(scene.append(&lease, &read).await, Appended::Held);
        scene.load(&lease, saga).await;
        let work = super::local::pay(&scene, change(vec![record(Kind::Done, "pay")]));
        let worked = scene.store.append_with(&lease, saga, 2, work).await;
        assert!(format!("{worked:?}").starts_with("Ok(Done"), "{worked:?}");
        // One that waits for another, and has it when that has ended.
        let (next, of_next) = scene.held(&leases).await;
        for (saga, lease) in [(saga, &lease), (next, &of_next)] {
            let wanted = super::lines::wants(saga, &["a", "b"]);
            scene.store.lock(lease, &wanted).await.unwrap();
        }
        assert_eq!(scene.store.line("a").await.unwrap().len(), 2);
        scene.store.attend(&scene.executor, HOUR).await.unwrap();
        let mut last = line(saga, 3, "c");
        last.change.stage = Stage::Done;
        assert_eq!(scene.append(&lease, &last).await, Appended::Held);
        let mut last = line(next, 1, "c");
        last.change.stage = Stage::Done;
        assert_eq!(scene.append(&of_next, &last).await, Appended::Held);
        scene.store.find(saga).await.unwrap();
        scene.store.list(Stage::Done, None, 3).await.unwrap();
        scene.store.list(Stage::Done, Some(saga), 3).await.unwrap();
        scene
            .store
            .sweep(Duration::ZERO, Swept::Deleted, 1)
            .await
            .unwrap();
    };
    all().await;
    scene
        .execute(
            "INSERT INTO {schema}.saga (id, bucket, name, version, hash, input, stage, length, \
             loads, held, wake, mail_due, started, changed, ended) \
             SELECT md5(n::text)::uuid, n % 64, '', 1, 1, '', 'running', 1, 1, \
             CASE WHEN n % 4 = 0 THEN 1000 END, \
             CASE WHEN n % 4 = 1 THEN now() + interval '1 hour' END, \
             CASE WHEN n % 4 = 2 THEN now() + interval '1 hour' END, now(), now(), \
             CASE WHEN n % 4 = 3 THEN now() + interval '1 hour' END \
             FROM generate_series(1, 8000) n; \
             INSERT INTO {schema}.saga_event (saga, seq, epoch, kind, step, item, attempt, data, \
             at) SELECT md5(n::text)::uuid, 1, 1, 'began', '', 0, 0, '', now() \
             FROM generate_series(1, 8000) n; \
             INSERT INTO {schema}.saga_mail (saga, id, subject, name, data, at) \
             SELECT md5(n::text)::uuid, md5(n::text)::uuid, 'signal', '', '', now() \
             FROM generate_series(1, 8000) n; \
             INSERT INTO {schema}.saga_lock (resource, place, saga, name, mode, letter, told) \
             SELECT 'other/' || n % 4000, -n, md5(n::text)::uuid, '', 'exclusive', \
             md5(n::text)::uuid, true FROM generate_series(1, 8000) n; \
             INSERT INTO {schema}.saga_archive (saga, bucket, name, version, hash, input, stage, \
             length, started, changed, ended) SELECT md5(n::text)::uuid, 1, '', 1, 1, '', 'done', \
             0, now(), now(), now() FROM generate_series(1, 8000) n",
        )
        .await;
    let sum = |of| {
        format!(
            "SELECT sum({of})::bigint FROM pg_stat_user_tables WHERE schemaname = '{{schema}}' \
             AND relname IN ('saga', 'saga_event', 'saga_mail', 'saga_lock', 'saga_archive')"
        )
    };
    let (read, fetched) = (&sum("seq_tup_read"), &sum("idx_tup_fetch"));
    let before = (scene.number(read).await, scene.number(fetched).await);
    const ROUNDS: i64 = 10;
    for _ in 0..ROUNDS {
        all().await;
    }
    end_session(&scene).await;
    let scanned = scene.number(read).await - before.0;
    assert_eq!(scanned, 0, "rows were read by reading all");
    let fetched = scene.number(fetched).await - before.1;
    println!("{} rows fetched each round", fetched / ROUNDS);
    assert!(
        fetched < ROUNDS * 600,
        "{fetched}: more than what is asked for"
    );
}

/// A look at an index, when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_saga_without_locks_looks_for_them_once() {
    const SAGAS: i64 = 10;
    let Some(scene) = Scene::with(1).await else {
        return;
    };
    let leases = scene.claim().await;
    let scans = "SELECT seq_scan + idx_scan FROM pg_stat_user_tables \
                 WHERE relid = '{schema}.saga_lock'::regclass";
    let before = scene.number(scans).await;
    for _ in 0..SAGAS {
        let (saga, lease) = scene.held(&leases).await;
        for after in 1..5 {
            let mut next = line(saga, after, "b");
            if after == 4 {
                next.change.stage = Stage::Done;
            }
            assert_eq!(scene.append(&lease, &next).await, Appended::Held);
        }
    }
    end_session(&scene).await;
    assert_eq!(scene.number(scans).await - before, SAGAS);
}
