//! Processes that run a request and end, or stand still, between any two
//! steps; and others that run it again, because its client asks again or
//! without one.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::idempotency::{
    Adopt, Claim, Claimed, Fence, Fingerprint, Key, Mine, Name, Owner, PhaseError, Phases, Scope,
    Store, StoredRequest, StoredResponse,
};
use axiomatic_core::BoxError;
use axiomatic_postgres::idempotency::{AtomicPhase, Idempotency};
use sqlx_core::connection::Connection;
use sqlx_core::query::query;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnection, Postgres};
use tokio_postgres::{Client, Transaction};

use super::child::{LONG_LEASE, SHORT_LEASE, TICK, Work};
use super::place::{Place, until};
use crate::support;

/// What has happened in this database, and on the other side of the foreign
/// phases, which knows its keys again and writes down who called.
pub(crate) const TABLES: &str = "
    CREATE TABLE {schema}.booked (phase text, result text);
    CREATE TABLE {schema}.other_side (key uuid PRIMARY KEY, result text);
    CREATE TABLE {schema}.called (phase text, key uuid)";

/// Boundaries that there are at least. If one is renamed or gone, so is what
/// the matrix shows of it.
const EXPECTED: [&str; 12] = [
    "postgres.idempotency.claim.asked",
    "postgres.idempotency.claim.done",
    "postgres.idempotency.record.asked",
    "postgres.idempotency.record.done",
    "postgres.idempotency.phase.begun",
    "postgres.idempotency.phase.fenced",
    "postgres.idempotency.phase.worked",
    "postgres.idempotency.phase.appended",
    "postgres.idempotency.phase.committed",
    "postgres.idempotency.complete.asked",
    "postgres.idempotency.complete.done",
    "request.called",
];

/// A process that has the request, and has done a part of it.
struct Run<'a> {
    work: &'a Work,
    store: Idempotency,
    client: Client,
    sqlx: PgConnection,
}

/// A client that asks until it has an answer; or nobody, and a process that
/// looks for what was abandoned.
pub(crate) async fn request(work: &Work, role: &str) {
    let lease = match role {
        "request briefly" => SHORT_LEASE,
        _ => LONG_LEASE,
    };
    let mut run = Run {
        work,
        store: Idempotency::new(&work.database).await.unwrap(),
        client: support::connect(&work.url).await.unwrap(),
        sqlx: PgConnection::connect(&work.url).await.unwrap(),
    };
    if role == "resume" {
        let adopt = Adopt {
            owner: Owner::unique(),
            lease,
            abandoned_for: Duration::ZERO,
            attempts: 100,
        };
        if let Some(adopted) = run.store.adopt(&adopt).await.unwrap() {
            assert_eq!(adopted.name, name());
            assert_eq!(adopted.request, stored());
            run.answer(adopted.mine).await;
        }
        return;
    }
    loop {
        let name = name();
        let stored = stored();
        let claim = Claim {
            name: &name,
            fingerprint: Fingerprint([1; 32]),
            owner: Owner::unique(),
            lease,
            retention: LONG_LEASE,
            request: Some(&stored),
        };
        match run.store.claim(&claim).await.unwrap() {
            Claimed::Mine(mine) => run.answer(mine).await,
            Claimed::InProgress { .. } => tokio::time::sleep(TICK).await,
            Claimed::Completed(answer) => {
                let answer = String::from_utf8(answer.body.into()).unwrap();
                return run.write("answers", &answer);
            }
            Claimed::Mismatch => unreachable!("it is the same request"),
        }
    }
}

fn name() -> Name {
    let scope = Scope {
        tenant: "acme".into(),
        method: "POST".into(),
        route: "/charges".into(),
    };
    let key = Key::new("7").unwrap();
    Name { scope, key }
}

fn stored() -> StoredRequest {
    StoredRequest {
        method: "POST".into(),
        uri: "/charges".into(),
        headers: Vec::new(),
        body: "20".into(),
    }
}

