//! Who holds which bucket.
//!
//! A lease is a row, and whoever changes rows of its bucket locks it in the
//! same statement: shared, if it was held still at that moment. A claim takes
//! leases that nobody has locked, so between what a settlement compares and its
//! commit nobody takes a bucket away. A statement that had to wait for such a
//! lock compares again, with the row as it was committed meanwhile, and with
//! the time that it is by then.
//!
//! Locks are taken in the order of the buckets.

use std::time::Duration;

use axiomatic_coordination::StoreError;
use axiomatic_coordination::outbox::{Bucket, Buckets, Departing, Epoch, Lease, RelayId, RowId};

use crate::Database;
use crate::error::store_error;
use crate::options::Schema;
use crate::wire::{Param, Row, damaged};

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) attend: String,
    pub(super) claim: String,
    pub(super) renew: String,
    pub(super) release: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        let last_row = last_row(schema);
        Sql {
            // The statement does not see what it has written itself.
            attend: format!(
                "\
WITH here AS (
  INSERT INTO {schema}.outbox_relay (relay, until)
  VALUES ($1::text, clock_timestamp() + $2::int8 * interval '1 microsecond')
  ON CONFLICT (relay) DO UPDATE SET until = excluded.until
  RETURNING relay, until
)
SELECT relay::text FROM here WHERE until > clock_timestamp()
UNION ALL
SELECT relay::text FROM {schema}.outbox_relay WHERE until > clock_timestamp() AND relay <> $1::text
ORDER BY relay"
            ),
            // Those that another statement has locked are held, or another
            // takes them just now. Whoever held one may have had any row in
            // flight that had its number before the lease ended.
            claim: format!(
                "\
WITH free AS MATERIALIZED (
  SELECT bucket, owner FROM {schema}.outbox_lease
  WHERE bucket = ANY ($1::int4[]) AND (owner IS NULL OR until <= clock_timestamp())
  ORDER BY bucket FOR UPDATE SKIP LOCKED
)
UPDATE {schema}.outbox_lease AS l SET epoch = l.epoch + 1, owner = $2::text,
  until = clock_timestamp() + $3::int8 * interval '1 microsecond',
  suspect_through = CASE WHEN f.owner IS NULL THEN l.suspect_through
    ELSE greatest(l.suspect_through, ({last_row})) END
FROM free AS f WHERE l.bucket = f.bucket
RETURNING l.bucket::int4, l.epoch, l.suspect_through"
            ),
            renew: format!(
                "\
WITH {held}
UPDATE {schema}.outbox_lease AS l SET until = clock_timestamp() + $4::int8 * interval '1 microsecond'
FROM held AS h WHERE l.bucket = h.bucket
RETURNING l.bucket::int4",
                held = held(schema, "NO KEY UPDATE")
            ),
            release: format!(
                "\
WITH {held}, given_back AS (
  UPDATE {schema}.outbox_lease AS l SET owner = NULL, until = clock_timestamp()
  FROM held AS h WHERE l.bucket = h.bucket
)
DELETE FROM {schema}.outbox_relay WHERE relay = $1::text AND $4::bool",
                held = held(schema, "NO KEY UPDATE")
            ),
        }
    }
}

/// The part of a statement that finds and locks the leases which are held still
/// of those that it is asked with, as [`params`] has them.
pub(super) fn held(schema: &Schema, lock: &str) -> String {
    format!(
        "\
held AS MATERIALIZED (
  SELECT l.bucket FROM {schema}.outbox_lease AS l
  JOIN unnest($2::int4[], $3::int8[]) AS s (bucket, epoch) ON l.bucket = s.bucket
  WHERE l.owner = $1::text AND l.epoch = s.epoch AND l.until > clock_timestamp()
  ORDER BY l.bucket FOR {lock} OF l
)"
    )
}

/// Up to where ids may have been given away: a sequence is not transactional,
/// so those count which no commit has shown yet.
fn last_row(schema: &Schema) -> String {
    format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {schema}.outbox_id_seq")
}

/// The relay, and the leases that it says it holds: what [`held`] goes by.
pub(super) fn params<'a>(
    relay: &RelayId,
    leases: impl Iterator<Item = &'a Lease> + Clone,
) -> [Param; 3] {
    let buckets: Vec<_> = leases
        .clone()
        .map(|lease| i32::from(lease.bucket.0))
        .collect();
    let epochs: Vec<_> = leases.map(|lease| lease.epoch.0.cast_signed()).collect();
    [
        Param::new(relay.as_str()),
        Param::array(buckets),
        Param::array(epochs),
    ]
}

/// A duration, as statements take it: in microseconds, and not so many that a
/// timestamp could not hold them.
pub(super) fn micros(of: Duration) -> i64 {
    const CENTURY: i64 = 100 * 366 * 24 * 60 * 60 * 1_000_000;
    i64::try_from(of.as_micros()).map_or(CENTURY, |micros| micros.min(CENTURY))
}

