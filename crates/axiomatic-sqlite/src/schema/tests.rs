//! Components that the crate does not have yet: with a past.

use super::*;

const FIRST: Migration = Migration {
    version: 1,
    oldest_code: 1,
    sql: "CREATE TABLE thing (id INTEGER PRIMARY KEY) STRICT;",
};
/// Adds what code of version 1 does not mind.
const EXPANDED: Migration = Migration {
    version: 2,
    oldest_code: 1,
    sql: "ALTER TABLE thing ADD COLUMN name TEXT;",
};
/// Takes away what code of version 1 needs.
const CONTRACTED: Migration = Migration {
    version: 3,
    oldest_code: 2,
    sql: "ALTER TABLE thing RENAME COLUMN name TO title;",
};
const BROKEN: Migration = Migration {
    version: 3,
    oldest_code: 2,
    sql: "CREATE TABLE half (id INTEGER); ALTER TABLE nowhere ADD COLUMN name;",
};

const ALL: Component = Component {
    name: "thing",
    migrations: &[FIRST, EXPANDED, CONTRACTED],
    oldest_file: 1,
};
const OLD: Component = Component {
    migrations: &[FIRST],
    ..ALL
};
const MIDDLE: Component = Component {
    migrations: &[FIRST, EXPANDED],
    ..ALL
};

fn memory() -> Connection {
    Connection::open_in_memory().expect("opens")
}

fn version(connection: &Connection) -> Option<u32> {
    let found = Found::read(connection, "thing").expect("reads");
    found.map(|found| found.version)
}

#[test]
fn a_file_is_brought_up_to_date_from_wherever_it_is() {
    for older in [OLD, MIDDLE, ALL] {
        let mut connection = memory();
        older
            .prepare(&mut connection, Tables::Migrate)
            .expect("makes");
        ALL.prepare(&mut connection, Tables::Migrate)
            .expect("goes on");
        assert_eq!(version(&connection), Some(3));
        connection
            .prepare("SELECT title FROM thing")
            .expect("is there");
    }
}

#[test]
fn code_is_refused_once_the_file_has_left_it_behind() {
    let mut connection = memory();
    MIDDLE
        .prepare(&mut connection, Tables::Migrate)
        .expect("makes");
    OLD.prepare(&mut connection, Tables::Migrate)
        .expect("does not mind what was added");
    assert_eq!(version(&connection), Some(2), "and takes nothing back");
    ALL.prepare(&mut connection, Tables::Migrate)
        .expect("goes on");
    MIDDLE
        .prepare(&mut connection, Tables::Migrate)
        .expect("is known to work");
    let refused = OLD
        .prepare(&mut connection, Tables::Migrate)
        .expect_err("is refused");
    assert_eq!(refused.why(), Why::Incompatible);
}

#[test]
fn a_file_is_refused_that_the_code_has_left_behind() {
    let mut connection = memory();
    OLD.prepare(&mut connection, Tables::Migrate)
        .expect("makes");
    let squashed = Component {
        oldest_file: 2,
        ..ALL
    };
    let refused = squashed
        .prepare(&mut connection, Tables::Migrate)
        .expect_err("is refused");
    assert_eq!(refused.why(), Why::Incompatible);
    assert_eq!(version(&connection), Some(1), "nothing was changed");
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    let mut connection = memory();
    OLD.prepare(&mut connection, Tables::Migrate)
        .expect("makes");
    let broken = Component {
        migrations: &[FIRST, EXPANDED, BROKEN],
        ..ALL
    };
    broken
        .prepare(&mut connection, Tables::Migrate)
        .expect_err("is broken");
    assert_eq!(version(&connection), Some(1));
    assert!(connection.prepare("SELECT * FROM half").is_err());
    assert!(connection.prepare("SELECT name FROM thing").is_err());
}

#[test]
fn those_who_expect_tables_are_told_which_version_there_is() {
    let mut connection = memory();
    OLD.prepare(&mut connection, Tables::Migrate)
        .expect("makes");
    let refused = MIDDLE
        .prepare(&mut connection, Tables::Expect)
        .expect_err("is refused");
    assert!(
        refused.to_string().contains("are of version 1"),
        "{refused}"
    );
}

#[test]
fn the_script_does_what_the_code_does() {
    let mut connection = memory();
    connection.execute_batch(&ALL.to_sql()).expect("runs");
    ALL.prepare(&mut connection, Tables::Expect)
        .expect("finds what it expects");
    assert_eq!(version(&connection), Some(3));
}
