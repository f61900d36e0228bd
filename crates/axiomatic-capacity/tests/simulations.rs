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
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let verbose = std::env::var("VERBOSE").is_ok();
    for story in ALL.iter().map(|tell| tell()).filter(|story| story.name.contains(&tell)) {
        println!("== {}", story.name);
        for policy in POLICIES.iter().filter(|p| which == "all" || p.name == which) {
            let begun = std::time::Instant::now();
            let figures: Vec<Vec<u64>> = (1..=seeds).map(|seed| {
                let run = story.run(&policy.make, seed);
                if verbose { for (c, l) in run.limits.iter().enumerate() { for (at, step) in l { println!("{c} {at:?} {step:?}"); } } }
                story.gates.iter().map(|gate| (gate.measure)(&run, policy, seed)).collect()
            }).collect();
            let took = begun.elapsed();
            for (i, gate) in story.gates.iter().enumerate() {
                let f: Vec<u64> = figures.iter().map(|f| f[i]).collect();
                let ok = f.iter().all(|f| gate.bound.holds(*f));
                println!("{:10} {} {:?} {:?} worst {} {f:?} {:?}", policy.name, if ok {"ok  "} else {"FAIL"}, gate.promise, gate.bound, gate.bound.worst(&f), gate.unit);
            }
            println!("   took {took:?}");
        }
    }
}
