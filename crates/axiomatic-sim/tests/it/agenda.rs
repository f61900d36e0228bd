use std::time::Duration;

use axiomatic_sim::{Agenda, Random};

/// Against the order that a stable sort by time gives.
#[test]
fn events_come_in_the_order_of_time_and_then_of_scheduling() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut agenda = Agenda::new();
        // Ten times for a thousand events: most of them share theirs.
        let mut expected: Vec<(u64, u64)> = (0..1_000)
            .map(|number| (random.below(10), number))
            .collect();
        for (second, number) in &expected {
            agenda.after(Duration::from_secs(*second), *number);
        }
        expected.sort_by_key(|(second, _)| *second);
        let mut seen = Vec::new();
        agenda.run(|agenda, number| seen.push((agenda.elapsed().as_secs(), number)));
        assert_eq!(seen, expected, "seed {seed}");
    }
}

#[test]
fn what_is_scheduled_for_the_past_happens_now_and_after_what_is_due() {
    let mut agenda = Agenda::new();
    let start = agenda.now();
    agenda.after(Duration::from_secs(1), 'a');
    agenda.after(Duration::from_secs(1), 'b');
    let mut seen = Vec::new();
    agenda.run(|agenda, event| {
        if event == 'a' {
            agenda.at(start, 'c');
        }
        seen.push((event, agenda.elapsed().as_secs()));
    });
    assert_eq!(seen, [('a', 1), ('b', 1), ('c', 1)]);
}

#[test]
fn a_run_until_a_time_ends_there_and_can_go_on() {
    let mut agenda = Agenda::new();
    for second in 1..=5 {
        agenda.after(Duration::from_secs(second), second);
    }
    let mut seen = Vec::new();
    agenda.run_until(Duration::from_millis(3_000), |_, second| seen.push(second));
    assert_eq!(seen, [1, 2]);
    assert_eq!(agenda.elapsed(), Duration::from_secs(3));
    assert_eq!((agenda.len(), agenda.is_empty()), (3, false));
    agenda.run(|_, second| seen.push(second));
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    assert!(agenda.is_empty());
}

#[test]
fn the_clock_that_was_handed_out_shows_the_time_of_the_event() {
    let mut agenda = Agenda::new();
    let clock = agenda.clock();
    let start = clock.now();
    agenda.after(Duration::from_millis(7), ());
    agenda.run(|agenda, ()| {
        assert_eq!(clock.now() - start, Duration::from_millis(7));
        assert_eq!(clock.now(), agenda.now());
    });
}
