//! The suite for publishers.

use std::collections::HashSet;
use std::sync::Mutex;

use axiomatic_amqp::lapin::message::Delivery;
use axiomatic_amqp::lapin::types::AMQPValue;
use axiomatic_amqp::outbox::{KEY, RabbitMq};
use axiomatic_coordination::outbox::conformance::{PublisherSubject, Received, publishes};

use crate::support::{Shared, id, take};

#[derive(Default)]
struct Rabbit(Mutex<Vec<Shared>>);

impl PublisherSubject for Rabbit {
    type Publisher = RabbitMq;

    async fn fresh(&self) -> (RabbitMq, Box<str>) {
        let shared = Shared::find().await.expect("it was there before");
        let publisher = shared.ready().await;
        self.0.lock().unwrap().push(shared);
        (publisher, "orders".into())
    }

    async fn received(&self, _: &RabbitMq, count: usize) -> Vec<Received> {
        let (channel, name) = {
            let all = self.0.lock().unwrap();
            let last = all.last().expect("there is one");
            (last.channel.clone(), last.name().to_owned())
        };
        let are_enough = |taken: &[Delivery]| {
            let different: HashSet<_> = taken.iter().map(id).collect();
            different.len() >= count
        };
        let taken = take(&channel, &name, are_enough).await;
        taken.iter().map(received).collect()
    }
}

fn received(delivery: &Delivery) -> Received {
    let headers = delivery.properties.headers().as_ref().expect("it has some");
    let headers = headers.inner().iter().map(|(name, value)| {
        let AMQPValue::LongString(value) = value else {
            panic!("{name} is no text: {value:?}");
        };
        (name.as_str().into(), value.to_string().into())
    });
    let headers: std::collections::HashMap<Box<str>, Box<str>> = headers.collect();
    Received {
        id: id(delivery),
        key: headers.get(KEY).cloned(),
        body: delivery.data.clone().into(),
        headers,
    }
}

#[tokio::test]
async fn rabbitmq_does_what_publishers_do() {
    let Some(_) = Shared::find().await else {
        return;
    };
    publishes(&Rabbit::default()).await;
}
