//! A request that is repeated until it is answered is charged once.
//!
//! Where this is going: **the server that takes the orders is killed again and
//! again, and nobody pays twice.** Customers send each order twice at once, as
//! who clicks twice does, and again whenever the connection breaks, under a
//! key that stays the same. The shop charges at a payment provider, which is
//! not its own, and books the order in its database, with a message of it in
//! the outbox. Its process is killed with orders under way: before the
//! provider was called, before it has answered, before the order is booked,
//! before the customer was told. Whoever comes next goes on where it has
//! ended. The provider does its part: sometimes it charges and says that it
//! has failed.
//!
//! Then five customers leave, with their orders half done, and do not come
//! back: the completer runs these orders. Last, a key is used for another
//! order, and an order has no key.
//!
//! The database is SQLite; with `--postgres URL` it is a server, with a schema
//! of its own, which is removed in the end. It needs Unix: a server that is
//! started again has the listening socket of the one before.
//!
//! | File | Holds |
//! |---|---|
//! | `main.rs` | the story, and the verdict |
//! | `server.rs` | **the shop's server: the layer, and the handler with its two phases** |
//! | `shop.rs` | its database, and the atomic phase |
//! | `provider.rs` | the payment provider |
//! | `customer.rs` | the customers, who repeat |
//! | `ledger.rs` | what is written down in the end |
//!
//! xtask:
//! xtask: --postgres $AXIOMATIC_POSTGRES_URL

mod customer;
mod ledger;
mod provider;
mod server;
mod shop;

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use axiomatic_sim::Random;
use clap::{Args, Parser, Subcommand};
use customer::{Answer, Customer};
use http::StatusCode;
use ledger::Ledger;
use provider::Provider;
use server::Server;
use shop::{InPostgres, InSqlite, Shop};
use tokio::task::JoinSet;

const CUSTOMERS: u64 = 12;
const ORDERS_EACH: u64 = 10;
const LEAVERS: u64 = 5;
const KILLS: u64 = 6;

/// How long the completer may take, which takes what nobody has run for a
/// while.
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;

/// Takes orders over HTTP, kills the server meanwhile, and shows that each is
/// charged and booked once.
#[derive(Parser)]
#[command(
    name = "idempotent_http",
    after_help = "Exit status: 0 if what is promised was kept, 1 if not."
)]
struct Options {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    places: Places,
}

#[derive(Subcommand)]
enum Role {
    /// Serves at the socket that is its standard input: the example starts
    /// itself so.
    #[command(hide = true)]
    Serve { provider: SocketAddr },
}

/// Where the orders are.
#[derive(Args, Clone)]
struct Places {
    /// A PostgreSQL server, such as postgres://user@127.0.0.1/name.
    #[arg(long, value_name = "URL", global = true)]
    postgres: Option<String>,
    /// Holds the file, and gives the schema its name: it is made.
    #[arg(long, hide = true, global = true)]
    directory: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let mut options = Options::parse();
    // Who starts a process gives it its own, and removes it: one that is killed
    // removes nothing.
    let mut made = None;
    let directory = match options.places.directory.take() {
        Some(directory) => directory,
        None => {
            let prefix = "axiomatic_idempotent_";
            let directory = tempfile::Builder::new().prefix(prefix).tempdir()?;
            made.insert(directory).path().to_owned()
        }
    };
    options.places.directory = Some(directory.clone());
    // The kind of database is chosen here, and nowhere else.
    match &options.places.postgres {
        None => play(&options, InSqlite::open(&directory).await?).await,
        Some(url) => {
            let name = directory.file_name().ok_or("a directory has a name")?;
            let name = name.to_string_lossy().to_lowercase();
            play(&options, InPostgres::open(url, &name).await?).await
        }
    }
}

