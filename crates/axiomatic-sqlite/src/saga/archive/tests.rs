use axiomatic_coordination::saga::Stage;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::saga::due::whole;
use crate::saga::row::{Whole, columns};
use crate::saga::tests::plan;

const SAGA: SagaId = SagaId(Uuid::from_u128(17));

const ROW: &str = concat!("SELECT ", columns!(), " FROM saga WHERE id = ?1");

#[derive(Clone, Debug)]
struct Line {
    kind: usize,
    step: String,
    item: u32,
    attempt: u32,
    data: Vec<u8>,
    mail: Option<u128>,
    at: i64,
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = (
        0..3_usize,
        ".{0,20}",
        any::<u32>(),
        any::<u32>(),
        vec(any::<u8>(), 0..300),
        option::of(any::<u128>()),
        any::<i64>(),
    );
    let line = line.prop_map(|(kind, step, item, attempt, data, mail, at)| Line {
        kind,
        step,
        item,
        attempt,
        data,
        mail,
        at,
    });
    vec(line, 0..12)
}

/// A saga that has ended, with these lines and letters.
fn ended(connection: &Connection, started: i64, lines: &[Line], letters: &[(String, Vec<u8>)]) {
    let row = "INSERT INTO saga (id, saga, bucket, stage, length, loads, started, changed, ended, \
                      name, version, hash, input, result) \
               VALUES (5, ?1, 0, ?2, ?3, 0, ?4, ?4 + 1, ?4 + 1, 'transfer', 3, -7, x'ff00', x'00')";
    let stage = Stage::Compensated.as_str();
    let key = SAGA.0.as_bytes();
    let started = started >> 1;
    let row = connection.execute(row, (key, stage, lines.len() as i64, started));
    row.expect("a saga");
    for (seq, line) in (1_i64..).zip(lines) {
        let kind = [Kind::Began, Kind::Done, Kind::UndoDoubted][line.kind];
        let mail = line.mail.map(u128::to_be_bytes);
        let sql = "INSERT INTO saga_event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9)";
        let line = connection.execute(
            sql,
            (
                key,
                seq,
                kind.as_str(),
                &line.step,
                line.item,
                line.attempt,
                &line.data,
                mail,
                line.at,
            ),
        );
        line.expect("a line");
    }
    for (nth, (name, data)) in (1_i64..).zip(letters) {
        let sql = "INSERT INTO saga_mail VALUES (?1, ?2, ?3, 'skip undo', ?4, ?5, 0)";
        let id = u128::from(nth.cast_unsigned()).to_be_bytes();
        let letter = connection.execute(sql, (key, nth, id, name, data));
        letter.expect("a letter");
    }
}

fn tables() -> Connection {
    let connection = Connection::open_in_memory().expect("opens");
    let tables = crate::saga::schema();
    connection.execute_batch(&tables).expect("tables");
    connection
}

fn archive(connection: &Connection) {
    let put = put(
        connection,
        5,
        SAGA.0.as_bytes(),
        Timestamp::from_micros(1_700),
    );
    put.expect("is put there");
}

fn archived(connection: &Connection) -> Option<Found> {
    find(connection, SAGA).expect("can be read")
}

proptest! {
    #[test]
    fn what_is_archived_comes_back_as_it_was(
        started in any::<i64>(),
        lines in lines(),
        letters in vec((".{0,20}", vec(any::<u8>(), 0..200)), 0..4),
    ) {
        let connection = tables();
        ended(&connection, started, &lines, &letters);
        let before = whole(&connection, ROW, [5]).expect("can be read");
        let before = before.map(Whole::into_found);
        archive(&connection);
        prop_assert_eq!(archived(&connection), before);
    }

    /// What was cut off, or is something else, is nothing.
    #[test]
    fn what_nobody_writes_is_read_as_nothing(
        garbage in vec(any::<u8>(), 0..60),
        cut in 1..20_usize,
        lines in lines(),
    ) {
        let connection = tables();
        ended(&connection, 0, &lines, &[("go".to_owned(), vec![1, 2])]);
        archive(&connection);
        let summary = archived(&connection).expect("is there").summary;
        let _ = Encoding(&garbage).log(&summary);
        let log = connection.query_row("SELECT log FROM saga_archive", (), |row| {
            row.get::<_, Vec<u8>>(0)
        });
        let log = log.expect("is there");
        let shorter = &log[..log.len().saturating_sub(cut)];
        prop_assert_eq!(Encoding(shorter).log(&summary), None);
        prop_assert_eq!(Encoding(&[&log[..], &[0]].concat()).log(&summary), None);
    }
}

/// Files hold it: what is written is read by every release that follows.
#[test]
fn the_encoding_is_as_the_schema_says() {
    let connection = tables();
    let line = |at, data: &[u8], mail| Line {
        kind: 1,
        step: "pay".to_owned(),
        item: 300,
        attempt: 1,
        data: data.to_vec(),
        mail,
        at,
    };
    let lines = [line(1003, b"17", None), line(1002, b"", Some(0x0a0b))];
    ended(&connection, 2000, &lines, &[("go".to_owned(), vec![0xff])]);
    archive(&connection);
    let log = "SELECT hex(log) FROM saga_archive";
    let log: String = connection
        .query_row(log, (), |row| row.get(0))
        .expect("is there");
    let expected = [
        "01",                                 // the format
        "02",                                 // lines
        "04646F6E65",                         // done
        "03706179",                           // pay
        "AC02",                               // 300
        "01",                                 // the first attempt
        "023137",                             // 17
        "00",                                 // no mail
        "06",                                 // three more than 1000
        "04646F6E6503706179AC020100",         // and so on
        "1000000000000000000000000000000A0B", // mail
        "01",                                 // one less
        "01",                                 // letters
        "1000000000000000000000000000000001", // its id
        "09736B697020756E646F",               // skip undo
        "02676F",                             // go
        "01FF",                               // its data
    ];
    assert_eq!(log, expected.concat());
}

/// However many there are.
#[test]
fn the_latest_of_an_id_is_found_by_it() {
    let expected = "SEARCH saga_archive USING INDEX saga_archive_by_saga (saga=?)";
    assert_eq!(plan(FIND), expected);
    let expected = "SEARCH saga USING INTEGER PRIMARY KEY (rowid=?)";
    assert_eq!(
        (plan(PUT), plan(STARTED)),
        (expected.into(), expected.into())
    );
}
