//! A cache of eight shards, one of which joins later and one of which dies.
//!
//! Where this is going: shards listen on loopback sockets, and a client finds
//! the shard of each key by itself, without asking anybody. Before a ninth
//! shard joins, `moved` says how many keys that will move; then every key is
//! read once more, and exactly as many are missed. A shard is killed in the
//! middle of the traffic: the first request that notices marks it down, nobody
//! sees an error, and what is missed are its keys and no others. At last
//! everybody asks for one key, and a bound on the load decides who else serves
//! it.
//!
//! The process ends with success only if all of that was so. A picture of the
//! load is written to `target/sharded_cache.svg`, or where `--svg` says.
//!
//! | File | Holds |
//! |---|---|
//! | `main.rs` | the story, and what must be true of it |
//! | `shard.rs` | a shard: a map behind a socket |
//! | `client.rs` | **who is asked for a key, and what happens if it does not answer** |
//! | `crowd.rs` | many at once, with and without a bound |
//! | `chart.rs` | the picture |

mod chart;
mod client;
mod crowd;
mod shard;

use std::path::PathBuf;
use std::process::ExitCode;

use axiomatic_core::{BoxError, Ratio};
use axiomatic_placement::consistent_hash::{Membership, Node, Placement, Rendezvous, moved};
use clap::Parser;

use client::Client;
use crowd::Crowd;
use shard::Shard;

const SHARDS: usize = 8;
const KEYS: usize = 20_000;
/// A tenth of a pass, for each of which a hit rate is printed.
const STRETCH: usize = KEYS / 10;

#[derive(Parser)]
#[command(
    name = "sharded_cache",
    about = "A cache of eight shards: one joins, one dies, and one key is asked for by everybody"
)]
struct Arguments {
    /// Where to draw the load of each shard
    #[arg(long, default_value = "target/sharded_cache.svg")]
    svg: PathBuf,
}

// One thread, so that what is in flight is what the table says.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    let arguments = Arguments::parse();
    let keys: Vec<String> = (0..KEYS).map(|key| format!("user:{key}")).collect();
    let mut shards = Vec::new();
    for number in 0..SHARDS {
        shards.push(Shard::start(&format!("shard-{number}")).await?);
    }
    let client = Client::of(&shards)?;

    println!("{SHARDS} shards, {KEYS} keys. Filling the cache:");
    let filling = client.read(&keys, STRETCH).await?;
    let steady = client.read(&keys, STRETCH).await?;
    println!("  every key once:  {filling}");
    println!("  and once more:   {steady}");
    let mut kept = promise("a full cache misses nothing", steady.misses() == 0);

    kept &= one_joins(&client, &mut shards, &keys).await?;
    kept &= one_dies(&client, &mut shards, &keys).await?;
    kept &= all_ask_for_one(&client, &keys, &arguments).await?;
    println!();
    println!(
        "{}",
        if kept {
            "Every promise was kept."
        } else {
            "A promise was broken."
        }
    );
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn one_joins(
    client: &Client,
    shards: &mut Vec<Shard>,
    keys: &[String],
) -> Result<bool, BoxError> {
    let joining = Shard::start(&format!("shard-{SHARDS}")).await?;
    let before = client.placement();
    let nodes = before
        .membership()
        .members()
        .iter()
        .map(|member| member.node().clone());
    let after = Membership::new(
        before.membership().epoch() + 1,
        nodes.chain([Node::new(joining.id())]),
    )?;
    let after = before.over(&after)?;

    let hashes = || keys.iter().map(|key| client.hash(key));
    let movement = moved(&*before, &after, hashes());
    let remainders = hashes().filter(|hash| hash % 8 != hash % 9).count();
    println!();
    println!("A ninth shard is to join. Before it does:");
    println!("  {movement}");
    println!(
        "  The remainder of the hash would move {remainders} of them: {:.1} %.",
        percent(remainders, keys.len())
    );
    client.know(&joining);
    client.switch_to(after)?;
    shards.push(joining);
    let reading = client.read(keys, STRETCH).await?;
    let recovered = client.read(keys, STRETCH).await?;
    println!("It has joined:");
    println!("  every key once:  {reading}");
    println!("  and once more:   {recovered}");

    let mut kept = promise(
        "as many keys are missed as it was said would move",
        reading.misses() as u64 == movement.moved(),
    );
    kept &= promise("no key moves but to the new shard", movement.extra() == 0);
    kept &= promise(
        "that is one in nine, by chance a twentieth more or less",
        (movement.share() / movement.ideal() - 1.0).abs() < 0.05,
    );
    kept &= promise("then nothing is missed any more", recovered.misses() == 0);
    Ok(kept)
}

