//! Connections to NATS that break in every way: what is committed is in the
//! stream in the end, and what is delivered has its effect once.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{self, Context, stream::Stream};
use axiomatic_coordination::inbox::{Admission, Config as Inboxing, IdRule, Inbox};
use axiomatic_coordination::outbox::history::{Consumer as Effects, Event, History, check};
use axiomatic_coordination::outbox::{
    Config, Envelope, Epoch, MemoryOutbox, Message, Operate, Publisher, Relay, Verdict,
};
use axiomatic_coordination::{Memory, MemoryTransaction, MessageId, StoreError};
use axiomatic_core::backoff::{Backoff, Jitter};
use axiomatic_nats::inbox::{Answer, Arrival, Config as Consuming, Consumer};
use axiomatic_nats::outbox::{Config as Publishing, JetStream, Subjects};
use axiomatic_testbed::matrix::{Subject, are_backed_off, cells, refuse, try_at_random, try_each};
use axiomatic_testbed::nats::Nats;
use axiomatic_testbed::proxy::FaultProxy;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{client, contents, envelope, make_stream, publisher};

/// Within the greeting of the server and what the client says to it; within a
/// message and its acknowledgement.
const HANDSHAKE: [u64; 4] = [0, 5, 60, 250];
const MESSAGE: [u64; 4] = [0, 3, 100, 700];

/// How long a silent server is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(200);

/// A client that finds out soon that nobody answers, and does not come back
/// together with others.
async fn through(server: &Nats, proxy: &FaultProxy) -> Context {
    let backoff = Backoff::exponential(FIRST, LONGEST).jitter(Jitter::Equal);
    let client = async_nats::ConnectOptions::new()
        .ping_interval(PATIENCE / 3)
        .connection_timeout(PATIENCE)
        .request_timeout(Some(PATIENCE))
        .reconnect_delay_callback(move |attempt| {
            // It does not remember its last wait: all before are drawn anew.
            let mut delays = backoff.start();
            delays.nth(attempt.saturating_sub(1)).unwrap_or(LONGEST)
        });
    let client = client.connect(server.url_through(proxy.port())).await;
    jetstream::new(client.expect("it is there"))
}

/// Somebody who works until the test is over.
struct Working {
    stop: Option<oneshot::Sender<()>>,
    run: JoinHandle<()>,
}

impl Working {
    fn start<F>(work: impl FnOnce(oneshot::Receiver<()>) -> F) -> Working
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(work(stopped));
        Working {
            stop: Some(stop),
            run,
        }
    }

    async fn end(mut self) {
        drop(self.stop.take());
        self.run.await.expect("it went on until now");
    }
}

/// A database in the process, and a relay from it to a stream.
struct Relayed {
    memory: Memory,
    outbox: MemoryOutbox,
    stream: Stream,
    committed: Vec<Event>,
    _server: Arc<Nats>,
}

const KEYS: u64 = 7;

impl Relayed {
    async fn start() -> Option<(FaultProxy, Relayed, Working)> {
        let server = Arc::new(Nats::start()?);
        let proxy = FaultProxy::to(server.port());
        let context = jetstream::new(client(&server).await);
        let stream = make_stream(&context, "S", |_| {}).await;
        let config = Publishing::new()
            .subjects(Subjects::under("S"))
            .timeout(PATIENCE);
        let publisher = JetStream::new(through(&server, &proxy).await, config);
        let publisher = publisher.expect("it can work");
        let memory = Memory::new();
        let outbox = MemoryOutbox::new(&memory);
        let soon = Backoff::exponential(Duration::from_millis(1), Duration::from_millis(50));
        let config = Config::new()
            .publish_timeout(publisher.publish_timeout())
            .poison_after(u32::MAX)
            .backoff(soon)
            .outage_backoff(soon)
            .poll(soon);
        let relay = Relay::new(outbox.clone(), publisher, config).expect("it can work");
        let working = Working::start(async |stopped| {
            let ran = relay.run(async { drop(stopped.await) }).await;
            let ran = ran.expect("it goes on");
            println!("{ran}; {} outages", ran.outages);
            assert!(ran.outages + ran.unknown > 0, "it has not noticed");
        });
        let relayed = Relayed {
            memory,
            outbox,
            stream,
            committed: Vec::new(),
            _server: server,
        };
        Some((proxy, relayed, working))
    }
}

