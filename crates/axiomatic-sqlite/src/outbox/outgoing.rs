//! Messages on their way into the table, and the statements that write them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use axiomatic_coordination::outbox::{Message, Sequence, TraceContext};
use rusqlite::{Connection, OptionalExtension, Statement};

use super::enqueue_error::EnqueueError;
use crate::database::NOW;
use crate::error::store_error;
use crate::options::{Options, WhenFull};

/// Messages that are not written yet, and what is asked of them.
#[derive(Debug)]
pub(crate) struct Outgoing {
    messages: Vec<Message>,
    largest_body: usize,
    cap: u64,
    when_full: WhenFull,
}

impl Outgoing {
    pub(crate) fn new(options: &Options) -> Self {
        Outgoing {
            messages: Vec::new(),
            largest_body: options.largest_body,
            cap: options.cap.get(),
            when_full: options.when_full,
        }
    }

    /// Takes a message, within a transaction that can write.
    pub(crate) fn push(
        &mut self,
        connection: &Connection,
        message: Message,
    ) -> Result<(), EnqueueError> {
        if message.body().len() > self.largest_body {
            return Err(EnqueueError::TooLarge {
                bytes: message.body().len(),
                at_most: self.largest_body,
            });
        }
        if self.when_full == WhenFull::Reject {
            let written = written(connection).map_err(store_error)?;
            let backlog = written + self.messages.len() as u64;
            if backlog >= self.cap {
                return Err(EnqueueError::Full {
                    backlog,
                    cap: self.cap,
                });
            }
        }
        self.messages.push(message);
        Ok(())
    }

    /// How many there are, to go [back to](Self::back_to).
    pub(crate) fn mark(&self) -> usize {
        self.messages.len()
    }

    /// Forgets all that came since.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.messages.truncate(mark);
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
    }

    /// Writes all, and returns how many there were.
    pub(crate) fn write(&mut self, connection: &Connection) -> rusqlite::Result<u64> {
        if self.messages.is_empty() {
            return Ok(0);
        }
        let count = self.messages.len() as u64;
        let (now, last_row) = now_and_last_row(connection)?;
        let sequences = number(connection, &self.messages, now, last_row)?;
        let mut rest = &self.messages[..];
        let mut numbers = &sequences[..];
        for (chunk, sql) in CHUNKS.into_iter().zip(&INSERTS) {
            while rest.len() >= chunk {
                insert(connection, sql, &rest[..chunk], numbers, now)?;
                rest = &rest[chunk..];
                numbers = numbers.get(chunk..).unwrap_or_default();
            }
        }
        let backlog = grow_backlog(connection, count)?;
        if self.when_full == WhenFull::Warn && backlog > self.cap && backlog - count <= self.cap {
            full(backlog, self.cap);
        }
        self.messages.clear();
        Ok(count)
    }
}

/// How a key's tenant is stored in outbox_sequence: none and the tenant with
/// the empty name are two.
pub(crate) fn stored_tenant(tenant: Option<&str>) -> Cow<'static, str> {
    match tenant {
        Some(tenant) => format!("={tenant}").into(),
        None => "".into(),
    }
}

/// How many rows a statement inserts: not measured.
const CHUNKS: [usize; 3] = [32, 8, 1];

/// The statements for so many rows.
static INSERTS: [LazyLock<String>; 3] = [
    LazyLock::new(|| insert_of(CHUNKS[0])),
    LazyLock::new(|| insert_of(CHUNKS[1])),
    LazyLock::new(|| insert_of(CHUNKS[2])),
];

static NOW_AND_LAST_ROW: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {NOW}, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)")
});

const COLUMNS: usize = 12;

fn insert_of(rows: usize) -> String {
    let row = "(?,?,?,?,?,?,?,?,?,?,?,?)";
    let rows = vec![row; rows].join(",");
    format!(
        "INSERT INTO outbox (lane, message_id, topic, key, tenant, body, headers, trace_parent, \
         trace_state, sequence, first, enqueued_at) VALUES {rows}"
    )
}

fn insert(
    connection: &Connection,
    sql: &str,
    messages: &[Message],
    sequences: &[Option<Sequence>],
    now: i64,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    for (at, message) in messages.iter().enumerate() {
        let sequence = sequences.get(at).copied().flatten();
        bind(&mut statement, at * COLUMNS, message, sequence, now)?;
    }
    statement.raw_execute()?;
    Ok(())
}

