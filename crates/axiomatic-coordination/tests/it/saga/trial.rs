//! Trials find what is wrong with definitions, and nothing where nothing is.
//!
//! One file, because each defect is one of the same definition.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axiomatic_coordination::Memory;
use axiomatic_coordination::saga::trial::{self, Report, World};
use axiomatic_coordination::saga::{
    Builder, Busy, Context, Fault, Lock, MemorySagas, Probed, Saga, Was,
};

type Result<T = (), E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// What is wrong with the definition.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Defect {
    Nothing,
    /// The reservation goes by its time of arrival.
    KeyNotUsed,
    /// The reservation's number is another each time.
    OtherAnswer,
    /// The undo of the reservation leaves its note.
    UndoMissesEffect,
    /// Nothing undoes the reservation.
    NoUndo,
    /// What was not reserved cannot be given back.
    UndoWantsEffect,
    /// The undo of an item puts it back, whether it was taken or not.
    UndoNotIdempotent,
    /// The local step tells somebody of what may not be committed.
    OutsideTransaction,
    /// The local step's undo leaves a row.
    LocalUndoMissesEffect,
    /// The probe says that it was done, whatever was.
    ProbeLies,
    /// What is retriable is done each time it is tried.
    RetriableNotIdempotent,
}

/// The other services: what they hold, by its key.
#[derive(Clone, Debug, Default)]
struct Services(Arc<Mutex<BTreeMap<String, i64>>>);

impl Services {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, i64>) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn add(&self, what: &str, amount: i64) {
        self.with(|held| *held.entry(what.into()).or_default() += amount);
    }
}

fn reserve(saga: &mut Builder<MemorySagas, Vec<i64>>, services: &Services, defect: Defect) {
    let input = saga.input();
    let (doing, undoing) = (services.clone(), services.clone());
    let step = saga.step("reserve", input, move |context: Context, list: Vec<i64>| {
        let doing = doing.clone();
        async move {
            let number = doing.with(|held| {
                let key = match defect {
                    Defect::KeyNotUsed => format!("reserved/{}", held.len()),
                    _ => format!("reserved/{}", context.key()),
                };
                held.insert(key, list.iter().sum());
                held.insert(format!("note/{}", context.key()), 1);
                0
            });
            match defect {
                Defect::OtherAnswer => Ok(uuid::Uuid::now_v7().as_u128() as i64),
                _ => Ok::<i64, Fault>(number),
            }
        }
    });
    if defect == Defect::NoUndo {
        step.without_undo();
        return;
    }
    step.compensate_with(move |context: Context, _, _: Was<i64>| {
        let undoing = undoing.clone();
        async move {
            undoing.with(|held| {
                let key = context.action_key();
                let was = held.remove(&format!("reserved/{key}"));
                if defect != Defect::UndoMissesEffect {
                    held.remove(&format!("note/{key}"));
                }
                if defect == Defect::UndoWantsEffect && was.is_none() {
                    return Err(Fault::failed("there is no such reservation"));
                }
                Ok(())
            })
        }
    });
}

