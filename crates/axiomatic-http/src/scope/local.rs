use std::cell::Cell;

use axiomatic_core::Context;
use axiomatic_core::context::Priority;

tokio::task_local! {
    pub(super) static SCOPE: Scope;
}

/// What the calls of one future inherit, and what became of them.
#[derive(Debug)]
pub(super) struct Scope {
    context: Context,
    gave_up: Cell<bool>,
}

impl Scope {
    /// For the calls that are made while this context's request is served.
    pub(super) fn new(context: &Context) -> Self {
        Scope {
            context: context.child(),
            gave_up: Cell::new(false),
        }
    }

    /// Whether a retry in it gave up.
    pub(super) fn gave_up(&self) -> bool {
        self.gave_up.get()
    }
}

/// Tells the scope we are in, if any, that a retry gave up.
pub(crate) fn give_up() {
    // Outside of any scope there is nobody to tell.
    let _ = SCOPE.try_with(|scope| scope.gave_up.set(true));
}

/// What a request says, with what it does not say from the scope.
pub(crate) fn inherit(own: Option<&Context>) -> Context {
    SCOPE
        .try_with(|scope| match own {
            Some(own) => fill(own, &scope.context),
            None => scope.context.clone(),
        })
        .unwrap_or_else(|_| own.cloned().unwrap_or_default())
}

fn fill(own: &Context, inherited: &Context) -> Context {
    let mut context = own.clone();
    if let Some(deadline) = inherited.deadline() {
        context = context.with_deadline(deadline);
    }
    if context.priority() == Priority::default() {
        context = context.with_priority(inherited.priority());
    }
    match (context.retried_by(), inherited.retried_by()) {
        (None, Some(name)) => context.with_retried_by(name),
        _ => context,
    }
}
