//! A message comes at least once, and must have its effect once.
//!
//! Where this is going: **what was seen and what was done commit together, and
//! the acknowledgement comes afterwards.** A broker delivers payments twice,
//! in any order, and again whenever their consumer was too busy dying to
//! acknowledge them: before the commit, or between the commit and the
//! acknowledgement. Each payment is booked once. The same broker, before a
//! consumer without an inbox, has hundreds booked twice.
//!
//! Then two things that ids alone do not give: the messages of an account are
//! handled in the order of their numbers although they come in none, and a
//! message that ends every process that touches it stops doing so.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use axiomatic_coordination::inbox::{Config, Delivery, Fate, Id, IdRule, Policy};
use axiomatic_sim::Random;
use axiomatic_sqlite::inbox::{Handled, Inbox};
use axiomatic_sqlite::{Database, Options, RunError, Transaction};

type Failure = Box<dyn Error + Send + Sync>;

const PAYMENTS: u64 = 400;
const CONSUMER: &str = "bank";

/// A broker with one queue, of which it delivers any of the first sixty
/// messages. What is not acknowledged comes again, later.
struct Broker {
    queue: Vec<(u64, u32)>,
    random: Random,
    delivered: u64,
}

impl Broker {
    const WINDOW: usize = 60;

    /// Of each number one to three copies: producers repeat too.
    fn new(numbers: impl Iterator<Item = u64>, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let copies = |number| vec![(number, 0); random.below(3) as usize + 1];
        Broker {
            queue: numbers.flat_map(copies).collect(),
            random,
            delivered: 0,
        }
    }

    fn put_back(&mut self, number: u64, attempts: u32) {
        let place = self.queue.len().min(Self::WINDOW);
        self.queue.insert(place, (number, attempts));
    }

    fn next(&mut self) -> Option<(u64, u32)> {
        let window = self.queue.len().min(Self::WINDOW);
        if window == 0 {
            return None;
        }
        let place = self.random.below(window as u64) as usize;
        let (number, attempts) = self.queue.remove(place);
        self.delivered += 1;
        Some((number, attempts + 1))
    }

    /// One time in so many.
    fn chance(&mut self, of: u64) -> bool {
        self.random.below(of) == 0
    }
}

fn payment(number: u64, attempt: u32) -> Delivery {
    Delivery::new(number.to_string())
        .with_broker_id(format!("payment-{number}"))
        .attempted(attempt)
}

/// The ledger forgives everything, so that a payment booked twice stands in it
/// twice.
fn book(tx: &mut Transaction<'_>, delivery: &Delivery) -> Result<(), Failure> {
    let number: i64 = std::str::from_utf8(delivery.body())?.parse()?;
    tx.prepare_cached("INSERT INTO ledger (number) VALUES (?1)")?
        .execute([number])?;
    Ok(())
}

/// A file, which is gone at the end, however that comes.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self, Failure> {
        let name = format!("axiomatic-inbox-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Place(folder))
    }

    /// What a process does when it starts.
    fn start(&self, config: Config) -> Result<(Database, Inbox), Failure> {
        let database = Database::open(self.0.join("bank.db"), Options::new())?;
        let inbox = Inbox::new(&database, config.build()?)?;
        Ok((database, inbox))
    }

    fn look(&self) -> Result<rusqlite::Connection, Failure> {
        Ok(rusqlite::Connection::open(self.0.join("bank.db"))?)
    }

    fn ledger(&self) -> Result<Vec<u64>, Failure> {
        let look = self.look()?;
        let mut select = look.prepare("SELECT number FROM ledger ORDER BY rowid")?;
        let rows = select.query_map((), |row| row.get::<_, i64>(0))?;
        Ok(rows
            .map(|row| row.map(i64::unsigned_abs))
            .collect::<Result<_, _>>()?)
    }

    fn empty_the_ledger(&self) -> Result<(), Failure> {
        let empty = "DROP TABLE IF EXISTS ledger; CREATE TABLE ledger (number INTEGER NOT NULL);";
        Ok(self.look()?.execute_batch(empty)?)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left behind is the system's to clear away.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The broker keeps a message for a day.
fn config() -> Config {
    Config::new(IdRule::BrokerId, Duration::from_secs(24 * 60 * 60))
}

/// What became of the deliveries.
#[derive(Default)]
struct Tally {
    delivered: u64,
    done: u32,
    duplicates: u32,
    died_before_commit: u32,
    died_before_ack: u32,
}

/// Handles everything, and dies now and then.
async fn consume(place: &Place, with_inbox: bool) -> Result<Tally, Failure> {
    let mut broker = Broker::new(1..=PAYMENTS, 7);
    let (mut database, mut inbox) = place.start(config())?;
    let mut tally = Tally::default();
    while let Some((number, attempt)) = broker.next() {
        let delivery = payment(number, attempt);
        let dies_before_commit = broker.chance(20);
        let dies_before_ack = broker.chance(20);
        // The process would be gone; here its transaction is.
        let work = move |tx: &mut Transaction<'_>, delivery: &Delivery| {
            book(tx, delivery)?;
            match dies_before_commit {
                true => Err(Failure::from("died before the commit")),
                false => Ok(()),
            }
        };
        let committed = if with_inbox {
            match inbox
                .handle(database.writer(), CONSUMER, delivery, work)
                .await
            {
                Ok(Handled::Done(())) => {
                    tally.done += 1;
                    true
                }
                Ok(Handled::Duplicate) => {
                    tally.duplicates += 1;
                    true
                }
                Ok(Handled::Quarantined) => return Err("nobody died often enough".into()),
                Err(RunError::Rejected(_)) => false,
                Err(error) => return Err(error.to_string().into()),
            }
        } else {
            let run = database.writer().run(move |tx| work(tx, &delivery));
            let committed = run.await.is_ok();
            tally.done += u32::from(committed);
            committed
        };
        if committed && !dies_before_ack {
            continue;
        }
        match committed {
            true => tally.died_before_ack += 1,
            false => tally.died_before_commit += 1,
        }
        broker.put_back(number, attempt);
        database.close().await;
        (database, inbox) = place.start(config())?;
    }
    database.close().await;
    tally.delivered = broker.delivered;
    Ok(tally)
}

