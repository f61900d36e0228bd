//! Messages on their way into the table: what of them is bound to which
//! statement.
//!
//! All of a call is one statement, unless it is a very large one. So whoever
//! is dropped while it waits has written all or nothing, and pays one round
//! trip.
//!
//! # Ordered messages
//!
//! The row of a key in outbox_sequence is its lock: the upsert that counts its
//! messages holds it until the transaction ends. Rows are locked in the order
//! of their keys, so two calls never wait for each other in a circle; locks in
//! rows have no number at which they run out, as advisory locks do. The ids of
//! the messages are drawn behind a sort, hence when all locks are held. So ids
//! of a key grow in the order in which its transactions commit.
//!
//! A key that the store does not know begins at a number that is drawn from
//! the sequence of the ids: above all ids drawn before, hence above all numbers
//! of the key, none of which is greater than its row's id. It is drawn when the
//! lock is held. What is inserted is computed before a lock is waited for, so
//! the upsert inserts a mark, no number: a count that is not positive. The
//! number stands in the row by a second statement. If that is never sent,
//! since the caller was dropped, the mark stays, and the key begins anew with
//! its next message.

use std::collections::BTreeMap;

use axiomatic_coordination::outbox::{Message, TraceContext};

use super::enqueue_error::EnqueueError;
use crate::options::Schema;
use crate::wire::Param;

/// How many messages a statement writes at most: a hundred thousand small ones
/// are ten statements. Not measured.
const ROWS: usize = 10_000;

/// How many bytes of messages a statement carries at most, unless one message
/// alone is larger: the server and the driver each hold all of them.
const BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Sql {
    /// Of messages that have no tenant, headers, trace or order.
    plain: String,
    full: String,
    /// Locks and counts the keys, and writes. Returns which keys are new, by
    /// their places, and the numbers at which they begin.
    ordered: String,
    /// Writes down the last numbers of new keys.
    pub(super) begin: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        Sql {
            plain: format!(
                "INSERT INTO {schema}.outbox (lane, message_id, topic, key, body) \
                 SELECT * FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[], $5::bytea[])"
            ),
            full: format!(
                "INSERT INTO {schema}.outbox (lane, message_id, topic, key, body, tenant, \
                 headers, trace_parent, trace_state) \
                 SELECT * FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[], \
                 $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[])"
            ),
            ordered: format!(
                "WITH keys AS (\
                   SELECT * FROM unnest($12::text[], $13::text[], $14::int8[]) WITH ORDINALITY \
                   AS key (tenant, key, count, place)\
                 ), counted AS (\
                   INSERT INTO {schema}.outbox_sequence AS known (tenant, key, last, at) \
                   SELECT tenant, key, -count, clock_timestamp() FROM keys ORDER BY place \
                   ON CONFLICT (tenant, key) DO UPDATE SET \
                   last = CASE WHEN known.last > 0 THEN known.last - excluded.last \
                   ELSE excluded.last END, at = clock_timestamp() \
                   RETURNING tenant, key, last\
                 ), begun AS MATERIALIZED (\
                   SELECT place, counted.last <= 0 AS is_new, \
                   CASE WHEN counted.last > 0 THEN counted.last - count + 1 \
                   ELSE nextval('{schema}.outbox_id_seq'::regclass) END AS number \
                   FROM counted JOIN keys USING (tenant, key) WHERE count > 0\
                 ), written AS (\
                   INSERT INTO {schema}.outbox (lane, message_id, topic, key, body, tenant, \
                   headers, trace_parent, trace_state, sequence, first) \
                   SELECT lane, message_id, topic, key, body, tenant, headers, trace_parent, \
                   trace_state, number + rank, is_new AND rank = 0 \
                   FROM unnest($1::int8[], $2::uuid[], $3::text[], $4::text[], $5::bytea[], \
                   $6::text[], $7::text[], $8::text[], $9::text[], $10::int8[], $11::int8[]) \
                   WITH ORDINALITY AS message (lane, message_id, topic, key, body, tenant, \
                   headers, trace_parent, trace_state, place, rank, nth) \
                   LEFT JOIN begun USING (place) ORDER BY nth\
                 ) SELECT place::int8, number::int8 FROM begun WHERE is_new"
            ),
            begin: format!(
                "UPDATE {schema}.outbox_sequence AS known SET last = begun.last \
                 FROM unnest($1::text[], $2::text[], $3::int8[]) AS begun (tenant, key, last) \
                 WHERE known.tenant = begun.tenant AND known.key = begun.key"
            ),
        }
    }
}

