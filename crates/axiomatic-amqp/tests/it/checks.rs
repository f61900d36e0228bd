//! What is found out before anything is published.

use axiomatic_amqp::lapin::ExchangeKind;
use axiomatic_amqp::lapin::types::AMQPValue;
use axiomatic_amqp::outbox::{
    Caveat, CheckError, Losses, Queue, RabbitMq, Requirements, Route, Unfit, WhenFull,
};

use crate::support::Shared;

async fn refused(publisher: &RabbitMq, requirements: &Requirements) -> CheckError {
    publisher
        .check(requirements)
        .await
        .expect_err("it will not do")
}

#[tokio::test]
async fn what_was_made_as_required_is_as_required() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.publisher().await;
    let dead = Route::new("", "dead");
    let queue = Queue::quorum(shared.name())
        .bound(Route::new(shared.name(), "#"))
        .replicas(1)
        .delivery_limit(7)
        .dead_letters(dead)
        .at_most(10, WhenFull::RejectPublish);
    let requirements = Requirements::new()
        .exchange(shared.name(), ExchangeKind::Topic)
        .queue(queue);
    for _ in 0..2 {
        publisher.ensure(&requirements).await.expect("it is made");
        let reports = publisher.check(&requirements).await.expect("it will do");
        assert_eq!(&*reports[0].queue, shared.name());
        assert_eq!(reports[0].caveats, [Caveat::RefusesWhenFull]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_found_out_and_not_made() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.publisher().await;
    let exchange = Requirements::new().exchange(shared.name(), ExchangeKind::Topic);
    let queue = Requirements::new().queue(Queue::quorum(shared.name()));
    for _ in 0..2 {
        let missing = refused(&publisher, &exchange).await;
        assert!(
            matches!(missing, CheckError::NoExchange { .. }),
            "{missing}"
        );
        let missing = refused(&publisher, &queue).await;
        assert!(matches!(missing, CheckError::NoQueue { .. }), "{missing}");
    }
}

#[tokio::test]
async fn what_is_not_as_required_is_found_out_as_far_as_the_server_compares() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.ready().await;
    let name = shared.name();
    let queue = |queue: Queue| Requirements::new().queue(queue);
    let allowed = Requirements::new().losses(Losses::Allow);
    for (what, other) in [
        (
            "type",
            allowed.queue(Queue::classic(name).delivery_limit(10)),
        ),
        (
            "x-max-length",
            queue(
                Queue::quorum(name)
                    .delivery_limit(10)
                    .at_most(1, WhenFull::RejectPublish),
            ),
        ),
        (
            "x-dead-letter-exchange",
            queue(
                Queue::quorum(name)
                    .delivery_limit(10)
                    .dead_letters(Route::new("", "dead")),
            ),
        ),
        (
            "type",
            Requirements::new().exchange(name, ExchangeKind::Direct),
        ),
    ] {
        let different = refused(&publisher, &other).await;
        let CheckError::Different(why) = &different else {
            panic!("{different:?}");
        };
        assert!(why.contains(what), "{what}: {why}");
    }
    // RabbitMQ 3.10 does not compare this, which the essay says.
    for limit in [
        queue(Queue::quorum(name)),
        queue(Queue::quorum(name).delivery_limit(11)),
    ] {
        println!("LIMIT {:?}", publisher.check(&limit).await);
    }
}

#[tokio::test]
async fn a_queue_that_loses_what_it_confirmed_is_refused_unless_allowed() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.publisher().await;
    shared
        .queue(&[("x-queue-type", AMQPValue::LongString("classic".into()))])
        .await;
    let classic = Requirements::new().queue(Queue::classic(shared.name()));
    let unfit = refused(&publisher, &classic).await;
    let CheckError::Unfit { why, .. } = &unfit else {
        panic!("{unfit:?}");
    };
    assert_eq!(*why, [Unfit::Classic]);
    let allowed = classic.losses(Losses::Allow);
    publisher.check(&allowed).await.expect("it will do");
}
