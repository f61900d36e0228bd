//! What PostgreSQL knows of a table, and of those who may see its dead rows.

use super::Health;
use crate::options::Schema;

#[derive(Debug)]
pub(in crate::outbox) struct Sql {
    pub(super) table: String,
    pub(super) holders: String,
}

impl Sql {
    pub(in crate::outbox) fn new(schema: &Schema) -> Self {
        Sql {
            table: table_sql(schema),
            holders: holders_sql(),
        }
    }
}

fn table_sql(schema: &Schema) -> String {
    // What a role may not see of a session is NULL, but for the query, which
    // says so.
    format!(
        "SELECT pg_stat_get_live_tuples(o.oid), pg_stat_get_dead_tuples(o.oid), \
           pg_total_relation_size(o.oid), \
           (extract(epoch FROM clock_timestamp() - greatest( \
             pg_stat_get_last_vacuum_time(o.oid), pg_stat_get_last_autovacuum_time(o.oid) \
           )) * 1000000)::int8, \
           (SELECT count(*) FROM pg_catalog.pg_stat_activity \
             WHERE query = '<insufficient privilege>' AND datid IS NOT NULL) \
         FROM (SELECT '{schema}.outbox'::regclass::oid) o (oid)"
    )
}

/// Who keeps a vacuum of this database from removing dead rows, as
/// `ComputeXidHorizons` in PostgreSQL's procarray.c has it, of 14 and up:
///
/// - transactions of this database, by their snapshot (`backend_xmin`) and by
///   what they write (`backend_xid`); not vacuums, which are left out of it;
/// - transactions of other databases, by what they write only. They do not
///   count by themselves. But ids of transactions are the server's, so every
///   snapshot that is taken in this database while they run is as old as they
///   are, and one is taken all the time;
/// - transactions that are prepared, in the same way;
/// - standbys that tell what they still read, by their sender or their slot;
/// - slots of logical replication, but for the catalogs only.
fn holders_sql() -> String {
    let most = Health::MOST_HOLDERS;
    let micros = |since: &str| {
        format!("(extract(epoch FROM clock_timestamp() - {since}) * 1000000)::int8 AS lasts")
    };
    let (session, prepared) = (micros("xact_start"), micros("prepared"));
    format!(
        "SELECT kind, age::int8, lasts, pid, name, role, database, state, rows FROM ( \
           SELECT CASE WHEN datid IS NULL THEN 'standby' ELSE 'session' END AS kind, \
             greatest(age(backend_xid), \
               CASE WHEN datid IS NULL OR datname = current_database() THEN age(backend_xmin) END \
             ) AS age, {session}, pid, application_name AS name, usename::text AS role, \
             datname::text AS database, state, true AS rows \
           FROM pg_catalog.pg_stat_activity \
           WHERE pid <> pg_backend_pid() \
             AND (datid IS NOT NULL OR backend_type = 'walsender') \
             AND (datid IS NULL OR backend_type <> 'walsender') \
             AND pid NOT IN (SELECT pid FROM pg_catalog.pg_stat_progress_vacuum) \
           UNION ALL \
           SELECT 'prepared', age(transaction), {prepared}, NULL, gid, owner::text, \
             database::text, NULL, true \
           FROM pg_catalog.pg_prepared_xacts \
           UNION ALL \
           SELECT 'slot', age(xmin), NULL, active_pid, slot_name::text, NULL, database::text, \
             CASE WHEN active THEN 'active' ELSE 'inactive' END, true \
           FROM pg_catalog.pg_replication_slots \
           UNION ALL \
           SELECT 'slot', age(catalog_xmin), NULL, active_pid, slot_name::text, NULL, \
             database::text, CASE WHEN active THEN 'active' ELSE 'inactive' END, false \
           FROM pg_catalog.pg_replication_slots \
         ) holders WHERE age IS NOT NULL \
         ORDER BY rows DESC, age DESC, lasts DESC NULLS LAST, name LIMIT {most}"
    )
}
