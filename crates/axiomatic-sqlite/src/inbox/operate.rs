//! What an operator asks of an inbox, and what is thrown away.

use axiomatic_coordination::StoreError;
use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::inbox::{Id, Quarantined, Waiting};
use rusqlite::Connection;

use super::inbox::Inbox;
use super::tables::{Connected, On, QUARANTINE, quarantined, watermark};
use crate::database::NOW;
use crate::error::store_error;

impl Inbox {
    /// Forgets messages that were seen longer ago than the retention, at most
    /// so many; and attempts at messages that nobody has brought again for as
    /// long. Returns how many messages were forgotten: if it is `at_most`,
    /// there may be more.
    ///
    /// The rows of the oldest stand together, so that it reads no others.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn sweep(&self, tx: &mut impl Connected, at_most: usize) -> Result<usize, StoreError> {
        let retention = self.retention().as_micros();
        let retention = i64::try_from(retention).unwrap_or(i64::MAX / 2);
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let change = |sql: &str| {
            let mut statement = tx.connection().prepare_cached(sql)?;
            statement.execute((retention, at_most))
        };
        let seen = format!(
            "DELETE FROM inbox_seen WHERE first_seen < {NOW} - ?1 AND rowid IN \
             (SELECT rowid FROM inbox_seen ORDER BY rowid LIMIT ?2)"
        );
        let forgotten = change(&seen).map_err(store_error)?;
        reach("sqlite.inbox.swept");
        let started = format!(
            "DELETE FROM inbox_start WHERE (consumer, id) IN \
             (SELECT consumer, id FROM inbox_start WHERE at < {NOW} - ?1 LIMIT ?2)"
        );
        change(&started).map_err(store_error)?;
        Ok(forgotten)
    }

    /// The messages in quarantine, the oldest first, at most this many.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn peek(
        &self,
        connection: &Connection,
        most: usize,
    ) -> Result<Vec<Quarantined>, StoreError> {
        let select = format!("{QUARANTINE} ORDER BY rowid LIMIT ?1");
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = || {
            let mut select = connection.prepare_cached(&select)?;
            let rows = select.query_map([most], quarantined)?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(store_error)?.into_iter().collect()
    }

    /// Throws away a message that is in quarantine. From now on it counts as
    /// handled: if it comes again, it is a duplicate. Returns whether it was
    /// there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn discard(
        &self,
        tx: &mut impl Connected,
        consumer: &str,
        id: &Id,
    ) -> Result<bool, StoreError> {
        self.protocol().discard(&mut On::new(tx)?, consumer, id)
    }

    /// The streams of which something is missing, the longest first, at most
    /// this many: what a timer hands to
    /// [`give_up_overdue`](Self::give_up_overdue), one after the other.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn waiting(
        &self,
        connection: &Connection,
        most: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        let select = "SELECT consumer, source, tenant, key, through, epoch, ahead, rejected, \
                      missing_since FROM inbox_watermark WHERE missing_since IS NOT NULL \
                      ORDER BY missing_since LIMIT ?1";
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = || {
            let mut select = connection.prepare_cached(select)?;
            let rows = select.query_map([most], |row| {
                let [consumer, source, tenant, key]: [String; 4] =
                    [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
                let watermark = watermark(row, 4)?;
                Ok(watermark.map(|watermark| Waiting {
                    consumer: consumer.into(),
                    source: source.into(),
                    tenant: tenant.strip_prefix('=').map(Into::into),
                    key: key.into(),
                    watermark,
                }))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        };
        read().map_err(store_error)?.into_iter().collect()
    }
}