/// Messages that can be written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    messages: Vec<Message>,
}

/// A statement that writes some of them.
#[derive(Debug)]
pub(super) struct Insert<'a> {
    pub(super) sql: &'a str,
    pub(super) params: Vec<Param>,
    pub(super) keys: Vec<Key<'a>>,
}

/// A key of ordered messages, and how many of them a statement writes.
#[derive(Debug)]
pub(super) struct Key<'a> {
    tenant: Option<&'a str>,
    key: &'a str,
    count: i64,
}

impl Outgoing {
    /// Takes a message, if it can be written.
    pub(super) fn push(
        &mut self,
        message: Message,
        largest_body: usize,
    ) -> Result<(), EnqueueError> {
        if message.body().len() > largest_body {
            return Err(EnqueueError::TooLarge {
                bytes: message.body().len(),
                at_most: largest_body,
            });
        }
        has_no_nul(&message)?;
        self.messages.push(message);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The statements that write them, one after the other.
    pub(super) fn inserts<'a>(&'a self, sql: &'a Sql) -> impl Iterator<Item = Insert<'a>> + Send {
        let mut rest = &self.messages[..];
        std::iter::from_fn(move || {
            let (chunk, behind) = rest.split_at(chunk_len(rest));
            // Whoever writes first locks all keys: in the order of the keys,
            // not in that of the statements.
            let to_lock = if rest.len() == self.messages.len() {
                rest
            } else {
                chunk
            };
            rest = behind;
            (!chunk.is_empty()).then(|| insert(sql, chunk, to_lock))
        })
    }
}

/// How many of these one statement writes.
fn chunk_len(messages: &[Message]) -> usize {
    let mut bytes = 0;
    let fits = |message: &&Message| {
        let headers: usize = message.headers().map(|(n, v)| n.len() + v.len()).sum();
        bytes += message.body().len() + message.topic().len() + headers;
        bytes <= BYTES
    };
    let fit = messages.iter().take(ROWS).take_while(fits).count();
    fit.max(1).min(messages.len())
}

fn insert<'a>(sql: &'a Sql, messages: &'a [Message], to_lock: &'a [Message]) -> Insert<'a> {
    let mut params = Vec::with_capacity(14);
    params.extend([
        Param::array(messages.iter().map(|message| message.lane().to_stored())),
        Param::array(messages.iter().map(Message::id)),
        Param::array(messages.iter().map(Message::topic)),
        Param::nullable_array(messages.iter().map(Message::key)),
        Param::array(messages.iter().map(|message| &message.body()[..])),
    ]);
    let is_ordered = to_lock.iter().any(Message::is_ordered);
    if !is_ordered && messages.iter().all(is_plain) {
        return Insert {
            sql: &sql.plain,
            params,
            keys: Vec::new(),
        };
    }
    let parent = |message: &'a Message| message.trace().map(TraceContext::parent);
    let state = |message: &'a Message| message.trace().and_then(TraceContext::state);
    params.extend([
        Param::nullable_array(messages.iter().map(Message::tenant)),
        Param::nullable_array(messages.iter().map(Message::headers_to_json)),
        Param::nullable_array(messages.iter().map(parent)),
        Param::nullable_array(messages.iter().map(state)),
    ]);
    if !is_ordered {
        return Insert {
            sql: &sql.full,
            params,
            keys: Vec::new(),
        };
    }
    let (keys, places) = keys(messages, to_lock);
    let rank = |place: &Option<(i64, i64)>| place.map(|(_, rank)| rank);
    let place = |place: &Option<(i64, i64)>| place.map(|(place, _)| place);
    params.extend([
        Param::nullable_array(places.iter().map(place)),
        Param::nullable_array(places.iter().map(rank)),
        Param::array(keys.iter().map(Key::stored_tenant)),
        Param::array(keys.iter().map(|key| key.key)),
        Param::array(keys.iter().map(|key| key.count)),
    ]);
    Insert {
        sql: &sql.ordered,
        params,
        keys,
    }
}

