//! Ours: an executor over the store in PostgreSQL, which has all buckets.

use std::sync::Arc;
use std::time::Duration;

use axiomatic_coordination::saga::{
    Builder, Config, Context, Ended, Executor, Plans, Saga, SagaId,
};
use axiomatic_postgres::saga::Sagas;
use axiomatic_postgres::{Database as Connections, Options};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;

use super::by_hand::{CONNECTIONS, EFFECT};
use super::{Runs, Subject};
use crate::queue::{BoxError, Step};
use crate::server::Database;

pub(super) const ELSEWHERE: Subject = Subject {
    name: "ours",
    open: |database, _| open(database, Options::new(), elsewhere),
    note: "4 connections",
};

/// With as many connections as the log by hand: each step has one of its own.
pub(super) const LOCAL: Subject = Subject {
    name: "ours",
    open: |database, callers| {
        // Two are left to everything else.
        let connections = callers.min(CONNECTIONS) + 2;
        open(database, Options::new().connections(connections), local)
    },
    note: "what the step does is parsed each time",
};

type Three = Saga<Sagas, (), ()>;

/// Steps that do nothing.
fn elsewhere() -> Result<Three, BoxError> {
    let mut saga = Builder::<Sagas, ()>::new("three", 1);
    let mut last = saga.input();
    for name in ["a", "b", "c"] {
        let step = saga.step(name, last, |_, ()| async { Ok(()) });
        last = step.compensate_with(|_, (), _| async { Ok(()) });
    }
    Ok(saga.build()?)
}

/// Steps that insert a row.
fn local() -> Result<Three, BoxError> {
    let mut saga = Builder::<Sagas, ()>::new("three", 1);
    let mut last = saga.input();
    for name in ["a", "b", "c"] {
        let insert = Sagas::local(move |tx, context: &Context, ()| {
            Box::pin(async move {
                let (id, step) = (context.saga().0, context.step());
                tx.execute_typed(EFFECT, &[(&id, Type::UUID), (&step, Type::TEXT)])
                    .await?;
                Ok(())
            })
        });
        last = saga.local_step(name, last, insert).without_undo();
    }
    Ok(saga.build()?)
}

struct Ours {
    executor: Executor<Sagas>,
    saga: Three,
    running: JoinHandle<()>,
}

fn open(
    database: Database,
    options: Options,
    saga: fn() -> Result<Three, BoxError>,
) -> Step<'static, Arc<dyn Runs>> {
    Box::pin(async move {
        let schema = "CREATE TABLE ledger (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, saga uuid NOT NULL, step text NOT NULL
        )";
        database.connect().await?.batch_execute(schema).await?;
        let store = Sagas::new(&Connections::new(&database.url, options)?).await?;
        let saga = saga()?;
        let executor = Executor::new(store, Plans::new().with(&saga), Config::new())?;
        let running = executor.clone();
        let running = tokio::spawn(async move {
            if let Err(error) = running.run(std::future::pending()).await {
                eprintln!("the executor ended: {error}");
            }
        });
        let ours = Ours {
            executor,
            saga,
            running,
        };
        while ours.executor.snapshot().buckets < 64 {
            if ours.running.is_finished() {
                return Err("the executor has no buckets".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Arc::new(ours) as Arc<dyn Runs>)
    })
}

impl Runs for Ours {
    fn turn(&self) -> Step<'_, ()> {
        Box::pin(async {
            let ended = self.executor.execute(&self.saga, SagaId::unique(), &());
            match ended.await? {
                Ended::Done(()) => Ok(()),
                other => Err(format!("a saga is {other:?}").into()),
            }
        })
    }
}

impl Drop for Ours {
    /// Before its database is.
    fn drop(&mut self) {
        self.running.abort();
    }
}
