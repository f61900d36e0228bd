//! The statements, with the schema in them.

use crate::options::Schema;

/// What the quarantine is read by.
macro_rules! quarantine {
    () => {
        "consumer, id, started, reason, since, delivery, body"
    };
}

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) see: String,
    pub(super) keep: String,
    pub(super) attempts: String,
    pub(super) start: String,
    pub(super) forget_starts: String,
    pub(super) quarantine: String,
    pub(super) leave_quarantine: String,
    pub(super) peek: String,
    pub(super) turn: String,
    pub(super) remember: String,
    pub(super) hold: String,
    pub(super) take_held: String,
    pub(super) waiting: String,
    pub(super) make_partitions: String,
    pub(super) old_partitions: String,
    pub(super) drop_partition: String,
    pub(super) sweep_starts: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        let of_stream = "consumer = $1 AND source = $2 AND tenant = $3 AND key = $4";
        Sql {
            see: format!(
                "SELECT isolation, is_new, seen, kept FROM {schema}.inbox_see($1, $2, $3, $4, $5)"
            ),
            keep: format!(
                "INSERT INTO {schema}.inbox_seen (consumer, id, first_seen, result) \
                 VALUES ($1, $2, clock_timestamp(), $3)"
            ),
            attempts: format!(
                "SELECT isolation, is_quarantined, begun FROM {schema}.inbox_attempts($1, $2, $3)"
            ),
            start: format!(
                "INSERT INTO {schema}.inbox_start AS s (consumer, id, started, at) \
                 VALUES ($1, $2, 1, clock_timestamp()) ON CONFLICT (consumer, id) \
                 DO UPDATE SET started = s.started + 1, at = excluded.at"
            ),
            forget_starts: format!(
                "DELETE FROM {schema}.inbox_start WHERE consumer = $1 AND id = $2"
            ),
            quarantine: format!(
                "WITH forgotten AS \
                 (DELETE FROM {schema}.inbox_start WHERE consumer = $1 AND id = $2) \
                 INSERT INTO {schema}.inbox_quarantine \
                 (consumer, id, started, reason, since, delivery, body) \
                 VALUES ($1, $2, $3, $4, clock_timestamp(), $5, $6) ON CONFLICT DO NOTHING"
            ),
            leave_quarantine: format!(
                "DELETE FROM {schema}.inbox_quarantine WHERE consumer = $1 AND id = $2 \
                 RETURNING {}",
                quarantine!()
            ),
            peek: format!(
                "SELECT {} FROM {schema}.inbox_quarantine ORDER BY since, consumer, id LIMIT $1",
                quarantine!()
            ),
            turn: format!(
                "SELECT isolation, today, is_known, through, epoch, ahead, rejected, \
                 missing_since FROM {schema}.inbox_turn($1, $2, $3, $4, $5)"
            ),
            remember: format!(
                "INSERT INTO {schema}.inbox_watermark (consumer, source, tenant, key, through, \
                 epoch, ahead, rejected, missing_since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
                 timestamptz 'epoch' + $9 * interval '1 microsecond') \
                 ON CONFLICT (consumer, source, tenant, key) DO UPDATE SET \
                 through = excluded.through, epoch = excluded.epoch, ahead = excluded.ahead, \
                 rejected = excluded.rejected, missing_since = excluded.missing_since"
            ),
            hold: format!(
                "INSERT INTO {schema}.inbox_held \
                 (consumer, source, tenant, key, number, delivery, body) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)"
            ),
            take_held: format!(
                "WITH taken AS (DELETE FROM {schema}.inbox_held \
                 WHERE {of_stream} AND number <= $5 RETURNING number, delivery, body) \
                 SELECT number, delivery, body FROM taken ORDER BY number"
            ),
            waiting: format!(
                "SELECT consumer, source, tenant, key, through, epoch, ahead, rejected, \
                 missing_since FROM {schema}.inbox_watermark WHERE missing_since IS NOT NULL \
                 ORDER BY missing_since LIMIT $1"
            ),
            make_partitions: format!("SELECT {schema}.inbox_make_partitions($1, $2, $3, $4)"),
            old_partitions: format!("SELECT * FROM {schema}.inbox_old_partitions($1)"),
            drop_partition: format!("SELECT {schema}.inbox_drop_partition($1, $2, $3, $4)"),
            sweep_starts: format!(
                "DELETE FROM {schema}.inbox_start \
                 WHERE at < clock_timestamp() - $1 * interval '1 microsecond'"
            ),
        }
    }
}
