//! One saga, run in a world of its own.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::injection::{Faults, What, Witness, inject};
use super::report::Finding;
use super::world::World;
use crate::Memory;
use crate::saga::machine::{StepNo, Work};
use crate::saga::{Client, Config, Executor, Found, Kind, MemorySagas, Plans, SagaId, Stage};

/// How a run ended.
pub(super) struct Outcome {
    /// How far the saga was at last.
    pub(super) stage: Option<Stage>,
    pub(super) found: Option<Found>,
    /// What was seen before it began, and at last.
    pub(super) before: Value,
    pub(super) after: Value,
    /// The last line of the log when the database crashed, if it did.
    pub(super) crashed_after: Option<String>,
    pub(super) witness: Witness,
    /// It could not be run so far.
    pub(super) error: Option<String>,
}

/// A saga of the trial: the same in each run, so that keys are, too.
const SAGA: SagaId = SagaId(Uuid::from_u128(0x6b1d_8f0a_53c2_4d7e_9b60_2f4e_71a8_c935));

/// Runs a saga with these faults, in a database that crashes at this step.
pub(super) async fn run<In, Out>(
    world: &impl Fn(&Memory) -> World<In, Out>,
    faults: &Faults,
    crash: Option<u64>,
) -> Outcome
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    let memory = Memory::new();
    let world = world(&memory);
    let store = MemorySagas::new(&memory);
    let witness = Witness::default();
    let saga = inject(&world.saga, faults, &witness);
    let before = world.look(&memory);
    let mut outcome = Outcome {
        stage: None,
        found: None,
        before,
        after: Value::Null,
        crashed_after: None,
        witness,
        error: None,
    };
    let client = Client::new(store.clone());
    if let Err(error) = client.start(&saga, SAGA, &world.input).await {
        outcome.error = Some(error.to_string());
        return outcome;
    }
    let failing = faults
        .at
        .filter(|(_, _, what)| matches!(what, What::Fails(_)));
    let failing = failing.map(|(step, _, _)| &*world.saga.plan.graph.spec(step).name);
    for (number, (name, payload)) in (0u128..).zip(&world.signals) {
        if failing == Some(name) {
            continue;
        }
        let id = Uuid::from_u128(number);
        // A database in memory that has not crashed takes all letters.
        let _ = client.signal(SAGA, id, name, payload).await;
    }
    if let Some(step) = crash {
        memory.crash_at(step);
    }
    let running = async {
        loop {
            let plans = Plans::new().with(&saga);
            // Leases do not end by themselves, however slow the machine is.
            let config = Config::new().lease(Duration::from_secs(600));
            let executor = match Executor::new(store.clone(), plans, config) {
                Ok(executor) => executor,
                Err(error) => return error.to_string(),
            };
            let stopped = executor.run(std::future::pending()).await;
            if !memory.is_down() || outcome.crashed_after.is_some() {
                return match stopped {
                    Ok(()) => "the executor stopped".into(),
                    Err(error) => error.to_string(),
                };
            }
            let log = store.peek(SAGA).map(|found| found.records);
            outcome.crashed_after = Some(last_line(&log.unwrap_or_default()));
            memory.restart();
            store.end_leases();
        }
    };
    tokio::select! {
        biased;
        error = running => outcome.error = Some(error),
        stage = ended(&store) => outcome.stage = Some(stage),
        () = tokio::time::sleep(world.limit) => {}
    }
    if memory.is_down() {
        // It ended with the line after which nothing was heard any more.
        outcome.crashed_after.get_or_insert("its end".into());
        memory.restart();
    }
    outcome.found = store.peek(SAGA);
    outcome.after = world.look(&memory);
    outcome
}

