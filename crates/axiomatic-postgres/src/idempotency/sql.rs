//! The statements, with the schema in them.

use crate::options::Schema;

#[derive(Debug)]
pub(super) struct Sql {
    pub(super) claim: String,
    pub(super) renew: String,
    pub(super) record: String,
    pub(super) complete: String,
    pub(super) release: String,
    pub(super) adopt: String,
    pub(super) sweep: String,
    pub(super) fence: String,
    pub(super) append: String,
}

impl Sql {
    pub(super) fn new(schema: &Schema) -> Self {
        let of_lease = "i.record = $1 AND i.epoch = $2";
        // Who asks again finds the line there. It is compared when the lock is
        // had, so of two that are asked at once one appends.
        let steps = "CASE WHEN position($4::text IN E'\\n' || i.steps) > 0 THEN i.steps \
                     ELSE i.steps || $3::text END";
        Sql {
            claim: format!(
                "SELECT outcome, its_record, its_epoch, its_attempts, its_steps, ends_in, head, \
                 body FROM {schema}.idempotency_claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
            ),
            renew: format!("SELECT {schema}.idempotency_renew($1, $2, $3)"),
            record: format!(
                "UPDATE {schema}.idempotency i SET steps = {steps} \
                 WHERE {of_lease} AND i.state = 'running' RETURNING true"
            ),
            // One that is complete is written once more, as it is: a look at
            // it in the same statement would not see what it had waited for.
            complete: format!(
                "UPDATE {schema}.idempotency i SET state = 'completed', steps = '', \
                 request_head = NULL, request_body = NULL, adopted_by = NULL, \
                 response_head = coalesce(i.response_head, $3::text), response_body = \
                 CASE WHEN i.response_head IS NULL THEN $4::bytea ELSE i.response_body END, \
                 expires_at = CASE WHEN i.response_head IS NULL \
                 THEN clock_timestamp() + $5::int8 * interval '1 microsecond' \
                 ELSE i.expires_at END \
                 WHERE {of_lease} AND i.state <> 'released' RETURNING true"
            ),
            release: format!(
                "UPDATE {schema}.idempotency i SET state = 'released', lease_until = \
                 CASE WHEN i.state = 'running' THEN clock_timestamp() ELSE i.lease_until END \
                 WHERE {of_lease} AND i.state <> 'completed' RETURNING true"
            ),
            adopt: format!(
                "SELECT its_tenant, its_method, its_route, its_key, its_record, its_epoch, \
                 its_attempts, its_steps, head, body \
                 FROM {schema}.idempotency_adopt($1, $2, $3, $4) WHERE its_record IS NOT NULL"
            ),
            sweep: format!(
                "WITH old AS MATERIALIZED (SELECT i.record FROM {schema}.idempotency i \
                 WHERE i.expires_at <= now() \
                 AND NOT (i.state = 'running' AND i.lease_until > now()) \
                 ORDER BY i.expires_at LIMIT $1::int8 FOR UPDATE SKIP LOCKED), \
                 gone AS (DELETE FROM {schema}.idempotency i \
                 WHERE i.record IN (SELECT old.record FROM old) RETURNING true) \
                 SELECT count(*)::int8 FROM gone"
            ),
            fence: format!(
                "SELECT true FROM {schema}.idempotency i \
                 WHERE {of_lease} AND i.state = 'running' FOR UPDATE"
            ),
            append: format!(
                "UPDATE {schema}.idempotency i SET steps = {steps}, \
                 lease_until = greatest(i.lease_until, clock_timestamp() + i.lease_lasts) \
                 WHERE {of_lease} AND i.state = 'running' RETURNING true"
            ),
        }
    }
}
