//! The inbox's tables, in a transaction of the user's.
//!
//! What is read is held until the end of the transaction: whoever reads takes
//! the turn of the message or of the stream.

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::{Delivery, Id, Outcome, Quarantined, Seen, Stream, Watermark};
use axiomatic_coordination::{StoreError, Timestamp, Why};
use bytes::Bytes;

use super::rows::{self, Turn};
use super::sql::Sql;
use crate::connected::Session;
use crate::options::Schema;
use crate::wire::{Param, Row, damaged};

/// The tables of a schema.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) schema: Schema,
    pub(super) sql: Sql,
}

/// What [`Tables::see`] does beside looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct See {
    /// Attempts may have begun: they are forgotten.
    pub(super) may_have_started: bool,
    /// A message that is new is written down at once; otherwise by
    /// [`Tables::keep`], in the same transaction.
    pub(super) write_down: bool,
}

impl Tables {
    pub(super) fn new(schema: &Schema) -> Self {
        Tables {
            schema: schema.clone(),
            sql: Sql::new(schema),
        }
    }

    /// Whether a message is new, or what was there.
    pub(super) async fn see<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
        see: See,
    ) -> Result<Option<Seen>, StoreError> {
        let [by, which] = rows::message(consumer, id);
        let turn = Turn::Message(consumer, id).number(&self.schema);
        let params = [
            by,
            which,
            Param::new(turn),
            Param::new(see.may_have_started),
            Param::new(see.write_down),
        ];
        let row = one(tx.query(&self.sql.see, &params).await?)?;
        read_committed(&row)?;
        reach("postgres.inbox.seen");
        if row.get(1)? {
            return Ok(None);
        }
        Ok(Some(Seen {
            first_seen: row.get(2)?,
            result: row.nullable(3)?,
        }))
    }

    /// Writes down that a message was seen, and what came of it. Not by a
    /// change of what [`see`](Self::see) wrote, which would leave a dead row
    /// for each message.
    pub(super) async fn keep<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
        result: &Bytes,
    ) -> Result<(), StoreError> {
        let [by, which] = rows::message(consumer, id);
        let params = [by, which, Param::new(&result[..])];
        tx.query(&self.sql.keep, &params).await?;
        reach("postgres.inbox.result_kept");
        Ok(())
    }

    /// Whether a message is in quarantine, and how many attempts have begun.
    pub(super) async fn attempts<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
    ) -> Result<(bool, u32), StoreError> {
        let [by, which] = rows::message(consumer, id);
        let turn = Turn::Message(consumer, id).number(&self.schema);
        let params = [by, which, Param::new(turn)];
        let row = one(tx.query(&self.sql.attempts, &params).await?)?;
        read_committed(&row)?;
        let begun: i32 = row.get(2)?;
        Ok((row.get(1)?, begun.cast_unsigned()))
    }

    /// One more attempt begins.
    pub(super) async fn start<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
    ) -> Result<(), StoreError> {
        tx.query(&self.sql.start, &rows::message(consumer, id))
            .await?;
        reach("postgres.inbox.started");
        Ok(())
    }

    /// No attempt is under way any more.
    pub(super) async fn forget_starts<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
    ) -> Result<(), StoreError> {
        tx.query(&self.sql.forget_starts, &rows::message(consumer, id))
            .await?;
        reach("postgres.inbox.starts_forgotten");
        Ok(())
    }

    /// Puts a message into quarantine, and forgets its attempts.
    pub(super) async fn quarantine<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
        started: u32,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let [by, which] = rows::message(consumer, id);
        let reason = format!("{started} attempts began, and nobody heard of them");
        let params = [
            by,
            which,
            Param::new(started.cast_signed()),
            Param::new(reason),
            Param::new(delivery.to_stored()),
            Param::new(&delivery.body()[..]),
        ];
        tx.query(&self.sql.quarantine, &params).await?;
        reach("postgres.inbox.quarantined");
        Ok(())
    }

    /// Takes a message out of quarantine, if it is there.
    pub(super) async fn leave_quarantine<X: Session>(
        &self,
        tx: &mut X,
        consumer: &str,
        id: &Id,
    ) -> Result<Option<Quarantined>, StoreError> {
        let params = rows::message(consumer, id);
        let gone = tx.query(&self.sql.leave_quarantine, &params).await?;
        reach("postgres.inbox.left_quarantine");
        gone.first().map(rows::quarantined).transpose()
    }

    /// What is remembered of a stream, and the time.
    pub(super) async fn watermark<X: Session>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
    ) -> Result<(Watermark, Timestamp), StoreError> {
        let [consumer, source, tenant, key] = rows::stream(stream);
        let turn = Param::new(Turn::Stream(stream).number(&self.schema));
        let params = [consumer, source, tenant, key, turn];
        let row = one(tx.query(&self.sql.turn, &params).await?)?;
        read_committed(&row)?;
        let watermark = match row.get(2)? {
            true => rows::watermark(&row, 3)?,
            false => Watermark::default(),
        };
        Ok((watermark, row.get(1)?))
    }

    /// Remembers this of a stream.
    pub(super) async fn remember<X: Session>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        watermark: &Watermark,
    ) -> Result<(), StoreError> {
        let [consumer, source, tenant, key] = rows::stream(stream);
        let rejected = watermark.rejected.map(|number| number.get().cast_signed());
        let params = [
            consumer,
            source,
            tenant,
            key,
            Param::new(watermark.through.cast_signed()),
            Param::new(watermark.epoch.0.cast_signed()),
            Param::new(watermark.ahead.to_string()),
            Param::nullable(rejected),
            Param::nullable(watermark.missing_since.map(Timestamp::as_micros)),
        ];
        tx.query(&self.sql.remember, &params).await?;
        reach("postgres.inbox.remembered");
        Ok(())
    }

    /// Stores a message that came ahead.
    pub(super) async fn hold<X: Session>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        number: u64,
        delivery: &Delivery,
    ) -> Result<(), StoreError> {
        let [consumer, source, tenant, key] = rows::stream(stream);
        let params = [
            consumer,
            source,
            tenant,
            key,
            Param::new(number.cast_signed()),
            Param::new(delivery.to_stored()),
            Param::new(&delivery.body()[..]),
        ];
        tx.query(&self.sql.hold, &params).await?;
        reach("postgres.inbox.held");
        Ok(())
    }

    /// Takes out the messages that were stored, up to this number, in order.
    pub(super) async fn take_held<X: Session>(
        &self,
        tx: &mut X,
        stream: &Stream<'_>,
        through: u64,
    ) -> Result<Vec<(u64, Delivery)>, StoreError> {
        let [consumer, source, tenant, key] = rows::stream(stream);
        let through = Param::new(through.cast_signed());
        let params = [consumer, source, tenant, key, through];
        let taken = tx.query(&self.sql.take_held, &params).await?;
        reach("postgres.inbox.taken");
        taken.iter().map(rows::held).collect()
    }
}

impl See {
    /// For a message of which an id alone is known.
    pub(super) const BY_ID: See = See {
        may_have_started: true,
        write_down: true,
    };

    /// The outcome for what was there.
    pub(super) fn duplicate<T>(seen: Seen) -> Outcome<T> {
        let Seen { first_seen, result } = seen;
        Outcome::Duplicate { first_seen, result }
    }
}

fn one(rows: Vec<Row>) -> Result<Row, StoreError> {
    let row = rows.into_iter().next();
    row.ok_or_else(|| damaged("a function without an answer".into()))
}

/// Refuses a transaction that does not see what was committed while it waited.
fn read_committed(row: &Row) -> Result<(), StoreError> {
    let isolation: String = row.get(0)?;
    match &*isolation {
        "read committed" | "read uncommitted" => Ok(()),
        _ => Err(StoreError::new(Why::Refused).because(format!(
            "the inbox works in a READ COMMITTED transaction, and this one is {}",
            isolation.to_uppercase()
        ))),
    }
}