/// What to claim with.
pub(super) fn claim_params(relay: &RelayId, wanted: &[Bucket], ttl: Duration) -> [Param; 3] {
    [
        Param::array(wanted.iter().map(|bucket| i32::from(bucket.0))),
        Param::new(relay.as_str()),
        Param::new(micros(ttl)),
    ]
}

/// Whether a relay goes for good, as the statement takes it.
pub(super) fn departs(departing: Departing) -> Param {
    Param::new(departing == Departing::Yes)
}

/// Those who are here.
pub(super) fn attending(rows: &[Row]) -> Result<Vec<RelayId>, StoreError> {
    let relay = |row: &Row| Ok(RelayId::from_stored(&row.get::<String>(0)?));
    rows.iter().map(relay).collect()
}

/// The leases that were taken, in the order of their buckets.
pub(super) fn taken(rows: &[Row]) -> Result<Vec<Lease>, StoreError> {
    let lease = |row: &Row| {
        Ok(Lease {
            bucket: bucket(row)?,
            epoch: Epoch(row.get::<i64>(1)?.cast_unsigned()),
            suspect_through: RowId(row.get(2)?),
        })
    };
    let mut leases = rows.iter().map(lease).collect::<Result<Vec<_>, _>>()?;
    leases.sort_unstable_by_key(|lease| lease.bucket);
    Ok(leases)
}

/// The buckets that were held still, in order.
pub(super) fn kept(rows: &[Row]) -> Result<Vec<Bucket>, StoreError> {
    let mut kept = rows.iter().map(bucket).collect::<Result<Vec<_>, _>>()?;
    kept.sort_unstable();
    Ok(kept)
}

fn bucket(row: &Row) -> Result<Bucket, StoreError> {
    let number = row.get::<i32>(0)?;
    let bucket = u16::try_from(number).map(Bucket);
    bucket.map_err(|_| damaged(format!("there is no bucket {number}")))
}

/// Divides the lanes into so many buckets. Returns whether that is so now:
/// otherwise there are relays which go by another number.
///
/// Lanes change buckets with the number, so what was known of any bucket is
/// taken for all of them: the greatest epoch, and up to where rows are
/// suspect.
pub(super) async fn divide(database: &Database, buckets: Buckets) -> Result<bool, StoreError> {
    let schema = database.schema();
    let count = format!("SELECT count(*)::int8 FROM {schema}.outbox_lease");
    let wanted = i64::from(buckets.count());
    let mut connection = database.connection().await?;
    let found = connection.query_one(&count, &[]).await;
    if found.map_err(store_error)?.get::<_, i64>(0) == wanted {
        return Ok(true);
    }
    let tx = connection.transaction().await.map_err(store_error)?;
    // Neither a claim nor another that divides is under way meanwhile, and no
    // relay comes.
    let lock = format!(
        "LOCK TABLE {schema}.outbox_lease IN EXCLUSIVE MODE; \
         LOCK TABLE {schema}.outbox_relay IN SHARE MODE"
    );
    tx.batch_execute(&lock).await.map_err(store_error)?;
    let found = tx.query_one(&count, &[]).await;
    if found.map_err(store_error)?.get::<_, i64>(0) == wanted {
        return Ok(true);
    }
    let in_use = format!(
        "SELECT EXISTS (SELECT FROM {schema}.outbox_lease \
           WHERE owner IS NOT NULL AND until > clock_timestamp()) \
         OR EXISTS (SELECT FROM {schema}.outbox_relay WHERE until > clock_timestamp())"
    );
    let in_use = tx.query_one(&in_use, &[]).await;
    if in_use.map_err(store_error)?.get(0) {
        return Ok(false);
    }
    let all = format!(
        "SELECT coalesce(max(epoch), 0), greatest(coalesce(max(suspect_through), 0), \
           CASE WHEN bool_or(owner IS NOT NULL) THEN ({}) END) \
         FROM {schema}.outbox_lease",
        last_row(schema)
    );
    let all = tx.query_one(&all, &[]).await.map_err(store_error)?;
    let (epoch, suspect_through): (i64, i64) = (all.get(0), all.get(1));
    let remove = format!("DELETE FROM {schema}.outbox_lease");
    tx.batch_execute(&remove).await.map_err(store_error)?;
    let leases = format!(
        "INSERT INTO {schema}.outbox_lease (bucket, epoch, owner, until, suspect_through) \
         SELECT n, $1::int8, NULL, clock_timestamp(), $2::int8 \
         FROM generate_series(0, $3::int8 - 1) AS n"
    );
    let inserted = tx
        .execute(&leases, &[&epoch, &suspect_through, &wanted])
        .await;
    inserted.map_err(store_error)?;
    tx.commit().await.map_err(store_error)?;
    Ok(true)
}
