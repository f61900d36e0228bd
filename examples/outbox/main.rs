//! What a transaction says to others commits with it, and is published
//! whatever dies meanwhile.
//!
//! Where this is going: **the process that publishes is killed half-way, and
//! nothing is lost.** A shop writes 600 orders into its database; each
//! transaction writes the order and what there is to say of it, three messages
//! of one key, and one order in ten is rolled back. A relay in a process of its
//! own publishes them. When half of them are there the process is killed, with
//! messages in flight and others published of which the database does not know
//! yet. Another relay takes over when the leases of the dead one have expired.
//! In the end everything that was committed is published, in the order of its
//! key, nothing that was rolled back is, and what is there twice was in flight
//! when the process was killed.
//!
//! The database is SQLite, and the broker a file; with `--postgres URL`, and
//! with `--nats URL` or `--amqp URL`, they are servers, with a schema and a
//! stream or a queue of their own, which are removed in the end. JetStream
//! recognises what comes twice by its id, so there nothing is there twice;
//! RabbitMQ does not.
//!
//! xtask:
//! xtask: --postgres $AXIOMATIC_POSTGRES_URL --nats $AXIOMATIC_NATS_URL
//! xtask: --postgres $AXIOMATIC_POSTGRES_URL --amqp $AXIOMATIC_AMQP_URL

mod broker;
mod shop;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use axiomatic_coordination::outbox::history::{Consumer, Event, History, check};
use axiomatic_coordination::outbox::{Config, Operate, Relay};
use broker::{Broker, InFile, InQueue, InStream};
use clap::{Args, Parser, Subcommand};
use shop::{InPostgres, InSqlite, Shop};

const ORDERS: u32 = 600;
/// How long the keys of a relay that died wait.
const LEASE: Duration = Duration::from_secs(1);

type Failure = Box<dyn Error + Send + Sync>;

/// Writes orders and messages in one transaction, kills the relay half-way,
/// and shows that nothing is lost.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    places: Places,
}

#[derive(Subcommand)]
enum Role {
    /// Publishes what is in the database until nothing is left: the example
    /// starts itself so.
    Relay,
}

/// Where the orders and the messages are.
#[derive(Args)]
struct Places {
    /// A PostgreSQL server, such as postgres://user@127.0.0.1/name.
    #[arg(long, value_name = "URL", global = true)]
    postgres: Option<String>,
    /// A NATS server with JetStream, such as nats://127.0.0.1:4222.
    #[arg(long, value_name = "URL", global = true)]
    nats: Option<String>,
    /// A RabbitMQ, such as amqp://user:password@127.0.0.1:5672/%2f.
    #[arg(long, value_name = "URL", global = true, conflicts_with = "nats")]
    amqp: Option<String>,
    /// Holds the files, and gives schema and stream their names: it is made.
    #[arg(long, hide = true, global = true)]
    directory: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut options = Options::parse();
    let made = tempfile::Builder::new()
        .prefix("axiomatic_outbox_")
        .tempdir()?;
    let directory = options.places.directory.take();
    let directory = directory.unwrap_or_else(|| made.path().to_owned());
    options.places.directory = Some(directory.clone());
    let name = directory.file_name().ok_or("a directory has a name")?;
    let name = name.to_string_lossy().to_lowercase();
    // The kinds of database and of broker are chosen here, and nowhere else.
    match &options.places.postgres {
        None => with_shop(&options, &InSqlite::open(&directory).await?, &name).await,
        Some(postgres) => {
            let shop = InPostgres::open(postgres, &name).await?;
            with_shop(&options, &shop, &name).await
        }
    }
}

async fn with_shop(options: &Options, shop: &impl Shop, name: &str) -> Result<(), Failure> {
    let Places {
        nats,
        amqp,
        directory,
        ..
    } = &options.places;
    if let Some(nats) = nats {
        return play(options, shop, &InStream::open(nats, name).await?).await;
    }
    if let Some(amqp) = amqp {
        return play(options, shop, &InQueue::open(amqp, name).await?).await;
    }
    let directory = directory.as_ref().ok_or("the example makes one")?;
    play(options, shop, &InFile::new(directory)).await
}

async fn play(options: &Options, shop: &impl Shop, broker: &impl Broker) -> Result<(), Failure> {
    if options.role.is_some() {
        return relay(shop, broker).await;
    }
    let shown = show(&options.places, shop, broker).await;
    shop.remove().await?;
    broker.remove().await?;
    shown
}

async fn show(places: &Places, shop: &impl Shop, broker: &impl Broker) -> Result<(), Failure> {
    let outbox = shop.outbox();
    let committed = place_orders(shop).await?;
    let messages = committed.len();
    println!(
        "{ORDERS} orders, {messages} messages committed; {}",
        outbox.backlog().await?
    );

    let mut first = start_relay(places)?;
    while broker.count().await? <= messages / 2 {
        // No broker tells when it is half full.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    first.kill()?;
    first.wait()?;
    let half = broker.count().await?;
    println!(
        "The relay was killed after {half} messages; {}",
        outbox.backlog().await?
    );
    assert!(
        outbox.backlog().await?.messages > 0,
        "it was killed half-way"
    );

    let mut second = start_relay(places)?;
    assert!(second.wait()?.success(), "the second relay ends by itself");
    println!("Another took over; {}", outbox.backlog().await?);

    // Held to the promise: nothing lost, nothing that was rolled back, per key
    // in the order of the commits, twice only because of the crash.
    let published = broker.received().await?;
    // What the first had sent may have arrived after it was counted: the second
    // begins with the first epoch that is higher.
    let first_epochs = published.iter().take(half).map(|(_, epoch)| *epoch).max();
    let second = published
        .iter()
        .position(|(_, epoch)| Some(*epoch) > first_epochs);
    let mut history = History::new();
    for (at, (id, epoch)) in published.iter().enumerate() {
        if Some(at) == second {
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

/// The orders with their messages, and what became of them.
async fn place_orders<S: Shop>(shop: &S) -> Result<Vec<Event>, Failure> {
    let placing = (0..ORDERS).map(|number| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.place(number).await })
    });
    let mut committed = Vec::new();
    for placed in placing.collect::<Vec<_>>() {
        committed.extend(placed.await??);
    }
    Ok(committed)
}

/// Starts this program again, as a relay.
fn start_relay(places: &Places) -> std::io::Result<Child> {
    let mut relay = Command::new(std::env::current_exe()?);
    let servers = [
        ("--postgres", &places.postgres),
        ("--nats", &places.nats),
        ("--amqp", &places.amqp),
    ];
    for (name, url) in servers {
        if let Some(url) = url {
            relay.args([name, url]);
        }
    }
    if let Some(directory) = &places.directory {
        relay.arg("--directory").arg(directory);
    }
    relay.arg("relay").spawn()
}

async fn relay(shop: &impl Shop, broker: &impl Broker) -> Result<(), Failure> {
    let outbox = shop.outbox();
    let config = Config::new().named("shop").lease(LEASE).wave(16);
    let relay = Relay::new(outbox.clone(), broker.publisher().await?, config)?;
    println!("  {}", relay.run(empty(outbox)).await?);
    Ok(())
}

async fn empty(outbox: &impl Operate) {
    // The database is asked now and then: nobody says that the last is gone.
    while outbox
        .backlog()
        .await
        .is_ok_and(|backlog| backlog.messages > 0)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
