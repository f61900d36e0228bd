//! A dependency that does what its script says, and the requests and answers
//! that it knows.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

use axiomatic_core::binding::{Advice, Advise};
use axiomatic_core::context::{Endpoint, Repeatability};
use axiomatic_core::time::{Clock, Instant};
use axiomatic_core::{Carrier, Classify, Context, Outcome, Pattern, Reason, Rejected};
use tower::Service;

/// What an attempt ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Is(Outcome),
    Advised(Advice),
    By(u64),
}

pub(super) const GOOD: Answer = Answer::Is(Outcome::Success);
pub(super) const BAD: Answer = Answer::Is(Outcome::Transient);

/// Requests are contexts, answers say what they are worth, errors are
/// rejections.
#[derive(Clone, Copy)]
pub(super) struct Spoken;

impl Carrier<Call> for Spoken {
    fn context(&self, request: &Call) -> Context {
        request.context.clone()
    }

    fn set_context(&self, request: &mut Call, context: Context) {
        request.context = context;
    }
}

impl Classify<Answer, Rejected> for Spoken {
    fn classify(&self, result: Result<&Answer, &Rejected>) -> Outcome {
        match result {
            Ok(Answer::Is(outcome)) => *outcome,
            Ok(Answer::Advised(_) | Answer::By(_)) => Outcome::Transient,
            Err(rejected) => rejected.reason().outcome(),
        }
    }
}

impl Advise<Answer, Rejected> for Spoken {
    fn advice(&self, result: Result<&Answer, &Rejected>) -> Advice {
        match result {
            Ok(Answer::Advised(advice)) => *advice,
            _ => Advice::ByOutcome,
        }
    }

    fn endpoint(&self, result: Result<&Answer, &Rejected>) -> Option<Endpoint> {
        match result {
            Ok(Answer::By(endpoint)) => Some(Endpoint::from_hash(*endpoint)),
            _ => None,
        }
    }

    fn given_up(&self, result: &mut Result<Answer, Rejected>) {
        // So that a test can see it.
        if let Ok(Answer::Is(Outcome::Transient)) = result {
            *result = Ok(Answer::Advised(Advice::Never));
        }
    }
}

/// A request that counts how often it is cloned.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) context: Context,
    pub(super) clones: Rc<Cell<u32>>,
}

impl Clone for Call {
    fn clone(&self) -> Self {
        self.clones.set(self.clones.get() + 1);
        Call {
            context: self.context.clone(),
            clones: Rc::clone(&self.clones),
        }
    }
}

impl Call {
    pub(super) fn repeatable() -> Self {
        let context = Context::default().with_repeatability(Repeatability::Repeatable);
        Call {
            context,
            ..Call::default()
        }
    }
}

/// Answers as its script says, at once, and keeps the contexts it was called
/// with, and when.
#[derive(Clone, Default)]
pub(super) struct Dependency {
    script: Rc<RefCell<VecDeque<Result<Answer, Rejected>>>>,
    calls: Rc<RefCell<Vec<(Instant, Context)>>>,
    pub(super) is_failing: Rc<Cell<bool>>,
}

impl Dependency {
    pub(super) fn that(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with(answers.into_iter().map(Ok))
    }

    pub(super) fn with(answers: impl IntoIterator<Item = Result<Answer, Rejected>>) -> Self {
        Dependency {
            script: Rc::new(RefCell::new(answers.into_iter().collect())),
            ..Dependency::default()
        }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.borrow().len()
    }

    pub(super) fn contexts(&self) -> Vec<Context> {
        let calls = self.calls.borrow();
        calls.iter().map(|(_, context)| context.clone()).collect()
    }

    /// The times between its calls.
    pub(super) fn waits(&self) -> Vec<Duration> {
        let calls = self.calls.borrow();
        calls.windows(2).map(|two| two[1].0 - two[0].0).collect()
    }
}

impl Service<Call> for Dependency {
    type Response = Answer;
    type Error = Rejected;
    type Future = Ready<Result<Answer, Rejected>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), Rejected>> {
        Poll::Ready(if self.is_failing.get() {
            Err(Rejected::new(Pattern::Bulkhead, Reason::Full))
        } else {
            Ok(())
        })
    }

    fn call(&mut self, request: Call) -> Self::Future {
        let mut calls = self.calls.borrow_mut();
        calls.push((Clock::Precise.now(), request.context));
        let answer = self.script.borrow_mut().pop_front();
        ready(answer.unwrap_or(Ok(BAD)))
    }
}
