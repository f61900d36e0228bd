use super::*;

const CAP: u64 = 10;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// A count of so many that takes no time.
fn count(known: &mut Known, now: Instant, counted: Option<u64>) -> Option<u64> {
    assert!(known.is_to_be_counted(now));
    let over = known.counted(now, counted, CAP);
    known.ends();
    over
}

const TAKEN: Answer = Answer::Taken { over: None };

#[test]
fn it_is_counted_once_a_second_at_most_by_whoever_comes_first() {
    let mut known = Known::default();
    assert!(known.is_to_be_counted(at(0)));
    // Another counts.
    assert!(!known.is_to_be_counted(at(5000)));
    assert_eq!(known.counted(at(5), Some(3), CAP), None);
    known.ends();
    assert!(!known.is_to_be_counted(at(1004)));
    assert!(known.is_to_be_counted(at(1005)));
}

#[test]
fn a_count_that_takes_long_is_done_the_less_often() {
    let mut known = Known::default();
    assert!(known.is_to_be_counted(at(0)));
    known.counted(at(100), Some(3), CAP);
    known.ends();
    assert!(!known.is_to_be_counted(at(5099)));
    assert!(known.is_to_be_counted(at(5100)));
}

#[test]
fn what_is_enqueued_while_it_is_counted_is_not_forgotten() {
    let mut known = Known::default();
    known.admit(at(0), 4, CAP, WhenFull::Warn);
    assert!(known.is_to_be_counted(at(0)));
    known.admit(at(1), 2, CAP, WhenFull::Warn);
    known.counted(at(2), Some(5), CAP);
    known.ends();
    assert_eq!(known.backlog(), 7);
}

#[test]
fn who_may_be_refused_waits_for_the_first_count_and_nobody_else() {
    let mut known = Known::default();
    assert_eq!(known.admit(at(0), 1, CAP, WhenFull::Reject), Answer::Wait);
    assert_eq!(known.admit(at(0), 1, CAP, WhenFull::Warn), TAKEN);
    count(&mut known, at(0), Some(9));
    assert_eq!(known.admit(at(1), 1, CAP, WhenFull::Reject), TAKEN);
    let full = Answer::Full { backlog: 10 };
    assert_eq!(known.admit(at(2), 1, CAP, WhenFull::Reject), full);
}

#[test]
fn nobody_is_refused_for_the_sake_of_an_old_count() {
    let mut known = Known::default();
    count(&mut known, at(0), Some(10));
    let full = Answer::Full { backlog: 10 };
    assert_eq!(known.admit(at(999), 1, CAP, WhenFull::Reject), full);
    assert_eq!(
        known.admit(at(1000), 1, CAP, WhenFull::Reject),
        Answer::Wait
    );
    count(&mut known, at(1000), Some(2));
    assert_eq!(known.admit(at(1001), 8, CAP, WhenFull::Reject), TAKEN);
}

#[test]
fn without_a_count_only_what_was_enqueued_here_is_reckoned_with() {
    let mut known = Known::default();
    count(&mut known, at(0), None);
    assert_eq!(known.admit(at(1), 10, CAP, WhenFull::Reject), TAKEN);
    let full = Answer::Full { backlog: 10 };
    assert_eq!(known.admit(at(2), 1, CAP, WhenFull::Reject), full);
    // What is known stays known.
    count(&mut known, at(1000), Some(1));
    count(&mut known, at(2000), None);
    assert_eq!(known.backlog(), 1);
}

#[test]
fn it_is_said_once_that_the_cap_is_exceeded_until_it_no_longer_is() {
    let mut known = Known::default();
    let over = |backlog| Answer::Taken {
        over: Some(backlog),
    };
    assert_eq!(known.admit(at(0), 10, CAP, WhenFull::Warn), TAKEN);
    assert_eq!(known.admit(at(0), 2, CAP, WhenFull::Warn), over(12));
    assert_eq!(known.admit(at(0), 2, CAP, WhenFull::Warn), TAKEN);
    assert_eq!(count(&mut known, at(1), Some(11)), None);
    assert_eq!(count(&mut known, at(1001), Some(3)), None);
    assert_eq!(count(&mut known, at(2001), Some(11)), Some(11));
    assert_eq!(count(&mut known, at(3001), Some(1)), None);
    assert_eq!(known.admit(at(3002), 10, CAP, WhenFull::Warn), over(11));
}
