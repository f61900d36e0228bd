//! The keyed store against a naive reference, and under real threads. It is
//! one file because all of it counts values with the same witness.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock, Weak, mpsc};

use axiomatic_core::keyed::{Found, Full, Idle, Keyed, Owner, WhenFull};
use axiomatic_core::time::Instant;
use proptest::prelude::*;

fn now() -> Instant {
    Instant::from_nanos(3_600_000_000_000)
}

fn cap(keys: u32) -> NonZeroU32 {
    NonZeroU32::new(keys).expect("a cap")
}

/// Counts what is made and dropped.
#[derive(Clone, Default)]
struct Census(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicUsize,
    alive: AtomicUsize,
    most: AtomicUsize,
}

impl Census {
    fn born(&self) -> (usize, Witness) {
        let alive = self.0.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(alive, Ordering::SeqCst);
        let id = self.0.made.fetch_add(1, Ordering::SeqCst);
        (id, Witness(self.clone()))
    }

    fn made(&self) -> usize {
        self.0.made.load(Ordering::SeqCst)
    }

    fn alive(&self) -> usize {
        self.0.alive.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.0.most.load(Ordering::SeqCst)
    }
}

struct Witness(Census);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A value that is idle unless it is told to be busy.
struct Value {
    id: usize,
    busy: AtomicBool,
    _witness: Witness,
}

impl Value {
    fn born(census: &Census) -> Self {
        let (id, witness) = census.born();
        Value {
            id,
            busy: AtomicBool::new(false),
            _witness: witness,
        }
    }
}

impl Idle for Value {
    fn is_idle(&self, _: Instant) -> bool {
        !self.busy.load(Ordering::SeqCst)
    }
}

fn store<K: Hash + Eq + Send + 'static>(
    keys: u32,
    when_full: WhenFull,
) -> (Census, Keyed<K, Value>) {
    let census = Census::default();
    let inner = census.clone();
    let store = Keyed::new(cap(keys), when_full, move |_| Value::born(&inner));
    (census, store)
}

#[derive(Clone, Debug)]
enum Step {
    /// Looks a key up and leaves its value busy or idle.
    Use(u8, bool),
    Remove(u8),
    EvictIdle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..30u8, any::<bool>()).prop_map(|(key, busy)| Step::Use(key, busy)),
        2 => (0..30u8).prop_map(Step::Remove),
        1 => Just(Step::EvictIdle),
    ]
}

/// By key, the value that it has and whether that is busy.
type Reference = HashMap<u8, (usize, bool)>;

fn held(store: &Keyed<u8, Value>) -> Reference {
    let mut held = Reference::new();
    store.for_each(|key, value| {
        let busy = value.busy.load(Ordering::SeqCst);
        let twice = held.insert(*key, (value.id, busy));
        assert!(twice.is_none(), "one value for each key");
    });
    held
}

proptest! {
    #[test]
    fn does_what_a_map_and_a_list_do(
        keys in 1..20u32,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (census, store) = store::<u8>(keys, WhenFull::Refuse);
        let mut reference = Reference::new();
        let mut removed = 0;
        let mut refused = 0;
        for step in steps {
            let before = reference.clone();
            match step {
                Step::Use(key, busy) => {
                    let made = census.made();
                    let found = store.with(&key, now(), |found| {
                        let value = found.value()?;
                        value.busy.store(busy, Ordering::SeqCst);
                        Some(value.id)
                    });
                    match (found, before.get(&key)) {
                        (Some(id), Some((known, _))) => prop_assert_eq!(id, *known),
                        (Some(id), None) => prop_assert_eq!(id, made),
                        (None, Some(_)) => prop_assert!(false, "a known key was refused"),
                        (None, None) => {
                            refused += 1;
                            prop_assert_eq!(before.len(), keys as usize);
                            // The hand looks at eight places: with no more
                            // than those, it misses nothing.
                            let all_busy = before.values().all(|(_, busy)| *busy);
                            prop_assert!(keys > 8 || all_busy);
                        }
                    }
                    if let Some(id) = found {
                        reference.insert(key, (id, busy));
                    }
                }
                Step::Remove(key) => {
                    let was_there = reference.remove(&key).is_some();
                    prop_assert_eq!(store.remove(&key), was_there);
                    removed += usize::from(was_there);
                }
                Step::EvictIdle => {
                    let idle = before.values().filter(|(_, busy)| !busy).count();
                    prop_assert_eq!(store.evict_idle(now()), idle);
                    reference.retain(|_, (_, busy)| *busy);
                }
            }
            // What was evicted meanwhile was idle, and nothing else changed.
            let held = held(&store);
            reference.retain(|key, (_, busy)| *busy || held.contains_key(key));
            prop_assert_eq!(&held, &reference);
            prop_assert!(held.len() <= keys as usize);
            prop_assert_eq!(census.alive(), held.len());
            let snapshot = store.snapshot();
            prop_assert_eq!(snapshot.live() as usize, held.len());
            prop_assert_eq!(snapshot.leaving(), 0);
            prop_assert_eq!(snapshot.refused(), refused);
            let evicted = census.made() - removed - held.len();
            prop_assert_eq!(snapshot.evictions(), evicted as u64);
        }
        prop_assert!(census.most() <= keys as usize);
        drop(store);
        prop_assert_eq!(census.alive(), 0);
    }
}

