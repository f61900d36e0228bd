//! Which files are taken, and what is made of them.

use std::sync::Barrier;
use std::thread;

use axiomatic_coordination::Why;
use axiomatic_sqlite::{Database, Options, Tables, outbox};
use rusqlite::Connection;

use crate::support::Place;

/// All that a file has.
fn shape(connection: &Connection) -> Vec<(String, Option<String>)> {
    let mut all = connection
        .prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")
        .expect("prepares");
    let all = all
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("queries");
    all.map(|row| row.expect("reads")).collect()
}

#[tokio::test]
async fn the_printed_script_makes_what_opening_makes() {
    let opened = Place::new();
    Database::open(opened.file(), Options::new())
        .expect("opens")
        .close()
        .await;
    let printed = Place::new();
    printed
        .look()
        .execute_batch(&outbox::schema())
        .expect("runs");
    assert_eq!(shape(&opened.look()), shape(&printed.look()));
    let expects = Options::new().tables(Tables::Expect);
    Database::open(printed.file(), expects).expect("finds what it expects");
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let place = Place::new();
    Database::open(place.file(), Options::new())
        .expect("opens")
        .close()
        .await;
    let before = (
        shape(&place.look()),
        std::fs::read(place.file()).expect("reads"),
    );
    Database::open(place.file(), Options::new())
        .expect("opens")
        .close()
        .await;
    let after = (
        shape(&place.look()),
        std::fs::read(place.file()).expect("reads"),
    );
    assert!(before == after);
}

#[test]
fn an_empty_file_is_refused_by_those_who_expect_tables() {
    let place = Place::new();
    let expects = Options::new().tables(Tables::Expect);
    let refused = Database::open(place.file(), expects).expect_err("is refused");
    assert_eq!(refused.why(), Why::Incompatible);
    assert!(shape(&place.look()).is_empty(), "nothing was made");
}

#[tokio::test]
async fn a_file_of_a_later_release_is_taken_if_it_says_so() {
    let place = Place::new();
    Database::open(place.file(), Options::new())
        .expect("opens")
        .close()
        .await;
    let later = |oldest_code: u32| {
        let sql = "UPDATE axiomatic_schema SET version = 99, oldest_code = ?1";
        place.look().execute(sql, [oldest_code]).expect("updates");
        Database::open(place.file(), Options::new())
    };
    later(1)
        .expect("works with code of version 1")
        .close()
        .await;
    let refused = later(99).expect_err("works with no code but its own");
    assert_eq!(refused.why(), Why::Incompatible);
    assert!(refused.to_string().contains("version 99"), "{refused}");
}

#[test]
fn a_table_of_somebody_else_is_not_taken_for_ours() {
    let place = Place::new();
    place
        .look()
        .execute_batch("CREATE TABLE outbox (mine)")
        .expect("makes");
    let refused = Database::open(place.file(), Options::new()).expect_err("is refused");
    assert_eq!(refused.why(), Why::Refused);
    assert_eq!(shape(&place.look()).len(), 1, "nothing was made");
}

#[test]
fn who_opens_a_new_file_at_once_waits_for_the_others() {
    for _ in 0..30 {
        let place = Place::new();
        let all_at_once = Barrier::new(4);
        thread::scope(|scope| {
            let open = || {
                all_at_once.wait();
                Database::open(place.file(), Options::new()).map(drop)
            };
            let opening = [(); 4].map(|()| scope.spawn(open));
            for opened in opening {
                opened.join().expect("no panic").expect("opens");
            }
        });
    }
}
