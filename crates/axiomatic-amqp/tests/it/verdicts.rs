//! Each verdict, brought about by a real server.

use axiomatic_amqp::lapin::types::AMQPValue;
use axiomatic_amqp::outbox::{Config, RabbitMq, Route, Routes};
use axiomatic_coordination::outbox::{Class, Envelope, Message, Publisher, Verdict};

use crate::support::{Shared, envelope, envelopes, id, sent};

fn class(verdict: &Verdict) -> Class {
    match verdict {
        Verdict::Rejected { class, .. } => *class,
        other => panic!("{other:?} is no refusal"),
    }
}

async fn classes(publisher: &RabbitMq, messages: &[Envelope]) -> Vec<Class> {
    let verdicts = publisher.publish(messages).await;
    verdicts.iter().map(class).collect()
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// By the default exchange, to the queue of the shared name.
fn to_queue(shared: &Shared) -> impl Fn(u128) -> Envelope {
    let name = shared.name().to_owned();
    move |n| envelope(&name, n)
}

async fn by_default(shared: &Shared) -> RabbitMq {
    let routes = Routes::by(|message| Route::new("", message.topic()));
    shared.routing(routes).await
}

#[tokio::test]
async fn a_message_that_is_published_again_is_stored_again_and_that_is_success() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.ready().await;
    let messages = envelopes("orders", 3);
    for _ in 0..2 {
        let verdicts = publisher.publish(&messages).await;
        assert_eq!(verdicts, [const { Verdict::Acked }; 3]);
    }
    assert_eq!(shared.take(|taken| taken.len() == 6).await.len(), 6);
}

#[tokio::test]
async fn a_message_without_a_queue_is_unroutable_though_it_is_acknowledged() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.ready().await;
    let name = shared.name().to_owned();
    let both = Routes::by(move |message| match message.topic() {
        "nowhere" => Route::new("amq.direct", format!("{name}.nowhere")),
        _ => Route::new("amq.direct", &*name),
    });
    drop(publisher);
    let bound = shared.channel.queue_bind(
        shared.name().into(),
        "amq.direct".into(),
        shared.name().into(),
        Default::default(),
        Default::default(),
    );
    bound.await.expect("it is bound");
    let publisher = shared.routing(both).await;
    // One exchange, so one channel: returns and confirms are mixed.
    for _ in 0..10 {
        let messages: Vec<_> = (0..200)
            .map(|n| envelope(if n % 3 == 0 { "nowhere" } else { "orders" }, n))
            .collect();
        let verdicts = publisher.publish(&messages).await;
        for (message, verdict) in messages.iter().zip(&verdicts) {
            match message.topic() {
                "nowhere" => assert_eq!(class(verdict), Class::Unroutable),
                _ => assert_eq!(*verdict, Verdict::Acked),
            }
        }
    }
    let there = 10 * (0..200).filter(|n| n % 3 != 0).count();
    assert_eq!(shared.take(|taken| taken.len() == there).await.len(), there);
}

#[tokio::test]
async fn an_exchange_that_is_not_there_is_unroutable_and_harms_no_other() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    shared.ready().await;
    let name = shared.name().to_owned();
    let routes = Routes::by(move |message| match message.topic() {
        "missing" => Route::new(format!("{name}.missing"), ""),
        topic => Route::new(&*name, topic),
    });
    let publisher = shared.routing(routes).await;
    for _ in 0..3 {
        let messages = [
            envelope("missing", 1),
            envelope("orders", 2),
            envelope("missing", 3),
            envelope("orders", 4),
        ];
        let verdicts = publisher.publish(&messages).await;
        for at in [0, 2] {
            assert_eq!(class(&verdicts[at]), Class::Unroutable);
        }
        for at in [1, 3] {
            assert_eq!(verdicts[at], Verdict::Acked);
        }
    }
}

#[tokio::test]
async fn a_full_queue_that_rejects_refuses_for_now() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    for kind in ["classic", "quorum"] {
        let shared = shared.another().await;
        shared
            .queue(&[
                ("x-queue-type", text(kind)),
                ("x-max-length", AMQPValue::LongLongInt(1)),
                ("x-overflow", text("reject-publish")),
            ])
            .await;
        let publisher = by_default(&shared).await;
        let to = to_queue(&shared);
        let mut number = 0;
        // A quorum queue takes some more before it rejects.
        let refused = loop {
            number += 1;
            assert!(number < 10_000, "it is never full");
            match &publisher.publish(&[to(number)]).await[..] {
                [Verdict::Acked] => {}
                other => break other.to_vec(),
            }
        };
        assert_eq!(class(&refused[0]), Class::Transient);
        shared.purge().await;
        let again = async || publisher.publish(&[to(number)]).await == [Verdict::Acked];
        crate::support::until("it takes messages again", again).await;
    }
}

