//! What operators say.

use super::*;

/// `a` and `b` are done, `c` behind `b` has failed, the undo of `a` is stuck,
/// and `b` is undone.
fn stuck_at_a() -> Saga {
    let steps = vec![step("a", &[]), step("b", &[]), step("c", &[1])];
    let mut saga = Saga::new(steps);
    saga.says(Kind::Began, "a");
    let mut done = record(Kind::Done, "a", 0, 1);
    done.data = Bytes::from_static(b"\"a's\"");
    saga.tries(&done).expect("done");
    saga.has_done(&["b"]).flies(&["c"]).says(Kind::Failed, "c");
    saga.says(Kind::UndoBegan, "b").says(Kind::Undone, "b");
    saga.says(Kind::UndoBegan, "a").says(Kind::Stuck, "a");
    assert_eq!(saga.stage(), Stage::Stuck);
    saga
}

#[test]
fn an_undo_that_is_stuck_is_tried_again_at_once() {
    let mut saga = stuck_at_a();
    saga.says(Kind::UndoRetried, "a");
    assert_eq!(saga.next(), ["undo a 0 #2"]);
    saga.says_of(Kind::UndoBegan, "a", 0, 2)
        .says(Kind::Undone, "a");
    assert_eq!(saga.stage(), Stage::Compensated);
}

/// What may have happened before is never said to be the first attempt.
#[test]
fn attempts_are_counted_on_when_an_operator_has_it_tried_as_often_again() {
    let mut saga = Saga::new(vec![plain("a", Class::Retriable, &[])]);
    let tries = |saga: &mut Saga, attempts: std::ops::RangeInclusive<u32>| {
        for attempt in attempts {
            assert_eq!(saga.next(), [format!("begin a 0 #{attempt}")]);
            saga.says_of(Kind::Began, "a", 0, attempt);
            saga.says_of(Kind::Doubted, "a", 0, attempt);
            saga.passes(PAUSE);
        }
        assert_eq!(saga.next(), ["stick a 0"]);
        saga.says(Kind::Stuck, "a").says(Kind::Resumed, "a");
    };
    tries(&mut saga, 1..=3);
    tries(&mut saga, 4..=6);
    // A log from when they were counted anew.
    saga.says_of(Kind::Began, "a", 0, 1);
    tries(&mut saga, 7..=9);
}

#[test]
fn an_undo_is_tried_as_often_again_when_an_operator_says_so() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.has_done(&["a"]).says(Kind::Turned, "");
    for attempts in [1..=3, 4..=6] {
        for attempt in attempts {
            assert_eq!(saga.next(), [format!("undo a 0 #{attempt}")]);
            saga.says_of(Kind::UndoBegan, "a", 0, attempt);
            saga.says_of(Kind::UndoDoubted, "a", 0, attempt);
            saga.passes(PAUSE);
        }
        assert_eq!(saga.next(), ["stick a 0"]);
        saga.says(Kind::Stuck, "a").says(Kind::UndoRetried, "a");
    }
}

#[test]
fn an_undo_that_is_skipped_holds_nothing_back() {
    let mut saga = Saga::new(vec![step("a", &[]), step("b", &[0])]);
    saga.has_done(&["a", "b"]).says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "b").says(Kind::Stuck, "b");
    saga.refuses(&[(Kind::UndoSkipped, "a"), (Kind::UndoRetried, "a")]);
    saga.says(Kind::UndoSkipped, "b");
    assert_eq!(saga.next(), ["undo a 0 #1"]);
}

#[test]
fn going_forward_again_does_anew_only_what_was_undone() {
    let mut saga = stuck_at_a();
    saga.says(Kind::Resumed, "");
    assert_eq!(saga.slot("a").standing, Standing::Done);
    assert_eq!(saga.slot("a").output.as_deref(), Some(&b"\"a's\""[..]));
    assert_eq!(saga.slot("a").round, 0);
    // Their keys are other ones.
    assert_eq!(saga.slot("b").round, 1);
    assert_eq!(saga.slot("c").round, 1);
    assert_eq!(saga.slot("b").output, None);
    assert_eq!(saga.next(), ["begin b 0 #1"]);
    saga.has_done(&["b", "c"]);
    assert_eq!(saga.stage(), Stage::Done);
}

#[test]
fn who_has_gone_forward_again_can_turn_again() {
    let mut saga = stuck_at_a();
    saga.says(Kind::Resumed, "").has_done(&["b"]);
    saga.flies(&["c"]).says(Kind::Failed, "c");
    // The undo of `a` may have happened before.
    assert_eq!(saga.next(), ["undo b 0 #1", "undo a 0 #2"]);
}