#[test]
fn without_a_place_it_does_what_it_was_told() {
    for when_full in [WhenFull::Shared, WhenFull::Refuse, WhenFull::Admit] {
        let (census, store) = store::<String>(2, when_full);
        for key in ["a", "b"] {
            store.with(key, now(), |found| match found {
                Found::Own(value) => value.busy.store(true, Ordering::SeqCst),
                Found::Shared(_) | Found::Full(_) => panic!("there is a place"),
            });
        }
        let made = census.made();
        for key in ["c", "d"] {
            store.with(key, now(), |found| match (when_full, found) {
                (WhenFull::Shared, Found::Shared(value)) => assert_eq!(value.id, 0),
                (WhenFull::Refuse, Found::Full(Full::Refuse)) => {}
                (WhenFull::Admit, Found::Full(Full::Admit)) => {}
                _ => panic!("not as told"),
            });
        }
        assert_eq!(
            census.made(),
            made,
            "nothing is made for a key without a place"
        );
        let snapshot = store.snapshot();
        let counts = [snapshot.shared(), snapshot.refused(), snapshot.admitted()];
        let expected = match when_full {
            WhenFull::Shared => [2, 0, 0],
            WhenFull::Refuse => [0, 2, 0],
            WhenFull::Admit => [0, 0, 2],
        };
        assert_eq!(counts, expected);
        // Once a value is idle, there is a place again.
        store.with("a", now(), |found| {
            let value = found.value().expect("known");
            value.busy.store(false, Ordering::SeqCst);
        });
        assert!(store.with("c", now(), |found| matches!(found, Found::Own(_))));
        assert_eq!(store.snapshot().evictions(), 1);
    }
}

#[test]
fn a_snapshot_prints_as_a_line() {
    let (_, store) = store::<String>(5, WhenFull::Refuse);
    store.with("a", now(), |_| ());
    assert_eq!(
        store.snapshot().to_string(),
        "1 of 5 keys, 0 leaving, 0 evicted; without a place: 0 shared, 0 refused, 0 admitted"
    );
}

#[test]
fn the_maker_is_told_for_whom() {
    struct Named(String);
    impl Idle for Named {
        fn is_idle(&self, _: Instant) -> bool {
            false
        }
    }
    let store: Keyed<Arc<str>, Named> =
        Keyed::new(cap(1), WhenFull::Shared, |owner: Owner<'_, Arc<str>>| {
            Named(match owner {
                Owner::Key(key) => key.to_string(),
                Owner::Shared => "all others".to_owned(),
            })
        });
    let name = |key: &str| store.with(key, now(), |found| found.value().map(|v| v.0.clone()));
    assert_eq!(name("a").as_deref(), Some("a"));
    assert_eq!(name("b").as_deref(), Some("all others"));
}

thread_local!(static HASHED: Cell<u32> = const { Cell::new(0) });

/// A key that counts how often it is hashed.
#[derive(Clone, PartialEq, Eq)]
struct Counted(u32);

impl Hash for Counted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        HASHED.set(HASHED.get() + 1);
        self.0.hash(state);
    }
}