#[tokio::test]
async fn a_full_queue_that_drops_its_head_has_acknowledged_what_it_lost() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    for kind in ["classic", "quorum"] {
        let shared = shared.another().await;
        shared
            .queue(&[
                ("x-queue-type", text(kind)),
                ("x-max-length", AMQPValue::LongLongInt(1)),
                ("x-overflow", text("drop-head")),
            ])
            .await;
        let publisher = by_default(&shared).await;
        let to = to_queue(&shared);
        for n in 0..5 {
            assert_eq!(publisher.publish(&[to(n)]).await, [Verdict::Acked]);
        }
        let left = shared.take(|taken| !taken.is_empty()).await;
        assert_eq!(id(&left[0]), to(4).id(), "{kind}");
    }
}

#[tokio::test]
async fn a_body_of_more_than_is_configured_is_too_large() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    shared.ready().await;
    let publisher = shared.publishing(Config::new().largest(10)).await;
    let of = |bytes| sent(Message::new("orders", vec![b'x'; bytes]));
    let verdicts = publisher.publish(&[of(10), of(11), of(10)]).await;
    assert_eq!(class(&verdicts[1]), Class::TooLarge);
    assert_eq!([&verdicts[0], &verdicts[2]], [&Verdict::Acked; 2]);
}

#[tokio::test]
async fn a_body_of_many_frames_and_one_of_none_are_there_as_they_were() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.ready().await;
    let bodies = [vec![], vec![b'x'; 131_064], vec![b'y'; 3_000_000]];
    let of = |body: &Vec<u8>| sent(Message::new("orders", body.clone()));
    let messages: Vec<_> = bodies.iter().map(of).collect();
    let verdicts = publisher.publish(&messages).await;
    assert_eq!(verdicts, [const { Verdict::Acked }; 3]);
    let mut taken = shared.take(|taken| taken.len() == 3).await;
    taken.sort_by_key(|delivery| delivery.data.len());
    for (delivery, body) in taken.iter().zip(&bodies) {
        assert!(delivery.data == *body, "of {} bytes", body.len());
    }
}

#[tokio::test]
async fn what_amqp_cannot_carry_is_refused_and_harms_no_other() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.ready().await;
    let good = |n| envelope("orders", n);
    let with = |name: &str, value: &str| sent(Message::new("orders", "").with_header(name, value));
    let large = "x".repeat(200_000);
    let cases = [
        (with(&"x".repeat(256), ""), Class::Permanent),
        (with("CC", "another"), Class::Permanent),
        (with("BCC", "another"), Class::Permanent),
        (with("x-death", "never"), Class::Permanent),
        (sent(Message::new("x".repeat(256), "")), Class::Permanent),
        (with("large", &large), Class::TooLarge),
        (
            sent(Message::new("orders", "").keyed(large)),
            Class::TooLarge,
        ),
    ];
    let mut messages = vec![good(1)];
    messages.extend(cases.iter().map(|(message, _)| message.clone()));
    messages.push(good(2));
    // Almost the largest: the frame's estimate is on the safe side.
    let almost = with("large", &"x".repeat(130_800));
    messages.push(almost);
    let verdicts = publisher.publish(&messages).await;
    let (first, refused) = (&verdicts[0], &verdicts[1..=cases.len()]);
    assert_eq!(*first, Verdict::Acked);
    for (verdict, (_, expected)) in refused.iter().zip(&cases) {
        assert_eq!(class(verdict), *expected, "{verdict:?}");
    }
    let last = &verdicts[cases.len() + 1..];
    assert_eq!(last, [const { Verdict::Acked }; 2]);
    assert_eq!(publisher.snapshot().opened, 1, "the connection is the same");
    assert_eq!(shared.take(|taken| taken.len() == 3).await.len(), 3);
    assert_eq!(
        classes(&publisher, &[cases[0].0.clone()]).await,
        [Class::Permanent]
    );
}
