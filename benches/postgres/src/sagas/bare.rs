//! The floor: the lines of as many sagas as there are callers, in four commits,
//! with nothing that asks whether they may be written.

use std::sync::Arc;

use axiomatic_coordination::saga::SagaId;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::by_hand::SCHEMA;
use super::{Runs, Subject};
use crate::queue::{BoxError, Step};
use crate::server::Database;

pub(super) const LINES: Subject = Subject {
    name: "floor:bare lines",
    open: |database, callers| open(database, callers, false),
    note: "four inserts of many rows for all callers, by one connection",
};

pub(super) const LOCAL_LINES: Subject = Subject {
    name: "floor:bare lines and effects",
    open: |database, callers| open(database, callers, true),
    note: "four commits for all callers, by one connection",
};

const SAGAS: &str = "
INSERT INTO saga (id, bucket, name, input)
SELECT s.id, s.bucket, 'three', 'null' FROM unnest($1::uuid[], $2::int2[]) s (id, bucket)
";
const LINE: &str = "
INSERT INTO saga_event (saga, seq, kind, step, data)
SELECT s.id, l.* FROM unnest($1::uuid[]) s (id),
    unnest($2::int8[], $3::text[], $4::text[], array_fill('null'::bytea, ARRAY[cardinality($2)])) l
";
const EFFECTS: &str = "
INSERT INTO ledger (saga, step) SELECT s.id, $2::text FROM unnest($1::uuid[]) s (id)
";

/// The lines that are written together: their numbers, kinds and steps.
type Lines<'a> = (&'a [i64], &'a [&'a str], &'a [&'a str]);

struct Bare {
    /// Its client is lent to one turn at a time.
    client: Mutex<Client>,
    sagas: Statement,
    lines: Statement,
    effects: Statement,
    callers: usize,
    is_local: bool,
}

fn open(database: Database, callers: usize, is_local: bool) -> Step<'static, Arc<dyn Runs>> {
    Box::pin(async move {
        let client = database.connect().await?;
        client.batch_execute(SCHEMA).await?;
        Ok(Arc::new(Bare {
            sagas: client.prepare(SAGAS).await?,
            lines: client.prepare(LINE).await?,
            effects: client.prepare(EFFECTS).await?,
            client: Mutex::new(client),
            callers,
            is_local,
        }) as Arc<dyn Runs>)
    })
}

impl Runs for Bare {
    fn a_turn(&self) -> usize {
        self.callers
    }

    fn turn(&self) -> Step<'_, ()> {
        Box::pin(async {
            let ids: Vec<SagaId> = (0..self.callers).map(|_| SagaId::unique()).collect();
            let buckets = ids.iter().map(|id| i16::try_from(id.bucket().0));
            let buckets = buckets.collect::<Result<Vec<_>, _>>()?;
            let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
            let commits: [Lines<'_>; 4] = match self.is_local {
                false => [
                    (&[1], &["began"], &["a"]),
                    (&[2, 3], &["done", "began"], &["a", "b"]),
                    (&[4, 5], &["done", "began"], &["b", "c"]),
                    (&[6], &["done"], &["c"]),
                ],
                true => [
                    (&[], &[], &[]),
                    (&[1], &["done"], &["a"]),
                    (&[2], &["done"], &["b"]),
                    (&[3], &["done"], &["c"]),
                ],
            };
            let mut client = self.client.lock().await;
            for (at, (seqs, kinds, steps)) in commits.into_iter().enumerate() {
                let tx = client.transaction().await?;
                if at == 0 {
                    tx.execute(&self.sagas, &[&ids, &buckets]).await?;
                }
                if self.is_local && at > 0 {
                    tx.execute(&self.effects, &[&ids, &steps[0]]).await?;
                }
                tx.execute(&self.lines, &[&ids, &seqs, &kinds, &steps])
                    .await?;
                tx.commit().await?;
            }
            Ok::<_, BoxError>(())
        })
    }
}