#[test]
fn a_key_is_hashed_once_a_lookup() {
    let (_, store) = store::<Counted>(100, WhenFull::Refuse);
    // Keys come and go, and the map grows and is rebuilt meanwhile.
    for key in 0..5_000 {
        store.with(&Counted(key), now(), |_| ());
    }
    assert_eq!(HASHED.get(), 5_000);
}

#[test]
fn a_maker_that_panics_takes_no_place() {
    let panics = Arc::new(AtomicBool::new(true));
    let census = Census::default();
    let (inner, told) = (census.clone(), Arc::clone(&panics));
    let store: Keyed<u32, Value> = Keyed::new(cap(1), WhenFull::Refuse, move |_| {
        assert!(!told.load(Ordering::SeqCst), "told to");
        Value::born(&inner)
    });
    let look = || store.with(&1, now(), |found| found.value().is_some());
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
    assert!(caught.is_err());
    assert_eq!(store.snapshot().leaving(), 0);
    panics.store(false, Ordering::SeqCst);
    assert!(look());
}

/// Comes back into the store when it is asked, and panics the first time.
struct Meddler {
    store: Arc<OnceLock<Weak<Keyed<u32, Meddler>>>>,
    panics: AtomicBool,
}

impl Idle for Meddler {
    fn is_idle(&self, now: Instant) -> bool {
        assert!(!self.panics.swap(false, Ordering::SeqCst), "once");
        let store = self.store.get().and_then(Weak::upgrade);
        store.is_none_or(|store| {
            assert_eq!(store.evict_idle(now), 0, "another holds the hand: we do");
            store.with(&7, now, |_| true)
        })
    }
}

#[test]
fn a_value_that_panics_or_comes_back_does_no_harm() {
    let cell = Arc::new(OnceLock::new());
    let inner = Arc::clone(&cell);
    let store = Arc::new(Keyed::new(cap(2), WhenFull::Refuse, move |_| Meddler {
        store: Arc::clone(&inner),
        panics: AtomicBool::new(true),
    }));
    assert!(cell.set(Arc::downgrade(&store)).is_ok());
    let look = |key: u32| store.with(&key, now(), |found| found.value().is_some());
    assert!(look(1) && look(2));
    for key in [3, 3] {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(key)));
        assert!(caught.is_err());
    }
    assert!(look(3));
    assert!(store.snapshot().evictions() >= 1);
}

#[test]
fn a_lookup_inside_a_lookup_works() {
    let (census, store) = store::<u32>(4, WhenFull::Refuse);
    store.with(&1, now(), |outer| {
        let outer = outer.value().expect("a place");
        // Idle values, the outer one among them, are closed, but while we
        // are inside none of them goes.
        for key in 2..50 {
            store.with(&key, now(), |_| ());
        }
        assert_eq!(store.snapshot().evictions(), 0);
        assert_eq!(
            store.with(&1, now(), |found| found.value().map(|v| v.id)),
            Some(outer.id)
        );
    });
    assert!(store.with(&99, now(), |found| found.value().is_some()));
    assert!(census.most() <= 4);
}

const THREADS: usize = 4;

/// Each makes a value before any is inserted.
#[test]
fn two_that_insert_a_key_get_one_value() {
    let census = Census::default();
    let all = Arc::new(Barrier::new(THREADS));
    let (inner, making) = (census.clone(), Arc::clone(&all));
    let store: Keyed<u32, Value> = Keyed::new(cap(64), WhenFull::Refuse, move |_| {
        making.wait();
        Value::born(&inner)
    });
    let rounds = 500;
    let ids: Vec<Vec<Option<usize>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let look = |key: u32| {
                        let id = store.with(&key, now(), |found| found.value().map(|v| v.id));
                        // All have it, and then it may go.
                        all.wait();
                        store.remove(&key);
                        all.wait();
                        id
                    };
                    (0..rounds).map(look).collect()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]));
    let different: HashSet<_> = ids[0].iter().flatten().collect();
    assert_eq!(different.len(), rounds as usize);
    assert_eq!(census.made(), THREADS * rounds as usize);
    assert!(census.most() <= 64);
}

