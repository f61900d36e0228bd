//! What can be wrong with a disk, a file or a neighbour: a typed error, and
//! nothing half done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use axiomatic_coordination::outbox::Message;
use axiomatic_coordination::{StoreError, Why};
use axiomatic_sqlite::{Database, Options, RunError, store_error};
use rusqlite::Error;

use crate::support::{Place, hold, insert, queue};

/// Why a run failed, whoever says it.
fn why<T>(run: Result<T, RunError<Error>>) -> Option<Why> {
    run.err().map(|error| StoreError::from(error).why())
}

#[tokio::test]
async fn a_writer_elsewhere_is_waited_for_and_then_it_is_busy() {
    let place = Place::new();
    let database = place.open(Options::new().busy_timeout(Duration::from_millis(20)));
    let other = place.look();
    let gate = hold(database.writer()).await;
    let runs: Vec<_> = (0..5)
        .map(|n| {
            queue(database.writer(), move |tx| {
                insert(tx, &format!("name {n}"))
            })
        })
        .collect();
    // Whoever comes after the gate's own transaction finds it held.
    let held = tokio::task::spawn_blocking(move || {
        other
            .execute_batch("BEGIN IMMEDIATE")
            .expect("is free in the end");
        other
    });
    // It may be the group's turn before: then it is what is waited for.
    gate.open().await;
    let other = held.await.expect("held");
    let mut done = 0;
    for run in runs {
        match why(run.await) {
            None => done += 1,
            Some(why) => assert_eq!(why, Why::Busy),
        }
    }
    assert!(
        done == 0 || done == 5,
        "a group commits whole or not: {done}"
    );
    assert_eq!(
        why(database.writer().run(|tx| insert(tx, "late")).await),
        Some(Why::Busy)
    );
    assert_eq!(place.count("account"), done);
    other.execute_batch("ROLLBACK").expect("was begun");
    database
        .writer()
        .run(|tx| insert(tx, "later"))
        .await
        .expect("is free again");
    assert_eq!(place.count("account"), done + 1);
}

#[tokio::test]
async fn a_full_disk_undoes_the_group_and_the_next_one_commits() {
    let place = Place::new();
    let database = place.open(Options::new());
    let limit = |pages: i64| {
        database.writer().run(move |tx| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            tx.query_row(&sql, (), |row| row.get::<_, i64>(0))
        })
    };
    // It cannot be less than the file has.
    limit(1).await.expect("sets");
    let gate = hold(database.writer()).await;
    let before = queue(database.writer(), |tx| {
        tx.enqueue(Message::new("accounts", "opened"))
            .expect("room");
        insert(tx, "before")
    });
    let full = queue(database.writer(), |tx| insert(tx, &"long".repeat(100_000)));
    gate.open().await;
    assert_eq!(why(full.await), Some(Why::NoRoom));
    assert_eq!(why(before.await), Some(Why::NoRoom), "was undone with it");
    assert_eq!(place.count("account"), 0);

    // It is full when the messages are written: nobody's business is kept.
    let gate = hold(database.writer()).await;
    let runs = [("a", 0), ("b", 100_000)].map(|(name, length)| {
        queue(database.writer(), move |tx| {
            tx.enqueue(Message::new("accounts", vec![0; length]))
                .expect("room");
            insert(tx, name)
        })
    });
    gate.open().await;
    for run in runs {
        assert_eq!(why(run.await), Some(Why::NoRoom));
    }
    assert_eq!(place.count("account"), 0);
    assert_eq!(place.count("outbox"), 0);

    limit(1_000_000).await.expect("sets");
    database
        .writer()
        .run(|tx| insert(tx, "after"))
        .await
        .expect("there is room again");
    assert_eq!(place.count("account"), 1);
}

#[tokio::test]
async fn a_disk_that_is_really_full_keeps_what_was_confirmed_and_nothing_else() {
    let place = match Mounted::here() {
        Some(dir) => Place::at(dir),
        None => {
            let name =
                "faults::a_disk_that_is_really_full_keeps_what_was_confirmed_and_nothing_else";
            return Mounted::run_again(name, Place::new().dir(), "mount -t tmpfs -o size=1m none");
        }
    };
    let database = place.open(Options::new());
    let mut confirmed = 0;
    let refused = loop {
        let run = database.writer().run(move |tx| {
            tx.enqueue(Message::new("accounts", vec![0; 10_000]))
                .expect("room");
            insert(tx, &format!("name {confirmed}"))
        });
        match why(run.await) {
            None => confirmed += 1,
            Some(why) => break why,
        }
        assert!(confirmed < 200, "a mebibyte is full by then");
    };
    assert_eq!(refused, Why::NoRoom);
    let counts = || (place.count("account"), place.count("outbox"));
    assert_eq!(counts(), (confirmed, confirmed));
    database.close().await;
    assert_eq!(counts(), (confirmed, confirmed));
}

