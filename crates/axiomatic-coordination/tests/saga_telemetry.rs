//! What an executor tells the outside. A binary of its own with one test,
//! since tracing remembers which places nobody listens to.
#![cfg(feature = "tracing")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::{
    Builder, Client, Config, Context, Ended, Executor, Fault, MemorySagas, Plans, SagaId, Stage,
    Was,
};
use axiomatic_core::backoff::Backoff;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Every event as a line of its fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "axiomatic::saga"
    }
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0.trim().to_owned());
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn events_counts_and_an_overview_say_how_sagas_do() {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).expect("the only test");
    let store = MemorySagas::new(&Memory::new());
    let mut saga = Builder::<MemorySagas, bool>::new("purchase", 1);
    let is_stuck = saga.input();
    let reserved = saga
        .step("reserve", is_stuck, |_, is_stuck: bool| async move {
            Ok(is_stuck)
        })
        .undo_attempts(1, Backoff::constant(Duration::from_millis(1)))
        .compensate_with(|_: Context, _, was: Was<bool>| async move {
            match was {
                Was::Done(false) => Ok(()),
                _ => Err(Fault::unknown("nobody answers")),
            }
        });
    saga.step("charge", reserved, |_, _: bool| async {
        Err::<(), _>(Fault::failed("declined"))
    })
    .without_undo();
    let saga = saga.build().expect("a definition");
    let other = {
        let mut other = Builder::<MemorySagas, ()>::new("other", 3);
        let begun = other.input();
        other
            .step("nothing", begun, |_, ()| async { Ok(()) })
            .without_undo();
        other.build().expect("a definition")
    };
    let config = Config::new()
        .named("shop")
        .poll(Duration::from_millis(10))
        .park(Duration::from_secs(600));
    let plans = Plans::new().with(&saga);
    let executor = Executor::new(store.clone(), plans, config).expect("a configuration");
    let client = executor.client();
    let watching = async {
        let (undone, stuck, unknown) = (SagaId::unique(), SagaId::unique(), SagaId::unique());
        while executor.snapshot().buckets < 64 {
            tokio::task::yield_now().await;
        }
        let ended = executor.execute(&saga, undone, &false).await;
        assert!(matches!(ended, Ok(Ended::Compensated(_))), "{ended:?}");
        client.start(&saga, stuck, &true).await.expect("begun");
        until(&client, stuck, Stage::Stuck).await;
        client.start(&other, unknown, &()).await.expect("begun");
        until(&client, unknown, Stage::Parked).await;

        let overview = client.overview(10).await.expect("an answer");
        assert_eq!(overview.stuck[0].saga, stuck);
        assert_eq!(overview.parked[0].saga, unknown);
        let text = overview.to_string();
        let first = text.lines().next().unwrap();
        assert_eq!(
            first,
            "sagas: running=0 unwinding=0 stuck=1 parked=1 done=0 compensated=1 abandoned=0"
        );
        let line = format!(
            "stuck {stuck} \"purchase\" version 1 \
             {{\"step\":\"reserve\",\"why\":\"it was tried once: nobody answers\"}}"
        );
        assert!(text.lines().any(|other| other == line), "{text}");

        client.abandon(stuck, "me", "enough").await.expect("posted");
        until(&client, stuck, Stage::Abandoned).await;
        let of = |saga: SagaId, rest: &str| {
            format!("name=\"shop\" saga={saga} definition=\"{rest}").replace("  ", " ")
        };
        // The last event is told when the store has answered.
        let expected = [
            of(undone, "purchase\" stage=\"compensated\" message=not done"),
            of(stuck, "purchase\" message=stuck"),
            of(
                unknown,
                "other\" why=\"no definition here runs \\\"other\\\" version 3\" message=parked",
            ),
            of(stuck, "purchase\" stage=\"abandoned\" message=not done"),
        ];
        while lines.0.lock().unwrap().len() < expected.len() {
            tokio::task::yield_now().await;
        }
        let told: Vec<String> = lines
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|line| sorted(line))
            .collect();
        assert_eq!(told, expected.map(|line| sorted(&line)));
        let snapshot = executor.snapshot();
        assert_eq!(
            snapshot.to_string(),
            "executor shop: buckets=64 in_memory=0 taken=3 executed=1 done=0 compensated=1 \
             abandoned=1 stuck=1 parked=1 lost=0 store_errors=0"
        );
    };
    tokio::select! {
        () = watching => {}
        ended = executor.run(std::future::pending()) => panic!("{ended:?}"),
    }
}

/// The fields in the order of their names: which comes first is tracing's.
fn sorted(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

async fn until(client: &Client<MemorySagas>, saga: SagaId, stage: Stage) {
    loop {
        let found = client.find(saga).await.expect("an answer");
        if found.is_some_and(|found| found.summary.stage == stage) {
            return;
        }
        tokio::task::yield_now().await;
    }
}
