//! In: transactions that hold nothing but messages.

use std::time::Instant;

use tokio::task::JoinSet;

use crate::options::Options;
use crate::queue::{BoxError, Queue, rows};
use crate::report::Table;
use crate::rounds::{Case, take_turns};
use crate::server::{Database, Server};
use crate::subjects::ENQUEUE;

#[derive(Copy, Clone)]
struct Shape {
    /// Messages a transaction.
    batch: usize,
    /// Connections at once.
    clients: usize,
    messages: usize,
}

pub(crate) async fn bench(server: &Server, options: &Options) -> Result<(), BoxError> {
    let times = if options.quick { 1 } else { 4 };
    let mut cases = Vec::new();
    for (batch, messages) in [(1, 400), (100, 10_000), (1000, 20_000)] {
        for clients in [1, 4] {
            let floor = cases.len();
            for (at, &subject) in ENQUEUE.iter().enumerate() {
                // One by one, a commit is most of it, and nobody is slow.
                let part = if batch == 1 { 1 } else { subject.part.min(10) };
                let shape = Shape {
                    batch,
                    clients,
                    messages: (times * messages / part).max(batch * clients),
                };
                let server = server.clone();
                cases.push(Case {
                    group: format!("{batch} a commit, {clients} at once:"),
                    name: subject.name.to_owned(),
                    note: subject.note.to_owned(),
                    floor: (at > 0).then_some(floor),
                    run: Box::new(move || {
                        server.turn(subject, move |database, queue| one(database, queue, shape))
                    }),
                });
            }
        }
    }
    let figures = take_turns(options.rounds(3, 5), options.filter.as_deref(), &cases).await?;
    let table = Table {
        title: "enqueue",
        columns: &["rows/s"],
        ratio: "to bare",
    };
    table.print(&cases, &figures);
    Ok(())
}

async fn one(
    database: Database,
    queue: Box<dyn Queue>,
    shape: Shape,
) -> Result<Vec<f64>, BoxError> {
    let each = (shape.messages / shape.clients / shape.batch).max(1) * shape.batch;
    let mut producers = Vec::new();
    for client in 0..shape.clients {
        let mut producer = queue.producer().await?;
        let own = rows(client * each, each);
        // Statements are prepared and caches warm before the time runs.
        let warm = rows(shape.clients * each + client * shape.batch, shape.batch);
        producer.commit(&warm).await?;
        producers.push((producer, own));
    }
    database.settle().await?;
    let began = Instant::now();
    let mut writing = JoinSet::new();
    for (mut producer, own) in producers {
        writing.spawn(async move {
            for batch in own.chunks(shape.batch) {
                producer.commit(batch).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(written) = writing.join_next().await {
        written??;
    }
    let took = began.elapsed().as_secs_f64();
    Ok(vec![(each * shape.clients) as f64 / took])
}
