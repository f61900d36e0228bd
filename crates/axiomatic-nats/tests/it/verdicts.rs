//! Each verdict, brought about by a real server.

use std::time::Duration;

use async_nats::jetstream::stream::DiscardPolicy;
use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::{Class, Envelope, Message, Publisher, Verdict};
use axiomatic_nats::outbox::{Config, JetStream};
use futures::StreamExt;

use crate::support::{Shared, contents, count, envelope, envelopes, sent};

fn class(verdict: &Verdict) -> Class {
    match verdict {
        Verdict::Rejected { class, .. } => *class,
        other => panic!("{other:?} is no refusal"),
    }
}

async fn classes(publisher: &JetStream, messages: &[Envelope]) -> Vec<Class> {
    publisher
        .publish(messages)
        .await
        .iter()
        .map(class)
        .collect()
}

#[tokio::test]
async fn a_message_that_is_published_again_is_a_duplicate_and_that_is_success() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let publisher = shared.publisher();
    let messages = envelopes("orders", 3);
    assert_eq!(
        publisher.publish(&messages).await,
        [const { Verdict::Acked }; 3]
    );
    let again = publisher.publish(&messages).await;
    assert_eq!(again, [const { Verdict::Duplicate }; 3]);
    assert_eq!(count(&stream).await, 3);
}

#[tokio::test]
async fn a_message_without_a_stream_is_unroutable() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let publisher = shared.publisher();
    let messages = [envelope("a", 1), envelope("b", 2), envelope("a", 3)];
    assert_eq!(classes(&publisher, &messages).await, [Class::Unroutable; 3]);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_as_that() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|stream| stream.max_message_size = 1000).await;
    let publisher = shared.publisher();
    let of = |bytes: usize| sent(Message::new("orders", vec![b'x'; bytes]));
    let server = shared.context.client().max_payload();
    let long = "x".repeat(70_000);
    let messages = [
        of(2_000),
        of(server + 1),
        sent(Message::new("orders", "").with_header("long", long)),
    ];
    assert_eq!(classes(&publisher, &messages).await, [Class::TooLarge; 3]);
    assert_eq!(publisher.publish(&[of(10)]).await, [Verdict::Acked]);
    assert_eq!(count(&stream).await, 1);
}

#[tokio::test]
async fn a_full_stream_refuses_for_now() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared
        .stream(|stream| {
            stream.max_messages = 1;
            stream.discard = DiscardPolicy::New;
        })
        .await;
    let publisher = shared.publisher();
    assert_eq!(
        publisher.publish(&[envelope("a", 1)]).await,
        [Verdict::Acked]
    );
    let second = [envelope("a", 2)];
    assert_eq!(classes(&publisher, &second).await, [Class::Transient]);
    stream.purge().await.expect("it empties");
    assert_eq!(publisher.publish(&second).await, [Verdict::Acked]);
}

#[tokio::test]
async fn a_stream_full_of_bytes_refuses_for_now() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    shared
        .stream(|stream| {
            stream.max_bytes = 1_000;
            stream.discard = DiscardPolicy::New;
        })
        .await;
    let publisher = shared.publisher();
    let of = |n| sent(Message::new("a", vec![b'x'; 600]).with_id(MessageId::from_u128(n)));
    assert_eq!(publisher.publish(&[of(1)]).await, [Verdict::Acked]);
    assert_eq!(classes(&publisher, &[of(2)]).await, [Class::Transient]);
}

#[tokio::test]
async fn a_sealed_stream_never_takes_a_message() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|_| {}).await;
    let mut config = stream.cached_info().config.clone();
    config.sealed = true;
    shared
        .context
        .update_stream(config)
        .await
        .expect("it is sealed");
    let publisher = shared.publisher();
    let messages = [envelope("a", 1)];
    assert_eq!(classes(&publisher, &messages).await, [Class::Permanent]);
}

#[tokio::test]
async fn what_nats_cannot_carry_is_refused_and_harms_no_other() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let stream = shared.stream(|stream| stream.allow_rollup = true).await;
    // The topics are the subjects.
    let publisher = JetStream::new(shared.context.clone(), Config::new()).expect("it can work");
    let subject = shared.subject("orders");
    let good = |n| envelope(&subject, n);
    let to = |topic: &str| sent(Message::new(topic, "body"));
    let with = |name: &str, value: &str| sent(Message::new(&*subject, "").with_header(name, value));
    let messages = [
        good(1),
        to(&format!("{subject}\r\nPUB {subject} 1\r\nx\r\n")),
        to(&format!("{subject} x")),
        to(&shared.subject("*")),
        to(&shared.subject(">")),
        to(&shared.subject(&"x".repeat(5_000))),
        to(""),
        to(&format!("$JS.API.STREAM.DELETE.{}", shared.name())),
        with("a", "b\r\nNats-Rollup: all"),
        with("a\r\nNats-Rollup: all\r\nb", "c"),
        with("Nats-Rollup", "all"),
        with("Nats-Msg-Id", "another"),
        sent(Message::new(&*subject, "").keyed("a\r\nNats-Rollup: all")),
        good(2),
    ];
    let verdicts = publisher.publish(&messages).await;
    let last = verdicts.len() - 1;
    assert_eq!(
        (&verdicts[0], &verdicts[last]),
        (&Verdict::Acked, &Verdict::Acked)
    );
    for verdict in &verdicts[1..last] {
        assert_eq!(class(verdict), Class::Permanent, "{verdict:?}");
    }
    assert_eq!(
        contents(&stream).await.len(),
        2,
        "and nothing else was done"
    );
    assert_eq!(publisher.publish(&[good(3)]).await, [Verdict::Acked]);
}

#[tokio::test]
async fn an_answer_that_is_not_jetstreams_is_no_confirmation() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let client = shared.context.client();
    let mut calls = client
        .subscribe(shared.subject("a"))
        .await
        .expect("subscribed");
    client.flush().await.expect("it is known");
    let publisher = shared.publisher();
    let messages = [envelope("a", 1)];
    let published = publisher.publish(&messages);
    let answered = async {
        let call = calls.next().await.expect("a call");
        let reply = call.reply.expect("somebody waits");
        client.publish(reply, "ok".into()).await.expect("answered");
    };
    let (verdicts, ()) = tokio::join!(published, answered);
    assert_eq!(class(&verdicts[0]), Class::Transient);
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_not_waited_for() {
    let Some(shared) = Shared::find().await else {
        return;
    };
    let client = shared.context.client();
    // A stream with `no_ack`, or a server that may not be published to, is as
    // silent as this one.
    let _silent = client
        .subscribe(shared.subject("a"))
        .await
        .expect("subscribed");
    client.flush().await.expect("it is known");
    let config = Config::new()
        .subjects(axiomatic_nats::outbox::Subjects::under(shared.name()))
        .timeout(Duration::from_millis(100));
    let publisher = JetStream::new(shared.context.clone(), config).expect("it can work");
    let verdicts = publisher
        .publish(&[envelope("a", 1), envelope("b", 2)])
        .await;
    assert_eq!(verdicts[0], Verdict::Unknown);
    assert_eq!(
        class(&verdicts[1]),
        Class::Unroutable,
        "the others have theirs"
    );
}