/// Looks itself up when it is asked for the second time, and says that it is
/// idle.
struct Narcissus {
    store: Arc<OnceLock<Weak<Keyed<u32, Narcissus>>>>,
    asked: AtomicU32,
}

impl Idle for Narcissus {
    fn is_idle(&self, now: Instant) -> bool {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 1 {
            let store = self.store.get().and_then(Weak::upgrade).expect("set");
            assert!(store.with(&1, now, |found| found.value().is_some()));
        }
        true
    }
}

#[test]
fn a_value_that_is_looked_up_while_it_is_asked_stays() {
    let cell = Arc::new(OnceLock::new());
    let inner = Arc::clone(&cell);
    let store = Arc::new(Keyed::new(cap(1), WhenFull::Refuse, move |_| Narcissus {
        store: Arc::clone(&inner),
        asked: AtomicU32::new(0),
    }));
    assert!(cell.set(Arc::downgrade(&store)).is_ok());
    let own = |key: u32| store.with(&key, now(), |found| found.value().is_some());
    assert!(own(1));
    assert!(!own(2), "1 was used after it had said that it was idle");
    assert!(own(2), "and now it was not");
    assert_eq!(store.snapshot().evictions(), 1);
}

/// A bulkhead of one.
struct Turnstile {
    busy: Arc<AtomicBool>,
    _witness: Witness,
}

impl Idle for Turnstile {
    fn is_idle(&self, _: Instant) -> bool {
        !self.busy.load(Ordering::SeqCst)
    }
}

/// If a value were evicted under somebody who was handed it, the next would
/// get another and pass.
#[test]
fn a_bulkhead_of_one_never_admits_two() {
    const KEYS: usize = 12;
    let census = Census::default();
    let inner = census.clone();
    let store: Keyed<usize, Turnstile> = Keyed::new(cap(6), WhenFull::Refuse, move |_| Turnstile {
        busy: Arc::new(AtomicBool::new(false)),
        _witness: inner.born().1,
    });
    let within: Vec<AtomicU32> = (0..KEYS).map(|_| AtomicU32::new(0)).collect();
    let passed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, within, passed) = (&store, &within, &passed);
            scope.spawn(move || {
                let mut dice = thread as u64 + 1;
                for _ in 0..60_000 {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let key = (dice >> 33) as usize % KEYS;
                    let permit = store.with(&key, now(), |found| {
                        let turnstile = found.value()?;
                        let free = !turnstile.busy.swap(true, Ordering::SeqCst);
                        free.then(|| Arc::clone(&turnstile.busy))
                    });
                    let Some(permit) = permit else { continue };
                    assert_eq!(within[key].fetch_add(1, Ordering::SeqCst), 0, "two at once");
                    passed.fetch_add(1, Ordering::SeqCst);
                    if dice >> 60 == 0 {
                        std::thread::yield_now();
                    }
                    within[key].fetch_sub(1, Ordering::SeqCst);
                    permit.store(false, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(census.most() <= 6, "{} of 6", census.most());
    assert!(passed.load(Ordering::SeqCst) > 1_000);
    assert!(store.snapshot().evictions() > 100, "{}", store.snapshot());
    // At rest nothing is leaving for good.
    store.evict_idle(now());
    store.evict_idle(now());
    drop(store);
    assert_eq!(census.alive(), 0);
}

#[test]
fn who_stays_inside_costs_no_memory() {
    let (census, store) = store::<u32>(32, WhenFull::Admit);
    let (entered, has_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            store.with(&0, now(), |found| {
                entered.send(found.value().is_some()).unwrap();
                may_leave.recv().unwrap();
            });
        });
        assert!(has_entered.recv().unwrap());
        let own = |key| store.with(&key, now(), |found| found.value().is_some());
        let found = (1..10_000).filter(|key| own(*key)).count();
        // There are 31 more places; all that came later went unrecorded.
        assert_eq!(found, 31);
        assert_eq!(census.most(), 32);
        leave.send(()).unwrap();
    });
    // The rounds that waited for it are through: the first asks find nothing
    // or what they closed, and then there are places.
    assert!((20_000..20_010).any(|key| store.with(&key, now(), |f| f.value().is_some())));
    assert!((30_000..30_100).all(|key| store.with(&key, now(), |f| f.value().is_some())));
    assert!(census.most() <= 32);
}