#[test]
fn who_has_gone_forward_again_is_not_late() {
    let mut saga = stuck_at_a();
    saga.deadline = Some(saga.now);
    saga.says(Kind::Resumed, "");
    assert_eq!(saga.next(), ["begin b 0 #1"]);
    assert_eq!(saga.outlook().wake, None);
}

#[test]
fn what_was_in_doubt_keeps_its_round_when_it_goes_forward_again() {
    let mut saga = Saga::new(vec![step("a", &[]), step("b", &[])]);
    saga.says_of(Kind::Began, "a", 0, 3);
    saga.says_of(Kind::Doubted, "a", 0, 3);
    saga.says(Kind::Turned, "").says(Kind::UndoBegan, "a");
    saga.says(Kind::Stuck, "a").says(Kind::Resumed, "");
    assert_eq!(saga.slot("a").standing, Standing::InDoubt);
    assert_eq!(saga.slot("a").round, 0);
    assert_eq!(saga.next(), ["begin a 0 #4", "begin b 0 #1"]);
    assert_eq!(saga.slot("b").round, 1);
}

#[test]
fn nobody_goes_forward_again_while_something_is_being_undone() {
    let resumed = [(Kind::Resumed, "")];
    let mut saga = Saga::new(vec![step("a", &[]), step("b", &[])]);
    saga.has_done(&["a", "b"]).says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "a").says(Kind::Stuck, "a");
    saga.says(Kind::UndoBegan, "b").refuses(&resumed);
    saga.says(Kind::UndoDoubted, "b").refuses(&resumed);
    saga.says(Kind::Undone, "b").says(Kind::Resumed, "");
    assert_eq!(saga.progress.direction(), Direction::Forward);
}

/// It was loaded too often, and an operator brings it back.
#[test]
fn what_was_put_aside_and_is_not_stuck_goes_on_as_it_was() {
    let mut saga = Saga::new(vec![step("a", &[]), step("b", &[0])]);
    let resumes = |saga: &mut Saga| {
        let before = format!("{:?}", saga.progress);
        saga.says(Kind::Resumed, "");
        assert_eq!(format!("{:?}", saga.progress), before);
    };
    resumes(&mut saga);
    saga.has_done(&["a"]).says(Kind::Began, "b");
    resumes(&mut saga);
    saga.says(Kind::Turned, "").says(Kind::UndoBegan, "b");
    resumes(&mut saga);
    assert_eq!(saga.next(), ["undo b 0 #2"]);
    saga.says(Kind::Abandoned, "")
        .refuses(&[(Kind::Resumed, "")]);
}

#[test]
fn a_stuck_step_is_named_when_it_is_resumed() {
    let mut saga = Saga::new(vec![plain("a", Class::Retriable, &[])]);
    saga.says(Kind::Began, "a").says(Kind::Stuck, "a");
    saga.refuses(&[(Kind::Resumed, "")]);
    saga.says(Kind::Resumed, "a");
}

#[test]
fn nobody_goes_forward_again_while_an_action_is_in_flight() {
    let mut saga = Saga::new(vec![step("a", &[]), step("b", &[])]);
    saga.has_done(&["a"]).flies(&["b"]);
    saga.says(Kind::Turned, "").says(Kind::UndoBegan, "a");
    saga.says(Kind::Stuck, "a").refuses(&[(Kind::Resumed, "")]);
    // It may have been, when its process died.
    saga.says(Kind::Doubted, "b").says(Kind::Resumed, "");
    assert_eq!(saga.slot("b").standing, Standing::InDoubt);
    assert_eq!(saga.slot("b").round, 0);
}

/// Nobody ends it: it has no undo.
#[test]
fn what_ran_and_has_no_undo_does_not_hinder_going_forward_again() {
    let wait = |work, name| working(work, plain(name, Class::Compensatable, &[]));
    let steps = vec![
        step("a", &[]),
        plain("b", Class::Compensatable, &[]),
        wait(Work::Sleep(PAUSE * 2), "sleep"),
        wait(Work::Signal(Some(PAUSE * 3)), "go"),
    ];
    let mut saga = Saga::new(steps);
    saga.has_done(&["a"]).says(Kind::Began, "b");
    saga.says(Kind::Began, "sleep").says(Kind::Began, "go");
    saga.says(Kind::Turned, "").says(Kind::UndoBegan, "a");
    saga.says(Kind::Stuck, "a");
    assert_eq!(saga.stage(), Stage::Stuck);
    saga.passes(PAUSE).says(Kind::Resumed, "");
    assert_eq!(saga.next(), ["begin b 0 #2"]);
    // They wait still, since they began.
    assert_eq!(saga.wakes_in(), Some(PAUSE));
    saga.passes(PAUSE * 2);
    assert_eq!(saga.next(), ["expire go"]);
    saga.says(Kind::Signalled, "go");
    assert_eq!(saga.next(), ["begin b 0 #2", "pass sleep", "pass go"]);
}