/// Waits until the saga has ended, or waits for an operator. No waker says so:
/// an executor that ends a saga has nobody to tell.
async fn ended(store: &MemorySagas) -> Stage {
    loop {
        let stage = store.peek(SAGA).map(|found| found.summary.stage);
        match stage {
            Some(stage) if stage.is_end() => return stage,
            Some(stage @ (Stage::Stuck | Stage::Parked)) => return stage,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

fn last_line(records: &[crate::saga::Recorded]) -> String {
    match records.last() {
        Some(last) => format!("{} {}", last.record.kind.as_str(), last.record.step)
            .trim_end()
            .into(),
        None => "its start".into(),
    }
}

/// How a run should end.
pub(super) struct Expected<'a> {
    pub(super) stage: Stage,
    pub(super) seen: &'a Value,
}

impl Outcome {
    /// What is not as expected.
    pub(super) fn compare(&self, expected: &Expected<'_>, finding: &Finding) -> Vec<Finding> {
        let wrong = |wrong: String| Finding {
            wrong,
            ..finding.clone()
        };
        let mut found = Vec::new();
        if let Some(error) = &self.error {
            found.push(wrong(format!("it could not go on: {error}")));
        } else if self.stage != Some(expected.stage) {
            let stage = match self.stage {
                Some(stage) => stage.as_str(),
                None => "not ended in time",
            };
            let expected = expected.stage.as_str();
            let log = self.log();
            found.push(wrong(format!(
                "it is {stage} and not {expected}; its log is\n{log}"
            )));
        }
        if self.after != *expected.seen {
            let what = match expected.stage {
                Stage::Done => "what is seen is not as if it had been done once",
                _ => "what is seen is not as before",
            };
            found.push(wrong(what.into()).seeing(expected.seen, &self.after));
        }
        found.extend(self.witness.wrong().into_iter().map(wrong));
        found
    }

    fn log(&self) -> String {
        let records = self.found.iter().flat_map(|found| &found.records);
        let lines = records.map(|recorded| {
            let record = &recorded.record;
            let (kind, step) = (record.kind.as_str(), &record.step);
            let data = String::from_utf8_lossy(&record.data);
            format!("     {kind} {step} {} {data}", record.item)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A run with no fault: what the others are compared with.
pub(super) struct Baseline {
    pub(super) before: Value,
    pub(super) after: Value,
    /// The actions, each by its step and item.
    pub(super) actions: Vec<(StepNo, u32)>,
}

/// Runs a saga twice with no fault.
///
/// # Errors
///
/// What makes it no baseline.
pub(super) async fn baseline<In, Out>(
    world: &impl Fn(&Memory) -> World<In, Out>,
) -> Result<Baseline, Vec<Finding>>
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    let finding = Finding::of_saga("with no fault", "");
    let first = run(world, &Faults::default(), None).await;
    let second = run(world, &Faults::default(), None).await;
    let expected = Expected {
        stage: Stage::Done,
        seen: &first.after,
    };
    let mut found = first.compare(&expected, &finding);
    if found.is_empty() {
        let begun = Expected {
            stage: Stage::Done,
            seen: &first.before,
        };
        let is_same = second.before == *begun.seen && second.after == *expected.seen;
        if !is_same {
            let wrong = "two runs are not seen alike: nothing can be compared with them";
            let finding = Finding::of_saga("with no fault", wrong);
            let (one, other) = match second.before == *begun.seen {
                true => (&first.after, &second.after),
                false => (&first.before, &second.before),
            };
            found.push(finding.seeing(one, other));
        } else if first.before == first.after {
            let wrong = "nothing is seen of what it does: say what the world `sees`";
            found.push(Finding::of_saga("with no fault", wrong));
        }
    }
    let (actions, without) = actions(world, &first);
    found.extend(without);
    match found.is_empty() {
        true => Ok(Baseline {
            before: first.before,
            after: first.after,
            actions,
        }),
        false => Err(found),
    }
}

/// The actions that ran; and steps of which none did.
fn actions<In, Out>(
    world: &impl Fn(&Memory) -> World<In, Out>,
    first: &Outcome,
) -> (Vec<(StepNo, u32)>, Vec<Finding>) {
    let plan = world(&Memory::new()).saga.plan;
    let (mut actions, mut without) = (Vec::new(), Vec::new());
    for step in plan.graph.numbers() {
        let spec = plan.graph.spec(step);
        if !matches!(spec.work, Work::Each(_)) {
            actions.push((step, 0));
            continue;
        }
        let records = first.found.iter().flat_map(|found| &found.records);
        let of_step =
            records.filter(|line| line.record.step == spec.name && line.record.kind == Kind::Done);
        let items = of_step.map(|line| line.record.item + 1).max().unwrap_or(0);
        if items == 0 {
            without.push(Finding {
                step: String::from(&*spec.name),
                ..Finding::of_saga(
                    "with no fault",
                    "its list is empty: give it one that is not",
                )
            });
        }
        actions.extend((0..items).map(|item| (step, item)));
    }
    (actions, without)
}
