//! What one would write by hand, with care: a saga and its log, a lease that
//! each line is written under, and a connection of a pool for each statement.
//! Whatever is to be durable before the next step begins is one statement, and
//! so one round trip and one commit; but none is shared by two sagas.

use std::sync::Arc;

use axiomatic_coordination::saga::SagaId;
use deadpool_postgres::{Manager, Pool};
use tokio_postgres::NoTls;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{Runs, Subject};
use crate::queue::{BoxError, Step};
use crate::server::Database;

pub(super) const ELSEWHERE: Subject = Subject {
    name: "by hand",
    open: |database, callers| open(database, callers, false),
    note: "began and done are written together; 4 statements, 4 commits",
};

pub(super) const LOCAL: Subject = Subject {
    name: "by hand",
    open: |database, callers| open(database, callers, true),
    note: "each step is begin, insert, line, commit",
};

/// At most so many. By pgbench, 64 wrote 1.2 times as many of its lines a second
/// as 32, and 90 fewer again; 64 is most of what a server allows by default.
pub(super) const CONNECTIONS: usize = 32;

/// A row of the user's, of each step that is in the database of the saga.
pub(super) const EFFECT: &str = "INSERT INTO ledger (saga, step) VALUES ($1, $2)";

pub(super) const SCHEMA: &str = "
CREATE TABLE lease (
    bucket smallint PRIMARY KEY,
    epoch bigint NOT NULL,
    owner text NOT NULL,
    until timestamptz NOT NULL
);
INSERT INTO lease SELECT n, 1, 'me', now() + interval '1 hour' FROM generate_series(0, 63) n;
CREATE TABLE saga (
    id uuid PRIMARY KEY,
    bucket smallint NOT NULL,
    name text NOT NULL,
    input bytea NOT NULL,
    stage text NOT NULL DEFAULT 'running',
    result bytea,
    started timestamptz NOT NULL DEFAULT now(),
    ended timestamptz
);
CREATE INDEX saga_running ON saga (bucket) WHERE ended IS NULL;
CREATE TABLE saga_event (
    saga uuid NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    step text NOT NULL,
    data bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (saga, seq)
);
CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    saga uuid NOT NULL,
    step text NOT NULL
);
";

/// Before each of the others: no row of it if the lease is another's. Locked,
/// since who only looks commits later than it has looked.
macro_rules! held {
    ($statement:literal) => {
        concat!(
            "WITH held AS MATERIALIZED (
                SELECT FROM lease
                WHERE bucket = $2 AND epoch = $3 AND owner = $4 AND until > clock_timestamp()
                FOR SHARE
            )",
            $statement
        )
    };
}

const BEGIN: &str = held!(
    ", begun AS (
        INSERT INTO saga (id, bucket, name, input) SELECT $1, $2, 'three', $5 FROM held
    )
    INSERT INTO saga_event (saga, seq, kind, step, data) SELECT $1, 1, 'began', 'a', '' FROM held"
);
const NEXT: &str = held!(
    "INSERT INTO saga_event (saga, seq, kind, step, data)
    SELECT $1, l.* FROM held,
        (VALUES ($5::int8, 'done', $6::text, $7::bytea), ($5 + 1, 'began', $8::text, '')) l"
);
const END: &str = held!(
    ", ended AS (
        UPDATE saga SET stage = 'done', result = $7, ended = now() FROM held WHERE id = $1
    )
    INSERT INTO saga_event (saga, seq, kind, step, data) SELECT $1, $5, 'done', $6, $7 FROM held"
);

/// The same, where what a step does commits with its line.
const BEGIN_LOCAL: &str =
    held!("INSERT INTO saga (id, bucket, name, input) SELECT $1, $2, 'three', $5 FROM held");
const DONE_LOCAL: &str = held!(
    "INSERT INTO saga_event (saga, seq, kind, step, data) SELECT $1, $5, 'done', $6, $7 FROM held"
);

struct ByHand {
    pool: Pool,
    is_local: bool,
}

fn open(database: Database, callers: usize, is_local: bool) -> Step<'static, Arc<dyn Runs>> {
    Box::pin(async move {
        database.connect().await?.batch_execute(SCHEMA).await?;
        let manager = Manager::new(database.url.parse()?, NoTls);
        let pool = Pool::builder(manager).max_size(callers.min(CONNECTIONS));
        let pool = pool.build()?;
        Ok(Arc::new(ByHand { pool, is_local }) as Arc<dyn Runs>)
    })
}

impl Runs for ByHand {
    fn turn(&self) -> Step<'_, ()> {
        let saga = SagaId::unique();
        let bucket = i16::try_from(saga.bucket().0).expect("there are 64");
        match self.is_local {
            true => Box::pin(self.local(saga.0, bucket)),
            false => Box::pin(self.elsewhere(saga.0, bucket)),
        }
    }
}

const NULL: &[u8] = b"null";

impl ByHand {
    async fn elsewhere(&self, saga: Uuid, bucket: i16) -> Result<(), BoxError> {
        self.write(BEGIN, &[&saga, &bucket, &1i64, &"me", &NULL], 1)
            .await?;
        for (seq, step, next) in [(2i64, "a", "b"), (4, "b", "c")] {
            let params: [&(dyn ToSql + Sync); 8] =
                [&saga, &bucket, &1i64, &"me", &seq, &step, &NULL, &next];
            self.write(NEXT, &params, 2).await?;
        }
        let params: [&(dyn ToSql + Sync); 7] = [&saga, &bucket, &1i64, &"me", &6i64, &"c", &NULL];
        self.write(END, &params, 1).await
    }

    /// A statement that is a transaction.
    async fn write(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        lines: u64,
    ) -> Result<(), BoxError> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql).await?;
        unfenced(client.execute(&statement, params).await?, lines)
    }

    async fn local(&self, saga: Uuid, bucket: i16) -> Result<(), BoxError> {
        self.write(BEGIN_LOCAL, &[&saga, &bucket, &1i64, &"me", &NULL], 1)
            .await?;
        for (seq, step) in [(1i64, "a"), (2, "b"), (3, "c")] {
            let mut client = self.pool.get().await?;
            let tx = client.transaction().await?;
            let effect = tx.prepare_cached(EFFECT).await?;
            tx.execute(&effect, &[&saga, &step]).await?;
            let line = if seq == 3 { END } else { DONE_LOCAL };
            let line = tx.prepare_cached(line).await?;
            let params: [&(dyn ToSql + Sync); 7] =
                [&saga, &bucket, &1i64, &"me", &seq, &step, &NULL];
            unfenced(tx.execute(&line, &params).await?, 1)?;
            tx.commit().await?;
        }
        Ok(())
    }
}

fn unfenced(written: u64, lines: u64) -> Result<(), BoxError> {
    match written == lines {
        true => Ok(()),
        false => Err("the lease is another's".into()),
    }
}
