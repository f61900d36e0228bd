//! What is next while steps are undone.

use super::*;

/// `a` before `b` and `c`, both before `d`.
fn diamond() -> Vec<Spec> {
    vec![
        step("a", &[]),
        step("b", &[0]),
        step("c", &[0]),
        step("d", &[1, 2]),
    ]
}

#[test]
fn independent_branches_are_undone_at_once_and_what_is_before_them_last() {
    let mut saga = Saga::new(diamond());
    saga.has_done(&["a", "b", "c"]).flies(&["d"]);
    saga.says(Kind::Failed, "d");
    assert_eq!(saga.stage(), Stage::Unwinding);
    assert_eq!(saga.next(), ["undo c 0 #1", "undo b 0 #1"]);
    saga.says(Kind::UndoBegan, "b").says(Kind::Undone, "b");
    assert_eq!(saga.next(), ["undo c 0 #1"]);
    saga.says(Kind::UndoBegan, "c");
    saga.progress.fly(StepNo(2), 0);
    assert!(saga.next().is_empty());
    saga.says(Kind::Undone, "c");
    assert_eq!(saga.next(), ["undo a 0 #1"]);
    saga.says(Kind::Undone, "a");
    assert_eq!(saga.stage(), Stage::Compensated);
}

#[test]
fn a_step_with_nothing_to_undo_does_not_let_those_before_it_go_first() {
    let steps = vec![
        step("a", &[]),
        plain("b", Class::Compensatable, &[0]),
        step("c", &[1]),
    ];
    let mut saga = Saga::new(steps);
    saga.has_done(&["a", "b", "c"]).says(Kind::Turned, "");
    assert_eq!(saga.next(), ["undo c 0 #1"]);
    saga.refuses(&[(Kind::UndoBegan, "b"), (Kind::Undone, "b")]);
    saga.says(Kind::UndoBegan, "c");
    saga.progress.fly(StepNo(2), 0);
    assert!(saga.next().is_empty());
    saga.says(Kind::Undone, "c");
    assert_eq!(saga.next(), ["undo a 0 #1"]);
}

#[test]
fn what_is_in_flight_when_it_turns_is_waited_for() {
    for undo in [Undo::Effects, Undo::Nothing] {
        let b = Spec {
            undo,
            ..step("b", &[0])
        };
        let mut saga = Saga::new(vec![step("a", &[]), b, step("c", &[0])]);
        saga.has_done(&["a"]).flies(&["b", "c"]);
        saga.says(Kind::Failed, "c");
        assert!(saga.next().is_empty());
        assert_eq!(saga.stage(), Stage::Unwinding);
        saga.says(Kind::Done, "b");
        let next = match undo {
            Undo::Nothing => "undo a 0 #1",
            _ => "undo b 0 #1",
        };
        assert_eq!(saga.next(), [next]);
    }
}

/// It writes nothing when it begins.
#[test]
fn work_in_the_own_database_that_is_in_flight_is_waited_for_too() {
    let local = working(Work::Local, step("b", &[]));
    let mut saga = Saga::new(vec![local]);
    saga.progress.fly(StepNo(0), 0);
    saga.says(Kind::Turned, "");
    assert!(saga.next().is_empty());
    assert_eq!(saga.stage(), Stage::Unwinding);
    saga.says(Kind::Done, "b");
    assert_eq!(saga.next(), ["undo b 0 #1"]);
    // Nor does its undo begin.
    saga.says(Kind::Undone, "b");
    assert_eq!(saga.stage(), Stage::Compensated);
}

#[test]
fn what_was_begun_or_is_in_doubt_is_undone_and_what_waits_never_is() {
    let steps = ["begun", "doubted", "waits"].map(|name| step(name, &[]));
    let mut saga = Saga::new(steps.to_vec());
    saga.says(Kind::Began, "begun");
    saga.says(Kind::Began, "doubted")
        .says(Kind::Doubted, "doubted");
    saga.says(Kind::Turned, "");
    assert_eq!(saga.next(), ["undo doubted 0 #1", "undo begun 0 #1"]);
    saga.refuses(&[(Kind::UndoBegan, "waits"), (Kind::Undone, "waits")]);
    saga.refuses(&[(Kind::Began, "waits"), (Kind::Began, "begun")]);
    saga.refuses(&[(Kind::Stuck, "begun"), (Kind::Turned, "")]);
    saga.says(Kind::Undone, "doubted")
        .says(Kind::Undone, "begun");
    assert_eq!(saga.stage(), Stage::Compensated);
}

