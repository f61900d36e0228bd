//! An idle queue, and one message: how long until somebody has it in hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::floors::BARE;
use crate::options::Options;
use crate::queue::{BoxError, Queue, Work, rows};
use crate::report::Table;
use crate::rounds::{Case, median, take_turns};
use crate::server::Server;
use crate::subjects::LATENCY;

/// Whoever does not wake up for a notification polls, and the slowest of those
/// polls once a minute.
const FOR_EVER: Duration = Duration::from_secs(90);

/// Between two messages, so that the queue is idle again.
const IDLE: Duration = Duration::from_millis(20);

pub(crate) async fn bench(server: &Server, options: &Options) -> Result<(), BoxError> {
    let messages = if options.quick { 50 } else { 200 };
    let commits = {
        let server = server.clone();
        Case {
            group: "one message:".to_owned(),
            name: "floor:bare, the commit alone".to_owned(),
            note: "begin, insert, commit, and nobody waits for it".to_owned(),
            floor: None,
            run: Box::new(move || {
                server.turn(BARE, move |_, queue| async move {
                    let commit = commits(queue.as_ref(), messages).await?;
                    Ok(vec![commit, commit, 0.0, 1.0])
                })
            }),
        }
    };
    let mut cases = vec![commits];
    for &subject in LATENCY {
        let server = server.clone();
        cases.push(Case {
            group: "one message:".to_owned(),
            name: subject.name.to_owned(),
            note: subject.note.to_owned(),
            floor: Some(0),
            run: Box::new(move || {
                server.turn(subject, move |_, queue| async move {
                    seen(queue.as_ref(), messages).await
                })
            }),
        });
    }
    let figures = take_turns(options.rounds(3, 5), options.filter.as_deref(), &cases).await?;
    let table = Table {
        title: "latency when idle, p50",
        columns: &[
            "begin-seen ms",
            "its commit ms",
            "commit-seen ms",
            "of its commit",
        ],
        ratio: "to commit",
    };
    table.print(&cases, &figures);
    println!("a message can be seen before its writer knows that it has committed");
    Ok(())
}

/// The median time of a commit of one message, in milliseconds.
async fn commits(queue: &dyn Queue, messages: usize) -> Result<f64, BoxError> {
    let mut producer = queue.producer().await?;
    let mut took = Vec::with_capacity(messages);
    for row in rows(0, messages) {
        tokio::time::sleep(IDLE).await;
        let began = Instant::now();
        producer.commit(std::slice::from_ref(&row)).await?;
        took.push(milliseconds(began.elapsed()));
    }
    Ok(median(took))
}

/// The median times from the begin to the message in hand, of its commit, and
/// from that to the message in hand; and the first in units of the second.
async fn seen(queue: &dyn Queue, messages: usize) -> Result<Vec<f64>, BoxError> {
    let mut producer = queue.producer().await?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let running = queue
        .work(
            Work::Wait,
            Arc::new(move |_| {
                let _ = tell.send(Instant::now());
            }),
        )
        .await?;
    let (mut whole, mut commit, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for (n, row) in rows(0, messages + 1).into_iter().enumerate() {
        tokio::time::sleep(IDLE).await;
        let began = Instant::now();
        producer.commit(std::slice::from_ref(&row)).await?;
        let committed = began.elapsed();
        let in_hand = tokio::time::timeout(FOR_EVER, told.recv()).await?;
        let in_hand = in_hand.ok_or("the worker ended")?.duration_since(began);
        // The first one finds a worker that is still connecting.
        if n > 0 {
            whole.push(milliseconds(in_hand));
            commit.push(milliseconds(committed));
            after.push(milliseconds(in_hand) - milliseconds(committed));
        }
    }
    running.stop().await?;
    let (whole, commit) = (median(whole), median(commit));
    Ok(vec![whole, commit, median(after), whole / commit])
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
