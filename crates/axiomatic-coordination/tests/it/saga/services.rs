//! Other services that know their callers' keys, definitions that use them,
//! and what logs and effects of their sagas must be like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::saga::{
    Builder, Busy, Config, Context, Executor, Fault, Found, Kind, Lock, MemorySagas, Plans,
    Recorded, Saga, SagaId, Stage, Was,
};
use axiomatic_core::backoff::Backoff;
use tokio::sync::oneshot;

/// What is done, by its saga, step and item; and with which keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Services(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    done: BTreeMap<(SagaId, String, u32), BTreeSet<String>>,
    keys: BTreeMap<(SagaId, String, u32), BTreeSet<String>>,
}

impl Services {
    pub(super) fn act(&self, context: &Context) {
        let mut held = self.0.lock().unwrap();
        let at = (context.saga(), context.step().into(), context.item());
        let key = context.key().to_string();
        held.done.entry(at.clone()).or_default().insert(key.clone());
        held.keys.entry(at).or_default().insert(key);
    }

    pub(super) fn undo(&self, context: &Context) {
        let mut held = self.0.lock().unwrap();
        let at = (context.saga(), context.step().into(), context.item());
        let key = context.action_key().to_string();
        if let Some(keys) = held.done.get_mut(&at) {
            keys.remove(&key);
        }
    }

    /// The steps of a saga that are done, each as often as it has keys.
    pub(super) fn done(&self, saga: SagaId) -> Vec<String> {
        let held = self.0.lock().unwrap();
        let of_saga = held.done.iter().filter(|((of, _, _), _)| *of == saga);
        let steps = of_saga
            .flat_map(|((_, step, item), keys)| keys.iter().map(move |_| format!("{step} {item}")));
        steps.collect()
    }

    /// No action had two keys.
    pub(super) fn assert_one_key_each(&self) {
        let held = self.0.lock().unwrap();
        for (at, keys) in &held.keys {
            assert_eq!(keys.len(), 1, "{at:?}: {keys:?}");
        }
    }
}

/// A definition, and what is done when its saga is.
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) declare: fn(&Services, bool) -> Saga<MemorySagas, Vec<u32>, ()>,
    pub(super) done: &'static [&'static str],
}

pub(super) const SHAPES: [Shape; 6] = [
    Shape {
        name: "linear",
        declare: linear,
        done: &["a 0", "b 0", "pivot 0", "tell 0"],
    },
    Shape {
        name: "diamond",
        declare: diamond,
        done: &["a 0", "b 0", "c 0", "pivot 0"],
    },
    Shape {
        name: "each",
        declare: each,
        done: &["a 0", "a 1", "a 2", "pivot 0"],
    },
    Shape {
        name: "signal",
        declare: signal,
        done: &["a 0", "pivot 0"],
    },
    Shape {
        name: "local",
        declare: local,
        done: &["b 0", "pivot 0"],
    },
    Shape {
        name: "locked",
        declare: locked,
        done: &["a 0", "pivot 0"],
    },
];

type Declared = Builder<MemorySagas, Vec<u32>>;

/// An action that takes its time: others have a turn meanwhile.
pub(super) fn act<V: Send + 'static>(
    services: &Services,
) -> impl Fn(Context, V) -> futures_like::Boxed<u32> + Send + Sync + 'static {
    let services = services.clone();
    move |context, _| {
        let services = services.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            services.act(&context);
            tokio::task::yield_now().await;
            Ok(1)
        })
    }
}

pub(super) fn undo<V: Send + 'static, O: Send + 'static>(
    services: &Services,
) -> impl Fn(Context, V, Was<O>) -> futures_like::Boxed<()> + Send + Sync + 'static {
    let services = services.clone();
    move |context, _, _| {
        let services = services.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            services.undo(&context);
            tokio::task::yield_now().await;
            Ok(())
        })
    }
}

pub(super) mod futures_like {
    use super::Fault;

    pub(in crate::saga) type Boxed<T> =
        std::pin::Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;
}

const SOON: Backoff = Backoff::constant(Duration::from_millis(1));

fn pivot(saga: Declared, services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let acts = act::<()>(services);
    let step = saga.pivot("pivot", (), move |context: Context, ()| {
        let acting = acts(context, ());
        async move {
            match fails {
                true => Err(Fault::failed("it does")),
                false => acting.await,
            }
        }
    });
    let (saga, _) = step.attempts(0, SOON).commit();
    saga.build().unwrap()
}

