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
                "SEARCH own USING INDEX saga_lock_waiting (resource=? AND mode=? AND place>?)",
                before,
            ],
        ),
        (
            WAITS,
            vec![
                "SEARCH own USING COVERING INDEX saga_lock_by_saga (saga=? AND request=?)",
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

/// What the end of the first of so many costs, of which each waits for the one
/// before it.
fn spent(asked: impl Fn() -> Vec<Lock>, waiting: usize) -> [i32; 5] {
    let connection = leased();
    let mut group = Group::new(&Options::new());
    let mut tx = Transaction::new(&connection, &mut group);
    let (first, locked) = asks(&mut tx, asked());
    assert_eq!(locked, Locked::Held);
    for _ in 0..waiting {
        let (_, locked) = asks(&mut tx, asked());
        assert_eq!(locked, Locked::Waits);
    }
    let all = [STANDS, LEAVE, WAITING, WAITS, TOLD];
    let _ = all.map(|sql| steps(&connection, sql));
    leave_lines(&mut tx, first).expect("leaves");
    let spent = all.map(|sql| steps(&connection, sql));
    let in_line = line(&connection, "acc").expect("a line");
    let have_it = in_line.iter().filter(|place| place.has_it);
    assert_eq!((in_line.len(), have_it.count()), (waiting, 1));
    spent
}

/// Whoever leaves looks at those whose turn it is, and at the first behind
/// them: not at all who wait.
#[test]
fn what_the_end_of_a_lock_costs_does_not_grow_with_its_line() {
    let alone = || vec![Lock::exclusive("acc")];
    assert_eq!(spent(alone, 1000), spent(alone, 2));
}

/// Nor at all who share something and wait for something else.
#[test]
fn what_the_end_of_a_lock_costs_does_not_grow_with_those_who_share_another() {
    let shares = || vec![Lock::shared("tariff"), Lock::exclusive("acc")];
    assert_eq!(spent(shares, 1000), spent(shares, 2));
}

fn told(connection: &Connection, saga: SagaId) -> bool {
    let told = "SELECT min(told) FROM saga_lock WHERE saga = ?1";
    let told = connection.query_row(told, [saga.0.as_bytes()], |row| row.get(0));
    told.expect("stands in line")
}

/// One waits for several who share, and some wait for that one, in another line
/// than it stands in first.
#[test]
fn whoever_leaves_a_shared_place_overlooks_nobody() {
    let connection = leased();
    let mut group = Group::new(&Options::new());
    let mut tx = Transaction::new(&connection, &mut group);
    let shares = |other: &str| vec![Lock::shared("tariff"), Lock::exclusive(other)];
    let (first, _) = asks(&mut tx, shares("a"));
    let (second, _) = asks(&mut tx, shares("b"));
    // Shares what all do, and waits for the first.
    let (behind, locked) = asks(&mut tx, shares("a"));
    assert_eq!(locked, Locked::Waits);
    let (alone, _) = asks(&mut tx, shares("c"));
    let (writes, locked) = asks(
        &mut tx,
        vec![Lock::exclusive("tariff"), Lock::exclusive("c")],
    );
    assert_eq!(locked, Locked::Waits);
    let (reads, locked) = asks(&mut tx, vec![Lock::shared("tariff"), Lock::shared("c")]);
    assert_eq!(locked, Locked::Waits);
    let (also, locked) = asks(&mut tx, shares("a"));
    assert_eq!(locked, Locked::Waits);

    leave_lines(&mut tx, first).expect("leaves");
    assert!(told(&tx, behind) && !told(&tx, writes) && !told(&tx, also));
    leave_lines(&mut tx, alone).expect("leaves");
    leave_lines(&mut tx, second).expect("leaves");
    assert!(!told(&tx, writes), "one shares it still");
    leave_lines(&mut tx, behind).expect("leaves");
    assert!(told(&tx, writes) && !told(&tx, reads) && !told(&tx, also));
    leave_lines(&mut tx, writes).expect("leaves");
    assert!(told(&tx, reads) && told(&tx, also));
}

/// All that random sagas ask for and leave, against a look at every line.
#[test]
fn whoever_has_all_that_it_asked_for_is_told() {
    let connection = leased();
    let mut group = Group::new(&Options::new());
    let mut tx = Transaction::new(&connection, &mut group);
    let unlike = concat!(
        "SELECT count(*) FROM saga_lock AS each WHERE told = EXISTS \
         (SELECT 1 FROM saga_lock AS own WHERE own.saga = each.saga \
         AND own.request = each.request AND ",
        waits!(),
        ")"
    );
    let mut random = 17_u64;
    let mut below = |most: u64| {
        // Knuth's; the low bits turn too soon.
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (random >> 33) % most
    };
    let mut stand = Vec::new();
    for _ in 0..3000 {
        match below(5) {
            0 | 1 if stand.len() < 12 => stand.push(saga(&tx)),
            2 | 3 if !stand.is_empty() => {
                let saga = stand[below(stand.len() as u64) as usize];
                let of = below(15) + 1;
                let locks = (0..4).filter(|nth| of >> nth & 1 == 1).map(|nth| {
                    let resource = format!("r{nth}");
                    match below(3) {
                        0 => Lock::exclusive(resource),
                        _ => Lock::shared(resource),
                    }
                });
                let request = LockRequest {
                    saga,
                    locks: locks.collect(),
                    name: format!("lock{}", below(3)).into(),
                    waits: true,
                };
                lock(&mut tx, &lease(saga), &request).expect("locks");
            }
            _ if !stand.is_empty() => {
                let saga = stand.swap_remove(below(stand.len() as u64) as usize);
                leave_lines(&mut tx, saga).expect("leaves");
            }
            _ => {}
        }
        let unlike: i64 = tx
            .prepare_cached(unlike)
            .and_then(|mut unlike| unlike.query_row((), |row| row.get(0)))
            .expect("counts");
        assert_eq!(unlike, 0);
    }
}
