//! The windows against naive lists, over random scripts.

use std::collections::VecDeque;
use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_core::window::{CountWindow, Counts, Observation, TimeWindow};
use proptest::prelude::*;

fn observation() -> impl Strategy<Value = Observation> {
    (any::<bool>(), any::<bool>()).prop_map(|(failed, slow)| Observation::of(failed, slow))
}

fn sum<'a>(observations: impl IntoIterator<Item = &'a Observation>) -> Counts {
    let mut counts = Counts::default();
    for observation in observations {
        counts.add(*observation);
    }
    counts
}

#[derive(Clone, Debug)]
enum Step {
    Record(Observation),
    Many(Observation, u16),
    Era,
    Stale(Observation),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => observation().prop_map(Step::Record),
        2 => (observation(), 1..200u16).prop_map(|(o, n)| Step::Many(o, n)),
        1 => Just(Step::Era),
        1 => observation().prop_map(Step::Stale),
    ]
}

proptest! {
    #[test]
    fn count_window_equals_a_list(
        calls in 1..200u32,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let window = CountWindow::last(calls);
        let mut list: VecDeque<Observation> = VecDeque::new();
        let mut era = 1;
        // The first record of an era is what begins it.
        window.record(era, Observation::Fine);
        list.push_back(Observation::Fine);
        for step in steps {
            match step {
                Step::Record(observation) => {
                    window.record(era, observation);
                    list.push_back(observation);
                }
                Step::Many(observation, times) => {
                    for _ in 0..times {
                        window.record(era, observation);
                        list.push_back(observation);
                    }
                }
                Step::Era => {
                    era += 1;
                    list.clear();
                    window.record(era, Observation::Failed);
                    list.push_back(Observation::Failed);
                }
                Step::Stale(observation) => window.record(era - 1, observation),
            }
            while list.len() > calls as usize {
                list.pop_front();
            }
            prop_assert_eq!(window.counts(era), sum(&list));
            prop_assert_eq!(window.counts(era + 1), Counts::default());
        }
    }

    #[test]
    fn time_window_equals_a_list(
        buckets in 1..20u32,
        script in prop::collection::vec(
            (prop_oneof![9 => 0..3_000u64, 1 => 0..100_000u64], observation(), 0..20u8),
            1..300,
        ),
    ) {
        let bucket = 1_000;
        let span = Duration::from_nanos(bucket * u64::from(buckets));
        let window = TimeWindow::compact(span, buckets);
        let mut list: Vec<(u64, Observation)> = Vec::new();
        let mut now = 3_600_000_000_000;
        let mut era = 0;
        for (wait, observation, dice) in script {
            now += wait;
            if dice == 0 {
                era += 1;
                list.clear();
            }
            window.record(era, Instant::from_nanos(now), observation);
            list.push((now / bucket, observation));
            let oldest = now / bucket + 1 - u64::from(buckets);
            let kept = list.iter().filter(|(epoch, _)| *epoch >= oldest);
            prop_assert_eq!(
                window.counts(era, Instant::from_nanos(now)),
                sum(kept.map(|(_, observation)| observation))
            );
        }
    }

    #[test]
    fn threads_on_lines_of_their_own_add_up(calls in prop::collection::vec(observation(), 0..60)) {
        let window = TimeWindow::last(Duration::from_secs(10), 10);
        let now = Instant::from_nanos(77_000_000_000);
        std::thread::scope(|scope| {
            for part in calls.chunks(20) {
                scope.spawn(|| part.iter().for_each(|o| window.record(3, now, *o)));
            }
        });
        prop_assert_eq!(window.counts(3, now), sum(&calls));
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

#[test]
fn idle_for_a_multiple_of_the_tag_period_revives_nothing() {
    // A tag has 16 bits and counts laps of the ring: 4 places of a second.
    let window = TimeWindow::compact(Duration::from_secs(4), 4);
    let period = 4 << 16;
    for periods in 1..4 {
        let then = at(5_000 + (periods - 1) * period);
        window.record(0, then, Observation::Failed);
        let later = at(5_000 + periods * period);
        assert_eq!(window.counts(0, later), Counts::default(), "read only");
        // The neighbouring bucket is recorded in, and the ancient one of the
        // same tag is passed by.
        window.record(0, later + Duration::from_secs(1), Observation::Fine);
        assert_eq!(window.counts(0, later + Duration::from_secs(1)).failed(), 0);
    }
    // The same for words of outcomes, whose tags have 11 bits.
    let window = CountWindow::last(24);
    for _ in 0..24 * 4 * (1 << 11) + 24 {
        window.record(0, Observation::Failed);
    }
    assert_eq!(window.counts(0).total(), 24);
    window.record(1, Observation::Fine);
    assert_eq!(window.counts(1).failed(), 0);
}

#[test]
fn a_late_writer_never_touches_a_reused_bucket() {
    let window = TimeWindow::compact(Duration::from_secs(4), 4);
    window.record(0, at(104), Observation::Fine);
    window.record(0, at(100), Observation::Failed); // the same place, a lap ago
    assert_eq!(window.counts(0, at(104)).total(), 1);
    window.record(0, at(103), Observation::Failed); // late, but inside
    assert_eq!(window.counts(0, at(104)).failed(), 1);
}

#[test]
fn a_stale_era_never_reaches_a_newer_one() {
    let window = TimeWindow::compact(Duration::from_secs(4), 4);
    window.record(5, at(100), Observation::Failed);
    window.record(6, at(100), Observation::Fine);
    window.record(5, at(100), Observation::Failed);
    assert_eq!(window.counts(6, at(100)).failed(), 0);
    assert_eq!(window.counts(6, at(100)).total(), 1);
}

// Review of be76aa3, as are the next three.
#[test]
fn a_new_era_begins_empty_although_time_stepped_back() {
    for buckets in [4, 5, 8, 10] {
        let span = Duration::from_secs(u64::from(buckets));
        for back in 0..u64::from(buckets) {
            let window = TimeWindow::compact(span, buckets);
            window.record(1, at(100), Observation::SlowAndFailed);
            window.record(2, at(100 - back), Observation::Fine);
            let counts = window.counts(2, at(100 - back));
            assert_eq!((counts.total(), counts.failed()), (1, 0), "{back} back");
        }
    }
}

#[test]
fn counts_are_of_the_era_asked_for() {
    let window = TimeWindow::compact(Duration::from_secs(8), 8);
    let calls = CountWindow::last(8);
    for (era, observation) in [(5, Observation::Failed), (6, Observation::Fine)] {
        window.record(era, at(100), observation);
        calls.record(era, observation);
        assert_eq!(window.counts(era, at(100)).total(), 1);
        assert_eq!(calls.counts(era).total(), 1);
    }
    for era in [5, 7] {
        assert_eq!(window.counts(era, at(100)), Counts::default());
        assert_eq!(calls.counts(era), Counts::default());
    }
}

#[test]
fn an_era_however_old_never_reaches_a_newer_one() {
    // What the eras lie apart, times what a bucket lasts, is 2^64 and more.
    for shift in 20..34 {
        let window = TimeWindow::compact(Duration::from_nanos(1 << 40), 1);
        window.record(1 << shift, at(5_000), Observation::Fine);
        window.record(0, at(5_000), Observation::Failed);
        assert_eq!(window.counts(1 << shift, at(5_000)).failed(), 0);
    }
}

#[test]
fn no_bucket_is_too_long() {
    let window = TimeWindow::compact(Duration::MAX, 1);
    window.record(0, Instant::from_nanos(u64::MAX), Observation::Fine);
    window.record(0, Instant::from_nanos(7), Observation::Failed);
    assert_eq!(window.counts(0, Instant::from_nanos(u64::MAX)).failed(), 0);
}

#[test]
fn time_going_backwards_is_harmless() {
    let window = TimeWindow::compact(Duration::from_secs(4), 4);
    window.record(0, at(100), Observation::Fine);
    window.record(0, at(99), Observation::Fine);
    window.record(0, at(50), Observation::Fine); // outside: dropped
    window.record(0, at(0), Observation::Fine);
    assert_eq!(window.counts(0, at(100)).total(), 2);
    assert_eq!(window.counts(0, at(97)).total(), 2, "the later time counts");
    assert_eq!(window.counts(0, at(96)).total(), 0, "as for a record");
    assert_eq!(window.counts(0, at(3)).total(), 0);
}

#[test]
fn a_full_bucket_counts_no_more() {
    let window = TimeWindow::compact(Duration::from_secs(1), 1);
    let most = (1u64 << 24) - 1;
    for call in 0..most + 1_000 {
        // Every fourth call fails and every third is slow until the bucket is
        // full, then all do.
        let is_full = call >= most;
        let observation = Observation::of(call % 4 == 0 || is_full, call % 3 == 0 || is_full);
        window.record(0, at(9), observation);
    }
    let counts = window.counts(0, at(9));
    assert_eq!(counts.total(), most);
    assert_eq!(counts.failed(), most.div_ceil(4));
    assert_eq!(counts.slow(), most.div_ceil(3));
}

#[test]
fn a_count_window_survives_the_wrap_of_its_positions() {
    // 2^26 positions of 24 outcomes are out of a test's reach; eras jump by
    // a ring each, so many eras of the largest ring get there.
    let window = CountWindow::last(CountWindow::MOST);
    for era in 1..=1_100 {
        window.record(era, Observation::Failed);
        assert_eq!(window.counts(era).total(), 1, "era {era}");
    }
}
