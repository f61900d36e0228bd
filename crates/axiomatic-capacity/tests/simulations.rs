//! Explore.
#![cfg(not(axiomatic_loom))]
#[path = "simulations/limiter.rs"]
mod limiter;
#[path = "simulations/policies.rs"]
mod policies;
#[path = "simulations/stories.rs"]
mod stories;

use policies::POLICIES;
use stories::*;

#[test]
fn look() {
    let which = std::env::var("POLICY").unwrap_or("Seeker".into());
    let tell = std::env::var("STORY").unwrap_or("".into());
    let seeds: u64 = std::env::var("SEEDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(5);
    let verbose = std::env::var("VERBOSE").is_ok();
    for story in ALL
        .iter()
        .map(|tell| tell())
        .filter(|story| story.name.contains(&tell))
    {
        println!("== {}", story.name);
        for policy in POLICIES
            .iter()
            .filter(|p| which == "all" || p.name == which)
        {
            let begun = std::time::Instant::now();
            let figures: Vec<Vec<u64>> = (std::env::var("FROM").map_or(1, |s| s.parse().unwrap())
                ..=seeds)
                .map(|seed| {
                    let run = story.run(&policy.make, seed);
                    if verbose {
                        for (c, l) in run.limits.iter().enumerate() {
                            for (at, step) in l {
                                println!("{c} {at:?} {step:?}");
                            }
                        }
                    }
                    if std::env::var("CURVE").is_ok() {
                        for client in 0..run.series.len() {
                            let n = story.end.as_secs();
                            println!(
                                "seed {seed} client {client} {:?}",
                                (0..n)
                                    .map(|i| run.mean_limit_of(client, s(i)..s(i + 1)) / 100)
                                    .collect::<Vec<_>>()
                            );
                            println!(
                                "   {:?}",
                                (0..n / 5)
                                    .map(|i| run.served(client, s(5 * i)..s(5 * i + 5)) / 5)
                                    .collect::<Vec<_>>()
                            );
                        }
                    }
                    story
                        .gates
                        .iter()
                        .map(|gate| (gate.measure)(&run, policy, seed))
                        .collect()
                })
                .collect();
            let took = begun.elapsed();
            for (i, gate) in story.gates.iter().enumerate() {
                let f: Vec<u64> = figures.iter().map(|f| f[i]).collect();
                let ok = f.iter().all(|f| gate.bound.holds(*f));
                println!(
                    "{:10} {} {:?} {:?} worst {} {f:?} {:?}",
                    policy.name,
                    if ok { "ok  " } else { "FAIL" },
                    gate.promise,
                    gate.bound,
                    gate.bound.worst(&f),
                    gate.unit
                );
            }
            println!("   took {took:?}");
        }
    }
}

#[test]
fn crowd() {
    let which: usize = std::env::var("WHICH").map_or(0, |s| s.parse().unwrap());
    for n in [4usize, 10] {
        let story = crowd_of(n);
        for seed in 1..=2 {
            let run = story.run(&POLICIES[which].make, seed);
            let served: Vec<u64> = (0..n)
                .map(|c| run.served(c, s(300)..s(600)) / 300)
                .collect();
            let means: Vec<u64> = (0..n)
                .map(|c| run.mean_limit_of(c, s(300)..s(600)))
                .collect();
            println!(
                "{n} {seed}: served {served:?} limits {means:?} slowness {} {}",
                slowness(&run, s(100)..s(200)),
                slowness(&run, s(500)..s(600))
            );
        }
    }
}