impl Subject for Relayed {
    async fn work(&mut self) {
        let waiting = self.outbox.backlog().await.expect("in memory").messages;
        if waiting > 100 {
            return;
        }
        let done = self.memory.transact(|tx| {
            for _ in 0..10 {
                let n = self.committed.len() as u64;
                let key = format!("key {}", n % KEYS);
                let message = Message::new("orders", n.to_string()).keyed(&*key).ordered();
                self.committed.push(Event::Committed {
                    id: message.id(),
                    key: Some(key.into()),
                    order: n + 1,
                });
                tx.enqueue(message);
            }
            Ok::<_, Infallible>(())
        });
        done.expect("it commits");
        let undone = self.memory.transact(|tx| {
            tx.enqueue(Message::new("orders", "phantom"));
            Err::<(), _>("no")
        });
        undone.expect_err("it is rolled back");
    }

    async fn is_done(&mut self) -> bool {
        self.outbox.backlog().await.expect("in memory").messages == 0
    }

    async fn wrong(&mut self) -> Vec<String> {
        let mut history = History::new();
        for event in &self.committed {
            history.record(event.clone());
        }
        let contents = contents(&self.stream).await;
        let mut wrong = Vec::new();
        if contents.len() != self.committed.len() {
            let (has, of) = (contents.len(), self.committed.len());
            wrong.push(format!("{has} are in the stream, {of} were committed"));
        }
        for message in contents {
            let headers = message.headers.expect("it has headers");
            let id = headers.get(async_nats::header::NATS_MESSAGE_ID);
            let id: MessageId = id.expect("an id").as_str().parse().expect("ours");
            let epoch = headers.get(Envelope::EPOCH).expect("an epoch");
            let epoch = Epoch(epoch.as_str().parse().expect("a number"));
            history.record(Event::Published { id, epoch });
        }
        let violations = check(&history, Effects::None);
        wrong.extend(violations.iter().map(|violation| format!("{violation:?}")));
        wrong
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_behind_every_fault_has_each_message_in_the_stream_once_and_in_order() {
    let Some((proxy, mut relayed, working)) = Relayed::start().await else {
        return;
    };
    try_each(&proxy, &cells(&HANDSHAKE, &MESSAGE), &mut relayed).await;
    at_random(&proxy, &mut relayed).await;
    working.end().await;
}

async fn at_random(proxy: &FaultProxy, subject: &mut impl Subject) {
    let is_deep = std::env::var_os("AXIOMATIC_DEEP").is_some();
    let (seeds, lasting) = if is_deep { (20, 20) } else { (1, 3) };
    for seed in 0..seeds {
        try_at_random(proxy, seed, Duration::from_secs(lasting), subject).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_comes_back_no_more_often_than_its_backoff_says() {
    let Some((proxy, mut relayed, working)) = Relayed::start().await else {
        return;
    };
    let lasting = Duration::from_secs(3);
    let between = refuse(&proxy, lasting, &mut relayed).await;
    // Neither relay nor publisher makes connections: there is one client, which
    // waits for half of the longest wait at least once it has reached that.
    let most = lasting.div_duration_f64(LONGEST / 2) + 8.0;
    let fewest = lasting.div_duration_f64(LONGEST) / 3.0;
    are_backed_off(&between, fewest, most);
    working.end().await;
}

/// All the steps, in their order. The effects of a message are counted.
fn handle(database: &Memory, inbox: &Inbox, arrival: &Arrival) -> Answer {
    let delivery = arrival.delivery();
    let admission = database.transact(|tx| inbox.begin(tx, "bank", delivery));
    let admission: Admission = admission.expect("in memory");
    if let Some(answer) = Answer::instead_of_handling(admission) {
        return answer;
    }
    let effects = effects_of(delivery.broker_id().expect("an id"));
    let effect = |tx: &mut MemoryTransaction<'_>| -> Result<(), StoreError> {
        let before = tx.read(&effects).map_or(0, |effects| effects.len());
        tx.put(&*effects, vec![0; before + 1]);
        Ok(())
    };
    let outcome = database.transact(|tx| inbox.once(tx, "bank", delivery, effect));
    outcome.expect("in memory").into()
}

fn effects_of(id: &str) -> String {
    format!("{EFFECTS}{id}")
}

const EFFECTS: &str = "effects of ";

/// A consumer with an inbox, in a database in the process.
struct Consumed {
    database: Memory,
    publisher: JetStream,
    pull: PullConsumer,
    published: u128,
    _server: Arc<Nats>,
}

impl Consumed {
    async fn start() -> Option<(FaultProxy, Consumed, Working)> {
        let server = Arc::new(Nats::start()?);
        let proxy = FaultProxy::to(server.port());
        let context = jetstream::new(client(&server).await);
        let stream = make_stream(&context, "S", |_| {}).await;
        let config = pull::Config {
            durable_name: Some("consumer".to_owned()),
            ack_wait: PATIENCE,
            // A question that the server has forgotten is asked again soon.
            max_expires: PATIENCE,
            ..pull::Config::default()
        };
        let pull = stream.create_consumer(config).await.expect("a consumer");
        let proxied = through(&server, &proxy).await;
        let pulling = proxied.get_stream("S").await.expect("it is there");
        let pulling = pulling.get_consumer("consumer").await.expect("it is there");
        let config = Consuming::new().backoff(Backoff::constant(Duration::from_millis(20)));
        let consumer = Consumer::new(proxied, pulling, config).expect("it can work");
        let database = Memory::new();
        // It is no message's fault that connections break.
        let inbox = Inboxing::new(IdRule::BrokerId, Duration::from_secs(60));
        let inbox: Inbox = inbox
            .starts(u32::MAX.try_into().expect("not 0"))
            .build()
            .expect("it can work");
        let handling = database.clone();
        let working = Working::start(async move |stopped| {
            let handle = |arrival: Arrival| {
                let answer = handle(&handling, &inbox, &arrival);
                async move { Ok::<Answer, Infallible>(answer) }
            };
            let ran = consumer.run(handle, async { drop(stopped.await) }).await;
            println!("{}", ran.expect("it goes on"));
        });
        let consumed = Consumed {
            database,
            publisher: publisher(&context, "S"),
            pull,
            published: 0,
            _server: server,
        };
        Some((proxy, consumed, working))
    }
}

impl Subject for Consumed {
    async fn work(&mut self) {
        let info = self.pull.get_info().await.expect("it is there");
        if info.num_pending > 100 {
            return;
        }
        let messages: Vec<_> = (self.published..self.published + 5)
            .map(|n| envelope("a", n))
            .collect();
        self.published += 5;
        let verdicts = self.publisher.publish(&messages).await;
        assert_eq!(verdicts, [const { Verdict::Acked }; 5]);
    }

    async fn is_done(&mut self) -> bool {
        let info = self.pull.get_info().await.expect("it is there");
        info.num_pending == 0 && info.num_ack_pending == 0
    }

    async fn wrong(&mut self) -> Vec<String> {
        let effects = self.database.read_all(EFFECTS);
        let mut wrong = Vec::new();
        if effects.len() as u128 != self.published {
            let (had, of) = (effects.len(), self.published);
            wrong.push(format!("{had} messages of {of} had an effect"));
        }
        for (id, effects) in effects.iter().filter(|(_, effects)| effects.len() != 1) {
            wrong.push(format!("{} {id}", effects.len()));
        }
        wrong
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_effect_once_whatever_fault_its_consumer_is_behind() {
    let Some((proxy, mut consumed, working)) = Consumed::start().await else {
        return;
    };
    try_each(&proxy, &cells(&HANDSHAKE, &MESSAGE), &mut consumed).await;
    at_random(&proxy, &mut consumed).await;
    working.end().await;
}
