//! How the models of all crates are explored by loom. Not public API.

use std::sync::{Arc, Mutex};

use loom::model::Builder;

/// Explores all schedules: for two threads with few steps.
///
/// # Panics
///
/// If a schedule fails, or there was only one: then the threads do not meet, or
/// loom does not see them meet, and nothing is proven.
pub fn model(f: impl Fn() + Sync + Send + 'static) {
    check(&Builder::new(), f);
}

/// Explores three threads, or two with many steps, at three preemptions, unless
/// `AXIOMATIC_LOOM_UNBOUNDED` asks for all.
///
/// # Panics
///
/// As [`model`].
pub fn bounded_model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    if std::env::var_os("AXIOMATIC_LOOM_UNBOUNDED").is_none() {
        builder.preemption_bound = Some(3);
    }
    check(&builder, f);
}

/// Explores at two preemptions, whatever is asked for: where each step is many.
///
/// # Panics
///
/// As [`model`].
pub fn long_model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.preemption_bound = Some(2);
    check(&builder, f);
}

/// How many executions a model has.
pub fn explored(builder: &Builder, f: impl Fn() + Sync + Send + 'static) -> usize {
    // std's, which loom does not see.
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    builder.check(move || {
        *counted.lock().unwrap() += 1;
        f();
    });
    let executions = *count.lock().unwrap();
    executions
}

fn check(builder: &Builder, f: impl Fn() + Sync + Send + 'static) {
    let executions = explored(builder, f);
    println!("{executions} executions");
    assert!(executions > 1, "there was nothing to explore");
}
