//! The filters that forget, against references that keep lists.
//!
//! One file, because both filters and all threads are held to one set of keys,
//! periods and references.

use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axiomatic_core::time::Instant;
use axiomatic_sketch::bloom::{
    Generations, RecentConfig, RecentFilter, ShapeError, WindowedConfig, WindowedError,
    WindowedFilter,
};
use proptest::prelude::*;

use crate::support::{hasher, hashes, is_within};

const ALL: [Generations; 3] = [Generations::Two, Generations::Four, Generations::Eight];

/// So sparse that no key of a test is taken for another one: of the hundred
/// thousand questions of a run one in ten thousand runs would be.
const SPARSE: f64 = 1e-9;

/// A period of these tests, in nanoseconds.
const PERIOD: u64 = 1_000_000;

fn per_window(generations: Generations) -> u64 {
    u64::from(generations.count()) - 1
}

/// A sparse filter with this period.
fn windowed(generations: Generations) -> WindowedFilter {
    WindowedConfig::last(Duration::from_nanos(PERIOD * per_window(generations)))
        .for_items(200)
        .false_positives(SPARSE)
        .generations(generations)
        .build(hasher())
        .unwrap()
}

fn recent(keys: u64, generations: Generations) -> RecentFilter {
    RecentConfig::last(keys)
        .false_positives(SPARSE)
        .generations(generations)
        .build(hasher())
        .unwrap()
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// Sixteen keys that are not taken for one another.
fn key(number: usize) -> u64 {
    hashes(7).nth(number).unwrap()
}

/// When each key was inserted last, by the time of the latest insertion.
#[derive(Default)]
struct Reference {
    latest: u64,
    inserted: HashMap<usize, u64>,
}

/// What a filter must say of a key.
#[derive(Debug, PartialEq)]
enum Answer {
    Known,
    Forgotten,
    Either,
}

impl Reference {
    fn ask(&self, key: usize, now: u64, generations: Generations) -> Answer {
        let now = now.max(self.latest);
        let Some(inserted) = self.inserted.get(&key) else {
            return Answer::Forgotten;
        };
        let age = now - inserted;
        if age <= PERIOD * per_window(generations) {
            Answer::Known
        } else if age >= PERIOD * (per_window(generations) + 1) {
            Answer::Forgotten
        } else {
            Answer::Either
        }
    }

    fn insert(&mut self, key: usize, now: u64) {
        self.latest = self.latest.max(now);
        self.inserted.insert(key, self.latest);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(usize),
    Ask(usize),
    /// Time goes on by so many nanoseconds.
    Wait(u64),
    /// Time goes on by so many periods, to the nanosecond.
    WaitPeriods(u64),
    /// The next step is told a time so much earlier.
    Back(u64),
    /// As many rotations as it takes for a tag to come again, each of them by
    /// an insertion of this key.
    GoRound(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..16_usize).prop_map(Step::Insert),
        8 => (0..16_usize).prop_map(Step::Ask),
        4 => (0..2 * PERIOD).prop_map(Step::Wait),
        3 => (0..10_u64).prop_map(Step::WaitPeriods),
        1 => prop_oneof![Just(128_u64), Just(256), Just(512), Just(1024), Just(2048)]
            .prop_map(Step::WaitPeriods),
        1 => (0..100_000_u64).prop_map(Step::WaitPeriods),
        2 => (0..12 * PERIOD).prop_map(Step::Back),
        1 => (0..16_usize).prop_map(Step::GoRound),
    ];
    proptest::collection::vec(step, 1..120)
}

fn generations() -> impl Strategy<Value = Generations> {
    proptest::sample::select(&ALL[..])
}

proptest! {
    #[test]
    fn windowed_remembers_for_a_window_and_forgets_a_generation_later(
        generations in generations(),
        start in prop_oneof![0..3 * PERIOD, 0..(1_u64 << 50)],
        steps in steps(),
    ) {
        let filter = windowed(generations);
        let mut reference = Reference::default();
        let (mut clock, mut back) = (start, 0);
        for step in steps {
            let now = clock.saturating_sub(back);
            match step {
                Step::Insert(number) => {
                    let latest = now.max(reference.latest);
                    let expected = reference.ask(number, latest, generations);
                    let is_new = filter.insert_hash(key(number), at(now));
                    match expected {
                        Answer::Known => prop_assert!(!is_new),
                        Answer::Forgotten => prop_assert!(is_new),
                        Answer::Either => (),
                    }
                    reference.insert(number, now);
                    prop_assert!(filter.may_contain_hash(key(number), at(now)));
                    back = 0;
                }
                Step::Ask(number) => {
                    let is_known = filter.may_contain_hash(key(number), at(now));
                    match reference.ask(number, now, generations) {
                        Answer::Known => prop_assert!(is_known),
                        Answer::Forgotten => prop_assert!(!is_known),
                        Answer::Either => (),
                    }
                    back = 0;
                }
                Step::Wait(nanos) => clock += nanos,
                Step::WaitPeriods(periods) => clock += periods * PERIOD,
                Step::Back(nanos) => back = nanos,
                Step::GoRound(number) => {
                    for _ in 0..128 * generations.count() {
                        clock += PERIOD;
                        filter.insert_hash(key(number), at(clock));
                        reference.insert(number, clock);
                    }
                }
            }
        }
        for number in 0..16 {
            let is_known = filter.may_contain_hash(key(number), at(clock));
            match reference.ask(number, clock, generations) {
                Answer::Known => prop_assert!(is_known),
                Answer::Forgotten => prop_assert!(!is_known),
                Answer::Either => (),
            }
        }
    }

    #[test]
    fn recent_remembers_so_many_keys_and_forgets_a_generation_later(
        generations in generations(),
        keys in 1_u64..60,
        inserted in proptest::collection::vec(0..150_usize, 1..600),
    ) {
        let filter = recent(keys, generations);
        let all: Vec<u64> = hashes(8).take(150).collect();
        let period = keys.div_ceil(per_window(generations));
        // By the number of keys that were new before.
        let mut last: HashMap<usize, u64> = HashMap::new();
        let mut counted = 0;
        for number in inserted {
            let is_new = filter.insert_hash(all[number]);
            if let Some(before) = last.get(&number) {
                // Others that were counted after it.
                let others = counted - before;
                if others <= keys {
                    prop_assert!(!is_new, "{others}");
                }
                if others >= period * (per_window(generations) + 1) {
                    prop_assert!(is_new, "{others}");
                }
            } else {
                prop_assert!(is_new);
            }
            counted += u64::from(is_new);
            last.insert(number, counted);
            prop_assert!(filter.may_contain_hash(all[number]));
        }
        prop_assert_eq!(filter.counted(), counted);
        for (number, before) in last {
            let others = counted - before;
            let is_known = filter.may_contain_hash(all[number]);
            prop_assert!(is_known || others > keys);
            prop_assert!(!is_known || others <= filter.remembers_at_most());
        }
    }
}

/// At the moment, and a nanosecond before and after.
#[test]
fn a_window_ends_neither_a_nanosecond_early_nor_a_generation_late() {
    for generations in ALL {
        let window = PERIOD * per_window(generations);
        for inserted in [0, 1, PERIOD - 1, PERIOD, 77 * PERIOD + 5] {
            let filter = windowed(generations);
            assert!(filter.insert_hash(key(0), at(inserted)));
            let is_known = |now| filter.may_contain_hash(key(0), at(now));
            assert!(is_known(inserted) && is_known(inserted + window));
            // The generation is over when the period of the insertion has
            // gone round.
            let over = (inserted / PERIOD + 1) * PERIOD + window;
            assert!(is_known(over - 1));
            assert!(!is_known(over));
            assert!(over <= inserted + window + PERIOD);
            // Asking has not moved anything, and inserting does.
            assert!(is_known(over - 1));
            assert!(filter.insert_hash(key(1), at(over)));
            assert!(!is_known(over - 1));
        }
    }
}

#[test]
fn a_window_that_cannot_be_divided_is_rounded_up() {
    let odd = Duration::from_nanos(1_000_000_001);
    for generations in ALL {
        let filter = WindowedConfig::last(odd)
            .for_items(100)
            .generations(generations)
            .build(hasher())
            .unwrap();
        assert!(filter.insert_hash(key(0), at(0)));
        let last = at(0) + odd;
        assert!(filter.may_contain_hash(key(0), last));
        assert!(!filter.may_contain_hash(key(0), at(0) + filter.remembers_at_most()));
        let most = odd.mul_f64(f64::from(generations.count()) / per_window(generations) as f64);
        let rounding = filter.remembers_at_most() - most;
        assert!(rounding <= Duration::from_nanos(u64::from(generations.count())));
    }
}

/// What comes again keeps being known, and what does not is forgotten although
/// the other comes.
#[test]
fn a_key_that_comes_again_is_remembered_from_then() {
    for generations in ALL {
        let filter = windowed(generations);
        assert!(filter.insert_hash(key(0), at(0)));
        assert!(filter.insert_hash(key(1), at(0)));
        for period in 1..10_000 {
            assert!(!filter.insert_hash(key(0), at(period * PERIOD)));
        }
        assert!(!filter.may_contain_hash(key(1), at(9_999 * PERIOD)));
    }
}

/// One group is touched, and all others have to be tidied up by the sweep
/// before their tags come again.
#[test]
fn no_key_comes_alive_again_when_tags_do() {
    for generations in ALL {
        let filter = WindowedConfig::last(Duration::from_nanos(PERIOD * per_window(generations)))
            .for_items(50_000)
            .generations(generations)
            .build(hasher())
            .unwrap();
        let count = u64::from(generations.count());
        let mut now = 0;
        for hash in hashes(1).take(20_000) {
            filter.insert_hash(hash, at(now));
        }
        // Twice round all tags, looking whenever a word is used again.
        for period in 1..=2 * 128 * count {
            now = period * PERIOD;
            filter.insert_hash(key(0), at(now));
            if period % 32 >= count {
                continue;
            }
            if period >= count {
                let known = hashes(1)
                    .take(20_000)
                    .filter(|hash| filter.may_contain_hash(*hash, at(now)))
                    .count();
                // Those that have the bits of the one key that is in it.
                assert!(known <= 1, "{known} at {period} of {generations:?}");
            }
        }
    }
}

#[test]
fn idle_for_a_multiple_of_all_tags_revives_nothing() {
    for generations in ALL {
        let count = u64::from(generations.count());
        for periods in [128, 256, 128 * count, 256 * count, 65_536, 1 << 24] {
            for shift in 0..count {
                let filter = windowed(generations);
                filter.insert_hash(key(0), at(0));
                let now = (periods + shift) * PERIOD;
                assert!(!filter.may_contain_hash(key(0), at(now)));
                assert!(filter.insert_hash(key(1), at(now)));
                assert!(!filter.may_contain_hash(key(0), at(now)));
                assert!(filter.insert_hash(key(0), at(now)));
            }
        }
    }
}

#[test]
fn time_that_goes_back_forgets_nothing_and_moves_nothing() {
    for generations in ALL {
        let filter = windowed(generations);
        let late = 1_000 * PERIOD;
        assert!(filter.insert_hash(key(0), at(late)));
        assert!(filter.insert_hash(key(1), at(0)));
        assert!(filter.may_contain_hash(key(0), at(0)));
        // Inserted long ago, but remembered from the latest time on.
        let window = PERIOD * per_window(generations);
        assert!(filter.may_contain_hash(key(1), at(late + window)));
        assert!(!filter.may_contain_hash(key(1), at(late + window + PERIOD)));
    }
}

/// The clock's whole range, at the shortest period there is.
#[test]
fn no_time_is_too_late() {
    for generations in ALL {
        let Err(WindowedError::TooShort { shortest }) = WindowedConfig::last(Duration::ZERO)
            .for_items(1)
            .generations(generations)
            .build(hasher())
        else {
            panic!("a window of nothing")
        };
        let filter = WindowedConfig::last(shortest)
            .for_items(100)
            .false_positives(SPARSE)
            .generations(generations)
            .build(hasher())
            .unwrap();
        assert!(filter.insert_hash(key(0), at(0)));
        assert!(!filter.may_contain_hash(key(0), at(u64::MAX)));
        assert!(filter.insert_hash(key(0), at(u64::MAX)));
        assert!(filter.may_contain_hash(key(0), at(u64::MAX)));
        assert!(!filter.insert_hash(key(0), at(0)));
        assert!(filter.may_contain_hash(key(0), at(0)));
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_told() {
    let last = |nanos| WindowedConfig::last(Duration::from_nanos(nanos)).for_items(10);
    for generations in ALL {
        let shortest = per_window(generations) * 131_071 + 1;
        let too_short = last(shortest - 1)
            .generations(generations)
            .build(hasher())
            .unwrap_err();
        let shortest = Duration::from_nanos(shortest);
        assert_eq!(too_short, WindowedError::TooShort { shortest });
        let longest = WindowedConfig::last(Duration::MAX).for_items(10);
        for config in [WindowedConfig::last(shortest).for_items(10), longest] {
            let filter = config.generations(generations).build(hasher()).unwrap();
            assert!(filter.insert(b"a", at(0)));
            assert!(filter.may_contain(b"a", at(0)));
        }
    }
    let shape = |why: Result<WindowedFilter, WindowedError>| why.unwrap_err();
    let second = 1_000_000_000;
    let rate = last(second).false_positives(0.0).build(hasher());
    assert_eq!(shape(rate), WindowedError::Shape(ShapeError::Rate));
    let nothing = WindowedConfig::last(Duration::from_secs(1)).for_items(0);
    let no_items = WindowedError::Shape(ShapeError::NoItems);
    assert_eq!(shape(nothing.build(hasher())), no_items);
    assert_eq!(
        RecentConfig::last(0).build(hasher()).unwrap_err(),
        WindowedError::Shape(ShapeError::NoItems)
    );
    assert_eq!(
        RecentConfig::last(u64::MAX).build(hasher()).unwrap_err(),
        WindowedError::Shape(ShapeError::TooLarge)
    );
}

/// 2 M probes at fixed seeds with all generations full, which is the worst
/// moment: within three standard deviations of the rate that is counted from
/// the bits, which is within 1.5 % of the exact one, and no more than a
/// twentieth above that.
#[test]
fn the_rate_of_full_generations_is_what_was_planned() {
    for generations in ALL {
        for (rate, seed) in [(0.1, 1), (0.01, 2), (0.001, 3)] {
            let count = u64::from(generations.count());
            let each = 200_000;
            let filter = WindowedConfig::last(Duration::from_nanos(PERIOD * (count - 1)))
                .for_items(each * (count - 1))
                .false_positives(rate)
                .generations(generations)
                .build(hasher())
                .unwrap();
            // Older generations before, which must not count.
            let mut keys = hashes(seed);
            for period in 0..2 * count {
                for hash in keys.by_ref().take(each as usize) {
                    filter.insert_hash(hash, at(period * PERIOD));
                }
            }
            let now = at((2 * count - 1) * PERIOD);
            let probes = 2_000_000;
            let absent = hashes(seed + 100).take(probes);
            let hits = absent
                .filter(|hash| filter.may_contain_hash(*hash, now))
                .count() as u64;
            let planned = filter.false_positives();
            assert!(planned <= rate && planned > 0.9 * rate);
            // Keys that are taken for known are put in all the same, so their
            // number is the one planned for.
            let snapshot = filter.snapshot(now);
            let counted = snapshot.false_positives();
            let hits_are = |rate| is_within(3.0, hits, probes as u64, rate);
            assert!(hits_are(counted), "{generations:?} {rate}: {hits}");
            assert!(hits as f64 <= 1.05 * planned * probes as f64);
            // How the keys of one filling fall on the words differs more than
            // so many probes do.
            assert!((counted / planned - 1.0).abs() < 0.015, "{counted}");
            let all = snapshot.generations();
            assert_eq!(all.len() as u64, count);
            assert!(all.iter().all(|items| items.is_about(each)), "{snapshot}");
            assert!(!snapshot.is_overfull());
        }
    }
}

/// The standard error is the one that comes out: of 100 fillings about 68 are
/// within one.
#[test]
fn estimates_of_a_generation_are_as_exact_as_they_say() {
    let mut within = 0;
    for seed in 0..100 {
        let filter = WindowedConfig::last(Duration::from_secs(1))
            .for_items(9_000)
            .build(hasher())
            .unwrap();
        for hash in hashes(seed).take(3_000) {
            filter.insert_hash(hash, at(0));
        }
        let items = filter.snapshot(at(0)).generations()[0];
        assert!(items.is_about(3_000), "{items}");
        let off = (items.value() - 3_000.0).abs();
        within += u32::from(off <= items.standard_error());
    }
    assert!((54..=82).contains(&within), "{within}");
}

#[test]
fn they_print_for_people() {
    let filter = windowed(Generations::Four);
    let three = Duration::from_millis(3);
    assert_eq!(filter.window(), three);
    let hasher_of = RecentConfig::last(3_000).build(hasher()).unwrap();
    for hash in hashes(4).take(1_500) {
        hasher_of.insert_hash(hash);
    }
    let told = hasher_of.to_string();
    assert_eq!(
        told,
        "the last 3000 keys, at most 4000, in 4 generations of 1000 items (10.8 KiB): 0.999 % false positives"
    );
    let snapshot = hasher_of.snapshot().to_string();
    assert!(snapshot.ends_with("false positives"), "{snapshot}");
    let overfull = windowed(Generations::Two);
    for hash in hashes(5).take(400) {
        overfull.insert_hash(hash, at(0));
    }
    let snapshot = overfull.snapshot(at(0)).to_string();
    assert!(snapshot.ends_with("OVERFULL"), "{snapshot}");
    // Nothing of it is alive a long time after.
    let later = overfull.snapshot(at(9 * PERIOD));
    assert_eq!(later.false_positives(), 0.0);
    assert!(later.generations().iter().all(|items| items.is_about(0)));
}

/// Threads that insert the same keys while one of them moves time on, each
/// thread reading it a little late: of each key of a round, which lasts less
/// than a window, one is told new.
#[test]
fn of_racing_threads_exactly_one_is_told_that_a_key_is_new() {
    for generations in ALL {
        let filter = WindowedConfig::last(Duration::from_nanos(PERIOD * per_window(generations)))
            .for_items(4_000)
            .false_positives(SPARSE)
            .generations(generations)
            .build(hasher())
            .unwrap();
        let clock = AtomicU64::new(0);
        let (keys, rounds, threads) = (1_000, 40, 4);
        let barrier = Barrier::new(threads);
        let news: Vec<AtomicU64> = (0..rounds * keys).map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (filter, clock, barrier, news) = (&filter, &clock, &barrier, &news);
                scope.spawn(move || {
                    for round in 0..rounds {
                        barrier.wait();
                        let keys_of_round = hashes(1_000 + round as u64).take(keys);
                        for (number, hash) in keys_of_round.enumerate() {
                            let now = clock.load(Ordering::Relaxed);
                            if filter.insert_hash(hash, at(now)) {
                                let at = round * keys + number;
                                news[at].fetch_add(1, Ordering::Relaxed);
                            }
                            // A window in all, so that they often meet as a
                            // generation begins.
                            if thread == 0 {
                                let window = PERIOD * per_window(generations);
                                clock.fetch_add(window / keys as u64, Ordering::Relaxed);
                            }
                        }
                        barrier.wait();
                        // And from time to time an idle stretch.
                        if thread == 0 && round % 8 == 0 {
                            clock.fetch_add(20 * PERIOD, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let wrong = news.iter().filter(|news| news.load(Ordering::Relaxed) != 1);
        assert_eq!(wrong.count(), 0, "{generations:?}");
    }
}

/// A thread inserts and then asks, while others turn the ring: its key is
/// there as long as no more than a window has gone by.
#[test]
fn no_key_of_a_window_is_lost_while_other_threads_turn_the_ring() {
    for generations in ALL {
        let filter = WindowedConfig::last(Duration::from_nanos(PERIOD * per_window(generations)))
            .for_items(50)
            .false_positives(0.1)
            .generations(generations)
            .build(hasher())
            .unwrap();
        let (clock, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let checked = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (filter, clock, is_over, checked) = (&filter, &clock, &is_over, &checked);
                scope.spawn(move || {
                    for hash in hashes(thread) {
                        if is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        let inserted = clock.load(Ordering::Relaxed);
                        filter.insert_hash(hash, at(inserted));
                        let is_known = filter.may_contain_hash(hash, at(inserted));
                        // Nobody has brought a later time than this.
                        let latest = clock.load(Ordering::SeqCst);
                        if latest <= inserted + PERIOD * per_window(generations) {
                            assert!(is_known);
                            checked.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            for _ in 0..300_000 {
                clock.fetch_add(PERIOD / 50, Ordering::SeqCst);
                std::hint::spin_loop();
            }
            while checked.load(Ordering::Relaxed) < 10_000 {
                std::thread::yield_now();
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}

/// Keys of one thread in a row, while others count theirs: the latest ones
/// are there, and those before so many others were counted, and one more for
/// each other thread, are not.
#[test]
fn recent_keys_of_racing_threads_are_remembered_by_their_numbers() {
    for generations in ALL {
        let keys = 512;
        let filter = recent(keys, generations);
        let threads = 4;
        let inserted = 20_000;
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let filter = &filter;
                scope.spawn(move || {
                    let own: Vec<u64> = hashes(50 + thread).take(inserted).collect();
                    let mut numbers = Vec::new();
                    for (at, hash) in own.iter().enumerate() {
                        // The key's number is between these two.
                        let first = filter.counted();
                        assert!(filter.insert_hash(*hash));
                        numbers.push((first, filter.counted()));
                        let recent = at.saturating_sub(40);
                        let is_known = filter.may_contain_hash(own[recent]);
                        assert!(is_known || filter.counted() - numbers[recent].0 > keys);
                        if let Some(past) = at.checked_sub(250) {
                            let counted = filter.counted();
                            let is_known = filter.may_contain_hash(own[past]);
                            let others = counted.saturating_sub(numbers[past].1);
                            assert!(!is_known || others < filter.remembers_at_most() + threads);
                        }
                    }
                });
            }
        });
        assert_eq!(filter.counted(), threads * inserted as u64);
    }
}

/// data-structures.md, 12.11: the rates of pingora-limits 0.9.1 panic when two
/// threads rotate in the first moments of the clock, where one interval less
/// than now is less than nothing, and what comes meanwhile is lost.
#[test]
fn threads_that_rotate_in_the_first_moments_of_the_clock_neither_panic_nor_lose() {
    for generations in ALL {
        let Err(WindowedError::TooShort { shortest }) = WindowedConfig::last(Duration::ZERO)
            .for_items(1)
            .generations(generations)
            .build(hasher())
        else {
            panic!("a window of nothing")
        };
        for start in [0, 1, 131_071] {
            let filter = WindowedConfig::last(shortest)
                .for_items(2_000)
                .false_positives(SPARSE)
                .generations(generations)
                .build(hasher())
                .unwrap();
            let barrier = Barrier::new(8);
            let news = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let (filter, barrier, news) = (&filter, &barrier, &news);
                    scope.spawn(move || {
                        for step in 0..200 {
                            barrier.wait();
                            // All at once at the beginning of a period, and
                            // half of them a nanosecond before it.
                            let now = start + step * 131_072 - (step.min(thread % 2));
                            let own = hashes(step * 8 + thread).next().unwrap();
                            assert!(filter.insert_hash(own, at(now)));
                            let common = hashes(99_999 + step).next().unwrap();
                            let is_new = filter.insert_hash(common, at(now));
                            news.fetch_add(u64::from(is_new), Ordering::Relaxed);
                            assert!(filter.may_contain_hash(own, at(now)));
                        }
                    });
                }
            });
            assert_eq!(news.into_inner(), 200, "{generations:?} from {start}");
        }
    }
}