#[test]
fn what_is_no_database_is_corrupt() {
    let place = Place::new();
    fs::write(
        place.file(),
        "not a database, and longer than a header\n".repeat(200),
    )
    .expect("writes");
    let refused = Database::open(place.file(), Options::new()).expect_err("is refused");
    assert_eq!(refused.why(), Why::Corrupt);
}

#[tokio::test]
async fn garbage_in_the_file_is_corrupt_to_those_who_meet_it() {
    let place = Place::new();
    let database = place.open(Options::new());
    database
        .writer()
        .run(|tx| insert(tx, "ada"))
        .await
        .expect("commits");
    database.close().await;
    let mut bytes = fs::read(place.file()).expect("reads");
    bytes[4096..].fill(0xa5);
    fs::write(place.file(), bytes).expect("writes");
    match Database::open(place.file(), Options::new()) {
        Err(error) => assert_eq!(error.why(), Why::Corrupt),
        Ok(database) => {
            let run = database.writer().run(|tx| insert(tx, "bob"));
            assert_eq!(why(run.await), Some(Why::Corrupt));
        }
    }
}

#[test]
fn a_file_that_cannot_be_made_is_unavailable() {
    // Neither exists, and nobody can make anything in the second.
    for path in ["/nowhere/axiomatic.db", "/proc/axiomatic.db"] {
        let refused = Database::open(path, Options::new()).expect_err("is refused");
        assert_eq!(refused.why(), Why::Unavailable, "{path}: {refused}");
    }
}

#[tokio::test]
async fn a_directory_that_is_read_only_is_refused() {
    if let Some(dir) = Mounted::here() {
        let refused = Database::open(dir.join("test.db"), Options::new());
        let refused = refused.expect_err("a read-only directory");
        let expected = matches!(refused.why(), Why::Unavailable | Why::Refused);
        assert!(expected, "{refused}");
        return;
    }
    let place = Place::new();
    let database = place.open(Options::new());
    // As a process that died has left it, with a log; and without.
    let left = Place::new();
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        fs::copy(place.dir().join(name), left.dir().join(name)).expect("copies");
    }
    database.close().await;
    for place in [place, left] {
        let name = "faults::a_directory_that_is_read_only_is_refused";
        let bound = r#"mount --bind "$1" "$1" && mount -o remount,ro,bind"#;
        Mounted::run_again(name, place.dir(), bound);
    }
}

/// A test that runs again in a process with mounts of its own, which are gone
/// with it. It takes no more rights than a user namespace gives; where there
/// are none, the test says that it is skipped.
struct Mounted;

impl Mounted {
    const VARIABLE: &str = "AXIOMATIC_TEST_MOUNT";

    /// Where something is mounted for this test, if this is that process.
    fn here() -> Option<PathBuf> {
        std::env::var_os(Self::VARIABLE).map(PathBuf::from)
    }

    /// Runs a test again, with this mounted onto the directory.
    fn run_again(test: &str, dir: &Path, mount: &str) {
        let isolated = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["--map-root-user", "--mount", "sh", "-c", script]);
            command.arg("sh").arg(dir);
            command
        };
        let mounted = isolated(&format!(r#"{mount} "$1""#)).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("skipped: {test}: no mounts of its own");
            return;
        }
        let script = format!(r#"{mount} "$1" && exec "$2" --exact "$3""#);
        let ran = isolated(&script)
            .arg(std::env::current_exe().expect("it runs"))
            .arg(test)
            .env(Self::VARIABLE, dir)
            .output();
        let ran = ran.expect("it ran before");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    }
}

#[test]
fn memory_has_no_log_and_is_refused() {
    let refused = Database::open(":memory:", Options::new()).expect_err("is refused");
    assert_eq!(refused.why(), Why::Refused);
}

#[test]
fn what_will_be_refused_again_is_told_from_what_may_work_later() {
    let connection = rusqlite::Connection::open_in_memory().expect("opens");
    connection
        .execute_batch("CREATE TABLE one (id INTEGER PRIMARY KEY)")
        .expect("makes");
    connection
        .execute_batch("INSERT INTO one VALUES (1)")
        .expect("inserts");
    let twice = connection.execute_batch("INSERT INTO one VALUES (1)");
    let twice = store_error(twice.expect_err("is there already"));
    assert_eq!(twice.why(), Why::Refused);
    assert!(!twice.why().is_transient());
    let interrupted = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_INTERRUPT);
    let interrupted = store_error(Error::SqliteFailure(interrupted, None));
    assert!(interrupted.why().is_transient());
}
