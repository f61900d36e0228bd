//! What is next while steps are done.

use super::*;

#[test]
fn a_step_begins_when_all_it_depends_on_is_done() {
    let steps = vec![step("a", &[]), step("b", &[]), step("c", &[0, 1])];
    let mut saga = Saga::new(steps);
    assert_eq!(saga.next(), ["begin a 0 #1", "begin b 0 #1"]);
    saga.flies(&["a", "b"]);
    assert!(saga.next().is_empty());
    saga.says(Kind::Done, "a");
    assert!(saga.next().is_empty());
    saga.says(Kind::Done, "b");
    assert_eq!(saga.next(), ["begin c 0 #1"]);
    saga.flies(&["c"]);
    assert_eq!(saga.stage(), Stage::Running);
    saga.says(Kind::Done, "c");
    assert_eq!(saga.stage(), Stage::Done);
}

#[test]
fn what_a_dead_process_began_begins_again_at_once() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.says(Kind::Began, "a");
    assert_eq!(saga.next(), ["begin a 0 #2"]);
    saga.says_of(Kind::Began, "a", 0, 2);
    assert_eq!(saga.next(), ["begin a 0 #3"]);
}

#[test]
fn what_is_in_doubt_begins_again_after_a_pause() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.flies(&["a"]).says(Kind::Doubted, "a");
    assert!(saga.next().is_empty());
    assert_eq!(saga.wakes_in(), Some(PAUSE));
    saga.passes(PAUSE);
    assert_eq!(saga.next(), ["begin a 0 #2"]);
}

#[test]
fn so_many_items_are_in_flight_at_once() {
    let each = working(Work::Each(2), step("each", &[0]));
    let mut saga = Saga::new(vec![step("list", &[]), each]);
    let each = StepNo(1);
    saga.has_done(&["list"]);
    assert!(!saga.progress.is_done(each), "how many is not known");
    assert_eq!(saga.stage(), Stage::Running);
    saga.progress.expand(each, 5);
    assert_eq!(saga.next(), ["begin each 0 #1", "begin each 1 #1"]);
    for item in [0, 1] {
        saga.says_of(Kind::Began, "each", item, 1);
        saga.progress.fly(each, item);
    }
    assert!(saga.next().is_empty());
    saga.says_of(Kind::Done, "each", 0, 1);
    assert_eq!(saga.next(), ["begin each 2 #1"]);
    // Who waits for its pause leaves its place to others.
    saga.says_of(Kind::Doubted, "each", 1, 1);
    assert_eq!(saga.next(), ["begin each 2 #1", "begin each 3 #1"]);
    saga.passes(PAUSE);
    assert_eq!(saga.next(), ["begin each 1 #2", "begin each 2 #1"]);
    // After a crash the list is not known, but what was begun is.
    for item in [1, 2, 3, 4] {
        saga.says_of(Kind::Began, "each", item, 2);
        saga.says_of(Kind::Done, "each", item, 2);
    }
    assert!(saga.progress.is_done(each));
    assert_eq!(saga.stage(), Stage::Done);
}

#[test]
fn a_step_for_each_of_none_is_done() {
    let each = working(Work::Each(2), step("each", &[]));
    let mut saga = Saga::new(vec![each]);
    assert_eq!(saga.stage(), Stage::Running);
    saga.progress.expand(StepNo(0), 0);
    assert_eq!(saga.stage(), Stage::Done);
}

#[test]
fn an_item_that_the_list_does_not_have_is_refused() {
    let each = working(Work::Each(2), step("each", &[]));
    let mut saga = Saga::new(vec![each, step("b", &[])]);
    let most = MOST_ITEMS as u32;
    assert!(saga.tries(&record(Kind::Began, "each", most, 1)).is_err());
    assert!(saga.tries(&record(Kind::Stuck, "each", 7, 1)).is_err());
    assert!(saga.progress.slots(StepNo(0)).is_empty());
    saga.says_of(Kind::Began, "each", 1, 1);
    assert_eq!(saga.progress.slots(StepNo(0)).len(), 2);
    saga.progress.expand(StepNo(0), 3);
    assert!(saga.tries(&record(Kind::Began, "each", 3, 1)).is_err());
    assert!(saga.tries(&record(Kind::Began, "b", 1, 1)).is_err());
    assert_eq!(saga.progress.slots(StepNo(0)).len(), 3);
}

