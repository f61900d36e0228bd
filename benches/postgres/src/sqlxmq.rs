//! sqlxmq 0.6: two rows a message, statements in stored procedures, a message
//! at a time in, batches out, completed one by one.
//!
//! Its migrations are read from its package, by `build.rs`.

use sqlx::postgres::PgPoolOptions;
use sqlx::{Acquire, PgPool, Postgres};
use sqlxmq::{CurrentJob, JobRegistry};

use crate::queue::{BoxError, Producer, Queue, Row, Running, Seen, Step, Subject, Work};

pub(crate) const SQLXMQ: Subject = Subject {
    name: "sqlxmq",
    open: |database| {
        Box::pin(async move {
            let client = database.connect().await?;
            for migration in MIGRATIONS {
                client.batch_execute(migration).await?;
            }
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .connect(&database.url)
                .await?;
            Ok(Box::new(Sqlxmq { pool }) as Box<dyn Queue>)
        })
    },
    // Its poll looks at every message that is ready.
    part: 10,
    note: "spawn in a loop, it has no bulk; 20 at once",
};

const MIGRATIONS: &[&str] = include!(concat!(env!("OUT_DIR"), "/sqlxmq_migrations.rs"));

/// One for each message at work, one that polls, and one that listens.
const CONNECTIONS: u32 = 22;

struct Sqlxmq {
    pool: PgPool,
}

#[derive(Clone)]
struct Told(Seen);

#[sqlxmq::job(channel_name = "orders")]
async fn order(mut job: CurrentJob, told: Told) -> Result<(), BoxError> {
    (told.0)(1);
    job.complete().await?;
    Ok(())
}

impl Queue for Sqlxmq {
    fn producer(&self) -> Step<'_, Box<dyn Producer>> {
        Box::pin(async {
            let connection = self.pool.acquire().await?;
            Ok(Box::new(SqlxmqProducer { connection }) as Box<dyn Producer>)
        })
    }

    fn work(&self, _how: Work, seen: Seen) -> Step<'_, Running> {
        Box::pin(async move {
            let mut registry = JobRegistry::new(&[order]);
            registry.set_context(Told(seen));
            let mut runner = registry
                .runner(&self.pool)
                // The example of its documentation: "aim to keep 10-20 jobs
                // running at a time". 20-40, 1-40 and 35-40 were not faster.
                .set_concurrency(10, 20)
                // "Whilst they're still running": these are done before that.
                .set_keep_alive(false)
                .run()
                .await?;
            Ok(Running::until(async move {
                runner.stop().await;
                Ok(())
            }))
        })
    }

    fn emptied(&self) -> Step<'_, bool> {
        Box::pin(async {
            let left = "SELECT NOT EXISTS (SELECT FROM mq_msgs WHERE id <> uuid_nil())";
            Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
        })
    }
}

struct SqlxmqProducer {
    connection: sqlx::pool::PoolConnection<Postgres>,
}

impl Producer for SqlxmqProducer {
    fn commit<'a>(&'a mut self, rows: &'a [Row]) -> Step<'a, ()> {
        Box::pin(async move {
            let mut tx = self.connection.begin().await?;
            for row in rows {
                order
                    .builder()
                    .set_raw_bytes(row.body.as_bytes())
                    .spawn(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(())
        })
    }
}