fn definition(services: &Services, defect: Defect) -> Saga<MemorySagas, Vec<i64>, i64> {
    let mut saga = Builder::new("purchase", 1).deadline(Duration::from_secs(1));
    reserve(&mut saga, services, defect);

    let list = saga.input();
    let locked = saga.lock("shelf", list, Busy::Stash, |_| {
        vec![Lock::exclusive("shelf"), Lock::shared("house")]
    });
    let (doing, undoing) = (services.clone(), services.clone());
    saga.for_each(
        "pack",
        list,
        2,
        locked,
        move |context: Context, (item, ())| {
            let doing = doing.clone();
            async move {
                let key = format!("packed/{}", context.key());
                if doing.with(|held| held.insert(key, item)).is_none() {
                    doing.add("stock", -item);
                }
                Ok::<i64, Fault>(item)
            }
        },
    )
    .compensate_with(move |context: Context, (item, ()), _| {
        let undoing = undoing.clone();
        async move {
            let key = format!("packed/{}", context.action_key());
            let was = undoing.with(|held| held.remove(&key));
            if was.is_some() || defect == Defect::UndoNotIdempotent {
                undoing.add("stock", item);
            }
            Ok(())
        }
    });

    let told = services.clone();
    let booked = saga
        .local_step(
            "book",
            list,
            MemorySagas::local(move |tx, context: &Context, list: Vec<i64>| {
                tx.put(format!("book/{}", context.key()), vec![b'1'; list.len()]);
                if defect == Defect::OutsideTransaction {
                    told.add("told", 1);
                }
                Ok(list.len() as i64)
            }),
        )
        .compensate_with_local(MemorySagas::local(
            move |tx, context: &Context, (_, was): (Vec<i64>, Was<i64>)| {
                assert!(was != Was::Failed);
                if defect != Defect::LocalUndoMissesEffect {
                    tx.remove(&format!("book/{}", context.action_key()));
                }
                Ok(())
            },
        ));

    let (doing, undoing, asking) = (services.clone(), services.clone(), services.clone());
    saga.step("insure", booked, move |context: Context, rows: i64| {
        let doing = doing.clone();
        async move {
            doing.with(|held| held.insert(format!("insured/{}", context.key()), rows));
            Ok(rows)
        }
    })
    .probe(move |context: Context, rows| {
        let asking = asking.clone();
        async move {
            let key = format!("insured/{}", context.key());
            let found = asking.with(|held| held.contains_key(&key));
            Ok(match found || defect == Defect::ProbeLies {
                true => Probed::Done(rows),
                false => Probed::Not,
            })
        }
    })
    .compensate_with(move |context: Context, _, _| {
        let undoing = undoing.clone();
        async move {
            let key = format!("insured/{}", context.action_key());
            undoing.with(|held| held.remove(&key));
            Ok(())
        }
    });

    let approved = saga.signal::<i64, _>("approved", booked);
    let slept = saga.sleep("cool off", approved.only_after(), Duration::from_secs(3600));
    let charges = services.clone();
    let (mut saga, charged) = saga
        .pivot(
            "charge",
            (approved, slept),
            move |context: Context, (by, ())| {
                let charges = charges.clone();
                async move {
                    charges.with(|held| held.insert(format!("charged/{}", context.key()), by));
                    Ok(by)
                }
            },
        )
        .commit();
    let tells = services.clone();
    let told = saga
        .step("tell", charged, move |context: Context, by: i64| {
            let tells = tells.clone();
            async move {
                match defect {
                    Defect::RetriableNotIdempotent => tells.add("mails", 1),
                    _ => drop(tells.with(|held| held.insert(format!("mail/{}", context.key()), 1))),
                }
                Ok(by)
            }
        })
        .retriable();
    saga.returns(told).expect("a definition")
}

fn world(defect: Defect) -> impl Fn(&Memory) -> World<Vec<i64>, i64> {
    move |_| {
        let services = Services::default();
        services.add("stock", 100);
        let saga = definition(&services, defect);
        World::new(saga, vec![3, 4, 5])
            .sees("services", move || services.with(|held| held.clone()))
            .signals("approved", &7)
    }
}

async fn all(defect: Defect) -> Vec<(&'static str, Report)> {
    vec![
        ("repeat_each", trial::repeat_each(world(defect)).await),
        ("fail_each", trial::fail_each(world(defect)).await),
        (
            "undo_repeat_each",
            trial::undo_repeat_each(world(defect)).await,
        ),
        ("unknown_each", trial::unknown_each(world(defect)).await),
        ("crash_each", trial::crash_each(world(defect)).await),
    ]
}

#[tokio::test]
async fn a_definition_that_bears_everything_is_clean() {
    for (name, report) in all(Defect::Nothing).await {
        report.assert_clean();
        let least = match name {
            "repeat_each" => 8,
            "fail_each" => 11,
            "undo_repeat_each" => 6,
            "unknown_each" => 28,
            _ => 40,
        };
        assert!(report.runs() >= least, "{report}");
    }
}

/// Each defect is found by the trials in which it shows, and one of them names
/// its step.
async fn is_found(defect: Defect, step: &str, by: &[&str]) {
    let reports = all(defect).await;
    let found = reports.iter().filter(|(_, report)| !report.is_clean());
    let names: Vec<_> = found.clone().map(|(name, _)| *name).collect();
    let all: String = found
        .clone()
        .map(|(_, report)| report.to_string())
        .collect();
    assert_eq!(names, by, "{defect:?}: {all}");
    let mut findings = found.flat_map(|(_, report)| report.findings());
    assert!(
        findings.any(|finding| finding.step == step),
        "{defect:?}: {all}"
    );
}

#[tokio::test]
async fn an_action_that_is_not_idempotent_is_found() {
    let by = ["repeat_each", "unknown_each", "crash_each"];
    is_found(Defect::RetriableNotIdempotent, "tell", &by).await;
    let by = [
        "repeat_each",
        "fail_each",
        "undo_repeat_each",
        "unknown_each",
        "crash_each",
    ];
    is_found(Defect::KeyNotUsed, "reserve", &by).await;
}

#[tokio::test]
async fn an_action_that_answers_otherwise_when_it_is_repeated_is_found() {
    is_found(
        Defect::OtherAnswer,
        "reserve",
        &["repeat_each", "unknown_each"],
    )
    .await;
}

#[tokio::test]
async fn an_undo_that_is_missing_or_misses_something_is_found() {
    let by = [
        "fail_each",
        "undo_repeat_each",
        "unknown_each",
        "crash_each",
    ];
    is_found(Defect::UndoMissesEffect, "reserve", &by).await;
    is_found(Defect::NoUndo, "reserve", &by).await;
    is_found(Defect::LocalUndoMissesEffect, "book", &by).await;
}

