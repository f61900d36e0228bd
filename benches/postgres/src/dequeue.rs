//! Out: a backlog, until nothing is left of it.

use std::time::{Duration, Instant};

use crate::options::Options;
use crate::progress::Progress;
use crate::queue::{BoxError, Queue, Subject, Work, rows};
use crate::report::Table;
use crate::rounds::{Case, take_turns};
use crate::server::Server;
use crate::subjects::{DEQUEUE, DEQUEUE_ALONE};

/// The floor of those with settings of their own: 500 at once, one client.
const COMPARED: Work = Work::Drain {
    batch: 500,
    clients: 1,
};

pub(crate) async fn bench(server: &Server, options: &Options) -> Result<(), BoxError> {
    let messages = if options.quick { 50_000 } else { 200_000 };
    let mut cases = Vec::new();
    let mut compared = 0;
    for clients in [1, 4] {
        for batch in [100, 500, 1000] {
            let floor = cases.len();
            if (batch, clients) == (500, 1) {
                compared = floor;
            }
            for (at, &subject) in DEQUEUE.iter().enumerate() {
                let how = Work::Drain { batch, clients };
                let group = format!("{batch} a batch, {clients} at once:");
                let floor = (at > 0).then_some(floor);
                cases.push(case(server, subject, how, messages, group, floor));
            }
        }
    }
    for &subject in DEQUEUE_ALONE {
        let group = "settings of its own:".to_owned();
        let floor = Some(compared);
        cases.push(case(server, subject, COMPARED, messages, group, floor));
    }
    let figures = take_turns(options.rounds(3, 5), options.filter.as_deref(), &cases).await?;
    let table = Table {
        title: "dequeue a backlog",
        columns: &["rows/s"],
        ratio: "to bare",
    };
    table.print(&cases, &figures);
    println!("settings of their own are compared with bare, 500 a batch, one client");
    Ok(())
}

fn case(
    server: &Server,
    subject: Subject,
    how: Work,
    messages: usize,
    group: String,
    floor: Option<usize>,
) -> Case {
    let server = server.clone();
    let messages = messages / subject.part;
    Case {
        group,
        name: subject.name.to_owned(),
        note: format!("of {messages} rows; {}", subject.note),
        floor,
        run: Box::new(move || {
            server.turn(subject, move |database, queue| async move {
                queue.prefill(rows(0, messages)).await?;
                database.settle().await?;
                let took = drain(queue.as_ref(), how, messages).await?;
                Ok(vec![messages as f64 / took.as_secs_f64()])
            })
        }),
    }
}

/// The time until so many were handled and none is left.
async fn drain(queue: &dyn Queue, how: Work, messages: usize) -> Result<Duration, BoxError> {
    let progress = Progress::default();
    let running = queue.work(how, progress.seen()).await?;
    let began = Instant::now();
    progress.reaches(messages).await?;
    // Handled is not yet deleted.
    while !queue.emptied().await? {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    running.stop().await?;
    if progress.handled() != messages {
        return Err(format!("{} of {messages} were handled", progress.handled()).into());
    }
    Ok(took)
}
