//! What a transaction says to others commits with it, and is published
//! whatever dies meanwhile.
//!
//! Where this is going: **the process that publishes is killed half-way, and
//! nothing is lost.** A shop writes 600 orders into SQLite; each transaction
//! writes the order and what there is to say of it, three messages of one key,
//! and one order in ten is rolled back. A relay in a process of its own
//! publishes into a file, which stands in for a broker. When the file is half
//! full the process is killed, with messages in flight and others published of
//! which the database does not know yet. Another relay takes over when the
//! leases of the dead one have expired. In the end everything that was
//! committed is in the file, in the order of its key, nothing that was rolled
//! back is, and what is there twice was in flight when the process was killed.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::time::Duration;

use axiomatic_coordination::MessageId;
use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{
    Config, Envelope, Epoch, Message, Operate, Publisher, Relay, Verdict,
};
use axiomatic_sqlite::outbox::Outbox;
use axiomatic_sqlite::{Database, outbox};
use clap::{Parser, Subcommand};

const ORDERS: u32 = 600;
const STEPS: [&str; 3] = ["placed", "paid", "packed"];
/// How long the keys of a relay that died wait.
const LEASE: Duration = Duration::from_secs(1);

type Failure = Box<dyn Error + Send + Sync>;

/// Writes orders and messages in one transaction, kills the relay half-way,
/// and shows that nothing is lost.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Publishes what is in the database until nothing is left: the example
    /// starts itself so.
    Relay { database: PathBuf, broker: PathBuf },
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    match Options::parse().role {
        None => show().await,
        Some(Role::Relay { database, broker }) => relay(&database, &broker).await,
    }
}

async fn show() -> Result<(), Failure> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("shop.sqlite");
    let broker = directory.path().join("broker");
    let database = Database::open(&path, axiomatic_sqlite::Options::new())?;
    let outbox = Outbox::new(&database, outbox::Options::new())?;
    let committed = place_orders(&database).await?;
    let messages = committed.len();
    println!(
        "{ORDERS} orders, {messages} messages committed; {}",
        outbox.backlog().await?
    );

    let mut first = start_relay(&path, &broker)?;
    until(|| Ok(received(&broker)?.len() > messages / 2)).await?;
    first.kill()?;
    first.wait()?;
    let half = received(&broker)?.len();
    println!(
        "The relay was killed after {half} messages; {}",
        outbox.backlog().await?
    );
    assert!(
        outbox.backlog().await?.messages > 0,
        "it was killed half-way"
    );

    let mut second = start_relay(&path, &broker)?;
    assert!(second.wait()?.success(), "the second relay ends by itself");
    println!("Another took over; {}", outbox.backlog().await?);

    // Held to the promise: nothing lost, nothing that was rolled back, per key
    // in the order of the commits, twice only because of the crash.
    let published = received(&broker)?;
    let mut history = History::new();
    for (at, (id, epoch)) in published.iter().enumerate() {
        if at == half {
            history.record(Event::Crash);
        }
        let (id, epoch) = (*id, *epoch);
        history.record(Event::Published { id, epoch });
    }
    history.extend(committed);
    let violations = check(&history, Consumer::None);
    let twice = published.len() - messages;
    println!(
        "{messages} messages published, {twice} of them twice, {} promises broken",
        violations.len()
    );
    assert!(violations.is_empty(), "{violations:?}");
    println!("Nothing was lost, and nothing was said that had not happened.");
    Ok(())
}

/// The orders with their messages, and what became of them: many callers at
/// once, who share their commits.
async fn place_orders(database: &Database) -> Result<Vec<Event>, Failure> {
    let table = "CREATE TABLE orders (number INTEGER PRIMARY KEY, state TEXT NOT NULL) STRICT";
    database.writer().run(|tx| tx.execute_batch(table)).await?;
    let placing = (0..ORDERS).map(|number| {
        let writer = database.writer().clone();
        tokio::spawn(async move {
            let placed = writer.run(move |tx| {
                tx.execute("INSERT INTO orders VALUES (?1, ?2)", (number, STEPS[2]))?;
                let mut said = Vec::new();
                for (order, step) in (0..).zip(STEPS) {
                    let message = Message::new("orders", format!("order {number} was {step}"));
                    let key = format!("order-{number}");
                    let message = message.keyed(key.as_str());
                    let id = message.id();
                    let key = Some(key.into());
                    said.push(Event::Committed { id, key, order });
                    tx.enqueue(message)?;
                }
                match number % 10 {
                    7 => Err("out of stock".into()),
                    _ => Ok::<_, Failure>(said),
                }
            });
            placed.await.unwrap_or_default()
        })
    });
    let mut committed = Vec::new();
    for placed in placing.collect::<Vec<_>>() {
        committed.extend(placed.await?);
    }
    Ok(committed)
}

/// Starts this program again, as a relay.
fn start_relay(database: &Path, broker: &Path) -> std::io::Result<Child> {
    let paths = [database, broker];
    Command::new(std::env::current_exe()?)
        .arg("relay")
        .args(paths)
        .spawn()
}

async fn relay(database: &Path, broker: &Path) -> Result<(), Failure> {
    let database = Database::open(database, axiomatic_sqlite::Options::new())?;
    let outbox = Outbox::new(&database, outbox::Options::new())?;
    let broker = OpenOptions::new().append(true).create(true).open(broker)?;
    let config = Config::new().named("shop").lease(LEASE).wave(16);
    let relay = Relay::new(outbox.clone(), Broker(Mutex::new(broker)), config)?;
    println!("  {}", relay.run(empty(&outbox)).await?);
    Ok(())
}

async fn empty(outbox: &Outbox) {
    // The database is asked now and then: a commit of another process rings no
    // bell here.
    while outbox
        .backlog()
        .await
        .is_ok_and(|backlog| backlog.messages > 0)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A file as a broker: what is in it is published.
struct Broker(Mutex<File>);

impl Publisher for Broker {
    async fn publish(&self, messages: &[Envelope]) -> Vec<Verdict> {
        // As long as a broker takes to confirm.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut file = self.0.lock().expect("nobody panics with the file");
        let taken = messages.iter().map(|envelope| {
            let line = format!("{} {}\n", envelope.id(), envelope.epoch());
            match file.write_all(line.as_bytes()) {
                Ok(()) => Verdict::Acked,
                Err(_) => Verdict::Unknown,
            }
        });
        taken.collect()
    }
}

/// What is in the file; a line that was cut off by a kill is not.
fn received(broker: &Path) -> Result<Vec<(MessageId, Epoch)>, Failure> {
    let mut text = String::new();
    match File::open(broker) {
        Ok(mut file) => file.read_to_string(&mut text)?,
        Err(_) => return Ok(Vec::new()),
    };
    let whole = text
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n'));
    let mut received = Vec::new();
    for line in whole {
        let (id, epoch) = line.split_once(' ').ok_or("a line has two words")?;
        received.push((id.parse()?, Epoch(epoch.parse()?)));
    }
    Ok(received)
}

async fn until(condition: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    while !condition()? {
        // A file tells nobody that it grows.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
