//! The trials.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::injection::{ATTEMPTS, EVER, Faults, What};
use super::report::{Finding, Report};
use super::run::{Baseline, Expected, baseline, run};
use super::world::World;
use crate::Memory;
use crate::saga::definition::{Plan, Run};
use crate::saga::machine::{Class, Spec, StepNo, Work};
use crate::saga::{MemorySagas, Stage};

/// Each action in turn runs twice in a row, with the same
/// [key](crate::saga::Context::key), as when its first answer was lost. What
/// is seen must be as if it had run once, and it must return the same twice.
///
/// A local step is done, taken back with its transaction, and done again: what
/// is seen twice was done outside of the transaction.
pub async fn repeat_each<In, Out>(world: impl Fn(&Memory) -> World<In, Out>) -> Report
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    const KIND: &str = "an action runs twice";
    let mut trial = Trial::begin("repeat_each", &[KIND], world).await;
    trial.each(KIND, End::Done, |action| {
        (!action.waits).then_some(What::Repeats)
    });
    trial.run_all().await
}

/// Each step in turn fails instead of running. The saga must be unwound, and
/// everything be seen as before it began; or, if the step is retriable, be done
/// once it fails no more.
///
/// A step that waits, before the pivot, waits in vain.
pub async fn fail_each<In, Out>(world: impl Fn(&Memory) -> World<In, Out>) -> Report
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    const KIND: &str = "a step fails";
    let mut trial = Trial::begin("fail_each", &[KIND], world).await;
    trial.each(KIND, End::Compensated, |action| {
        let is_retriable = action.spec.class == Class::Retriable;
        (!is_retriable).then_some(What::Fails(EVER))
    });
    trial.each(KIND, End::Done, |action| {
        let is_retriable = action.spec.class == Class::Retriable;
        (is_retriable && !action.waits).then_some(What::Fails(SOME))
    });
    trial.run_all().await
}

/// All is done, then the saga turns, and each undo in turn runs twice in a row.
/// Everything must be seen as before the saga began.
pub async fn undo_repeat_each<In, Out>(world: impl Fn(&Memory) -> World<In, Out>) -> Report
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    const KIND: &str = "its undo runs twice";
    let mut trial = Trial::begin("undo_repeat_each", &[KIND], world).await;
    trial.each(KIND, End::Compensated, |action| {
        action.has_undo.then_some(What::RepeatsUndo)
    });
    trial.turns();
    trial.run_all().await
}

/// The answer of each action in turn is lost: of all its attempts, whether it
/// runs or not, so that the saga is unwound and everything must be seen as
/// before; or of the first one, so that all must be done, once, and the later
/// answer, or the probe's, be what was lost.
///
/// From the pivot on there is no way back: there an action is tried until it
/// answers.
pub async fn unknown_each<In, Out>(world: impl Fn(&Memory) -> World<In, Out>) -> Report
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    const LOST: &str = "all answers are lost";
    const NOT_RUN: &str = "it never runs and never answers";
    const LOST_ONCE: &str = "an answer is lost";
    const NOT_RUN_ONCE: &str = "it does not run once, and does not answer";
    let kinds = [LOST_ONCE, NOT_RUN_ONCE];
    let mut trial = Trial::begin("unknown_each", &kinds, world).await;
    for (kind, is_run) in [(LOST, true), (NOT_RUN, false)] {
        let what = move |times, even_probes| match is_run {
            true => What::IsLost { times, even_probes },
            false => What::IsNotRun { times, even_probes },
        };
        trial.each(kind, End::Compensated, |action| {
            let can_turn = action.spec.class == Class::Compensatable;
            (can_turn && !action.waits).then_some(what(EVER, true))
        });
    }
    for (kind, is_run) in [(LOST_ONCE, true), (NOT_RUN_ONCE, false)] {
        let what = move |times, even_probes| match is_run {
            true => What::IsLost { times, even_probes },
            false => What::IsNotRun { times, even_probes },
        };
        trial.each(kind, End::Done, |action| {
            let can_turn = action.spec.class == Class::Compensatable;
            let times = if can_turn { 1 } else { SOME };
            (!action.waits).then_some(what(times, false))
        });
    }
    trial.run_all().await
}

