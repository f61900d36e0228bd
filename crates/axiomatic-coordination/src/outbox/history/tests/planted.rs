//! One history that is clean, one for each way not to be, and files.

use std::path::PathBuf;

use super::*;

/// Two keys; a crash after a confirmation, a lost confirmation, a lease lost.
fn clean() -> Vec<Event> {
    vec![
        committed(1, "a", 1),
        rolled_back(9),
        published(1, 1),
        published(3, 1),
        Event::Crash,
        published(1, 2),
        unknown(1),
        published(1, 2),
        published(2, 2),
        Event::LeaseLost,
        published(4, 3),
        published(4, 2),
        committed(2, "a", 2),
        committed(3, "b", 7),
        committed(4, "b", 8),
        effect(4),
        effect(3),
        effect(2),
        effect(1),
    ]
}

fn without(event: &Event) -> Vec<Event> {
    let mut events = clean();
    events.retain(|other| other != event);
    events
}

#[test]
fn a_history_that_is_as_promised_has_no_violation() {
    assert_eq!(violations(&clean()), []);
    assert_eq!(violations(&[]), []);
}

#[test]
fn what_is_committed_and_never_published_is_lost() {
    let lost = [committed(1, "a", 1), rolled_back(2)];
    assert_eq!(violations(&lost), [Violation::Lost { id: id(1) }]);
}

#[test]
fn what_is_published_and_not_committed_is_a_phantom() {
    let mut events = clean();
    events.push(published(9, 3));
    assert_eq!(violations(&events), [Violation::Phantom { id: id(9) }]);
}

#[test]
fn what_comes_after_a_later_one_of_its_key_is_reordered() {
    let one_key = |second| {
        violations(&[
            published(2, 1),
            published(1, 1),
            committed(1, "a", 1),
            committed(2, second, 2),
            effect(1),
            effect(2),
        ])
    };
    let reordered = Violation::Reordered {
        id: id(1),
        behind: id(2),
    };
    assert_eq!(one_key("a"), [reordered]);
    assert_eq!(one_key("b"), []);
}

#[test]
fn a_message_counts_where_it_comes_first() {
    let events = [
        published(1, 1),
        published(2, 1),
        Event::LeaseLost,
        published(1, 2),
        published(2, 2),
        committed(1, "a", 1),
        committed(2, "a", 2),
        effect(1),
        effect(2),
    ];
    assert_eq!(violations(&events), []);
}

#[test]
fn a_second_publication_needs_a_window() {
    let again = |id_, epoch| {
        let id = id(id_);
        let epoch = Epoch(epoch);
        vec![Violation::Duplicated { id, epoch }]
    };
    // The lost confirmation excuses one under whichever epoch comes first.
    assert_eq!(violations(&without(&Event::Crash)), again(1, 2));
    assert_eq!(violations(&without(&unknown(1))), again(1, 2));
    assert_eq!(violations(&without(&Event::LeaseLost)), again(4, 2));
}

#[test]
fn a_crash_excuses_nothing_under_the_epoch_of_the_dead() {
    let events = [
        committed(1, "a", 1),
        effect(1),
        published(1, 1),
        Event::Crash,
        published(1, 1),
    ];
    let (id, epoch) = (id(1), Epoch(1));
    assert_eq!(violations(&events), [Violation::Duplicated { id, epoch }]);
}

#[test]
fn a_crash_excuses_nothing_that_was_published_twice_after_it() {
    let events = [
        committed(1, "a", 1),
        effect(1),
        Event::Crash,
        published(1, 2),
        published(1, 3),
    ];
    let (id, epoch) = (id(1), Epoch(3));
    assert_eq!(violations(&events), [Violation::Duplicated { id, epoch }]);
}

#[test]
fn an_effect_happens_once() {
    let (id, count) = (id(3), 0);
    assert_eq!(
        violations(&without(&effect(3))),
        [Violation::Effects { id, count }]
    );
    let mut events = clean();
    events.push(effect(3));
    let count = 2;
    assert_eq!(violations(&events), [Violation::Effects { id, count }]);
    let history = events.into_iter().collect();
    assert_eq!(check(&history, Consumer::None), [], "nobody counts them");
}

#[test]
fn an_effect_of_what_was_not_committed_is_one_too_many() {
    let (id, count) = (id(9), 1);
    let events = [rolled_back(9), effect(9)];
    assert_eq!(violations(&events), [Violation::Effects { id, count }]);
}

#[test]
fn a_message_among_the_dead_letters_is_not_waited_for() {
    let mut events = vec![
        committed(1, "a", 1),
        committed(2, "a", 2),
        buried(1),
        published(2, 1),
        effect(2),
    ];
    assert_eq!(violations(&events), []);
    // Requeued.
    events.extend([published(1, 1), effect(1)]);
    assert_eq!(violations(&events), []);
}

#[test]
fn a_harness_that_contradicts_itself_is_told() {
    let contradictions = [
        [committed(1, "a", 1), committed(1, "a", 2)],
        [committed(2, "a", 1), committed(1, "a", 1)],
        [committed(1, "a", 1), rolled_back(1)],
        [rolled_back(1), committed(1, "a", 1)],
    ];
    for events in contradictions {
        let contradicted = Violation::Contradicted { id: id(1) };
        assert!(violations(&events).contains(&contradicted), "{events:?}");
    }
}

/// A file that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!("axiomatic-history-{}", MessageId::unique());
        Scratch(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_file_says_what_was_recorded_in_it() {
    let scratch = Scratch::new();
    let mut events = clean();
    events.extend([buried(7), committed(5, "\"two lines .\n and\\more é", 1)]);
    events.push(Event::Committed {
        id: id(6),
        key: None,
        order: u64::MAX,
    });
    for some in events.chunks(3) {
        let log = Log::open(&scratch.0).unwrap();
        some.iter().for_each(|event| log.record(event).unwrap());
    }
    assert_eq!(History::read(&scratch.0).unwrap().events(), events);
}

#[test]
fn a_line_that_lost_its_end_was_not_written() {
    let line = committed(5, "a key .", 17).to_string();
    for end in 0..line.len() {
        let scratch = Scratch::new();
        let written = format!("{}\n{}", published(1, 12), &line[..end]);
        std::fs::write(&scratch.0, written).unwrap();
        let before = History::read(&scratch.0).unwrap();
        assert_eq!(before.events(), [published(1, 12)], "{end}");
        let log = Log::open(&scratch.0).unwrap();
        log.record(&Event::Crash).unwrap();
        let after = History::read(&scratch.0).unwrap();
        assert_eq!(after.events(), [published(1, 12), Event::Crash], "{end}");
    }
}

#[test]
fn a_whole_line_that_says_nothing_is_an_error() {
    let nothing = [
        "publish 1 .",
        "published 1 2 .",
        "crash now .",
        "effect .",
        " .",
    ];
    for line in nothing {
        let scratch = Scratch::new();
        std::fs::write(&scratch.0, format!("crash .\n{line}\n")).unwrap();
        let error = History::read(&scratch.0).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{line}");
    }
}
