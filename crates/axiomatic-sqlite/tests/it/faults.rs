//! What can be wrong with a disk, a file or a neighbour: a typed error, and
//! nothing half done.

use std::fs;
use std::path::Path;
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

/// A file system of 1 MiB, where one can be mounted.
struct Small(Place);

impl Small {
    fn mount() -> Option<Small> {
        let place = Place::new();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "none"])
            .arg(place.dir())
            .output();
        mount
            .is_ok_and(|mount| mount.status.success())
            .then(|| Small(place))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.dir()).output();
    }
}

#[tokio::test]
async fn a_disk_that_is_really_full_keeps_what_was_confirmed_and_nothing_else() {
    let Some(small) = Small::mount() else {
        return;
    };
    let database = small.0.open(Options::new());
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
    let counts = |small: &Small| (small.0.count("account"), small.0.count("outbox"));
    assert_eq!(counts(&small), (confirmed, confirmed));
    database.close().await;
    assert_eq!(counts(&small), (confirmed, confirmed));
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

#[test]
fn a_directory_that_is_read_only_is_refused() {
    let place = Place::new();
    drop(place.open(Options::new()));
    let Some(_mounted) = ReadOnly::remount(place.dir()) else {
        return;
    };
    let refused = Database::open(place.file(), Options::new()).expect_err("is refused");
    assert!(
        matches!(refused.why(), Why::Refused | Why::Unavailable),
        "{refused}"
    );
}

/// A directory bound onto itself, read-only, where one can do that: what the
/// modes of files forbid, root may do all the same.
struct ReadOnly<'a>(&'a Path);

impl<'a> ReadOnly<'a> {
    fn remount(dir: &'a Path) -> Option<Self> {
        let mount = |options: &[&str]| {
            let mount = Command::new("mount")
                .args(options)
                .args([dir, dir])
                .output();
            mount.is_ok_and(|mount| mount.status.success())
        };
        if !mount(&["--bind"]) {
            return None;
        }
        let bound = ReadOnly(dir);
        let remounted = Command::new("mount")
            .args(["-o", "remount,ro,bind"])
            .arg(dir)
            .output();
        remounted
            .is_ok_and(|mount| mount.status.success())
            .then_some(bound)
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
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