#[tokio::test]
async fn an_undo_that_wants_something_to_undo_is_found() {
    let by = ["undo_repeat_each", "unknown_each", "crash_each"];
    is_found(Defect::UndoWantsEffect, "reserve", &by).await;
}

#[tokio::test]
async fn an_undo_that_is_not_idempotent_is_found() {
    let by = ["undo_repeat_each", "unknown_each", "crash_each"];
    is_found(Defect::UndoNotIdempotent, "pack", &by).await;
}

#[tokio::test]
async fn an_effect_outside_of_the_transaction_of_a_local_step_is_found() {
    let by = [
        "repeat_each",
        "fail_each",
        "undo_repeat_each",
        "unknown_each",
        "crash_each",
    ];
    is_found(Defect::OutsideTransaction, "book", &by).await;
}

#[tokio::test]
async fn a_probe_that_says_what_is_not_so_is_found() {
    is_found(Defect::ProbeLies, "insure", &["unknown_each", "crash_each"]).await;
}

/// What was not tried is not clean.
#[tokio::test]
async fn a_trial_that_tries_nothing_is_not_clean() -> Result {
    // Nothing is seen of it.
    let unseen = |_: &Memory| {
        let mut saga = Builder::new("unseen", 1);
        let input = saga.input();
        saga.step("a", input, |_, ()| async { Ok(()) })
            .without_undo();
        World::new(saga.build().unwrap(), ())
    };
    let report = trial::repeat_each(unseen).await;
    assert!(report.to_string().contains("nothing is seen"), "{report}");
    assert_eq!(report.runs(), 0);

    // Nothing is undone, and nothing waits for what is not there.
    let plain = |_: &Memory| {
        let saga = Builder::<MemorySagas, ()>::new("plain", 1);
        let input = saga.input();
        let put = MemorySagas::local(|tx, _: &Context, ()| {
            tx.put("a", "1");
            Ok(())
        });
        let (saga, _) = saga.local_pivot("a", input, put).commit();
        World::new(saga.build().unwrap(), ())
    };
    trial::fail_each(plain).await.assert_clean();
    let report = trial::undo_repeat_each(plain).await;
    assert!(
        report.to_string().contains("no run of this kind"),
        "{report}"
    );

    // A list is empty.
    let empty = |_: &Memory| {
        let services = Services::default();
        let saga = definition(&services, Defect::Nothing);
        World::new(saga, vec![])
            .sees("services", move || services.with(|held| held.clone()))
            .signals("approved", &7)
    };
    let report = trial::fail_each(empty).await;
    assert!(report.to_string().contains("its list is empty"), "{report}");

    // A signal does not come.
    let silent = |_: &Memory| {
        let services = Services::default();
        let saga = definition(&services, Defect::Nothing);
        World::new(saga, vec![1])
            .sees("services", move || services.with(|held| held.clone()))
            .within(Duration::from_millis(50))
    };
    let report = trial::crash_each(silent).await;
    assert!(report.to_string().contains("not ended in time"), "{report}");

    // Runs are not alike.
    let random = |_: &Memory| {
        let services = Services::default();
        let saga = definition(&services, Defect::Nothing);
        World::new(saga, vec![1])
            .sees("chance", || uuid::Uuid::now_v7().to_string())
            .signals("approved", &7)
    };
    let report = trial::repeat_each(random).await;
    assert!(report.to_string().contains("not seen alike"), "{report}");
    Ok(())
}

#[test]
#[should_panic(expected = "unknown_each: 0 runs, 1 findings")]
fn what_was_found_is_what_the_panic_says() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = |_: &Memory| {
        let mut saga = Builder::new("unseen", 1);
        let input = saga.input();
        saga.step("a", input, |_, ()| async { Ok(()) })
            .without_undo();
        World::new(saga.build().unwrap(), ())
    };
    runtime.block_on(trial::unknown_each(world)).assert_clean();
}

#[test]
fn a_definition_is_compared_with_what_is_committed() {
    let saga = definition(&Services::default(), Defect::Nothing);
    let path = "tests/it/saga/purchase.txt";
    trial::assert_definition_unchanged(&saga, path);
    if std::env::var_os("AXIOMATIC_BLESS").is_some() {
        return;
    }
    let other = definition(&Services::default(), Defect::NoUndo);
    let compares = || trial::assert_definition_unchanged(&other, path);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(compares)).unwrap_err();
    let said = panic.downcast::<String>().unwrap();
    // The old definition's hash, for whoever says that its sagas are run.
    let hash = saga.definition().hash;
    let runs = format!(".also_runs(1, {hash:#x})");
    assert!(
        said.contains(&runs) && said.contains("AXIOMATIC_BLESS=1"),
        "{said}"
    );
}