pub(super) fn linear(services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let mut saga = Builder::new("linear", 1);
    let input = saga.input();
    let a = saga
        .step("a", input, act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    let b = saga
        .step("b", a, act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    let acts = act::<u32>(services);
    let step = saga.pivot("pivot", b, move |context: Context, value| {
        let acting = acts(context, value);
        async move {
            match fails {
                true => Err(Fault::failed("it does")),
                false => acting.await,
            }
        }
    });
    let (mut saga, done) = step.attempts(0, SOON).commit();
    saga.step("tell", done, act(services)).retriable();
    saga.build().unwrap()
}

fn diamond(services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let mut saga = Builder::new("diamond", 1);
    let input = saga.input();
    let a = saga
        .step("a", input, act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    for name in ["b", "c"] {
        saga.step(name, a, act(services))
            .attempts(0, SOON)
            .compensate_with(undo(services));
    }
    pivot(saga, services, fails)
}

/// All sagas of it come one after the other.
fn locked(services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let mut saga = Builder::new("locked", 1);
    let input = saga.input();
    let has_it = saga.lock("room", input, Busy::Stash, |_| {
        vec![Lock::exclusive("room")]
    });
    saga.step("a", has_it, act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    pivot(saga, services, fails)
}

fn each(services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let mut saga = Builder::new("each", 1);
    let input = saga.input();
    saga.for_each("a", input, 2, (), act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    pivot(saga, services, fails)
}

fn signal(services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let mut saga = Builder::new("signal", 1);
    let input = saga.input();
    let a = saga
        .step("a", input, act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    let approved = saga.signal::<u32, _>("approved", a);
    saga.sleep("cool off", approved, Duration::from_millis(5));
    pivot(saga, services, fails)
}

/// Local steps count, in the transaction, what they do.
fn local(services: &Services, fails: bool) -> Saga<MemorySagas, Vec<u32>, ()> {
    let mut saga = Builder::new("local", 1);
    let input = saga.input();
    let add = |by: i64| {
        move |tx: &mut axiomatic_coordination::MemoryTransaction<'_>, context: &Context| {
            let key = format!("count/{}/{}", context.saga(), context.step());
            let count = tx.read(&key).map_or(0, |count| {
                String::from_utf8_lossy(&count).parse::<i64>().unwrap()
            });
            tx.put(key, (count + by).to_string());
        }
    };
    let (adds, takes) = (add(1), add(-1));
    let a = saga
        .local_step(
            "a",
            input,
            MemorySagas::local(move |tx, context: &Context, _: Vec<u32>| {
                adds(tx, context);
                Ok(1u32)
            }),
        )
        .compensate_with_local(MemorySagas::local(
            move |tx, context: &Context, _: (Vec<u32>, Was<u32>)| {
                takes(tx, context);
                Ok(())
            },
        ));
    saga.step("b", a, act(services))
        .attempts(0, SOON)
        .compensate_with(undo(services));
    pivot(saga, services, fails)
}

/// That a log is one of a saga that ended: each line follows from those before
/// it, and what began was ended.
pub(super) fn assert_legal(found: &Found) {
    let shown = || {
        let lines = found.records.iter().map(|line| {
            let record = &line.record;
            format!("{} {} {}", record.kind.as_str(), record.step, record.item)
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let mut stands: BTreeMap<(String, u32), Kind> = BTreeMap::new();
    let mut is_back = false;
    for line in &found.records {
        let record = &line.record;
        let at = (String::from(&*record.step), record.item);
        let before = stands.get(&at).copied();
        let may = match record.kind {
            Kind::Began => matches!(before, None | Some(Kind::Began | Kind::Doubted)),
            Kind::Done | Kind::Failed | Kind::Doubted => {
                matches!(before, None | Some(Kind::Began | Kind::Doubted))
            }
            Kind::UndoBegan => is_back && before.is_some() && before != Some(Kind::Undone),
            Kind::Undone => is_back && before.is_some() && before != Some(Kind::Undone),
            _ => true,
        };
        assert!(may, "{:?} behind {before:?}:\n{}", record.kind, shown());
        if record.kind == Kind::Began {
            assert!(!is_back, "it began behind the turn:\n{}", shown());
        }
        is_back |= matches!(record.kind, Kind::Failed | Kind::Turned);
        if record.kind != Kind::Signalled {
            stands.insert(at, record.kind);
        }
    }
    for (at, kind) in stands {
        let has_ended = match found.summary.stage {
            Stage::Done => kind == Kind::Done,
            _ => true,
        };
        assert!(has_ended, "{at:?} is {kind:?}:\n{}", shown());
    }
    assert!(found.summary.stage.is_end(), "{}", shown());
    // A letter can come when the saga has written its last line, or is about
    // to; but none is read and kept.
    for letter in &found.mail {
        let reads = |line: &Recorded| line.record.mail == Some(letter.id);
        assert!(found.records.iter().all(|line| !reads(line)), "{letter:?}");
    }
}

/// An executor that runs until it is stopped, or dies with this.
pub(super) struct Running {
    pub(super) executor: Executor<MemorySagas>,
    stop: Option<oneshot::Sender<()>>,
    pub(super) ended: tokio::task::JoinHandle<Result<(), String>>,
}

impl Running {
    pub(super) async fn stop(mut self) {
        let _ = self.stop.take().expect("not stopped").send(());
        (&mut self.ended)
            .await
            .expect("no panic")
            .expect("the store works");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

pub(super) fn run(store: &MemorySagas, plans: Plans<MemorySagas>, config: Config) -> Running {
    let executor = Executor::new(store.clone(), plans, config).expect("a config");
    let (stop, stopped) = oneshot::channel::<()>();
    let running = executor.clone();
    let ended = tokio::spawn(async move {
        let shutdown = async {
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ended = running.run(shutdown).await;
        ended.map_err(|error| error.to_string())
    });
    Running {
        executor,
        stop: Some(stop),
        ended,
    }
}
