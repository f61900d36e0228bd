//! The statements, with the schema in them.

use crate::options::Schema;

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) attend: String,
    pub(super) claim: String,
    pub(super) release: String,
    pub(super) write: String,
    pub(super) fence: String,
    pub(super) take: String,
    pub(super) load: String,
    pub(super) enter: String,
    pub(super) tell: String,
    pub(super) pass_on: String,
    pub(super) heal: String,
    pub(super) line: String,
    pub(super) find: String,
    pub(super) post: String,
    pub(super) first: String,
    pub(super) behind: String,
    pub(super) count: String,
    pub(super) sweep: String,
}

/// What [`saga_read`](crate::schema) returns.
const READ: &str = "r.nth, r.what, r.saga, r.seq, r.a, r.b, r.data, r.at, r.n, r.m, r.mail, \
                    r.loads, r.result, r.started, r.changed";

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        let summary = format!(
            "SELECT s.id, s.name::text, s.version, s.hash, s.stage::text, s.result, s.started, \
             s.changed FROM {schema}.saga s WHERE s.stage = $1::text"
        );
        Sql {
            // The statement does not see what it has written itself. A lease
            // that a claim has locked has ended, and is not prolonged.
            attend: format!(
                "\
WITH here AS (
  INSERT INTO {schema}.saga_executor (executor, until)
  VALUES ($1::text, clock_timestamp() + $2::int8 * interval '1 microsecond')
  ON CONFLICT (executor) DO UPDATE SET until = excluded.until
  RETURNING executor, until
), mine AS MATERIALIZED (
  SELECT bucket FROM {schema}.saga_lease
  WHERE owner = $1::text AND until > clock_timestamp() ORDER BY bucket FOR NO KEY UPDATE
), kept AS (
  UPDATE {schema}.saga_lease l SET until = clock_timestamp() + $2::int8 * interval '1 microsecond'
  FROM mine m WHERE l.bucket = m.bucket AND l.owner = $1::text AND l.until > clock_timestamp()
  RETURNING l.bucket, l.epoch
)
SELECT executor::text, NULL::int4, NULL::int8 FROM here WHERE until > clock_timestamp()
UNION ALL
SELECT executor::text, NULL, NULL FROM {schema}.saga_executor
WHERE until > clock_timestamp() AND executor <> $1::text
UNION ALL
SELECT NULL, bucket, epoch FROM kept
ORDER BY 1, 2"
            ),
            // Those that another statement has locked are held, or another
            // takes them just now. Those that this one has already it is told
            // again, since it may not have heard; for them it need not wait
            // until nobody writes under them.
            claim: format!(
                "\
WITH now AS MATERIALIZED (SELECT clock_timestamp() AS today), free AS MATERIALIZED (
  SELECT bucket FROM {schema}.saga_lease
  WHERE bucket = ANY ($1::int4[]) AND (owner IS NULL OR until <= (SELECT today FROM now))
  ORDER BY bucket FOR UPDATE SKIP LOCKED
), mine AS MATERIALIZED (
  SELECT bucket FROM {schema}.saga_lease
  WHERE bucket = ANY ($1::int4[]) AND owner = $2::text AND until > (SELECT today FROM now)
  ORDER BY bucket FOR NO KEY UPDATE
), wanted AS (
  SELECT bucket, 1 AS next FROM free UNION ALL SELECT bucket, 0 FROM mine
)
UPDATE {schema}.saga_lease l SET owner = $2::text, epoch = l.epoch + w.next,
  until = clock_timestamp() + $3::int8 * interval '1 microsecond',
  since = CASE w.next WHEN 0 THEN l.since ELSE clock_timestamp() END
FROM wanted w WHERE l.bucket = w.bucket
RETURNING l.bucket::int4, l.epoch"
            ),
            // Work that has a lease locked is not waited for: who follows is
            // kept waiting by that lock.
            release: format!(
                "\
WITH mine AS MATERIALIZED (
  SELECT l.bucket FROM {schema}.saga_lease l
  JOIN unnest($2::int4[], $3::int8[], $4::text[]) g (bucket, epoch, owner)
    ON l.bucket = g.bucket AND l.epoch = g.epoch AND l.owner = g.owner
  WHERE l.until > clock_timestamp() ORDER BY l.bucket FOR NO KEY UPDATE OF l
), given_back AS (
  UPDATE {schema}.saga_lease l SET owner = NULL, until = clock_timestamp()
  FROM mine m WHERE l.bucket = m.bucket
)
DELETE FROM {schema}.saga_executor WHERE executor = $1::text AND $5::bool"
            ),
            write: format!(
                "SELECT request, outcome, line, mode FROM {schema}.saga_write($1, $2, $3, $4, $5, $6, $7, $8, \
                 $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
                 $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37)"
            ),
            fence: format!("SELECT {schema}.saga_fence($1, $2, $3, $4, $5)"),
            take: format!(
                "SELECT {READ}, r.lease, r.is_broken, r.today \
                 FROM {schema}.saga_take($1, $2, $3, $4, $5, $6, $7, $8) r"
            ),
            load: format!(
                "SELECT {READ}, 1::int4, false, clock_timestamp() \
                 FROM {schema}.saga_read(ARRAY( \
                   SELECT s.id FROM {schema}.saga s JOIN {schema}.saga_lease l \
                   ON l.bucket = s.bucket WHERE s.id = $4::uuid AND s.ended IS NULL \
                   AND l.bucket = $1::int4 AND l.epoch = $2::int8 AND l.owner = $3::text \
                   AND l.until > clock_timestamp())) r"
            ),
            enter: format!("SELECT {schema}.saga_enter($1, $2, $3, $4, $5, $6, $7, $8, $9)"),
            tell: format!("SELECT {schema}.saga_tell($1, $2, true)"),
            pass_on: format!("SELECT {schema}.saga_pass_on($1, $2, true)"),
            heal: format!("SELECT {schema}.saga_heal()"),
            line: format!(
                "SELECT k.saga, k.mode::text, \
                 NOT {schema}.saga_lock_waits(k.resource, k.place, k.saga, k.mode) \
                 FROM {schema}.saga_lock k WHERE k.resource = $1::text ORDER BY k.place"
            ),
            find: format!("SELECT {READ} FROM {schema}.saga_find($1) r"),
            post: format!("SELECT {schema}.saga_post($1, $2, $3, $4, $5)"),
            first: format!("{summary} ORDER BY s.id LIMIT $2::int8"),
            behind: format!("{summary} AND s.id > $3::uuid ORDER BY s.id LIMIT $2::int8"),
            count: format!("SELECT s.stage::text, count(*) FROM {schema}.saga s GROUP BY 1"),
            sweep: format!("SELECT {schema}.saga_sweep($1, $2, $3)"),
        }
    }
}
