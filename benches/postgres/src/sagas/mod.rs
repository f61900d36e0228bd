//! Sagas of three steps, by so many callers at once: ours beside a log that one
//! writes by hand, and beside the bare lines of it.

mod bare;
mod by_hand;
mod ours;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_postgres::Client;

use crate::options::Options;
use crate::queue::{BoxError, Step};
use crate::report::Table;
use crate::rounds::{Case, Figures, median, take_turns};
use crate::server::{Database, Server};

/// What runs sagas in a database of its own.
trait Runs: Send + Sync {
    /// How many sagas one turn of it is.
    fn a_turn(&self) -> usize {
        1
    }

    /// From the beginning to the end.
    fn turn(&self) -> Step<'_, ()>;
}

#[derive(Copy, Clone)]
struct Subject {
    name: &'static str,
    /// Makes its tables, for that many callers.
    open: fn(Database, usize) -> Step<'static, Arc<dyn Runs>>,
    note: &'static str,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Of each group the second is what the others are compared with.
const SUBJECTS: [&[Subject]; 2] = [
    &[bare::LINES, by_hand::ELSEWHERE, ours::ELSEWHERE],
    &[bare::LOCAL_LINES, by_hand::LOCAL, ours::LOCAL],
];
const HAND: usize = 1;
const OURS: usize = 2;

const CALLERS: [usize; 3] = [1, 16, 256];

pub(crate) async fn bench(server: &Server, options: &Options) -> Result<(), BoxError> {
    let times = if options.quick { 1 } else { 4 };
    let mut cases = Vec::new();
    let mut goals = Vec::new();
    for (callers, sagas) in CALLERS.into_iter().zip([100, 800, 5_120]) {
        for (subjects, steps) in SUBJECTS.into_iter().zip(["elsewhere", "in its database"]) {
            let group = format!("{callers} at once, steps {steps}:");
            let first = cases.len();
            goals.push((group.clone(), callers, first));
            for (at, &subject) in subjects.iter().enumerate() {
                let server = server.clone();
                cases.push(Case {
                    group: group.clone(),
                    name: subject.name.to_owned(),
                    note: subject.note.to_owned(),
                    floor: (at != HAND).then_some(first + HAND),
                    run: Box::new(move || {
                        let server = server.clone();
                        Box::pin(async move {
                            let one =
                                move |database| one(database, subject, callers, times * sagas);
                            server.in_fresh_database(one).await
                        })
                    }),
                });
            }
        }
    }
    let figures = take_turns(options.rounds(3, 5), options.filter.as_deref(), &cases).await?;
    let table = Table {
        title: "sagas of three steps",
        columns: &["sagas/s", "commits/saga", "WAL B/saga"],
        ratio: "to hand",
    };
    table.print(&cases, &figures);
    println!("commits and WAL are of the whole server: of one that nobody else uses");
    for (group, callers, first) in goals {
        let (hand, ours) = (&figures[first + HAND], &figures[first + OURS]);
        if hand.is_empty() || ours.is_empty() {
            continue;
        }
        goal(
            &format!("{group} sagas/s to hand"),
            ratio(ours, hand),
            |it| it >= 1.0,
            "at least",
        );
        if callers == CALLERS[2] {
            let commits = median(ours.iter().map(|figures| figures[1]));
            goal(
                &format!("{group} commits a saga"),
                commits,
                |it| it < 1.0,
                "less than",
            );
        }
    }
    Ok(())
}

fn ratio(of: &Figures, to: &Figures) -> f64 {
    median(of.iter().zip(to).map(|(of, to)| of[0] / to[0]))
}

/// All goals are of one.
fn goal(what: &str, reached: f64, is_met: fn(f64) -> bool, how: &str) {
    let met = if is_met(reached) { "met" } else { "missed" };
    println!("goal {what}: {reached:.2} of {how} 1.00, {met}");
}

async fn one(
    database: Database,
    subject: Subject,
    callers: usize,
    sagas: usize,
) -> Result<Vec<f64>, BoxError> {
    let runs = (subject.open)(database.clone(), callers).await?;
    // Connections are made, and statements prepared, before the time runs.
    run(&runs, callers, 2 * callers).await?;
    database.settle().await?;
    let client = database.connect().await?;
    let before = written(&client).await?;
    let began = Instant::now();
    run(&runs, callers, sagas).await?;
    let took = began.elapsed().as_secs_f64();
    let after = written(&client).await?;
    let sagas = sagas as f64;
    Ok(vec![
        sagas / took,
        (after.0 - before.0) / sagas,
        (after.1 - before.1) / sagas,
    ])
}

/// That many sagas by callers of which each has one after the other.
async fn run(runs: &Arc<dyn Runs>, callers: usize, sagas: usize) -> Result<(), BoxError> {
    let a_turn = runs.a_turn();
    let left = Arc::new(AtomicUsize::new(sagas / a_turn));
    let mut calling = JoinSet::new();
    for _ in 0..callers / a_turn {
        let (runs, left) = (runs.clone(), left.clone());
        calling.spawn(async move {
            let next = || {
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
            };
            while next().is_ok() {
                runs.turn().await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(called) = calling.join_next().await {
        called??;
    }
    Ok(())
}

/// How many transactions have written something, and how many bytes of WAL
/// there are. What a session tells its statistics comes a second late.
async fn written(client: &Client) -> Result<(f64, f64), BoxError> {
    let row = client
        .query_one(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::float8,
                    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8",
            &[],
        )
        .await?;
    Ok((row.get(0), row.get(1)))
}
