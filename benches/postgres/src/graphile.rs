//! graphile_worker 0.14: a job is a row of JSON, workers fetch into a local
//! queue and complete in batches.

use std::sync::Arc;
use std::time::Duration;

use graphile_worker::tokio_postgres::TokioPostgresDatabase;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions,
    WorkerUtils,
};
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use crate::queue::{Producer, Queue, Row, Running, Seen, Step, Subject, Work};
use crate::server::Database;

pub(crate) const GRAPHILE: Subject = Subject {
    name: "graphile_worker",
    open: |database| {
        Box::pin(async move {
            let pool = TokioPostgresDatabase::from_url(&database.url, CONNECTIONS)?;
            let utils = WorkerUtils::new(pool, SCHEMA);
            utils.migrate().await?;
            Ok(Box::new(Graphile { database, utils }) as Box<dyn Queue>)
        })
    },
    part: 1,
    note: "add_jobs; local queues 4 x 1250, 500 at once, completed in batches",
};

const SCHEMA: &str = "graphile_worker";

/// Its own bench has 100; the server has only so many for everybody.
const CONNECTIONS: usize = 20;

struct Graphile {
    database: Database,
    utils: WorkerUtils,
}

#[derive(Clone, Serialize, Deserialize)]
struct Job {
    key: String,
    body: String,
}

#[derive(Clone)]
struct Told(Seen);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl TaskHandler for Job {
    const IDENTIFIER: &'static str = "order";

    async fn run(self, ctx: WorkerContext) -> impl IntoTaskHandlerResult {
        if let Some(told) = ctx.get_ext::<Told>() {
            (told.0)(1);
        }
        Ok::<(), String>(())
    }
}

impl Queue for Graphile {
    fn producer(&self) -> Step<'_, Box<dyn Producer>> {
        Box::pin(async {
            Ok(Box::new(GraphileProducer {
                client: self.database.connect().await?,
                utils: self.utils.clone(),
            }) as Box<dyn Producer>)
        })
    }

    fn work(&self, how: Work, seen: Seen) -> Step<'_, Running> {
        Box::pin(async move {
            let options = WorkerOptions::default()
                .database(TokioPostgresDatabase::from_url(
                    &self.database.url,
                    CONNECTIONS,
                )?)
                .schema(SCHEMA)
                .listen_os_shutdown_signals(false)
                .add_extension(Told(seen))
                .define_job::<Job>();
            let options = match how {
                // Its own benches/perf_test.rs, which drains a backlog, with the
                // local queue parted as the docs of `LocalQueueConfig::size`
                // part it. Of six settings the fastest here; what
                // docs/src/configuration/worker-options.md calls
                // "throughput-oriented" (a local queue of 100, 16 at once) was
                // slower, and four queues of 1250 faster than one of 5000.
                Work::Drain { .. } => options
                    .concurrency(500)
                    .poll_interval(Duration::from_millis(5))
                    .complete_job_batch_delay(Duration::from_millis(5))
                    .local_queue(
                        LocalQueueConfig::default()
                            .with_size(1_250)
                            .with_queue_count(4),
                    ),
                // "Trading latency for throughput", say the docs of the local
                // queue; so without. It listens by default.
                Work::Wait => options.concurrency(4),
            };
            let worker = Arc::new(options.init().await?);
            let running = tokio::spawn({
                let worker = worker.clone();
                async move { worker.run().await }
            });
            Ok(Running::until(async move {
                worker.request_shutdown();
                running.await??;
                Ok(())
            }))
        })
    }

    fn emptied(&self) -> Step<'_, bool> {
        Box::pin(async {
            let client = self.database.connect().await?;
            let row = client
                .query_one(
                    "SELECT NOT EXISTS (SELECT FROM graphile_worker._private_jobs)",
                    &[],
                )
                .await?;
            Ok(row.get(0))
        })
    }
}

struct GraphileProducer {
    client: Client,
    utils: WorkerUtils,
}

impl Producer for GraphileProducer {
    fn commit<'a>(&'a mut self, rows: &'a [Row]) -> Step<'a, ()> {
        Box::pin(async move {
            let job = |row: &Row| Job {
                key: row.key.clone(),
                body: row.body.clone(),
            };
            let spec = JobSpec::default();
            let tx = self.client.transaction().await?;
            let mut utils = self.utils.clone().with_executor(&tx);
            match rows {
                [row] => drop(utils.add_job(job(row), spec).await?),
                rows => {
                    let jobs: Vec<_> = rows.iter().map(|row| (job(row), &spec)).collect();
                    utils.add_jobs(&jobs).await?;
                }
            }
            drop(utils);
            tx.commit().await?;
            Ok(())
        })
    }
}
