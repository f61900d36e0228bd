//! Webhooks come at least once, and must have their effect exactly once.
//!
//! Where this is going: **a filter never decides to drop.** What it calls new is
//! new, which saves the exact look-up; what it calls seen is confirmed in the
//! exact store before anything is thrown away. Four threads receive payments,
//! many of them twice and at the same time, and share one filter and one SQLite
//! database. The filter is far fuller than planned, so that it takes one new
//! payment in twenty for an old one. None of them is lost, none is booked twice,
//! and most look-ups that can be saved are. A consumer that believes the filter
//! loses hundreds.
//!
//! # Why nothing is booked twice
//!
//! The filter tells one thread alone that a payment is new. That decides
//! nothing: another one, told "seen", may look into the store before the first
//! has committed. It finds nothing, and must not wait, since the first may have
//! died. So both of them book, and the database decides: the id is unique, and
//! is written in one transaction with the effect. Who finds it there has no
//! effect. Filter and look-up only spare work: without them, or with a filter
//! that is empty again after a restart, all is as true.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::Duration;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};
use axiomatic_sim::Random;
use axiomatic_sketch::bloom::{AtomicWordFilter, WordShape};
use rusqlite::{Connection, TransactionBehavior};

const PAYMENTS: u32 = 10_000;
const THREADS: usize = 4;
/// The filter is made for so many at 1 % false positives, and got more of them
/// yesterday, until it was at 5 %.
const PLANNED: u64 = 40_000;
const RATE: f64 = 0.05;

type Failure = Box<dyn Error + Send + Sync>;

/// The id of a payment, as its sender calls it.
fn payment(number: u32) -> String {
    format!("evt_{number:09}")
}

/// Three of five come once, the others up to five times, and in no order. Half
/// of the repeats come at the same moment, over another connection: the next
/// thread has the one while this thread has the other.
fn deliveries() -> Vec<String> {
    let mut random = Random::new(3);
    let mut timed = Vec::new();
    for number in 0..PAYMENTS {
        let at = random.bits();
        timed.push((at, payment(number)));
        for repeat in 0..random.below(10).saturating_sub(5) {
            let at = if repeat % 2 == 0 { at } else { random.bits() };
            timed.push((at, payment(number)));
        }
    }
    timed.sort_by_key(|(at, _)| *at);
    timed.into_iter().map(|(_, payment)| payment).collect()
}

/// The filter as it is after yesterday, whose payments have numbers above
/// those of today; and how many they were.
fn after_yesterday() -> Result<(AtomicWordFilter, u32), Failure> {
    let shape = WordShape::for_items(PLANNED).false_positives(0.01)?;
    // Who sends chooses the ids, so that a service takes `Seed::secret()`.
    // This one is fixed for each run to tell the same.
    let filter = AtomicWordFilter::new(shape, Hasher::new(Algorithm::Xxh3, Seed::fixed(4)))?;
    let mut count = 0;
    while filter.snapshot().false_positives() < RATE {
        for _ in 0..500 {
            filter.insert(payment(PAYMENTS + count).as_bytes());
            count += 1;
        }
    }
    Ok((filter, count))
}

/// A file, since each thread has a connection of its own, as processes would.
/// It is gone at the end, however that comes.
struct Store(PathBuf);

impl Store {
    fn new(yesterday: u32) -> Result<Self, Failure> {
        let folder = std::env::temp_dir().join(format!("axiomatic-dedup-{}", process::id()));
        fs::create_dir_all(&folder)?;
        let store = Store(folder);
        let mut database = store.connect()?;
        // The ledger forgives everything, so that a payment booked twice
        // would stand in it twice.
        database.execute_batch(
            "CREATE TABLE processed (id TEXT PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE ledger (payment TEXT NOT NULL);",
        )?;
        let transaction = database.transaction()?;
        for number in PAYMENTS..PAYMENTS + yesterday {
            let insert = "INSERT INTO processed (id) VALUES (?1)";
            transaction.execute(insert, [payment(number)])?;
        }
        transaction.commit()?;
        Ok(store)
    }

    fn connect(&self) -> Result<Connection, Failure> {
        let database = Connection::open(self.0.join("payments.sqlite"))?;
        database.busy_timeout(Duration::from_secs(10))?;
        // Readers do not stop the writer. And no commit waits for the disk: a
        // service wants that, an example that is deleted does not.
        database.pragma_update(None, "journal_mode", "wal")?;
        database.pragma_update(None, "synchronous", "off")?;
        Ok(database)
    }

    fn consumer<'a>(&self, filter: &'a AtomicWordFilter) -> Result<Consumer<'a>, Failure> {
        let (database, tally) = (self.connect()?, Tally::default());
        Ok(Consumer {
            filter,
            database,
            tally,
        })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // What is left behind is the system's to clear away.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What became of the deliveries.
#[derive(Default)]
struct Tally {
    /// Told "new" by the filter: no look-up.
    new: u32,
    /// Told "seen", and so it was.
    repeats: u32,
    /// Told "seen", and the store knew nothing: a false positive, or one whose
    /// first delivery was not committed yet.
    unknown: u32,
    /// Stopped by the unique id alone: in the store since the look-up, or
    /// since the filter said "new".
    raced: u32,
}

struct Consumer<'a> {
    filter: &'a AtomicWordFilter,
    database: Connection,
    tally: Tally,
}