#[test]
fn a_step_that_can_be_undone_turns_the_saga_when_it_was_tried_often_enough() {
    let steps = vec![step("a", &[]), step("b", &[]), step("c", &[])];
    let mut saga = Saga::new(steps);
    saga.says_of(Kind::Began, "a", 0, 3)
        .says_of(Kind::Doubted, "a", 0, 3);
    saga.says_of(Kind::Began, "b", 0, 3);
    // Alone: what began with it would begin in a saga that has turned.
    assert_eq!(saga.next(), ["turn a"]);
    saga.says(Kind::Turned, "");
    assert_eq!(saga.next(), ["undo b 0 #1", "undo a 0 #1"]);
}

#[test]
fn a_pivot_and_what_is_behind_it_are_stuck_when_they_were_tried_often_enough() {
    let steps = vec![
        plain("pivot", Class::Pivot, &[]),
        plain("later", Class::Retriable, &[0]),
    ];
    let mut saga = Saga::new(steps);
    for name in ["pivot", "later"] {
        saga.says_of(Kind::Began, name, 0, 3);
        assert_eq!(saga.next(), [format!("stick {name} 0")]);
        assert_eq!(saga.stage(), Stage::Running);
        saga.says(Kind::Stuck, name);
        assert!(saga.next().is_empty());
        assert_eq!(saga.stage(), Stage::Stuck);
        saga.says(Kind::Resumed, name);
        assert_eq!(saga.slot(name).standing, Standing::InDoubt);
        // At once, and in the same round: whether it happened is not known.
        assert_eq!(saga.next(), [format!("begin {name} 0 #4")]);
        assert_eq!(saga.slot(name).round, 0);
        saga.has_done(&[name]);
    }
    assert_eq!(saga.stage(), Stage::Done);
}

#[test]
fn what_is_tried_for_ever_is_never_exhausted() {
    let mut endless = step("a", &[]);
    endless.retry.attempts = 0;
    let mut saga = Saga::new(vec![endless]);
    saga.says_of(Kind::Began, "a", 0, u32::MAX - 1);
    assert_eq!(saga.next(), [format!("begin a 0 #{}", u32::MAX)]);
}

#[test]
fn attempts_in_the_own_database_count_though_none_is_said_to_begin() {
    let local = working(Work::Local, step("a", &[]));
    let mut saga = Saga::new(vec![local]);
    for attempt in 1..=3 {
        assert_eq!(saga.next(), [format!("begin a 0 #{attempt}")]);
        saga.says_of(Kind::Doubted, "a", 0, attempt).passes(PAUSE);
    }
    assert_eq!(saga.next(), ["turn a"]);
    saga.says(Kind::Turned, "");
    for attempt in 1..=3 {
        assert_eq!(saga.next(), [format!("undo a 0 #{attempt}")]);
        saga.says_of(Kind::UndoDoubted, "a", 0, attempt)
            .passes(PAUSE);
    }
    assert_eq!(saga.next(), ["stick a 0"]);
}

#[test]
fn the_earliest_of_what_is_waited_for_wakes() {
    let sleep = |name, time| working(Work::Sleep(time), plain(name, Class::Compensatable, &[]));
    let mut saga = Saga::new(vec![sleep("a", PAUSE), sleep("b", PAUSE * 2)]);
    saga.deadline = Some(saga.now.saturating_add(PAUSE * 3));
    saga.says(Kind::Began, "a").says(Kind::Began, "b");
    assert_eq!(saga.wakes_in(), Some(PAUSE));
    saga.says(Kind::Done, "a");
    assert_eq!(saga.wakes_in(), Some(PAUSE * 2));
    saga.says(Kind::Done, "b");
    assert_eq!(saga.wakes_in(), None);
}

