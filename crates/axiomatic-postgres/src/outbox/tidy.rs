//! What is kept no longer.

use std::time::Duration;

use axiomatic_coordination::outbox::Lane;
use axiomatic_coordination::{StoreError, crash_points};

use super::leases::micros;
use super::{Keep, Outbox};
use crate::options::Schema;
use crate::wire::{Param, damaged};

/// How many rows of each table are thrown away at once. Not measured.
const AT_ONCE: i64 = 1000;

#[derive(Debug)]
pub(super) struct Sql {
    throw_away: String,
    quiet: String,
    forget: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        Sql {
            // What another relay throws away just now is passed over.
            throw_away: format!(
                "\
WITH gone AS MATERIALIZED (
  SELECT relay FROM {schema}.outbox_relay WHERE until <= clock_timestamp()
  ORDER BY relay LIMIT $1::int8 FOR UPDATE SKIP LOCKED
), relays AS (
  DELETE FROM {schema}.outbox_relay WHERE relay IN (SELECT relay FROM gone)
), old AS MATERIALIZED (
  SELECT id FROM {schema}.outbox_archive
  WHERE published_at < clock_timestamp() - $2::int8 * interval '1 microsecond'
  ORDER BY published_at LIMIT $1::int8 FOR UPDATE SKIP LOCKED
), archived AS (
  DELETE FROM {schema}.outbox_archive WHERE id IN (SELECT id FROM old) RETURNING id
)
SELECT count(*)::int8 FROM archived"
            ),
            quiet: format!(
                "\
SELECT tenant, key FROM {schema}.outbox_sequence
WHERE at < clock_timestamp() - $2::int8 * interval '1 microsecond'
ORDER BY at LIMIT $1::int8"
            ),
            // A producer locks the row before it inserts a message, and sets
            // its time: one that came meanwhile is found by the time, which is
            // compared when the lock is had, and one that is coming by the
            // lock.
            forget: format!(
                "\
WITH quiet AS MATERIALIZED (
  SELECT q.tenant, q.key, s.lane FROM {schema}.outbox_sequence AS q
  JOIN unnest($2::text[], $3::text[], $4::int8[]) AS s (tenant, key, lane)
    ON q.tenant = s.tenant AND q.key = s.key
  WHERE q.at < clock_timestamp() - $1::int8 * interval '1 microsecond'
  FOR UPDATE OF q SKIP LOCKED
), waiting AS MATERIALIZED (
  SELECT q.tenant, q.key, EXISTS (
    SELECT FROM {schema}.outbox AS o WHERE o.lane = q.lane) AS waits
  FROM quiet AS q
), not_quiet AS (
  UPDATE {schema}.outbox_sequence AS q SET at = clock_timestamp()
  FROM waiting AS w WHERE w.waits AND q.tenant = w.tenant AND q.key = w.key
), forgotten AS (
  DELETE FROM {schema}.outbox_sequence AS q
  USING waiting AS w WHERE NOT w.waits AND q.tenant = w.tenant AND q.key = w.key
)
SELECT count(*)::int8 FROM waiting"
            ),
        }
    }
}

impl Outbox {
    /// Throws away a bounded part of it. Returns whether there is more.
    pub(super) async fn throw_away(&self) -> Result<bool, StoreError> {
        let retention = match self.options.keep {
            // What an archive of earlier days holds is not kept.
            Keep::Nothing => Duration::ZERO,
            Keep::Archive(retention) => retention,
        };
        let sql = &self.sql.tidy;
        let params = [Param::new(AT_ONCE), Param::new(micros(retention))];
        crash_points::reach("postgres.tidy.asked");
        let thrown_away = self.database.query(&sql.throw_away, &params).await?;
        crash_points::reach("postgres.tidy.done");
        let thrown_away = thrown_away.first().map_or(Ok(0), |row| row.get::<i64>(0))?;
        let forgotten = self.forget().await?;
        Ok(thrown_away == AT_ONCE || forgotten == AT_ONCE)
    }

    /// Forgets the numbers of keys that have been quiet, unless a message of
    /// one waits still: that key is not quiet. Returns how many it has seen to.
    async fn forget(&self) -> Result<i64, StoreError> {
        let sql = &self.sql.tidy;
        let quiet_for = micros(self.options.forget_sequences_after);
        let params = [Param::new(AT_ONCE), Param::new(quiet_for)];
        let quiet = self.database.query(&sql.quiet, &params).await?;
        if quiet.is_empty() {
            return Ok(0);
        }
        let mut keys = Vec::with_capacity(quiet.len());
        for row in &quiet {
            let (tenant, key): (String, String) = (row.get(0)?, row.get(1)?);
            let named = match tenant.split_at_checked(1) {
                None => None,
                Some(("=", name)) => Some(name),
                Some(_) => return Err(damaged(format!("the tenant {tenant:?} of a sequence"))),
            };
            let lane = Lane::of_key(named, &key).to_stored();
            keys.push((tenant, key, lane));
        }
        keys.sort_unstable();
        let params = [
            Param::new(quiet_for),
            Param::array(keys.iter().map(|(tenant, _, _)| &**tenant)),
            Param::array(keys.iter().map(|(_, key, _)| &**key)),
            Param::array(keys.iter().map(|(_, _, lane)| *lane)),
        ];
        crash_points::reach("postgres.forget.asked");
        let forgotten = self.database.query(&sql.forget, &params).await?;
        crash_points::reach("postgres.forget.done");
        forgotten.first().map_or(Ok(0), |row| row.get(0))
    }
}
