//! Faults, put around the actions of a definition.
//!
//! A plan's actions are boxes that take values and return futures, or work for
//! a transaction. A fault is another box around one of them: the executor runs
//! the plan as any other, and knows nothing of trials.
//!
//! One file, because a fault is one only together with what it is put around.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axiomatic_core::BoxError;
use axiomatic_core::backoff::Backoff;
use bytes::Bytes;

use crate::saga::definition::{Action, Context, Doing, Outputs, Plan, Run, UndoRun, Was};
use crate::saga::machine::{Class, Graph, Progress, Retry, Spec, StepNo, Undo, Work};
use crate::saga::store::Then;
use crate::saga::{Fault, MemorySagas, MemoryWork, Saga};

/// What happens to an action, as often as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It does not run, and says that it failed.
    Fails(u32),
    /// It runs twice in a row.
    Repeats,
    /// Its undo runs twice in a row.
    RepeatsUndo,
    /// It runs, and its answer is lost. If `even_probes`, the answers of
    /// probes are lost, too.
    IsLost { times: u32, even_probes: bool },
    /// It does not run, and there is no answer.
    IsNotRun { times: u32, even_probes: bool },
}

/// Always.
pub(super) const EVER: u32 = u32::MAX;

/// What happens in a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// At which step and item, and what.
    pub(super) at: Option<(StepNo, u32, What)>,
    /// The pivot fails; or, if there is none, a step after all others does.
    pub(super) turns: bool,
}

/// What was seen of the faults of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    hits: u32,
    answer: Option<Bytes>,
    wrong: Vec<String>,
}

impl Witness {
    /// Whether the fault happens once more.
    fn hits(&self, times: u32) -> bool {
        self.with(|seen| {
            let hits = seen.hits < times;
            seen.hits += u32::from(hits);
            hits
        })
    }

    pub(super) fn has_hit(&self) -> bool {
        self.with(|seen| seen.hits > 0)
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        self.with(|seen| seen.wrong.clone())
    }

    /// The action has said this. It should have said so before.
    fn answered(&self, answer: &Bytes) {
        self.with(|seen| match &seen.answer {
            Some(before) if before != answer => {
                let (before, answer) = (text(before), text(answer));
                let wrong = format!("it returned {before}, and then {answer}");
                seen.wrong.push(wrong);
            }
            Some(_) => {}
            None => seen.answer = Some(answer.clone()),
        });
    }

