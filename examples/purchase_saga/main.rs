//! A purchase at three services happens, or is undone, whoever dies meanwhile.
//!
//! Where this is going: **a purchase reserves pieces, charges a card and books
//! a parcel, each at another service and over HTTP; in the end all of it was
//! done once, or money and stock are as they were.** There is no transaction
//! over three services: it is a saga.
//!
//! First, one purchase for each point at which something goes wrong, with what
//! was done and what was undone for it, and in which order. Two of the points
//! are no failures: the card was charged and the answer is lost, and then the
//! payment service is asked; or it does not say, either, and then a charge is
//! undone of which nobody knows.
//!
//! Then many purchases at once, some of them with trouble, and executors in
//! processes of their own. One is killed with work under way, and others go on
//! from the log. Some of its charges arrive when it is dead and others have
//! taken over: payment refuses them by their fencing tokens.
//!
//! The shop's database is SQLite, with one executor at a time; with `--postgres
//! URL` it is a server, in a schema of its own, which is removed in the end,
//! and there are two executors at once.
//!
//! | File | Holds |
//! |---|---|
//! | `main.rs` | the story, and the verdict |
//! | `definition.rs` | **the purchase: its steps, and how each is undone** |
//! | `client.rs` | what a step does: calls of tower services, and what an answer means |
//! | `shop.rs` | the shop's database, and the steps in it |
//! | `executor.rs` | executors, and processes of them |
//! | `points.rs`, `crowd.rs` | the two parts |
//! | `services.rs`, `books.rs` | the three services |
//! | `verdict.rs` | what is promised |
//!
//! xtask:
//! xtask: --postgres $AXIOMATIC_POSTGRES_URL

mod books;
mod client;
mod crowd;
mod definition;
mod executor;
mod points;
mod services;
mod shop;
mod verdict;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use axiomatic_sim::Random;
use clap::{Args, Parser, Subcommand};
use client::Addresses;
use services::Town;
use shop::{InPostgres, InSqlite, Shop};

type Failure = Box<dyn Error + Send + Sync>;

/// Buys at three services over HTTP, with something going wrong at each point,
/// and with executors that are killed; shows that each purchase is done once or
/// undone.
#[derive(Parser)]
#[command(
    name = "purchase_saga",
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
    /// Runs purchases until its standard input ends: the example starts itself
    /// so.
    #[command(hide = true)]
    Execute(Addresses),
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
            let prefix = "axiomatic_purchase_";
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
    if let Some(Role::Execute(services)) = options.role {
        executor::execute(shop, services).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let told = tell(&options.places, &shop).await;
    shop.remove().await?;
    let is_kept = told?;
    println!(
        "\nPromised: each purchase is done once, or nothing is left of it. {}",
        if is_kept { "Kept." } else { "NOT KEPT." }
    );
    Ok(ExitCode::from(u8::from(!is_kept)))
}

/// Returns whether the promise was kept.
async fn tell(places: &Places, shop: &impl Shop) -> Result<bool, Failure> {
    let town = Town::start(&Random::new(13)).await?;
    let is_kept = points::show(shop, &town).await?;
    println!("\nMany purchases, and executors that are killed");
    Ok(crowd::show(shop, &town, places).await? && is_kept)
}