/// The messages of one account, which an outbox has numbered, in any order:
/// returns how many were rejected because the buffer was full.
async fn in_order(place: &Place) -> Result<u32, Failure> {
    let policy = Policy::Buffer {
        at_most: NonZeroU32::new(100).ok_or("no room")?,
        patience: Duration::from_secs(60),
    };
    let (database, inbox) = place.start(config().out_of_order(policy))?;
    let mut broker = Broker::new(1..=PAYMENTS, 8);
    let mut rejected = 0;
    while let Some((number, attempt)) = broker.next() {
        let delivery = payment(number, attempt)
            .keyed("account-17")
            .with_header("outbox-sequence", number.to_string());
        let inbox = inbox.clone();
        let run = database
            .writer()
            .run(move |tx| inbox.in_order(tx, CONSUMER, &delivery, book));
        let fate = run.await.map_err(|error| error.to_string())?.fate;
        if let Fate::Rejected { .. } = fate {
            rejected += 1;
            broker.put_back(number, attempt);
        }
    }
    database.close().await;
    Ok(rejected)
}

/// A message at which every process dies, and what the operator does once the
/// bug is found. Returns how many processes it took.
async fn poison(place: &Place) -> Result<u32, Failure> {
    let mut processes = 0;
    loop {
        let (database, inbox) = place.start(config())?;
        let delivery = payment(666, processes + 1);
        let (begins, to) = (inbox.clone(), delivery.clone());
        let begun = database
            .writer()
            .run(move |tx| begins.begin(tx, CONSUMER, &to));
        let admitted = begun.await.map_err(|error| error.to_string())?;
        if admitted == axiomatic_coordination::inbox::Admission::Quarantined {
            let quarantined = inbox.peek(&place.look()?, 10)?;
            println!(
                "in quarantine: {}: {}",
                quarantined[0].id, quarantined[0].reason
            );
            let id: Id = quarantined[0].id.clone();
            let release = move |tx: &mut Transaction<'_>| inbox.release(tx, CONSUMER, &id, book);
            let released = database.writer().run(release).await;
            assert!(released.map_err(|error| error.to_string())?.is_some());
            database.close().await;
            return Ok(processes);
        }
        // The work begins, and the process is gone.
        processes += 1;
        database.close().await;
    }
}

fn twice(ledger: &[u64]) -> usize {
    let different: std::collections::BTreeSet<_> = ledger.iter().collect();
    ledger.len() - different.len()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let place = Place::new()?;
    println!("{PAYMENTS} payments              without an inbox    with one");
    let mut columns = Vec::new();
    for with_inbox in [false, true] {
        place.empty_the_ledger()?;
        let tally = consume(&place, with_inbox).await?;
        columns.push((tally, place.ledger()?));
    }
    let [(without, ledger_without), (with, ledger)] = &columns[..] else {
        return Err("two columns".into());
    };
    let row = |name: &str, one: u64, other: u64| println!("  {name:<26}{one:>12}{other:>12}");
    row("deliveries", without.delivered, with.delivered);
    row(
        "died before the commit",
        without.died_before_commit.into(),
        with.died_before_commit.into(),
    );
    row(
        "died before the ack",
        without.died_before_ack.into(),
        with.died_before_ack.into(),
    );
    row("work done", without.done.into(), with.done.into());
    row(
        "found to be duplicates",
        without.duplicates.into(),
        with.duplicates.into(),
    );
    row("bookings", ledger_without.len() as u64, ledger.len() as u64);
    row(
        "of these once too often",
        twice(ledger_without) as u64,
        twice(ledger) as u64,
    );
    assert!(with.died_before_commit > 0 && with.died_before_ack > 0);
    assert!(
        twice(ledger_without) > 100,
        "without an inbox repeats are booked"
    );
    let mut booked = ledger.clone();
    booked.sort_unstable();
    assert_eq!(booked, (1..=PAYMENTS).collect::<Vec<_>>(), "each, and once");

    println!();
    place.empty_the_ledger()?;
    let rejected = in_order(&place).await?;
    let ledger = place.ledger()?;
    println!(
        "by number: {} bookings, in order; {rejected} deliveries found the buffer full",
        ledger.len()
    );
    assert_eq!(ledger, (1..=PAYMENTS).collect::<Vec<_>>(), "in order");

    place.empty_the_ledger()?;
    let processes = poison(&place).await?;
    println!("{processes} processes died of it, and the operator released it");
    assert_eq!((processes, place.ledger()?), (4, vec![666]));

    println!();
    println!("exactly-once effects inside this database; at-least-once outside");
    Ok(())
}
