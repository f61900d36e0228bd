//! The outbox and sagas on PostgreSQL, beside what one would write by hand and
//! beside job queues of other people.
//!
//! A workspace of its own: sqlxmq and underway need sqlx 0.8, whose lock file
//! has a libsqlite3-sys that no lock file can have together with our rusqlite's.
//!
//! | Section | A unit of it |
//! |---|---|
//! | `enqueue` | one row, in transactions that hold 1, 100 and 1000, by 1 and 4 connections |
//! | `dequeue` | one row of a backlog, until it is deleted and none is left |
//! | `latency` | one row into an idle queue, until its reader has it |
//! | `xmin` | one row out, before and while a session holds a snapshot |
//! | `blocked` | one row out, without and with many behind one blocked key |
//! | `sagas` | one saga of three steps, by 1, 16 and 256 callers at once |
//!
//! All cases of a section take turns in each round, each in a database of its
//! own that is dropped afterwards, and ratios are medians of those within
//! rounds. Each message has 200 bytes and, unless said, a key of its own.
//!
//! A saga's steps do nothing, elsewhere; or each inserts a row in the saga's own
//! database. `by hand` writes the same lines at the same points, each under a
//! lease, and none together with another saga's; `floor:bare lines` writes those
//! of all callers in four commits, and asks nothing.
//!
//! Not shown: what happens when a worker dies. The floors lose nothing and
//! repeat nothing only because none does; the peers keep attempts, times and
//! priorities, which are a part of what they cost. Nor sagas that wait, fail or
//! are taken over, which the log by hand could not do. The client and the server
//! share the processors.

mod blocked;
mod dequeue;
mod enqueue;
mod floors;
mod graphile;
mod latency;
mod options;
mod ours;
mod progress;
mod queue;
mod report;
mod rounds;
mod sagas;
mod server;
mod sqlxmq;
mod subjects;
mod underway;
mod xmin;

use std::process::ExitCode;

use options::Options;
use queue::BoxError;
use server::Server;

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ran = runtime
        .map_err(BoxError::from)
        .and_then(|runtime| runtime.block_on(bench(&options)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(options: &Options) -> Result<(), BoxError> {
    let server = Server::find();
    server.print_settings().await?;
    let commit = server
        .in_fresh_database(|database| async move { database.one_commit(200).await })
        .await?;
    println!("one commit of one row: {commit:?} (median)");
    for section in options.sections() {
        match section {
            "enqueue" => enqueue::bench(&server, options).await?,
            "dequeue" => dequeue::bench(&server, options).await?,
            "latency" => latency::bench(&server, options).await?,
            "xmin" => xmin::bench(&server, options).await?,
            "blocked" => blocked::bench(&server, options).await?,
            _ => sagas::bench(&server, options).await?,
        }
    }
    Ok(())
}