/// What it put out came of what is no more.
#[test]
fn what_was_done_behind_a_step_that_is_done_anew_is_done_anew() {
    let steps = vec![
        step("stuck", &[]),
        step("a", &[]),
        plain("b", Class::Compensatable, &[1]),
        plain("c", Class::Compensatable, &[2]),
        plain("other", Class::Compensatable, &[]),
    ];
    let mut saga = Saga::new(steps);
    saga.has_done(&["stuck", "a", "b", "c", "other"]);
    saga.says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "stuck")
        .says(Kind::Stuck, "stuck");
    saga.says(Kind::Undone, "a").says(Kind::Resumed, "");
    for (name, round, standing) in [
        ("a", 1, Standing::Waiting),
        ("b", 1, Standing::Waiting),
        ("c", 1, Standing::Waiting),
        ("stuck", 0, Standing::Done),
        ("other", 0, Standing::Done),
    ] {
        assert_eq!(saga.slot(name).standing, standing, "{name}");
        assert_eq!(saga.slot(name).round, round, "{name}");
    }
    assert_eq!(saga.next(), ["begin a 0 #1"]);
}

#[test]
fn a_list_is_asked_for_anew_when_nothing_of_its_items_is_left() {
    let each = |name: &str| working(Work::Each(1), step(name, &[]));
    let steps = vec![each("gone"), each("left"), step("behind", &[1])];
    let (gone, left) = (StepNo(0), StepNo(1));
    let mut saga = Saga::new(steps);
    saga.progress.expand(gone, 2);
    saga.progress.expand(left, 2);
    saga.has_done(&["gone", "left"]);
    saga.says_of(Kind::Began, "left", 1, 1)
        .says(Kind::Turned, "");
    saga.says(Kind::Undone, "gone");
    saga.says_of(Kind::Undone, "left", 1, 1);
    saga.says(Kind::UndoBegan, "left").says(Kind::Stuck, "left");
    saga.says(Kind::Resumed, "");
    assert!(!saga.progress.is_expanded(gone));
    assert!(saga.progress.is_expanded(left));
    assert_eq!(saga.next(), ["begin left 1 #1"]);
    saga.progress.expand(gone, 1);
    assert_eq!(saga.progress.slots(gone).len(), 1);
    assert_eq!(saga.slot("gone").round, 1);
    let rounds = saga.progress.slots(left).iter().map(|slot| slot.round);
    assert!(rounds.eq([0, 1]));
}

/// Though there was nothing to do for each of nothing.
#[test]
fn what_was_done_behind_a_step_for_each_of_none_is_done_anew_with_what_is_before_it() {
    let each = working(Work::Each(1), step("each", &[1]));
    let steps = vec![
        step("stuck", &[]),
        step("a", &[]),
        each,
        plain("c", Class::Compensatable, &[2]),
    ];
    let mut saga = Saga::new(steps);
    saga.progress.expand(StepNo(2), 0);
    saga.has_done(&["stuck", "a", "c"]).says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "stuck")
        .says(Kind::Stuck, "stuck");
    saga.says(Kind::Undone, "a").says(Kind::Resumed, "");
    assert_eq!(saga.slot("c").standing, Standing::Waiting);
    assert_eq!(saga.slot("c").round, 1);
}

/// A list of nothing is no step that is done anew.
#[test]
fn what_is_behind_a_step_for_each_of_none_is_left_as_it_is() {
    let each = working(Work::Each(1), step("each", &[]));
    let mut saga = Saga::new(vec![each, step("b", &[0])]);
    saga.progress.expand(StepNo(0), 0);
    saga.has_done(&["b"]).says(Kind::Turned, "");
    saga.says(Kind::UndoBegan, "b").says(Kind::Stuck, "b");
    saga.says(Kind::Resumed, "");
    assert_eq!(saga.slot("b").standing, Standing::Done);
}

#[test]
fn what_was_given_up_is_at_its_end() {
    let mut saga = Saga::new(vec![step("a", &[]), step("b", &[])]);
    saga.has_done(&["a"]).flies(&["b"]);
    saga.says(Kind::Abandoned, "");
    assert_eq!(saga.stage(), Stage::Abandoned);
    assert!(saga.next().is_empty());
    saga.refuses(&[
        (Kind::Failed, "b"),
        (Kind::Done, "b"),
        (Kind::Turned, ""),
        (Kind::Resumed, ""),
        (Kind::Abandoned, ""),
    ]);
    // Letters that were read with it.
    saga.says(Kind::Refused, "").says(Kind::Signalled, "go");
    assert_eq!(saga.stage(), Stage::Abandoned);
}
