//! A session that holds a snapshot: the rows that were deleted since then stay,
//! and whoever reads from the front reads all of them.

use std::time::{Duration, Instant};

use crate::options::Options;
use crate::progress::Progress;
use crate::queue::{BoxError, Queue, Work, rows};
use crate::report::Table;
use crate::rounds::{Case, take_turns};
use crate::server::{Database, Server};
use crate::subjects::HELD_XMIN;

/// What is drained to measure how fast it goes.
const MEASURED: usize = 20_000;

/// What goes through the queue in a second while the snapshot is held.
const RATE: usize = 5_000;
const EVERY: Duration = Duration::from_millis(20);

const HOW: Work = Work::Drain {
    batch: 500,
    clients: 1,
};

pub(crate) async fn bench(server: &Server, options: &Options) -> Result<(), BoxError> {
    let held = if options.quick { 5 } else { 30 };
    let held = Duration::from_secs(held);
    let cases: Vec<Case> = HELD_XMIN
        .iter()
        .map(|&subject| {
            let server = server.clone();
            Case {
                group: format!("{} s, {RATE} rows/s:", held.as_secs()),
                name: subject.name.to_owned(),
                note: subject.note.to_owned(),
                floor: None,
                run: Box::new(move || {
                    server.turn(subject, move |database, queue| async move {
                        slowed(&database, queue.as_ref(), held).await
                    })
                }),
            }
        })
        .collect();
    let figures = take_turns(options.rounds(1, 3), options.filter.as_deref(), &cases).await?;
    let table = Table {
        title: "a session holds xmin",
        columns: &["slowdown", "rows/s before", "rows/s held", "rows/s after"],
        ratio: "",
    };
    table.print(&cases, &figures);
    Ok(())
}

async fn slowed(
    database: &Database,
    queue: &dyn Queue,
    held: Duration,
) -> Result<Vec<f64>, BoxError> {
    let before = rate(database, queue).await?;
    let holder = database.connect().await?;
    holder
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current_snapshot()")
        .await?;
    churn(queue, held).await?;
    let during = rate(database, queue).await?;
    holder.batch_execute("COMMIT").await?;
    let after = rate(database, queue).await?;
    Ok(vec![before / during, before, during, after])
}

/// Writes at the rate and handles what it can of it.
async fn churn(queue: &dyn Queue, held: Duration) -> Result<(), BoxError> {
    let running = queue.work(HOW, Progress::default().seen()).await?;
    let mut producer = queue.producer().await?;
    let batch = RATE * EVERY.as_millis() as usize / 1000;
    let began = Instant::now();
    let mut ticks = tokio::time::interval(EVERY);
    let mut written = 0;
    while began.elapsed() < held {
        ticks.tick().await;
        producer.commit(&rows(written, batch)).await?;
        written += batch;
    }
    running.stop().await
}

/// Rows a second out of the queue, of those that are left in it and some more.
async fn rate(database: &Database, queue: &dyn Queue) -> Result<f64, BoxError> {
    queue.prefill(rows(0, MEASURED)).await?;
    database.settle().await?;
    let progress = Progress::default();
    let running = queue.work(HOW, progress.seen()).await?;
    let began = Instant::now();
    progress.reaches(MEASURED).await?;
    while !queue.emptied().await? {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    running.stop().await?;
    Ok(progress.handled() as f64 / took.as_secs_f64())
}