/// It cannot be, if what made the list makes it again.
#[test]
fn a_list_that_is_shorter_than_what_was_begun_takes_nothing_away() {
    let mut saga = Saga::new(vec![working(Work::Each(1), step("each", &[]))]);
    saga.says_of(Kind::Began, "each", 2, 1);
    saga.progress.expand(StepNo(0), 1);
    assert_eq!(saga.progress.slots(StepNo(0)).len(), 3);
    assert_eq!(
        saga.progress.slots(StepNo(0))[2].standing,
        Standing::Running
    );
}

#[test]
fn a_sleep_passes_at_its_time() {
    let sleep = working(
        Work::Sleep(PAUSE * 9),
        plain("sleep", Class::Compensatable, &[]),
    );
    let mut saga = Saga::new(vec![sleep]);
    assert_eq!(saga.next(), ["begin sleep 0 #1"]);
    saga.passes(PAUSE).says(Kind::Began, "sleep");
    assert!(saga.next().is_empty());
    assert_eq!(saga.wakes_in(), Some(PAUSE * 9));
    saga.passes(PAUSE * 9);
    assert_eq!(saga.next(), ["pass sleep"]);
}

#[test]
fn a_signal_passes_even_if_it_came_before() {
    let signal = |name, time, after: &[u16]| {
        working(Work::Signal(time), plain(name, Class::Compensatable, after))
    };
    let steps = vec![step("a", &[]), signal("go", None, &[0])];
    let mut saga = Saga::new(steps);
    saga.says(Kind::Signalled, "go")
        .says(Kind::Signalled, "gone");
    assert_eq!(saga.next(), ["begin a 0 #1"]);
    saga.has_done(&["a"]);
    assert_eq!(saga.next(), ["pass go"]);

    let mut saga = Saga::new(vec![signal("go", Some(PAUSE), &[])]);
    assert_eq!(saga.next(), ["begin go 0 #1"]);
    saga.says(Kind::Began, "go");
    assert!(saga.next().is_empty());
    assert_eq!(saga.stage(), Stage::Running);
    saga.says(Kind::Signalled, "other").passes(PAUSE);
    assert_eq!(saga.next(), ["expire go"]);
    // At the last moment.
    saga.says(Kind::Signalled, "go");
    assert_eq!(saga.next(), ["pass go"]);
}

#[test]
fn the_first_signal_of_a_name_counts() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    for data in ["1", "2"] {
        let mut record = record(Kind::Signalled, "go", 0, 0);
        record.data = Bytes::from_static(data.as_bytes());
        saga.tries(&record).expect("a signal");
    }
    assert_eq!(saga.progress.signal("go"), Some(&Bytes::from_static(b"1")));
    assert_eq!(saga.progress.signal("no"), None);
}

#[test]
fn a_wait_for_a_signal_that_expires_fails_or_is_stuck_if_it_may_not() {
    let signal = |class| working(Work::Signal(Some(PAUSE)), plain("go", class, &[]));
    let mut saga = Saga::new(vec![signal(Class::Compensatable), step("a", &[])]);
    saga.says(Kind::Began, "go").passes(PAUSE);
    // Alone: "a" would begin in a saga that has turned.
    assert_eq!(saga.next(), ["expire go"]);
    saga.says(Kind::Failed, "go");
    assert_eq!(saga.stage(), Stage::Compensated);

    let mut saga = Saga::new(vec![signal(Class::Retriable)]);
    saga.says(Kind::Began, "go").passes(PAUSE);
    assert_eq!(saga.next(), ["stick go 0"]);
    saga.says(Kind::Stuck, "go").says(Kind::Resumed, "go");
    assert_eq!(saga.next(), ["begin go 0 #2"]);
}