#[test]
fn a_known_failure_is_undone_only_if_the_step_says_so() {
    let even = Spec {
        undo: Undo::EvenFailed,
        ..step("even", &[])
    };
    let mut saga = Saga::new(vec![even.clone()]);
    saga.flies(&["even"]).says(Kind::Failed, "even");
    assert_eq!(saga.next(), ["undo even 0 #1"]);
    saga.says(Kind::UndoBegan, "even")
        .says(Kind::Undone, "even");
    assert_eq!(saga.stage(), Stage::Compensated);

    // One that was never begun did not fail.
    let mut saga = Saga::new(vec![even]);
    saga.says(Kind::Turned, "");
    assert_eq!(saga.stage(), Stage::Compensated);

    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.flies(&["a"]).says(Kind::Failed, "a");
    assert_eq!(saga.stage(), Stage::Compensated);
    saga.refuses(&[(Kind::UndoBegan, "a")]);
}

#[test]
fn an_undo_that_did_not_end_is_tried_again_after_a_pause_and_then_stuck() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.has_done(&["a"]).says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "a").says(Kind::UndoDoubted, "a");
    assert!(saga.next().is_empty());
    assert_eq!(saga.wakes_in(), Some(PAUSE));
    assert_eq!(saga.stage(), Stage::Unwinding);
    saga.passes(PAUSE);
    assert_eq!(saga.next(), ["undo a 0 #2"]);
    // A process that died tries again at once.
    saga.says_of(Kind::UndoBegan, "a", 0, 2);
    assert_eq!(saga.next(), ["undo a 0 #3"]);
    saga.says_of(Kind::UndoBegan, "a", 0, 3);
    assert_eq!(saga.next(), ["stick a 0"]);
    saga.says(Kind::Stuck, "a");
    assert!(saga.next().is_empty());
    assert_eq!(saga.stage(), Stage::Stuck);
}

/// The attempts of an action are not those of its undo.
#[test]
fn an_undo_has_attempts_of_its_own() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.says_of(Kind::Began, "a", 0, 3);
    saga.says(Kind::Turned, "");
    assert_eq!(saga.next(), ["undo a 0 #1"]);
}

#[test]
fn an_undo_that_is_stuck_holds_back_only_what_is_before_it() {
    let mut steps = diamond();
    steps.push(step("before b", &[]));
    steps[1].after.push(StepNo(0));
    steps[1].after.dedup();
    let mut saga = Saga::new(steps);
    saga.has_done(&["a", "b", "c", "before b"]);
    saga.says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "b").says(Kind::Stuck, "b");
    assert_eq!(saga.next(), ["undo before b 0 #1", "undo c 0 #1"]);
    assert_eq!(saga.stage(), Stage::Unwinding);
    saga.says(Kind::Undone, "c").says(Kind::Undone, "before b");
    assert!(saga.next().is_empty());
    assert_eq!(saga.stage(), Stage::Stuck);
}

#[test]
fn items_are_undone_at_once_and_all_before_what_is_before_them() {
    let each = working(Work::Each(1), step("each", &[0]));
    let mut saga = Saga::new(vec![step("a", &[]), each]);
    saga.has_done(&["a"]);
    for item in [0, 1, 2] {
        saga.says_of(Kind::Began, "each", item, 1);
    }
    saga.says_of(Kind::Done, "each", 0, 1);
    saga.says_of(Kind::Failed, "each", 1, 1);
    assert_eq!(saga.next(), ["undo each 0 #1", "undo each 2 #1"]);
    saga.says_of(Kind::Undone, "each", 0, 1);
    assert_eq!(saga.next(), ["undo each 2 #1"]);
    saga.says_of(Kind::Undone, "each", 2, 1);
    assert_eq!(saga.next(), ["undo a 0 #1"]);
}