impl Run<'_> {
    /// Appends a line to a file, whole.
    fn write(&self, file: &str, line: &str) {
        let path = self.work.path.join(file);
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.unwrap()
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// Runs it to its answer, or until it is another's.
    async fn answer(&mut self, mine: Mine) {
        let lease = mine.lease;
        match self.phases(mine).await {
            Ok(body) => {
                let answer = StoredResponse {
                    status: 201,
                    headers: Vec::new(),
                    body: body.clone().into(),
                };
                let done = self.store.complete(&lease, &answer, LONG_LEASE).await;
                match done.unwrap() {
                    Fence::Held => self.write("answers", &body),
                    Fence::Lost => self.write("lost", "complete"),
                }
            }
            Err(PhaseError::Lost) => self.write("lost", "a phase"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Each result is drawn anew by who does the work: that of the first time
    /// is the answer.
    async fn phases(&mut self, mine: Mine) -> Result<String, PhaseError<BoxError>> {
        let phases = Phases::new(self.store.clone(), name(), mine);
        let reserved = self.call(&phases, "reserve").await?;
        let (schema, result) = (&self.work.schema, MessageId::unique().to_string());
        let book = |phase| format!("INSERT INTO {schema}.booked VALUES ('{phase}', '{result}')");
        let booked = async |tx: &mut Transaction<'_>| {
            tx.batch_execute(&book("book")).await?;
            Ok::<_, BoxError>(result.clone())
        };
        let booked = phases.phase("book").atomic(&mut self.client, booked);
        let booked = booked.await?;
        let closed = async |tx: &mut PgConnection| {
            let close = query::<Postgres>(AssertSqlSafe(book("close")));
            close.execute(tx).await?;
            Ok::<_, BoxError>(result.clone())
        };
        let closed = phases
            .phase("close")
            .atomic_with_sqlx(&mut self.sqlx, closed);
        let closed = closed.await?;
        let notified = self.call(&phases, "notify").await?;
        Ok(format!("{booked} {closed} {reserved} {notified}"))
    }

    /// Calls the other side, which answers a key that it knows as it did.
    async fn call(
        &self,
        phases: &Phases<Idempotency>,
        phase: &'static str,
    ) -> Result<String, PhaseError<BoxError>> {
        let (schema, client) = (&self.work.schema, &self.client);
        let called = phases.phase(phase).foreign(|key| async move {
            let call = format!(
                "INSERT INTO {schema}.called VALUES ('{phase}', '{key}');
                 INSERT INTO {schema}.other_side VALUES ('{key}', gen_random_uuid()::text)
                 ON CONFLICT DO NOTHING"
            );
            client.batch_execute(&call).await?;
            let result = format!("SELECT result FROM {schema}.other_side WHERE key = '{key}'");
            let row = client.query_one(&result, &[]).await?;
            reach("request.called");
            Ok::<_, BoxError>(row.get::<_, String>(0))
        });
        called.await
    }
}

/// Whether all of it has happened once, and all that were answered got the
/// same.
fn check(place: &Place, what: &str) {
    let number = |sql: &str| place.number(sql);
    let both = "SELECT count(*) FROM {schema}.booked WHERE phase IN ('book', 'close')";
    assert_eq!(number(both), 2, "{what}: atomic phases");
    let phases = "SELECT count(DISTINCT phase) FROM {schema}.booked";
    assert_eq!(number(phases), 2, "{what}: each once");
    let sides = "SELECT count(*) FROM {schema}.other_side";
    assert_eq!(number(sides), 2, "{what}: foreign phases");
    let keys = "SELECT count(*) FROM (SELECT DISTINCT phase, key FROM {schema}.called) c";
    assert_eq!(number(keys), 2, "{what}: each phase has had one key");
    let answers = fs::read_to_string(place.path().join("answers")).unwrap();
    let answers: Vec<_> = answers.lines().collect();
    assert!(!answers.is_empty(), "{what}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{what}");
    let is_answer = format!(
        "SELECT count(*) FROM {{schema}}.idempotency WHERE state = 'completed' AND steps = '' \
         AND request_head IS NULL AND response_body = '{}'::bytea",
        answers[0]
    );
    assert_eq!(number(&is_answer), 1, "{what}: it is stored");
    let results = "SELECT concat_ws(' ', (SELECT result FROM {schema}.booked \
         WHERE phase = 'book'), (SELECT result FROM {schema}.booked WHERE phase = 'close'), \
         (SELECT o.result FROM {schema}.other_side o JOIN {schema}.called c USING (key) \
         WHERE c.phase = 'reserve' LIMIT 1), (SELECT o.result FROM {schema}.other_side o \
         JOIN {schema}.called c USING (key) WHERE c.phase = 'notify' LIMIT 1))";
    let is_so = format!("SELECT ({results} = '{}')::int::bigint", answers[0]);
    assert_eq!(number(&is_so), 1, "{what}: it is what has happened");
}

/// Processes that end at these boundaries, one after the other, and those that
/// run the request to its end. At how many of them one ended.
fn crash_at(place: &Place, crashes: &[(&str, String)], last: &str) -> usize {
    place.clear();
    let what = format!("{crashes:?}, {last}");
    let mut ended = 0;
    for (role, at) in crashes {
        let at_end = place.run(role, &[("AXIOMATIC_CRASH_AT", at)]);
        if let Some(at_end) = at_end {
            assert_eq!(&at_end, at);
            ended += 1;
        }
    }
    assert_eq!(place.run(last, &[]), None, "{what}");
    // The client asks once more.
    assert_eq!(place.run("request", &[]), None, "{what}");
    check(place, &what);
    ended
}

#[test]
fn wherever_a_process_ends_its_request_has_its_effects_once_and_one_answer() {
    let Some(place) = Place::find() else {
        return;
    };
    let log = place.path().join("boundaries");
    let log_at = log.to_str().unwrap();
    let logged = place.run("request", &[("AXIOMATIC_CRASH_LOG", log_at)]);
    assert_eq!(logged, None);
    check(&place, "no crash");
    let boundaries = fs::read_to_string(&log).unwrap();
    let of_requests = |name: &&str| name.contains("idempotency") || name.starts_with("request");
    let boundaries: Vec<_> = boundaries.lines().filter(of_requests).collect();
    for expected in EXPECTED {
        assert!(boundaries.contains(&expected), "{expected}");
    }
    let mut deaths = 0;
    for name in &boundaries {
        for (nth, last) in [(1, "request"), (2, "resume"), (1, "resume"), (2, "request")] {
            let ended = crash_at(&place, &[("request", format!("{name}:{nth}"))], last);
            assert!(ended == 1 || nth > 1, "{name}");
            deaths += ended;
        }
    }
    // Who comes to clean up ends, too.
    let before = || ("request", "postgres.idempotency.phase.worked:2".to_owned());
    for then in [
        "postgres.idempotency.adopt.asked",
        "postgres.idempotency.adopt.done",
        "postgres.idempotency.phase.appended",
        "postgres.idempotency.phase.committed",
        "postgres.idempotency.complete.done",
    ] {
        let crashes = [before(), ("resume", format!("{then}:1"))];
        for last in ["request", "resume"] {
            let ended = crash_at(&place, &crashes, last);
            assert_eq!(ended, 2, "{then}");
            deaths += ended;
        }
    }
    println!("{} boundaries, {deaths} deaths", boundaries.len());
    assert!(deaths > 3 * EXPECTED.len());
}

/// A process that stands still at a boundary for longer than its lease, and
/// another that is asked the same; the first goes on thereafter. How many late
/// writes of the first were refused.
fn stop_at(boundary: &str, meanwhile: impl FnOnce(&Place)) -> Option<usize> {
    let place = Place::find()?;
    let stopped = [("AXIOMATIC_STOP_AT", boundary)];
    let first = place.start("request briefly", &stopped);
    until("the first stands still", || first.is_stopped());
    until("its lease has ended", || {
        let ended = "SELECT count(*) FROM {schema}.idempotency WHERE lease_until < now()";
        place.number(ended) == 1
    });
    let second = place.start("request", &[]);
    meanwhile(&place);
    first.signal("-CONT");
    first.succeed();
    second.succeed();
    check(&place, boundary);
    let lost = fs::read_to_string(place.path().join("lost"));
    Some(lost.unwrap_or_default().lines().count())
}

fn until_it_is_complete(place: &Place) {
    until("the second has run it", || {
        let complete = "SELECT count(*) FROM {schema}.idempotency WHERE state = 'completed'";
        place.number(complete) == 1
    });
}

#[test]
fn what_a_zombie_does_late_is_refused_and_it_answers_as_the_other_did() {
    for boundary in [
        "request.called:1",
        "postgres.idempotency.phase.begun:1",
        "postgres.idempotency.phase.committed:2",
        "postgres.idempotency.complete.asked:1",
    ] {
        if let Some(lost) = stop_at(boundary, until_it_is_complete) {
            assert_eq!(lost, 1, "{boundary}: it has noticed");
        }
    }
}

/// It has its row locked.
#[test]
fn a_process_that_stands_still_in_an_atomic_phase_is_not_taken_over_nor_waited_for() {
    for boundary in [
        "postgres.idempotency.phase.fenced:1",
        "postgres.idempotency.phase.appended:2",
    ] {
        let others_ask = |place: &Place| {
            // It asks every few milliseconds, so that it would have it by now.
            let asked = "SELECT count(*) FROM pg_stat_activity \
                         WHERE application_name = '{schema}' AND query LIKE '%_claim(%' \
                         AND state_change > backend_start + interval '200 milliseconds'";
            until("the second has asked for some time", || {
                place.number(asked) > 0
            });
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                           WHERE application_name = '{schema}' AND wait_event_type = 'Lock'";
            assert_eq!(place.number(waiting), 0, "it does not wait");
            let first = "SELECT max(epoch) FROM {schema}.idempotency";
            assert_eq!(place.number(first), 1, "it has not taken over");
        };
        // The lease that it has thereafter may have ended, too, if the step was
        // appended before it stood still.
        stop_at(boundary, others_ask);
    }
}
