//! Letters to sagas.

use axiomatic_coordination::crash_points::reach;
use axiomatic_coordination::saga::{Mail, Posted, SagaId};
use rusqlite::OptionalExtension;

use crate::database::now;
use crate::transaction::Transaction;

const FIND: &str = "SELECT id, ended IS NOT NULL FROM saga WHERE saga = ?1";

const KNOWN: &str = "\
SELECT 1 FROM saga_event WHERE saga = ?1 AND mail = ?2 \
UNION ALL SELECT 1 FROM saga_mail WHERE saga = ?1 AND id = ?2";

const POST: &str = "\
INSERT INTO saga_mail (saga, nth, id, subject, name, data, at) \
SELECT ?1, coalesce(max(nth), 0) + 1, ?2, ?3, ?4, ?5, ?6 FROM saga_mail WHERE saga = ?1";

const IS_MAILED: &str = "UPDATE saga SET mailed = coalesce(mailed, ?2) WHERE id = ?1";

pub(super) fn post(
    tx: &mut Transaction<'_>,
    saga: SagaId,
    mail: &Mail,
) -> rusqlite::Result<Posted> {
    let (key, id) = (saga.0.as_bytes(), mail.id.as_bytes());
    let mut find = tx.prepare_cached(FIND)?;
    let found: Option<(i64, bool)> = find
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((row, has_ended)) = found else {
        return Ok(Posted::Missing);
    };
    if tx.prepare_cached(KNOWN)?.exists((key, id))? {
        return Ok(Posted::Accepted);
    }
    if has_ended {
        return Ok(Posted::Ended);
    }
    let at = now(tx)?.as_micros();
    let (subject, name, data) = (mail.subject.as_str(), &*mail.name, &mail.data[..]);
    tx.prepare_cached(POST)?
        .execute((key, id, subject, name, data, at))?;
    reach("sqlite.saga.posted");
    tx.prepare_cached(IS_MAILED)?.execute((row, at))?;
    drop(find);
    tx.wake_sagas();
    Ok(Posted::Accepted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::tests::plan;

    #[test]
    fn a_letter_is_looked_for_among_those_of_its_saga() {
        let plans = plan(KNOWN);
        let read = "SEARCH saga_event USING COVERING INDEX saga_event_by_mail (saga=? AND mail=?)";
        let waits = "SEARCH saga_mail USING PRIMARY KEY (saga=?)";
        assert!(plans.contains(read) && plans.contains(waits), "{plans}");
        for sql in [FIND, POST, IS_MAILED] {
            let plan = plan(sql);
            assert!(!plan.contains("SCAN saga"), "{sql}: {plan}");
        }
    }
}
