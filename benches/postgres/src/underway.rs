//! underway 0.2: a job is a task with attempts, and each task is taken, locked,
//! run and marked in transactions of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Acquire, PgPool, Postgres, Transaction};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use underway::{Queue as Tasks, Task, Worker};

use crate::queue::{Producer, Queue, Row, Running, Seen, Step, Subject, Work};

pub(crate) const UNDERWAY: Subject = Subject {
    name: "underway",
    open: |database| {
        Box::pin(async move {
            let pool = PgPoolOptions::new()
                .max_connections(CONNECTIONS)
                .connect(&database.url)
                .await?;
            // Its future is `Send` for no compiler; a thread of its own needs not
            // be told.
            let (runtime, migrated) = (Handle::current(), pool.clone());
            let migrate = move || runtime.block_on(underway::run_migrations(&migrated));
            tokio::task::spawn_blocking(migrate).await??;
            let tasks = Tasks::builder()
                .name("orders")
                .pool(pool.clone())
                .build()
                .await?;
            Ok(Box::new(Underway {
                pool,
                tasks: Arc::new(tasks),
            }) as Box<dyn Queue>)
        })
    },
    part: 50,
    note: "enqueue_multi; 8 at once",
};

/// Of 4, 8 and 20 the fastest, on two processors.
const AT_ONCE: usize = 8;

/// Two for each task: one for its transaction, one for its heartbeat.
const CONNECTIONS: u32 = 2 * AT_ONCE as u32;

struct Underway {
    pool: PgPool,
    tasks: Arc<Tasks<Order>>,
}

#[derive(Serialize, Deserialize)]
struct Input {
    key: String,
    body: String,
}

struct Order(Option<Seen>);

impl Task for Order {
    type Input = Input;
    type Output = ();

    async fn execute(
        &self,
        _tx: Transaction<'_, Postgres>,
        _input: Input,
    ) -> underway::task::Result<()> {
        if let Some(seen) = &self.0 {
            seen(1);
        }
        Ok(())
    }
}

impl Queue for Underway {
    fn producer(&self) -> Step<'_, Box<dyn Producer>> {
        Box::pin(async {
            Ok(Box::new(UnderwayProducer {
                connection: self.pool.acquire().await?,
                tasks: self.tasks.clone(),
            }) as Box<dyn Producer>)
        })
    }

    fn work(&self, how: Work, seen: Seen) -> Step<'_, Running> {
        Box::pin(async move {
            let worker = Worker::new(self.tasks.clone(), Order(Some(seen)));
            let mut workers = JoinSet::new();
            match how {
                // "As many workers as we might like", says its documentation.
                // On a backlog of which nobody notifies, its `run` starts one
                // loop around this method a minute, whatever its limit.
                Work::Drain { .. } => {
                    for _ in 0..AT_ONCE {
                        let worker = worker.clone();
                        workers.spawn(async move {
                            while worker.process_next_task().await?.is_some() {}
                            Ok(())
                        });
                    }
                }
                Work::Wait => {
                    workers.spawn(async move { worker.run().await });
                }
            }
            Ok(Running::until(async move {
                workers.abort_all();
                while let Some(ended) = workers.join_next().await {
                    match ended {
                        Err(error) if error.is_cancelled() => {}
                        ended => ended?.map_err(|error: underway::worker::Error| error)?,
                    }
                }
                Ok(())
            }))
        })
    }

    fn emptied(&self) -> Step<'_, bool> {
        Box::pin(async {
            let left = "SELECT NOT EXISTS (SELECT FROM underway.task
                 WHERE state IN ('pending', 'in_progress'))";
            Ok(sqlx::query_scalar(left).fetch_one(&self.pool).await?)
        })
    }
}

struct UnderwayProducer {
    connection: sqlx::pool::PoolConnection<Postgres>,
    tasks: Arc<Tasks<Order>>,
}

impl Producer for UnderwayProducer {
    fn commit<'a>(&'a mut self, rows: &'a [Row]) -> Step<'a, ()> {
        Box::pin(async move {
            let inputs: Vec<Input> = rows
                .iter()
                .map(|row| Input {
                    key: row.key.clone(),
                    body: row.body.clone(),
                })
                .collect();
            let mut tx = self.connection.begin().await?;
            match inputs.as_slice() {
                [input] => drop(self.tasks.enqueue(&mut *tx, &Order(None), input).await?),
                inputs => {
                    self.tasks
                        .enqueue_multi(&mut *tx, &Order(None), inputs)
                        .await?;
                }
            }
            tx.commit().await?;
            Ok(())
        })
    }
}