fn bind(
    statement: &mut Statement<'_>,
    before: usize,
    message: &Message,
    sequence: Option<Sequence>,
    now: i64,
) -> rusqlite::Result<()> {
    let at = |column: usize| before + column;
    let trace = message.trace();
    statement.raw_bind_parameter(at(1), message.lane().to_stored())?;
    statement.raw_bind_parameter(at(2), message.id().into_bytes())?;
    statement.raw_bind_parameter(at(3), message.topic())?;
    statement.raw_bind_parameter(at(4), message.key())?;
    statement.raw_bind_parameter(at(5), message.tenant())?;
    statement.raw_bind_parameter(at(6), &message.body()[..])?;
    statement.raw_bind_parameter(at(7), message.headers_to_json())?;
    statement.raw_bind_parameter(at(8), trace.map(TraceContext::parent))?;
    statement.raw_bind_parameter(at(9), trace.and_then(TraceContext::state))?;
    statement.raw_bind_parameter(at(10), sequence.map(|one| one.number.cast_signed()))?;
    statement.raw_bind_parameter(at(11), sequence.map(|one| one.first))?;
    statement.raw_bind_parameter(at(12), now)
}

/// The time, and the last row that the outbox has had.
fn now_and_last_row(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut both = connection.prepare_cached(&NOW_AND_LAST_ROW)?;
    both.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The numbers of those that are ordered, by their places; nothing if none is.
///
/// A key's numbers begin at the row of the first message, and each further one
/// has a row of its own: a number is never greater than its row's, so that one
/// which begins at a new row is above all that the key has had, whether they
/// are remembered or not.
fn number(
    connection: &Connection,
    messages: &[Message],
    now: i64,
    last_row: i64,
) -> rusqlite::Result<Vec<Option<Sequence>>> {
    if !messages.iter().any(Message::is_ordered) {
        return Ok(Vec::new());
    }
    let mut places: HashMap<(Option<&str>, &str), Vec<usize>> = HashMap::new();
    for (place, message) in messages.iter().enumerate() {
        if let (true, Some(key)) = (message.is_ordered(), message.key()) {
            places
                .entry((message.tenant(), key))
                .or_default()
                .push(place);
        }
    }
    let mut numbers = vec![None; messages.len()];
    let mut next = connection.prepare_cached(
        "UPDATE outbox_sequence SET last = last + ?3, at = ?4 WHERE tenant = ?1 AND key = ?2 \
         RETURNING last",
    )?;
    let mut begin = connection.prepare_cached(
        "INSERT INTO outbox_sequence (tenant, key, last, at) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for ((tenant, key), places) in places {
        let tenant = stored_tenant(tenant);
        let count = places.len() as i64;
        let last: Option<i64> = next
            .query_row((&tenant, key, count, now), |row| row.get(0))
            .optional()?;
        let (number, new) = match last {
            Some(last) => (last - count + 1, false),
            None => {
                let number = last_row + 1 + places[0] as i64;
                begin.execute((&tenant, key, number + count - 1, now))?;
                (number, true)
            }
        };
        for (nth, place) in places.into_iter().enumerate() {
            numbers[place] = Some(Sequence {
                number: number.cast_unsigned() + nth as u64,
                first: new && nth == 0,
            });
        }
    }
    Ok(numbers)
}

/// How many messages wait in the table.
fn written(connection: &Connection) -> rusqlite::Result<u64> {
    let mut backlog =
        connection.prepare_cached("SELECT messages FROM outbox_backlog WHERE one = 1")?;
    let backlog: i64 = backlog.query_row((), |row| row.get(0))?;
    Ok(backlog.max(0).cast_unsigned())
}

/// Counts these, and returns how many messages there are now.
fn grow_backlog(connection: &Connection, by: u64) -> rusqlite::Result<u64> {
    let mut grow = connection.prepare_cached(
        "UPDATE outbox_backlog SET messages = messages + ?1 WHERE one = 1 RETURNING messages",
    )?;
    let backlog: i64 = grow.query_row((by.cast_signed(),), |row| row.get(0))?;
    Ok(backlog.max(0).cast_unsigned())
}

/// Says that more messages wait than should.
fn full(backlog: u64, cap: u64) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "axiomatic::outbox", backlog, cap, "backlog full");
    #[cfg(not(feature = "tracing"))]
    let _ = (backlog, cap);
}
