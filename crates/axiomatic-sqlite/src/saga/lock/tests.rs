use axiomatic_coordination::outbox::Epoch;
use axiomatic_coordination::saga::ExecutorId;
use rusqlite::StatementStatus;

use super::*;
use crate::options::Options;
use crate::saga::tests::plan;
use crate::transaction::Group;

#[test]
fn lines_are_looked_at_by_their_indexes() {
    let before = "SEARCH before USING PRIMARY KEY (resource=? AND place<?)";
    for (sql, expected) in [
        (
            STANDS,
            vec!["SEARCH saga_lock USING COVERING INDEX saga_lock_by_saga (saga=?)"],
        ),
        (
            LEAVE,
            vec!["SEARCH saga_lock USING INDEX saga_lock_by_saga (saga=?)"],
        ),
        (
            REQUESTS,
            vec!["SEARCH saga_lock USING INDEX saga_lock_by_saga (saga=?)"],
        ),
        (
            TOLD,
            vec!["SEARCH saga_lock USING INDEX saga_lock_by_saga (saga=? AND request=?)"],
        ),
        (
            IS_TAKEN,
            vec!["SEARCH saga_lock USING PRIMARY KEY (resource=?)"],
        ),
        (
            WAITING,
            vec![
                "SEARCH own USING INDEX saga_lock_waiting (resource=?)",
                before,
            ],
        ),
        (
            WAITS,
            vec![
                "SEARCH own USING INDEX saga_lock_by_saga (saga=? AND request=?)",
                before,
            ],
        ),
        (
            LINE,
            vec!["SEARCH own USING PRIMARY KEY (resource=?)", before],
        ),
    ] {
        let plan = plan(sql).replace(" EXISTS", "");
        let steps = plan
            .split("; ")
            .filter(|step| !step.starts_with("CORRELATED"));
        assert_eq!(steps.collect::<Vec<_>>(), expected, "{sql}");
    }
    assert!(plan(ENTER).starts_with("SEARCH saga_lock USING PRIMARY KEY (resource=?)"));
}

/// Tables in which a lease of all buckets is held, by the executor of [`lease`].
fn leased() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    let tables = crate::saga::schema();
    connection.execute_batch(&tables).expect("tables");
    let lease = "UPDATE saga_lease SET owner = 'host', epoch = 1, until = ?1";
    let leased = connection.execute(lease, [i64::MAX]);
    assert_eq!(leased.expect("leases"), 64);
    connection
}

fn lease(saga: SagaId) -> Lease {
    Lease {
        bucket: saga.bucket(),
        epoch: Epoch(1),
        owner: ExecutorId::from_stored("host"),
    }
}

/// One that is held.
fn saga(connection: &Connection) -> SagaId {
    let saga = SagaId::unique();
    let row = "INSERT INTO saga (saga, bucket, stage, length, loads, started, changed, name, \
                      version, hash, input) \
               VALUES (?1, ?2, 'running', 0, 0, 1, 1, 'transfer', 1, 1, x'')";
    let row = connection.execute(row, (saga.0.as_bytes(), saga.bucket().0));
    row.expect("a saga");
    saga
}

fn asks(tx: &mut Transaction<'_>, locks: Vec<Lock>) -> (SagaId, Locked) {
    let saga = saga(tx);
    let request = LockRequest {
        saga,
        name: "lock".into(),
        locks,
        waits: true,
    };
    (saga, lock(tx, &lease(saga), &request).expect("locks"))
}

fn steps(connection: &Connection, sql: &str) -> i32 {
    let statement = connection.prepare_cached(sql).expect("is SQL");
    statement.reset_status(StatementStatus::VmStep)
}

/// Though others have thousands.
#[test]
fn a_saga_without_locks_pays_one_look_when_it_ends() {
    let connection = leased();
    let mut group = Group::new(&Options::new());
    let mut tx = Transaction::new(&connection, &mut group);
    for nth in 0..3000 {
        asks(&mut tx, vec![Lock::exclusive(format!("account/{nth}"))]);
    }
    steps(&connection, STANDS);
    for _ in 0..100 {
        leave_lines(&mut tx, SagaId::unique()).expect("leaves none");
    }
    let steps_each = steps(&connection, STANDS) / 100;
    assert!(steps_each < 12, "{steps_each}");
    let stands = connection.prepare_cached(STANDS).expect("is SQL");
    assert_eq!(stands.get_status(StatementStatus::RePrepare), 0);
    drop(stands);
    for sql in [LEAVE, WAITING, WAITS] {
        assert_eq!(steps(&connection, sql), 0, "{sql}");
    }
}

/// Whoever leaves looks at those whose turn it is, and at the first behind
/// them: not at all who wait.
#[test]
fn what_the_end_of_a_lock_costs_does_not_grow_with_its_line() {
    let connection = leased();
    let mut group = Group::new(&Options::new());
    let mut tx = Transaction::new(&connection, &mut group);
    let mut spent = Vec::new();
    for (resource, waiting) in [("short", 2), ("long", 1000)] {
        let (first, locked) = asks(&mut tx, vec![Lock::exclusive(resource)]);
        assert_eq!(locked, Locked::Held);
        for _ in 0..waiting {
            let (_, locked) = asks(&mut tx, vec![Lock::exclusive(resource)]);
            assert_eq!(locked, Locked::Waits);
        }
        let all = [STANDS, LEAVE, WAITING, WAITS, TOLD];
        let _ = all.map(|sql| steps(&connection, sql));
        leave_lines(&mut tx, first).expect("leaves");
        spent.push(all.map(|sql| steps(&connection, sql)));
        let in_line = line(&connection, resource).expect("a line");
        let have_it = in_line.iter().filter(|place| place.has_it);
        assert_eq!((in_line.len(), have_it.count()), (waiting, 1));
    }
}
