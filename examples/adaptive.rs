//! A limit that finds a capacity, twice moved.
//!
//! Where this is going: a search service has ten workers, 20 ms a query. It is
//! sent 2,000 queries a second, four times what it can do, so what counts is what
//! is let in: too little leaves workers idle, too much queues. After 20 seconds
//! it has thirty workers, after 40 it has eight, and nobody says so to the limit
//! in front of it. The plot shows what it makes of that. Time is tokio's, and
//! paused, so that a minute passes at once and each run is the same.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use axiomatic_capacity::adaptive::{AdaptiveLimit, Bounds, Config, Seeker};
use axiomatic_core::Rejected;
use axiomatic_core::time::Clock;
use axiomatic_sim::{Chart, Color, Panel, Random, ServiceTime};
use clap::Parser;
use tokio::sync::Semaphore;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};

/// From which second on there are so many workers.
const STAGES: [(u64, usize); 3] = [(0, 10), (20, 30), (40, 8)];
const END: u64 = 60;
/// This many in each millisecond, which is as finely as timers ring.
const A_MILLISECOND: usize = 2;
const QUERY: ServiceTime = ServiceTime::LogNormal {
    median: Duration::from_micros(18_500),
    p99: Duration::from_millis(45),
};
/// What they take on average, about.
const MEAN_MILLIS: u64 = 20;

/// A limit that finds a capacity, as a plot here and as a picture.
#[derive(Parser)]
struct Arguments {
    /// Where to write the picture.
    #[arg(long, value_name = "FILE", default_value = "target/adaptive.svg")]
    svg: PathBuf,
}

/// Workers, and a line in front of them that has no end.
#[derive(Clone)]
struct Search {
    workers: Rc<Semaphore>,
    random: Rc<RefCell<Random>>,
    served: Rc<Cell<Served>>,
}

/// Queries that were answered since somebody looked, and what they took.
#[derive(Clone, Copy, Default)]
struct Served {
    queries: u64,
    took: Duration,
}

impl Service<()> for Search {
    type Response = ();
    type Error = Rejected;
    type Future = Pin<Box<dyn Future<Output = Result<(), Rejected>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let search = self.clone();
        Box::pin(async move {
            let came = Instant::now();
            let _worker = search.workers.acquire().await;
            let takes = QUERY.draw(&mut search.random.borrow_mut());
            sleep(takes.unwrap_or_default()).await;
            let served = search.served.get();
            search.served.set(Served {
                queries: served.queries + 1,
                took: served.took + came.elapsed(),
            });
            Ok(())
        })
    }
}

/// A second.
struct Row {
    workers: usize,
    limit: u32,
    why: &'static str,
    served: u64,
    /// On average, in milliseconds.
    took: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let algorithm = Seeker::config(1).within(Bounds::between(1, 500)).build()?;
    let limit = Config::new(algorithm)
        .named("search")
        .clock(Clock::Source(|| Instant::now().into()))
        .build()?;
    let rows = LocalSet::new().block_on(&runtime, a_minute(limit.clone()));

    println!("second  limit (#), workers (|)                                  served   took");
    for (second, row) in rows.iter().enumerate().step_by(2) {
        let mut bar: Vec<char> = vec!['#'; row.limit.min(50) as usize];
        bar.resize(51, ' ');
        bar[row.workers] = '|';
        let bar: String = bar.iter().collect();
        let Row {
            served, took, why, ..
        } = row;
        println!("{second:>6}  {bar} {served:>5}/s {took:>3} ms  {why}");
    }
    println!("\n{}", limit.snapshot());

    if let Some(folder) = arguments.svg.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&arguments.svg, picture(&rows).to_string())?;
    println!("the picture: {}", arguments.svg.display());

    for (stage, (from, workers)) in STAGES.into_iter().enumerate() {
        let until = STAGES.get(stage + 1).map_or(END, |next| next.0);
        // What it makes of it in the second half of the stage.
        let settled = &rows[(from + until) as usize / 2..until as usize];
        let seconds = settled.len() as u64;
        let could = workers as u64 * 1_000 / MEAN_MILLIS;
        let served = settled.iter().map(|row| row.served).sum::<u64>() / seconds;
        let took = settled.iter().map(|row| row.took).sum::<u64>() / seconds;
        println!("{workers:>2} workers: {served} of {could} a second, in {took} ms on average");
        assert!(served * 10 >= could * 9, "it leaves workers idle");
        assert!(took <= 2 * MEAN_MILLIS, "it lets a queue stand");
    }
    Ok(())
}

/// Sends queries, moves the capacity, and looks every second.
async fn a_minute(limit: AdaptiveLimit) -> Vec<Row> {
    let search = Search {
        workers: Rc::new(Semaphore::new(0)),
        random: Rc::new(RefCell::new(Random::new(7))),
        served: Rc::default(),
    };
    let service = limit.layer().with_error::<Rejected>().layer(search.clone());
    let users = spawn_local(async move {
        loop {
            for _ in 0..A_MILLISECOND {
                let query = service.clone().oneshot(());
                // What is refused is refused: its user is served a shorter list.
                spawn_local(async move { query.await.is_ok() });
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    let mut rows = Vec::new();
    let mut workers = 0;
    for second in 0..END {
        if let Some((_, now)) = STAGES.iter().find(|(from, _)| *from == second) {
            search.workers.add_permits(now.saturating_sub(workers));
            let mut gone = workers.saturating_sub(*now);
            while gone > 0 {
                // Those that are at work finish first.
                if let Ok(worker) = search.workers.acquire().await {
                    worker.forget();
                }
                gone -= 1;
            }
            workers = *now;
            search.served.take();
        }
        let began = Instant::now();
        sleep(Duration::from_secs(1)).await;
        let Served { queries, took } = search.served.take();
        let snapshot = limit.snapshot();
        rows.push(Row {
            workers,
            limit: snapshot.limit(),
            why: snapshot.why().as_str(),
            served: queries * 1_000 / (began.elapsed().as_millis() as u64).max(1),
            took: took.as_millis() as u64 / queries.max(1),
        });
    }
    users.abort();
    rows
}

fn picture(rows: &[Row]) -> Chart {
    let each = |value: fn(&Row) -> u64| rows.iter().map(value).collect::<Vec<_>>();
    Chart::new(
        "A limit finds a capacity",
        "calls at a time",
        Duration::from_secs(1),
    )
    .panel(
        Panel::new("2,000 queries a second, 20 ms each")
            .area("limit", Color::Blue, each(|row| u64::from(row.limit)))
            .line("workers", Color::Ink, each(|row| row.workers as u64)),
    )
}