impl Consumer<'_> {
    /// Afterwards the delivery may be acknowledged, and not before: one that
    /// fails in here comes again. Then it is "seen" by the filter and not by
    /// the store, and is booked.
    fn receive(&mut self, payment: &str) -> Result<(), Failure> {
        if self.filter.insert(payment.as_bytes()) {
            self.tally.new += 1;
        } else if self.is_processed(payment)? {
            self.tally.repeats += 1;
            return Ok(());
        } else {
            self.tally.unknown += 1;
        }
        self.book(payment)
    }

    /// The exact look-up, which the filter is there to save.
    fn is_processed(&self, payment: &str) -> Result<bool, Failure> {
        let select = "SELECT 1 FROM processed WHERE id = ?1";
        Ok(self.database.prepare(select)?.exists([payment])?)
    }

    /// Both or neither: the id, and what must happen once for it. Immediate,
    /// because a transaction that reads first and wants to write later is
    /// refused if another one wrote in between.
    fn book(&mut self, payment: &str) -> Result<(), Failure> {
        let database = &mut self.database;
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let insert = "INSERT INTO processed (id) VALUES (?1) ON CONFLICT DO NOTHING";
        let is_first = transaction.execute(insert, [payment])? == 1;
        if is_first {
            let effect = "INSERT INTO ledger (payment) VALUES (?1)";
            transaction.execute(effect, [payment])?;
        } else {
            self.tally.raced += 1;
        }
        Ok(transaction.commit()?)
    }
}

/// All threads at once: each takes every fourth delivery, so that neighbours
/// are in different ones.
fn receive_all(
    deliveries: &[String],
    filter: &AtomicWordFilter,
    store: &Store,
) -> Result<Tally, Failure> {
    let work = |first: usize| -> Result<Tally, Failure> {
        let mut consumer = store.consumer(filter)?;
        for payment in deliveries.iter().skip(first).step_by(THREADS) {
            consumer.receive(payment)?;
        }
        Ok(consumer.tally)
    };
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS)
            .map(|first| scope.spawn(move || work(first)))
            .collect();
        let mut sum = Tally::default();
        for thread in threads {
            let tally = thread.join().map_err(|_| "a thread panicked")??;
            sum.new += tally.new;
            sum.repeats += tally.repeats;
            sum.unknown += tally.unknown;
            sum.raced += tally.raced;
        }
        Ok(sum)
    })
}

/// The race that the threads may or may not run into, step by step: the one
/// that is told "new" stops before it books, and a repeat overtakes it.
fn the_first_is_slow(filter: &AtomicWordFilter, store: &Store) -> Result<(), Failure> {
    let payment = payment(99_999_999);
    let mut slow = store.consumer(filter)?;
    let mut other = store.consumer(filter)?;
    assert!(filter.insert(payment.as_bytes()), "told to the slow one");
    other.receive(&payment)?;
    assert_eq!(other.tally.unknown, 1, "seen, and not yet processed");
    slow.book(&payment)?;
    assert_eq!(slow.tally.raced, 1, "only the unique id stopped it");
    let count = "SELECT count(*) FROM ledger WHERE payment = ?1";
    let booked: u32 = other
        .database
        .query_row(count, [&payment], |row| row.get(0))?;
    assert_eq!(booked, 1);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let deliveries = deliveries();
    let (filter, yesterday) = after_yesterday()?;
    println!("planned:  {}", filter.shape());
    println!("is:       {}", filter.snapshot());
    let store = Store::new(yesterday)?;
    let tally = receive_all(&deliveries, &filter, &store)?;
    println!("and then: {}", filter.snapshot());

    let count = deliveries.len() as u32;
    let looked_up = tally.repeats + tally.unknown;
    println!();
    println!("deliveries of {PAYMENTS} payments   {count:>7}");
    println!("  new: no look-up             {:>7}", tally.new);
    println!("  seen: looked up             {looked_up:>7}");
    println!("    and so it was             {:>7}", tally.repeats);
    println!("    unknown to the store      {:>7}", tally.unknown);
    println!("  stopped by the unique id    {:>7}", tally.raced);
    assert_eq!(tally.new + looked_up, count);
    // One look-up can be saved for each payment: that of its first delivery.
    let rate = filter.snapshot().false_positives();
    let sigma = (rate / f64::from(PAYMENTS)).sqrt();
    let saved = f64::from(tally.new) / f64::from(PAYMENTS);
    println!(
        "{:.1} % of all look-ups saved, {:.1} % of those for new payments",
        100.0 * f64::from(tally.new) / f64::from(count),
        100.0 * saved
    );
    assert!(saved >= 1.0 - rate - 3.0 * sigma);

    let count = "SELECT count(*), count(DISTINCT payment) FROM ledger";
    let ledger = store.connect()?;
    let (booked, different): (u32, u32) =
        ledger.query_row(count, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    println!();
    println!("in the ledger {booked} bookings of {different} payments");
    assert_eq!((booked, different), (PAYMENTS, PAYMENTS), "each, and once");
    the_first_is_slow(&filter, &store)?;

    // Who drops what seems seen books what is called new. That is told once
    // for a payment, so that none is booked twice here either.
    let (believed, _) = after_yesterday()?;
    let is_new = |payment: &&String| believed.insert(payment.as_bytes());
    let lost = PAYMENTS - deliveries.iter().filter(is_new).count() as u32;
    println!("who believes the filter loses {lost} payments");
    // One in twenty, and more as it fills up.
    assert!(lost > PAYMENTS / 25);
    Ok(())
}