async fn one_dies(
    client: &Client,
    shards: &mut Vec<Shard>,
    keys: &[String],
) -> Result<bool, BoxError> {
    let dying = shards.remove(3);
    let id = dying.id().to_owned();
    let its_keys = |placement: &Rendezvous| {
        let owned = |key: &&String| placement.owner(client.hash(key)).id() == id.as_bytes();
        keys.iter().filter(owned).count()
    };
    let owned = its_keys(&client.placement());
    println!();
    println!("{id} dies, with {owned} keys. It is killed before the first request:");
    dying.kill().await;
    let reading = client.read(keys, STRETCH).await?;
    let recovered = client.read(keys, STRETCH).await?;
    println!("  every key once:  {reading}");
    println!("  and once more:   {recovered}");
    println!("  {}", client.placement().membership());

    let mut kept = promise(
        "what is missed are its keys and no others",
        reading.misses() == owned,
    );
    kept &= promise("then nothing is missed any more", recovered.misses() == 0);
    kept &= promise(
        "one request found it dead, and no caller saw an error",
        client.failovers() == 1,
    );
    kept &= promise("it owns nothing", its_keys(&client.placement()) == 0);
    Ok(kept)
}

async fn all_ask_for_one(
    client: &Client,
    keys: &[String],
    arguments: &Arguments,
) -> Result<bool, BoxError> {
    let crowd = Crowd::default();
    let balance = Ratio::percent(125);
    println!();
    println!("{crowd}");
    let free = crowd.ask(client, keys, None).await?;
    let bounded = crowd.ask(client, keys, Some(balance)).await?;
    println!();
    println!(
        "{:>10}  {:^31}  {:^31}",
        "", "unbounded", "at most 125 % of the mean"
    );
    println!(
        "{:>10}  {:>9} {:>10} {:>10}  {:>9} {:>10} {:>10}",
        "", "requests", "of hot key", "in flight", "requests", "of hot key", "in flight"
    );
    for (without, with) in free.shards.iter().zip(&bounded.shards) {
        println!(
            "{:>10}  {:>9} {:>10} {:>10}  {:>9} {:>10} {:>10}",
            without.id,
            without.requests,
            without.hot,
            without.most_in_flight,
            with.requests,
            with.hot,
            with.most_in_flight,
        );
    }
    println!(
        "{:>10}  {:>31.2}  {:>31.2}",
        "max / mean",
        free.peak_to_mean(),
        bounded.peak_to_mean()
    );
    println!(
        "{:>10}  {:>29.1} %  {:>29.1} %",
        "hit rate",
        free.hit_rate(),
        bounded.hit_rate()
    );
    println!();
    chart::draw(&arguments.svg, &free, &bounded)?;
    println!("Drawn in {}.", arguments.svg.display());

    let cap = crowd.cap(balance, bounded.shards.len());
    let most = bounded
        .shards
        .iter()
        .map(|shard| shard.most_in_flight)
        .max();
    let mut kept = promise(
        &format!("no shard ever has more than {cap} in flight"),
        most.is_some_and(|most| most <= cap),
    );
    kept &= promise(
        "without the bound one has twice the mean or more",
        free.peak_to_mean() >= 2.0,
    );
    kept &= promise(
        "with it none has more than 1.35 times the mean",
        bounded.peak_to_mean() <= 1.35,
    );
    kept &= promise(
        "one shard served the hot key, and then several did",
        free.serving_the_hot_key() == 1 && bounded.serving_the_hot_key() > 1,
    );
    Ok(kept)
}

/// Says whether something is as it should be.
fn promise(what: &str, is_kept: bool) -> bool {
    println!("  [{}] {what}", if is_kept { "ok" } else { "BROKEN" });
    is_kept
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}