/// The [`Memory`] crashes at its first step, at its second, and so on until a
/// saga ends without a crash; then the same with a saga that turns when all is
/// done. Another executor takes over each time. The saga must end, and be seen
/// as if it had been done once, or as before it began.
pub async fn crash_each<In, Out>(world: impl Fn(&Memory) -> World<In, Out>) -> Report
where
    In: Serialize + DeserializeOwned + Send + 'static,
    Out: DeserializeOwned,
{
    const FORWARD: &str = "the database crashes";
    const BACK: &str = "the database crashes, and the saga turns";
    let mut trial = Trial::begin("crash_each", &[FORWARD, BACK], world).await;
    let Some(baseline) = &trial.baseline else {
        return trial.report.finished();
    };
    for (kind, turns) in [(FORWARD, false), (BACK, true)] {
        let faults = Faults { at: None, turns };
        let expected = Trial::<fn(&Memory) -> World<In, Out>>::expected(baseline, end_of(turns));
        for step in 0.. {
            if step == MOST_CRASHES {
                let wrong = format!("it has crashed {step} times, and would again");
                trial.report.found(Finding::of_saga(kind, wrong));
                break;
            }
            let outcome = run(&trial.world, &faults, Some(step)).await;
            let fault = match &outcome.crashed_after {
                Some(line) => format!("{kind} at its step {step}, behind {line:?}"),
                None => String::from("no crash"),
            };
            for finding in outcome.compare(&expected, &Finding::of_saga(&fault, "")) {
                trial.report.found(finding);
            }
            if outcome.crashed_after.is_none() {
                break;
            }
            trial.report.ran(kind);
        }
    }
    trial.report.finished()
}

/// A saga of a thousand items has some ten thousand.
const MOST_CRASHES: u64 = 100_000;
/// How often something fails that is tried until it is done.
const SOME: u32 = ATTEMPTS - 1;

fn end_of(turns: bool) -> End {
    match turns {
        true => End::Compensated,
        false => End::Done,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Compensated,
}

/// An action at which there can be a fault.
struct Target<'a> {
    spec: &'a Spec,
    waits: bool,
    has_undo: bool,
}

/// A trial that is made.
struct Trial<W> {
    world: W,
    baseline: Option<Baseline>,
    plan: Option<std::sync::Arc<Plan<MemorySagas>>>,
    runs: Vec<(&'static str, End, StepNo, u32, What)>,
    turns: bool,
    report: Report,
}

impl<W> Trial<W> {
    async fn begin<In, Out>(name: &'static str, kinds: &[&'static str], world: W) -> Self
    where
        W: Fn(&Memory) -> World<In, Out>,
        In: Serialize + DeserializeOwned + Send + 'static,
        Out: DeserializeOwned,
    {
        let mut trial = Trial {
            plan: None,
            baseline: None,
            world,
            runs: Vec::new(),
            turns: false,
            report: Report::new(name, kinds),
        };
        match baseline(&trial.world).await {
            Ok(baseline) => {
                trial.plan = Some((trial.world)(&Memory::new()).saga.plan);
                trial.baseline = Some(baseline);
            }
            Err(findings) => {
                for finding in findings {
                    trial.report.found(finding);
                }
            }
        }
        trial
    }

    /// The saga turns when all is done.
    fn turns(&mut self) {
        self.turns = true;
    }

    /// A run for each action for which there is something to try.
    fn each(&mut self, kind: &'static str, end: End, what: impl Fn(Target<'_>) -> Option<What>) {
        let (Some(plan), Some(baseline)) = (&self.plan, &self.baseline) else {
            return;
        };
        for (step, item) in &baseline.actions {
            let action = &plan.actions[step.index()];
            let mut after = plan.graph.spec(*step).after.iter();
            let is_turn = after.any(|step| plan.graph.spec(*step).work == Work::Lock);
            if is_turn && matches!(action.run, Run::Wait) {
                // Nobody else is in its way: its turn comes.
                continue;
            }
            let target = Target {
                spec: plan.graph.spec(*step),
                waits: matches!(action.run, Run::Wait | Run::Lock(_)),
                has_undo: action.undo.is_some(),
            };
            if let Some(what) = what(target) {
                self.runs.push((kind, end, *step, *item, what));
            }
        }
    }

    async fn run_all<In, Out>(mut self) -> Report
    where
        W: Fn(&Memory) -> World<In, Out>,
        In: Serialize + DeserializeOwned + Send + 'static,
        Out: DeserializeOwned,
    {
        let (Some(plan), Some(baseline)) = (&self.plan, &self.baseline) else {
            return self.report.finished();
        };
        for (kind, end, step, item, what) in self.runs {
            let faults = Faults {
                at: Some((step, item, what)),
                turns: self.turns,
            };
            let outcome = run(&self.world, &faults, None).await;
            let finding = Finding {
                step: String::from(&*plan.graph.spec(step).name),
                item,
                ..Finding::of_saga(kind, "")
            };
            let expected = Self::expected(baseline, end);
            for finding in outcome.compare(&expected, &finding) {
                self.report.found(finding);
            }
            if outcome.witness.has_hit() {
                self.report.ran(kind);
            } else {
                self.report.found(Finding {
                    wrong: "the saga did not come to it".into(),
                    ..finding
                });
            }
        }
        self.report.finished()
    }

    fn expected(baseline: &Baseline, end: End) -> Expected<'_> {
        match end {
            End::Done => Expected {
                stage: Stage::Done,
                seen: &baseline.after,
            },
            End::Compensated => Expected {
                stage: Stage::Compensated,
                seen: &baseline.before,
            },
        }
    }
}
