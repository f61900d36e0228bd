//! The suite for publishers.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::conformance::{PublisherSubject, Received, publishes};
use axiomatic_nats::inbox::Arrival;
use axiomatic_nats::outbox::JetStream;

use crate::support::{Shared, contents};

#[derive(Default)]
struct Nats(Mutex<Vec<Shared>>);

impl PublisherSubject for Nats {
    type Publisher = JetStream;

    async fn fresh(&self) -> (JetStream, Box<str>) {
        let shared = Shared::find().await.expect("it was there before");
        shared.stream(|_| {}).await;
        let publisher = shared.publisher();
        self.0.lock().unwrap().push(shared);
        (publisher, "orders".into())
    }

    async fn received(&self, _: &JetStream, count: usize) -> Vec<Received> {
        let (context, name) = {
            let streams = self.0.lock().unwrap();
            let last = streams.last().expect("there is one");
            (last.context.clone(), last.name().to_owned())
        };
        let stream = context.get_stream(name).await.expect("a stream");
        loop {
            let messages = contents(&stream).await.into_iter();
            let received: Vec<_> = messages
                .map(|message| {
                    let message = async_nats::jetstream::Message {
                        message,
                        context: context.clone(),
                    };
                    received(&Arrival::of(&message))
                })
                .collect();
            let different: HashSet<_> = received.iter().map(|received| received.id).collect();
            if different.len() >= count {
                return received;
            }
        }
    }
}

fn received(arrival: &Arrival) -> Received {
    let delivery = arrival.delivery();
    let id: MessageId = delivery.broker_id().expect("an id").parse().expect("ours");
    let headers = delivery.headers();
    Received {
        id,
        key: delivery.key().map(Into::into),
        body: delivery.body().clone(),
        headers: headers
            .map(|(name, value)| (name.into(), value.into()))
            .collect::<HashMap<_, _>>(),
    }
}

#[tokio::test]
async fn jetstream_does_what_publishers_do() {
    let Some(_) = Shared::find().await else {
        return;
    };
    publishes(&Nats::default()).await;
}