    fn is_wrong(&self, wrong: String) {
        self.with(|seen| seen.wrong.push(wrong));
    }

    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn text(json: &[u8]) -> String {
    String::from_utf8_lossy(json).into_owned()
}

/// The same definition with faults; and without long waits, and without what
/// would be tried for ever, so that each run ends.
pub(super) fn inject<In, Out>(
    saga: &Saga<MemorySagas, In, Out>,
    faults: &Faults,
    witness: &Witness,
) -> Saga<MemorySagas, In, Out> {
    let plan = &saga.plan;
    let mut graph = hurried(&plan.graph);
    let pivot = graph
        .numbers()
        .find(|step| graph.spec(*step).class == Class::Pivot);
    let mut actions = Vec::new();
    for step in graph.numbers() {
        let at = faults.at.filter(|(at, _, _)| *at == step);
        let mut injected = Injected {
            plan: Arc::clone(plan),
            step,
            fault: at.map(|(_, item, what)| (item, what)),
            witness: witness.clone(),
        };
        if faults.turns && pivot == Some(step) {
            injected.fault = Some((0, What::Fails(EVER)));
            injected.witness = Witness::default();
        }
        let waits = matches!(plan.actions[step.index()].run, Run::Wait);
        if let (true, Some((_, What::Fails(_)))) = (waits, injected.fault) {
            // It waits for a signal that does not come.
            graph.steps[step.index()].work = Work::Signal(Some(SOON));
            injected.witness.hits(EVER);
        }
        actions.push(injected.action());
    }
    if faults.turns && pivot.is_none() {
        actions.push(turning(&mut graph));
    }
    let mut saga = saga.clone();
    saga.plan = Arc::new(Plan {
        definition: plan.definition.clone(),
        also_runs: plan.also_runs.clone(),
        graph,
        actions,
        output: plan.output,
        output_limit: plan.output_limit,
        deadline: None,
        minds_time: plan.minds_time,
    });
    saga
}

/// Not nothing, so that a timer is waited for.
const SOON: Duration = Duration::from_millis(1);
/// How often what can be undone is tried, and undos.
pub(super) const ATTEMPTS: u32 = 3;

fn hurried(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    for spec in &mut graph.steps {
        let backoff = Backoff::constant(SOON);
        let attempts = match spec.class {
            Class::Compensatable => ATTEMPTS,
            Class::Pivot | Class::Retriable => 0,
        };
        spec.retry = Retry { attempts, backoff };
        spec.undo_retry = Retry {
            attempts: ATTEMPTS,
            backoff,
        };
        if let Work::Sleep(time) = &mut spec.work {
            *time = SOON;
        }
    }
    graph
}

/// A step after all others, which fails.
fn turning(graph: &mut Graph) -> Action<MemorySagas> {
    let step = StepNo(graph.steps.len() as u16);
    let retry = Retry {
        attempts: 1,
        backoff: Backoff::constant(SOON),
    };
    let mut after = Vec::new();
    for number in graph.numbers() {
        let spec = &mut graph.steps[number.index()];
        if spec.before.is_empty() {
            spec.before.push(step);
            after.push(number);
        }
    }
    graph.steps.push(Spec {
        name: LAST.into(),
        class: Class::Compensatable,
        work: Work::Foreign,
        after,
        before: Vec::new(),
        undo: Undo::Nothing,
        has_probe: false,
        retry,
        undo_retry: retry,
        timeout: Duration::from_secs(1),
    });
    Action {
        run: Run::Foreign(Box::new(|_, _| Ok(failing()))),
        undo: None,
        probe: None,
        count: None,
    }
}

/// No step of a user: control characters are refused.
const LAST: &str = "the trial's own step\n";

/// A step's action, in its faults.
struct Injected {
    plan: Arc<Plan<MemorySagas>>,
    step: StepNo,
    fault: Option<(u32, What)>,
    witness: Witness,
}

impl Injected {
    fn action(self) -> Action<MemorySagas> {
        let this = Arc::new(self);
        let original = &this.plan.actions[this.step.index()];
        let run = match original.run {
            Run::Foreign(_) => {
                let this = Arc::clone(&this);
                Run::Foreign(Box::new(move |context, outputs| this.run(context, outputs)))
            }
            Run::Local(_) => {
                let this = Arc::clone(&this);
                Run::Local(Box::new(move |context, outputs, then| {
                    this.work(context, outputs, then)
                }))
            }
            Run::Wait => Run::Wait,
            // It fails, or is asked for as it is.
            Run::Lock(_) if this.fault.is_some() => {
                let this = Arc::clone(&this);
                Run::Foreign(Box::new(move |context, outputs| this.run(context, outputs)))
            }
            Run::Lock(ref ask) => Run::Lock(Arc::clone(ask)),
        };
        let undo = original.undo.as_ref().map(|undo| match undo {
            UndoRun::Foreign(_) => {
                let this = Arc::clone(&this);
                UndoRun::Foreign(Box::new(move |context, outputs, was| {
                    this.undo(context, outputs, was)
                }))
            }
            UndoRun::Local(_) => {
                let this = Arc::clone(&this);
                UndoRun::Local(Box::new(move |context, outputs, was, then| {
                    this.undo_work(context, outputs, was, then)
                }))
            }
        });
        let probe = original.probe.as_ref().map(|_| {
            let this = Arc::clone(&this);
            Box::new(move |context: Context, outputs: &Outputs<'_>| this.probe(context, outputs))
                as _
        });
        let count = original.count.as_ref().map(|_| {
            let this = Arc::clone(&this);
            Box::new(move |outputs: &Outputs<'_>| match &this.original().count {
                Some(count) => count(outputs),
                None => Ok(0),
            }) as _
        });
        Action {
            run,
            undo,
            probe,
            count,
        }
    }

    fn original(&self) -> &Action<MemorySagas> {
        &self.plan.actions[self.step.index()]
    }

    fn what(&self, context: &Context) -> Option<What> {
        let (item, what) = self.fault?;
        (item == context.item).then_some(what)
    }

    fn run(
        self: &Arc<Self>,
        context: Context,
        outputs: &Outputs<'_>,
    ) -> Result<Doing<Bytes>, BoxError> {
        let witness = self.witness.clone();
        match self.what(&context) {
            Some(What::Fails(times)) if witness.hits(times) => Ok(failing()),
            Some(What::IsNotRun { times, .. }) if witness.hits(times) => Ok(silent()),
            Some(What::IsLost { times, .. }) if witness.hits(times) => {
                let running = self.run_it(context, outputs)?;
                Ok(Box::pin(async move {
                    witness.answered(&running.await?);
                    Err(Fault::unknown("the trial lost the answer"))
                }))
            }
            Some(What::IsLost { .. }) => {
                let running = self.run_it(context, outputs)?;
                Ok(Box::pin(async move {
                    let answer = running.await?;
                    witness.answered(&answer);
                    Ok(answer)
                }))
            }
            Some(What::Repeats) if witness.hits(1) => {
                let running = self.run_it(context.clone(), outputs)?;
                let (this, given) = (Arc::clone(self), Given::new(outputs));
                Ok(Box::pin(async move {
                    witness.answered(&running.await?);
                    let again = this.run_it(context, &given.outputs(&this.plan))?.await;
                    match &again {
                        Ok(answer) => witness.answered(answer),
                        Err(fault) => witness.is_wrong(format!("the second time it {fault}")),
                    }
                    again
                }))
            }
            _ => self.run_it(context, outputs),
        }
    }