async fn play(options: &Options, shop: impl Shop) -> Result<ExitCode, Failure> {
    if let Some(Role::Serve { provider }) = options.role {
        server::serve(shop, provider).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let told = tell(&options.places, &shop).await;
    shop.remove().await?;
    let is_kept = told?;
    println!(
        "\nPromised: each order is charged and booked once, and each key has one answer. {}",
        if is_kept { "Kept." } else { "NOT KEPT." }
    );
    Ok(ExitCode::from(u8::from(!is_kept)))
}

/// Returns whether the promise was kept.
async fn tell(places: &Places, shop: &impl Shop) -> Result<bool, Failure> {
    let mut random = Random::new(7);
    let provider = Provider::start(random.fork(1)).await?;
    let mut server = Server::start(places, provider.address())?;
    let address = server.address()?;

    println!(
        "{CUSTOMERS} customers send {ORDERS_EACH} orders each, and each of them twice at once"
    );
    let (answers, ()) = tokio::try_join!(
        all_order(address),
        kill_now_and_then(&mut server, &provider, &mut random),
    )?;
    println!(
        "{} answers, of which {} were given before; {} requests were sent again",
        answers.answers.len(),
        answers.replays,
        answers.repeated
    );
    let differ = answers.that_differ();

    println!("\nEach is sent once more");
    let (replays, changed) = ask_again(address, &answers).await?;
    println!("{replays} replays, {changed} answers changed");

    println!("\n{LEAVERS} customers leave when the provider is asked, and do not come back");
    leave(&mut server, &provider).await?;
    let waited = tokio::time::timeout(PATIENCE, until_booked(shop, leavers())).await;
    let has_completed = waited.is_ok();
    waited.unwrap_or(Ok(()))?;
    match has_completed {
        true => println!("The completer has run their orders"),
        false => println!("Nobody has run their orders"),
    }

    println!("\nWhat a customer should not do");
    let customer = Customer::of(address)?;
    let misused = customer
        .order(Some("key-of-order-1-of-1"), "another order")
        .await?;
    println!("  a key for another order: {}", misused.status);
    let keyless = customer.order(None, "an order").await?;
    println!("  an order without a key:  {}", keyless.status);

    let ordered: Vec<String> = orders().map(|(_, order)| order).collect();
    let ledger = Ledger::of(shop, &provider).await?;
    println!("\n                     orders   booked   charged   twice");
    let mut is_kept = ledger.line("who repeated", &ordered);
    is_kept &= ledger.line("who left", &leavers().collect::<Vec<_>>());
    println!("\n{ledger}");

    let entries = ordered.len() + LEAVERS as usize;
    is_kept &= differ == 0 && changed == 0 && replays == ordered.len();
    is_kept &= has_completed && ledger.bookings == entries && ledger.charges == entries;
    is_kept &= ledger.messages == entries as u64;
    is_kept &= misused.status == StatusCode::UNPROCESSABLE_ENTITY;
    is_kept &= keyless.status == StatusCode::BAD_REQUEST;
    // Otherwise nothing was shown.
    is_kept &= ledger.resumed > 0 && answers.repeated > 0;
    Ok(is_kept)
}

/// The keys and the orders of those who repeat.
fn orders() -> impl Iterator<Item = (String, String)> {
    let customers = 1..=CUSTOMERS;
    customers.flat_map(|customer| (1..=ORDERS_EACH).map(move |number| order(customer, number)))
}

fn order(customer: u64, number: u64) -> (String, String) {
    let order = format!("order {number} of {customer}");
    (format!("key-of-{}", order.replace(' ', "-")), order)
}

/// The orders of those who leave.
fn leavers() -> impl Iterator<Item = String> {
    (1..=LEAVERS).map(|customer| format!("order of leaver {customer}"))
}

/// What customers were told.
struct Answers {
    /// Of each click.
    answers: Vec<(String, Answer)>,
    replays: usize,
    repeated: u64,
}

impl Answers {
    /// The answer of each key.
    fn by_key(&self) -> HashMap<&str, &str> {
        let answers = self.answers.iter();
        answers
            .map(|(key, answer)| (&**key, &*answer.body))
            .collect()
    }

    /// How many are not that of their key, or none that is good.
    fn that_differ(&self) -> usize {
        let by_key = self.by_key();
        let answers = self.answers.iter();
        let differs = |(key, answer): &&(String, Answer)| {
            answer.status != StatusCode::CREATED || by_key[&**key] != answer.body
        };
        answers.filter(differs).count()
    }
}

async fn all_order(shop: SocketAddr) -> Result<Answers, Failure> {
    let mut customers = JoinSet::new();
    for number in 1..=CUSTOMERS {
        let customer = Customer::of(shop)?;
        customers.spawn(async move {
            let mut answers = Vec::new();
            for (key, order) in (1..=ORDERS_EACH).map(|order_| order(number, order_)) {
                let click = || customer.order(Some(&key), &order);
                let (one, other) = tokio::try_join!(click(), click())?;
                answers.extend([(key.clone(), one), (key, other)]);
            }
            Ok::<_, Failure>((answers, customer.repeated()))
        });
    }
    let (mut answers, mut repeated) = (Vec::new(), 0);
    while let Some(customer) = customers.join_next().await {
        let (its, again) = customer??;
        answers.extend(its);
        repeated += again;
    }
    let replays = answers.iter().filter(|(_, answer)| answer.is_replay);
    Ok(Answers {
        replays: replays.count(),
        answers,
        repeated,
    })
}

/// When the provider is called, a little later.
async fn kill_now_and_then(
    server: &mut Server,
    provider: &Provider,
    random: &mut Random,
) -> Result<(), Failure> {
    let mut calls = 0;
    for _ in 0..KILLS {
        calls += 4 + random.below(14);
        provider.called(calls).await;
        tokio::time::sleep(Duration::from_millis(random.below(25))).await;
        let called = provider.calls();
        let killed = server.kill()?;
        println!("  process {killed} is killed, {called} calls of the provider after the start");
    }
    Ok(())
}

/// Returns how many were answered as replays, and how many otherwise than
/// before.
async fn ask_again(shop: SocketAddr, answers: &Answers) -> Result<(usize, usize), Failure> {
    let before = answers.by_key();
    let customer = Customer::of(shop)?;
    let (mut replays, mut changed) = (0, 0);
    for (key, order) in orders() {
        let answer = customer.order(Some(&key), &order).await?;
        replays += usize::from(answer.is_replay);
        changed += usize::from(before[&*key] != answer.body);
    }
    Ok((replays, changed))
}

/// The provider does not answer, so that the server dies with their orders
/// half done.
async fn leave(server: &mut Server, provider: &Provider) -> Result<(), Failure> {
    provider.be_slow_for(leavers());
    let asked = provider.calls() + LEAVERS;
    let address = server.address()?;
    let mut waiting = JoinSet::new();
    for order in leavers() {
        let customer = Customer::of(address)?;
        let key = order.replace(' ', "-");
        waiting.spawn(async move { customer.order(Some(&key), &order).await.map(drop) });
    }
    provider.called(asked).await;
    waiting.shutdown().await;
    let killed = server.kill()?;
    println!("  process {killed} is killed");
    Ok(())
}

async fn until_booked(
    shop: &impl Shop,
    orders: impl Iterator<Item = String>,
) -> Result<(), Failure> {
    let orders: Vec<String> = orders.collect();
    loop {
        let booked = shop.bookings().await?;
        let is_booked = |order: &String| booked.iter().any(|booking| booking.order == *order);
        if orders.iter().all(is_booked) {
            return Ok(());
        }
        // No database tells when something is written.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