fn is_plain(message: &Message) -> bool {
    message.tenant().is_none() && message.headers().len() == 0 && message.trace().is_none()
}

/// The keys to be locked, in their order, with how many of these messages each
/// has; and for each message that is ordered the place of its key, from 1 on,
/// and how many of the key come before it.
#[expect(clippy::type_complexity, reason = "it has one caller")]
fn keys<'a>(
    messages: &'a [Message],
    to_lock: &'a [Message],
) -> (Vec<Key<'a>>, Vec<Option<(i64, i64)>>) {
    let name = |message: &'a Message| match message.key() {
        Some(key) if message.is_ordered() => Some((message.tenant(), key)),
        _ => None,
    };
    let names = to_lock.iter().filter_map(name);
    let mut places: BTreeMap<_, i64> = names.map(|name| (name, 0)).collect();
    let mut keys = Vec::with_capacity(places.len());
    for (place, (&(tenant, key), at)) in (1..).zip(&mut places) {
        *at = place;
        keys.push(Key {
            tenant,
            key,
            count: 0,
        });
    }
    let place_and_rank = |message: &'a Message| {
        let place = *places.get(&name(message)?)?;
        let key = keys.get_mut(place as usize - 1)?;
        key.count += 1;
        Some((place, key.count - 1))
    };
    let places = messages.iter().map(place_and_rank).collect();
    (keys, places)
}

impl Key<'_> {
    /// How its tenant is stored in outbox_sequence: none and the tenant with
    /// the empty name are two.
    fn stored_tenant(&self) -> String {
        stored_tenant(self.tenant)
    }
}

/// How a key's tenant is stored in outbox_sequence.
pub(crate) fn stored_tenant(tenant: Option<&str>) -> String {
    tenant.map_or_else(String::new, |tenant| format!("={tenant}"))
}

impl Insert<'_> {
    /// What writes down the last numbers of new keys, which are given by their
    /// places and their first numbers.
    pub(super) fn begun(&self, new: &[(i64, i64)]) -> Vec<Param> {
        let key = |(place, number): &(i64, i64)| {
            let key = usize::try_from(place - 1).ok();
            let key = key.and_then(|place| self.keys.get(place))?;
            Some((key, number + key.count - 1))
        };
        let keys: Vec<_> = new.iter().filter_map(key).collect();
        vec![
            Param::array(keys.iter().map(|(key, _)| key.stored_tenant())),
            Param::array(keys.iter().map(|(key, _)| key.key)),
            Param::array(keys.iter().map(|(_, last)| *last)),
        ]
    }
}

/// PostgreSQL's texts hold every character but one.
fn has_no_nul(message: &Message) -> Result<(), EnqueueError> {
    let without = |what: &'static str, text: &str| match text.contains('\0') {
        true => Err(EnqueueError::Nul { what }),
        false => Ok(()),
    };
    without("topic", message.topic())?;
    without("key", message.key().unwrap_or_default())?;
    without("tenant", message.tenant().unwrap_or_default())?;
    for (name, value) in message.headers() {
        without("header", name)?;
        without("header", value)?;
    }
    let trace = message.trace();
    without("trace", trace.map_or("", TraceContext::parent))?;
    without(
        "trace",
        trace.and_then(TraceContext::state).unwrap_or_default(),
    )
}
