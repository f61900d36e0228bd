//! What is measured, as the rounds see it: our own queue is one more file that
//! implements this, and one more line in `subjects.rs`.

use std::fmt;
use std::sync::Arc;

use axiomatic_coordination::outbox::Message;
use futures::future::BoxFuture;
use uuid::Uuid;

use crate::server::Database;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// In a box, since the queues take turns behind one trait; each is a trip to the
/// server, beside which that is nothing.
pub(crate) type Step<'a, T> = BoxFuture<'a, Result<T, BoxError>>;

/// Bytes of a message.
pub(crate) const BODY: usize = 200;
pub(crate) const TOPIC: &str = "orders";

/// A queue in a database of its own, which nobody else uses.
pub(crate) trait Queue: Send + Sync {
    /// A connection that writes.
    fn producer(&self) -> Step<'_, Box<dyn Producer>>;

    /// Starts whatever handles messages, connected, and says of each handled
    /// message that it was.
    fn work(&self, how: Work, seen: Seen) -> Step<'_, Running>;

    /// Whether no message is left.
    fn emptied(&self) -> Step<'_, bool>;

    /// Writes that many messages of as many keys, as fast as it goes.
    fn prefill(&self, rows: Vec<Row>) -> Step<'_, ()> {
        Box::pin(async move {
            let mut producer = self.producer().await?;
            for batch in rows.chunks(1000) {
                producer.commit(batch).await?;
            }
            Ok(())
        })
    }

    /// Writes that many messages of one key, of which none can be handled.
    fn block(&self, _rows: usize) -> Step<'_, ()> {
        Box::pin(async { Err("has no keys that can be blocked".into()) })
    }
}

pub(crate) trait Producer: Send {
    /// One transaction of the user's, with these messages in it: begin, the
    /// messages, commit.
    fn commit<'a>(&'a mut self, rows: &'a [Row]) -> Step<'a, ()>;
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Work {
    /// A backlog is there: as fast as it goes. Peers that have no such
    /// settings use those that their documentation has for throughput.
    Drain { batch: usize, clients: usize },
    /// Nothing is there: as soon as something is.
    Wait,
}

/// Told how many messages were handled.
pub(crate) type Seen = Arc<dyn Fn(usize) + Send + Sync>;

/// What handles messages until it is stopped.
pub(crate) struct Running(BoxFuture<'static, Result<(), BoxError>>);

impl Running {
    /// `stop` ends it and waits for the end.
    pub(crate) fn until(
        stop: impl Future<Output = Result<(), BoxError>> + Send + 'static,
    ) -> Running {
        Running(Box::pin(stop))
    }

    pub(crate) async fn stop(self) -> Result<(), BoxError> {
        self.0.await
    }
}

/// A queue that takes turns with the others.
#[derive(Copy, Clone)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Makes its schema in the database.
    pub(crate) open: fn(Database) -> Step<'static, Box<dyn Queue>>,
    /// It gets this part of the messages that the others get, or the rounds
    /// would be all its own. It is none the worse for it: a backlog costs.
    pub(crate) part: usize,
    /// For the table.
    pub(crate) note: &'static str,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Of its key, as our outbox hashes it.
    pub(crate) lane: i64,
    pub(crate) id: Uuid,
    pub(crate) key: String,
    pub(crate) body: String,
}

/// That many messages, whose keys are distinct.
pub(crate) fn rows(first: usize, many: usize) -> Vec<Row> {
    (first..first + many)
        .map(|n| row(n, format!("order-{n}")))
        .collect()
}

/// A message of that key. Its body is text, for those who store only JSON.
pub(crate) fn row(n: usize, key: String) -> Row {
    let lane = Message::new(TOPIC, Vec::new()).keyed(key.clone()).lane();
    Row {
        lane: lane.to_stored(),
        id: Uuid::now_v7(),
        key,
        body: format!("{n:0BODY$}"),
    }
}
