//! xtask: --quick
//!
//! A shop whose payment service stops answering, and what retries, a budget
//! and a circuit breaker do about it.
//!
//! Where this is going: one process starts two services on loopback, a
//! storefront and the payment service it calls, and sends them real HTTP at a
//! fixed rate, half of it `/browse`, which needs no payment, and half `/buy`,
//! which does. Payment fails now and then, and in the middle of the script it
//! hangs. The script is played four times. Without protection, the
//! storefront's workers all end up waiting for payment, and nobody can browse
//! either: that collateral damage is the point. With attempts that time out
//! and are repeated, single failures disappear, and the hang is three times
//! the load on a service that is down. A budget keeps the first and bounds the
//! second. A circuit breaker stops asking, and buyers are told at once to pay
//! later.
//!
//! The table at the end says what each was worth, and the process exits with
//! success only if the last run kept its promise.
//!
//! | File | Holds |
//! |---|---|
//! | `main.rs` | the command line, the two runs, the verdict |
//! | `script.rs` | the phases of a run, played against the clock |
//! | `payment.rs` | the payment service and its fault switch |
//! | `storefront.rs` | the storefront and its workers |
//! | `client.rs` | **the client between them: bare, or total timeout, retry, breaker, attempt timeout** |
//! | `load.rs` | the users: an open loop of arrivals |
//! | `log.rs` | what became of each request |
//! | `progress.rs` | a line a second |
//! | `report.rs` | the numbers of a run, and the table |
//! | `server.rs` | an axum server on a port that the system chooses |

mod client;
mod load;
mod log;
mod payment;
mod progress;
mod report;
mod script;
mod server;
mod storefront;

use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use axiomatic_core::{BoxError, Ratio};
use clap::Parser;
use tokio::time::Instant;

use client::Protection;
use load::Load;
use log::Log;
use payment::{Fault, Payment};
use report::{Measured, Report};
use script::Script;
use storefront::Storefront;

/// The share of requests that the last run promises to answer well, all
/// phases together. It keeps more than 99 %; the rest is for machines that
/// are busy with something else.
const PROMISED: Ratio = Ratio::percent(90);

/// An answer is good if it comes within this time and is a full page or, in
/// place of one, the degraded page that says "pay later". So goodput counts
/// both, and the table says how many of it were degraded.
const GOOD_WITHIN: Duration = Duration::from_millis(250);

/// A user who has waited this long leaves.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(
    name = "storefront",
    about = "A shop whose payment service stops answering, with retries, a budget and a circuit breaker",
    after_help = promise()
)]
struct Arguments {
    /// Play a shorter script: 24 s in all instead of 64 s
    #[arg(long)]
    quick: bool,

    /// What befalls the payment service in the middle of the script
    #[arg(long, value_enum, default_value_t = Fault::Hang)]
    fault: Fault,

    /// How many requests arrive in a second, half of them to buy
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(100..=400))]
    rate: u32,
}

fn promise() -> String {
    format!(
        "Promised: with all of it, {PROMISED} of all requests are answered\n\
         within {GOOD_WITHIN:?}, with the page asked for or one that says \"pay later\".\n\n\
         Exit status: 0 if that was kept, 1 if not or if it could not be measured,\n\
         2 for wrong arguments, 130 after Ctrl-C."
    )
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    let script = Script::new(arguments.fault, arguments.quick);
    let mut interrupt = pin!(async {
        // A system that cannot tell us of Ctrl-C ends us itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    println!(
        "{} requests/s, half of them to buy; an answer is good within {GOOD_WITHIN:?}; \
         users leave after {PATIENCE:?}.",
        arguments.rate
    );

    let mut runs = Vec::new();
    for protection in [
        Protection::Off,
        Protection::Retries,
        Protection::Budget,
        Protection::Breaker,
    ] {
        let (measured, ended) =
            run(protection, &script, arguments.rate, interrupt.as_mut()).await?;
        runs.push((protection, Report::new(&measured)));
        if ended == Ended::Interrupted {
            print!("\n{}", report::table(&script, &runs));
            println!(
                "\nInterrupted. Requests still in flight are not counted, and there is no verdict."
            );
            return Ok(ExitCode::from(130));
        }
    }
    print!("\n{}", report::table(&script, &runs));
    let kept = runs
        .last()
        .is_some_and(|(_, protected)| protected.all.reaches(PROMISED));
    println!(
        "\nPromised: {PROMISED} goodput in the last run. {}",
        if kept { "Kept." } else { "NOT KEPT." }
    );
    Ok(ExitCode::from(u8::from(!kept)))
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Ended {
    Complete,
    Interrupted,
}

/// Starts everything, plays the script once, stops everything.
async fn run(
    protection: Protection,
    script: &Script,
    rate: u32,
    interrupt: Pin<&mut impl Future<Output = ()>>,
) -> Result<(Measured, Ended), BoxError> {
    let payment = Payment::start().await?;
    let client = client::new(protection)?;
    let storefront = Storefront::start(payment.charge(), client.service).await?;
    println!(
        "\n{protection}: storefront http://{}, payment http://{}",
        storefront.address(),
        payment.address()
    );

    let log = Log::default();
    let started = Instant::now();
    let load = Load {
        storefront: storefront.address(),
        rate,
        started,
        lasts: script.lasts(),
    };
    let ended = tokio::select! {
        ((), ()) = async { tokio::join!(
            script.play(started, &payment.switch),
            load.run(&log),
        ) } => Ended::Complete,
        never = progress::show(started, script, &log, client.breaker) => match never {},
        () = interrupt => Ended::Interrupted,
    };

    // Whoever still hangs is let go, so that the servers can end.
    payment.switch.set(Fault::None);
    let measured = Measured {
        records: log.take(),
        fault: script.fault_begins()..script.fault_ends(),
        first_refusal: storefront.first_refusal(started),
        wasted: payment.switch.wasted(),
    };
    storefront.stop().await;
    payment.stop().await;
    Ok((measured, ended))
}