#[test]
fn a_deadline_turns_a_saga_until_its_pivot_began() {
    let steps = || {
        vec![
            step("a", &[]),
            plain("pivot", Class::Pivot, &[0]),
            plain("later", Class::Retriable, &[1]),
        ]
    };
    let mut saga = Saga::new(steps());
    saga.deadline = Some(saga.now.saturating_add(PAUSE));
    assert_eq!(saga.wakes_in(), Some(PAUSE));
    saga.has_done(&["a"]).passes(PAUSE);
    assert_eq!(saga.next(), ["turn late"]);
    saga.says(Kind::Turned, "");
    assert_eq!(saga.next(), ["undo a 0 #1"]);

    let mut saga = Saga::new(steps());
    saga.deadline = Some(saga.now.saturating_add(PAUSE));
    saga.has_done(&["a"]).flies(&["pivot"]).passes(PAUSE);
    assert!(saga.next().is_empty());
    assert_eq!(saga.wakes_in(), None);
    saga.says(Kind::Doubted, "pivot").passes(PAUSE);
    assert_eq!(saga.next(), ["begin pivot 0 #2"]);
    saga.has_done(&["pivot"]);
    assert_eq!(saga.next(), ["begin later 0 #1"]);
}

/// It writes nothing when it begins.
#[test]
fn a_deadline_leaves_a_pivot_in_the_own_database_alone_while_it_is_under_way() {
    let pivot = working(Work::Local, plain("pivot", Class::Pivot, &[]));
    let mut saga = Saga::new(vec![pivot]);
    saga.deadline = Some(saga.now);
    assert_eq!(saga.next(), ["turn late"]);
    saga.progress.fly(StepNo(0), 0);
    assert!(saga.next().is_empty());
    saga.refuses(&[(Kind::Turned, "")]);
    saga.says(Kind::Done, "pivot");
    assert_eq!(saga.stage(), Stage::Done);
}

/// A pivot that somebody has to say yes to.
#[test]
fn a_pivot_that_only_waits_is_not_begun_before_it_passes() {
    let go = working(Work::Signal(None), plain("go", Class::Pivot, &[]));
    let mut saga = Saga::new(vec![go.clone()]);
    saga.deadline = Some(saga.now);
    saga.says(Kind::Began, "go");
    assert_eq!(saga.next(), ["turn late"]);
    saga.says(Kind::Turned, "");
    assert_eq!(saga.stage(), Stage::Compensated);

    let mut saga = Saga::new(vec![go]);
    saga.says(Kind::Began, "go").says(Kind::Done, "go");
    saga.refuses(&[(Kind::Turned, "")]);
}

#[test]
fn a_deadline_does_not_turn_what_is_done() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.deadline = Some(saga.now);
    saga.has_done(&["a"]);
    assert!(saga.next().is_empty());
    assert_eq!(saga.stage(), Stage::Done);
}

#[test]
fn a_saga_is_stuck_only_if_nothing_moves_nothing_is_in_flight_and_nothing_is_timed() {
    let steps = ["stuck", "other"].map(|name| plain(name, Class::Retriable, &[]));
    let mut saga = Saga::new(steps.to_vec());
    saga.says(Kind::Began, "stuck").says(Kind::Stuck, "stuck");
    assert_eq!(saga.next(), ["begin other 0 #1"]);
    assert_eq!(saga.stage(), Stage::Running);
    saga.flies(&["other"]);
    assert_eq!(saga.stage(), Stage::Running);
    saga.says(Kind::Doubted, "other");
    assert_eq!(saga.wakes_in(), Some(PAUSE));
    assert_eq!(saga.stage(), Stage::Running);
    saga.has_done(&["other"]);
    assert_eq!(saga.stage(), Stage::Stuck);
}

#[test]
fn a_step_behind_the_pivot_does_not_fail() {
    let mut saga = Saga::new(vec![plain("later", Class::Retriable, &[])]);
    saga.says(Kind::Began, "later");
    saga.refuses(&[(Kind::Failed, "later")]);
}

#[test]
fn nothing_is_undone_while_it_goes_forward() {
    let mut saga = Saga::new(vec![step("a", &[])]);
    saga.has_done(&["a"]);
    let undo = [Kind::UndoBegan, Kind::Undone, Kind::UndoDoubted];
    saga.refuses(&undo.map(|kind| (kind, "a")));
    saga.refuses(&[(Kind::Resumed, "a"), (Kind::Done, "nobody")]);
}