    fn run_it(&self, context: Context, outputs: &Outputs<'_>) -> Result<Doing<Bytes>, BoxError> {
        match &self.original().run {
            Run::Foreign(run) => run(context, outputs),
            _ => Err("it is not elsewhere".into()),
        }
    }

    fn probe(
        &self,
        context: Context,
        outputs: &Outputs<'_>,
    ) -> Result<Doing<Option<Bytes>>, BoxError> {
        let is_lost = match self.what(&context) {
            Some(What::IsLost { even_probes, .. } | What::IsNotRun { even_probes, .. }) => {
                even_probes
            }
            _ => false,
        };
        let Some(probe) = &self.original().probe else {
            return Err("there is no probe".into());
        };
        let asking = probe(context, outputs)?;
        Ok(Box::pin(async move {
            let found = asking.await?;
            match is_lost {
                true => Err(Fault::unknown("the trial lost the answer")),
                false => Ok(found),
            }
        }))
    }

    fn undo(
        self: &Arc<Self>,
        context: Context,
        outputs: &Outputs<'_>,
        was: Was<Bytes>,
    ) -> Result<Doing<()>, BoxError> {
        let undoing = self.undo_it(context.clone(), outputs, was.clone())?;
        let repeats = self.what(&context) == Some(What::RepeatsUndo);
        if !(repeats && self.witness.hits(1)) {
            return Ok(undoing);
        }
        let (this, given) = (Arc::clone(self), Given::new(outputs));
        Ok(Box::pin(async move {
            undoing.await?;
            let outputs = given.outputs(&this.plan);
            let again = this.undo_it(context, &outputs, was)?;
            let again = again.await;
            if let Err(fault) = &again {
                let wrong = format!("its undo {fault}, the second time");
                this.witness.is_wrong(wrong);
            }
            again
        }))
    }

    fn undo_it(
        &self,
        context: Context,
        outputs: &Outputs<'_>,
        was: Was<Bytes>,
    ) -> Result<Doing<()>, BoxError> {
        match &self.original().undo {
            Some(UndoRun::Foreign(undo)) => undo(context, outputs, was),
            _ => Err("its undo is not elsewhere".into()),
        }
    }

    /// What a transaction does is done once or not at all, so a local step has
    /// other faults: it is done, and taken back.
    fn work(
        &self,
        context: Context,
        outputs: &Outputs<'_>,
        then: Then,
    ) -> Result<MemoryWork, BoxError> {
        let what = self.what(&context);
        let hits = |times| self.witness.hits(times);
        match what {
            Some(What::Fails(times)) if hits(times) => {
                return Ok(MemoryWork::new(|_| Err(Fault::failed(FAILS))));
            }
            Some(What::IsNotRun { times, .. }) if hits(times) => {
                return Ok(MemoryWork::new(|_| Err(Fault::unknown(SILENT))));
            }
            _ => {}
        }
        let Run::Local(run) = &self.original().run else {
            return Err("it is not local".into());
        };
        let work = run(context, outputs, then)?;
        match what {
            Some(What::Repeats) if hits(1) => Ok(taken_back(work)),
            Some(What::IsLost { times, .. }) if hits(times) => Ok(taken_back(work)),
            _ => Ok(work),
        }
    }

    fn undo_work(
        &self,
        context: Context,
        outputs: &Outputs<'_>,
        was: Was<Bytes>,
        then: Then,
    ) -> Result<MemoryWork, BoxError> {
        let repeats = self.what(&context) == Some(What::RepeatsUndo);
        let Some(UndoRun::Local(undo)) = &self.original().undo else {
            return Err("its undo is not local".into());
        };
        let work = undo(context, outputs, was, then)?;
        match repeats && self.witness.hits(1) {
            true => Ok(taken_back(work)),
            false => Ok(work),
        }
    }
}

fn taken_back(work: MemoryWork) -> MemoryWork {
    MemoryWork::new(move |tx| {
        work.run(tx)?;
        Err(Fault::unknown("the trial took the transaction back"))
    })
}

const FAILS: &str = "the trial has it fail";
const SILENT: &str = "the trial has it not answer";

fn failing() -> Doing<Bytes> {
    Box::pin(std::future::ready(Err(Fault::failed(FAILS))))
}

fn silent() -> Doing<Bytes> {
    Box::pin(std::future::ready(Err(Fault::unknown(SILENT))))
}

/// What an action is given, kept until it runs again.
struct Given {
    input: Bytes,
    progress: Progress,
}

impl Given {
    fn new(outputs: &Outputs<'_>) -> Self {
        Given {
            input: outputs.input.clone(),
            progress: outputs.progress.clone(),
        }
    }

    fn outputs<'a>(&'a self, plan: &'a Plan<MemorySagas>) -> Outputs<'a> {
        Outputs {
            input: &self.input,
            steps: &plan.graph.steps,
            progress: &self.progress,
        }
    }
}