#[test]
fn nothing_turns_once_the_pivot_may_be_done() {
    let steps = || vec![step("a", &[]), plain("pivot", Class::Pivot, &[0])];
    let turned = [(Kind::Turned, "")];
    let mut saga = Saga::new(steps());
    saga.has_done(&["a"]).says(Kind::Began, "pivot");
    saga.refuses(&turned);
    saga.says(Kind::Doubted, "pivot").refuses(&turned);
    saga.says(Kind::Stuck, "pivot").refuses(&turned);
    saga.says(Kind::Resumed, "pivot").refuses(&turned);
    saga.says(Kind::Done, "pivot").refuses(&turned);

    let mut saga = Saga::new(steps());
    saga.has_done(&["a"]).says(Kind::Turned, "");

    // It is known not to have happened.
    let mut saga = Saga::new(steps());
    saga.has_done(&["a"]).flies(&["pivot"]);
    saga.says(Kind::Failed, "pivot");
    assert_eq!(saga.next(), ["undo a 0 #1"]);
}

/// A saga of the first version, of which the second says that it runs it,
/// though it has a step more before the pivot.
#[test]
fn a_saga_that_is_past_its_pivot_is_not_run_with_a_step_more_before_it() {
    let second = || {
        vec![
            step("a", &[]),
            step("more", &[]),
            plain("pivot", Class::Pivot, &[0, 1]),
            plain("last", Class::Retriable, &[2]),
        ]
    };
    let mut saga = Saga::new(second());
    saga.has_done(&["a"]);
    // All that an executor of the first version can write then.
    saga.refuses(&[
        (Kind::Began, "pivot"),
        (Kind::Done, "pivot"),
        (Kind::Doubted, "pivot"),
    ]);
    let why = saga.tries(&record(Kind::Began, "pivot", 0, 1));
    let why = why.expect_err("refused").to_string();
    assert!(
        why.contains("a step before this pivot is not done"),
        "{why}"
    );
    // One that is not yet past it is run.
    saga.has_done(&["more", "pivot", "last"]);
    assert_eq!(saga.stage(), Stage::Done);
}

/// How long the list is, and whether it is empty, the log does not say.
#[test]
fn a_list_of_steps_before_the_pivot_is_not_begun_behind_it() {
    let each = working(Work::Each(1), step("more", &[]));
    let mut saga = Saga::new(vec![each, plain("pivot", Class::Pivot, &[0])]);
    saga.has_done(&["pivot"]);
    saga.progress.expand(StepNo(0), 1);
    saga.refuses(&[
        (Kind::Began, "more"),
        (Kind::Done, "more"),
        (Kind::Failed, "more"),
    ]);
    assert_eq!(saga.progress.direction(), Direction::Forward);

    let each = working(Work::Each(1), step("more", &[]));
    let mut saga = Saga::new(vec![each, plain("pivot", Class::Pivot, &[0])]);
    saga.has_done(&["pivot"]);
    saga.progress.expand(StepNo(0), 0);
    assert_eq!(saga.stage(), Stage::Done);
}

/// Of the attempt that nobody answers for there is nothing to say.
#[test]
fn what_was_said_last_is_known_until_the_step_begins_again() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    let says = |saga: &mut Saga, kind, attempt, said: &'static str| {
        let mut doubted = record(kind, "a", 0, attempt);
        doubted.data = Bytes::from_static(said.as_bytes());
        saga.tries(&doubted).expect("in doubt");
        assert_eq!(saga.slot("a").fault.as_deref(), Some(said.as_bytes()));
    };
    saga.says(Kind::Began, "a");
    assert_eq!(saga.slot("a").fault, None);
    says(&mut saga, Kind::Doubted, 1, "\"lost\"");
    saga.says_of(Kind::Began, "a", 0, 2);
    assert_eq!(saga.slot("a").fault, None);
    says(&mut saga, Kind::Doubted, 2, "\"late\"");
    saga.says(Kind::Turned, "").says(Kind::UndoBegan, "a");
    assert_eq!(saga.slot("a").fault, None);
    says(&mut saga, Kind::UndoDoubted, 1, "\"gone\"");
}
