//! One key whose first message cannot be handled, and many behind it: what the
//! others pay for it.

use std::time::{Duration, Instant};

use crate::options::Options;
use crate::progress::Progress;
use crate::queue::{BoxError, Queue, Work, row};
use crate::report::Table;
use crate::rounds::{Case, take_turns};
use crate::server::{Database, Server};
use crate::subjects::BLOCKED_KEY;

const BEHIND: usize = 100_000;
const OTHERS: usize = 40_000;
const KEYS: usize = 10_000;

const HOW: Work = Work::Drain {
    batch: 100,
    clients: 1,
};

pub(crate) async fn bench(server: &Server, options: &Options) -> Result<(), BoxError> {
    let at_most = if options.quick { 3 } else { 10 };
    let at_most = Duration::from_secs(at_most);
    let mut cases = Vec::new();
    for &subject in BLOCKED_KEY {
        let free = cases.len();
        for behind in [0, BEHIND] {
            let server = server.clone();
            cases.push(Case {
                group: subject.name.to_owned(),
                name: format!("{behind} blocked"),
                note: subject.note.to_owned(),
                floor: (behind > 0).then_some(free),
                run: Box::new(move || {
                    server.turn(subject, move |database, queue| async move {
                        others(&database, queue.as_ref(), behind, at_most).await
                    })
                }),
            });
        }
    }
    let figures = take_turns(options.rounds(3, 5), options.filter.as_deref(), &cases).await?;
    let table = Table {
        title: "behind one blocked key",
        columns: &["others/s"],
        ratio: "to free",
    };
    table.print(&cases, &figures);
    println!(
        "{OTHERS} others of {KEYS} keys, for at most {} s",
        at_most.as_secs()
    );
    Ok(())
}

async fn others(
    database: &Database,
    queue: &dyn Queue,
    behind: usize,
    at_most: Duration,
) -> Result<Vec<f64>, BoxError> {
    if behind > 0 {
        queue.block(behind).await?;
    }
    let others = (0..OTHERS).map(|n| row(n, format!("order-{}", n % KEYS)));
    queue.prefill(others.collect()).await?;
    database.settle().await?;
    let progress = Progress::default();
    let running = queue.work(HOW, progress.seen()).await?;
    let began = Instant::now();
    // Whether the time or the messages end first, what is compared is a rate.
    let _ = tokio::time::timeout(at_most, progress.reaches(OTHERS)).await;
    let (handled, took) = (progress.handled(), began.elapsed());
    running.stop().await?;
    Ok(vec![handled as f64 / took.as_secs_f64()])
}
