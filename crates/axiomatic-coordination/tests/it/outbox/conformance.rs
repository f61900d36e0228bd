//! The store in memory and the publisher in the process meet the suites, and
//! the suites find those who do not.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::outbox::conformance::{
    PublisherSubject, Received, StoreSubject, publishes, stores,
};
use axiomatic_coordination::outbox::{
    InProcess, Keep, MemoryOutbox, Message, Subscriber, in_process,
};
use axiomatic_core::BoxError;
use axiomatic_core::time::{Clock, ManualClock};

struct InMemory(ManualClock, Mutex<Option<Memory>>);

impl StoreSubject for InMemory {
    type Store = MemoryOutbox;

    async fn fresh(&self, keep: Keep) -> MemoryOutbox {
        let memory = Memory::with_clock(Clock::Manual(self.0.clone()));
        let outbox = MemoryOutbox::new(&memory).keeping(keep);
        *self.1.lock().unwrap() = Some(memory);
        outbox
    }

    async fn commit(&self, _: &MemoryOutbox, messages: Vec<Message>) -> Result<(), BoxError> {
        self.enqueue(messages, Ok(()))
    }

    async fn roll_back(&self, _: &MemoryOutbox, messages: Vec<Message>) {
        let rolled_back = self.enqueue(messages, Err("rolled back"));
        assert!(rolled_back.is_err());
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

impl InMemory {
    fn enqueue(&self, messages: Vec<Message>, end: Result<(), &str>) -> Result<(), BoxError> {
        let memory = self.1.lock().unwrap().clone().unwrap();
        let done = memory.transact(|tx| {
            for message in messages {
                tx.enqueue(message);
            }
            end
        });
        done.map_err(|error| error.to_string().into())
    }
}

#[tokio::test]
async fn the_store_in_memory_does_what_stores_do() {
    stores(&InMemory(ManualClock::new(), Mutex::default())).await;
}

/// Its consumer acks all, and keeps it.
#[derive(Default)]
struct InThisProcess(Arc<Mutex<Vec<Received>>>);

async fn consume(mut subscriber: Subscriber, kept: Arc<Mutex<Vec<Received>>>) {
    while let Some(delivery) = subscriber.next().await {
        let envelope = delivery.envelope();
        let headers = envelope.headers();
        let headers: HashMap<_, _> = headers
            .map(|(name, value)| (name.into(), value.into_owned().into()))
            .collect();
        kept.lock().unwrap().push(Received {
            id: envelope.id(),
            key: envelope.key().map(Into::into),
            body: envelope.body().clone(),
            headers,
        });
        delivery.ack();
    }
}

impl PublisherSubject for InThisProcess {
    type Publisher = InProcess;

    async fn fresh(&self) -> (InProcess, Box<str>) {
        self.0.lock().unwrap().clear();
        let (publisher, subscriber) = in_process(3);
        tokio::spawn(consume(subscriber, self.0.clone()));
        (publisher, "topic".into())
    }

    async fn received(&self, _: &InProcess, count: usize) -> Vec<Received> {
        loop {
            let received = self.0.lock().unwrap().clone();
            let different: HashSet<_> = received.iter().map(|received| received.id).collect();
            if different.len() >= count {
                return received;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn the_publisher_in_the_process_does_what_publishers_do() {
    publishes(&InThisProcess::default()).await;
}
