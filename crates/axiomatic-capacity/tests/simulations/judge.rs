//! The verdicts: each gate of each story, for each algorithm and seed.

use std::ops::RangeInclusive;
use std::sync::{LazyLock, OnceLock};

use crate::policies::POLICIES;
use crate::stories::{ALL, Tell};

/// Every gate holds for each of these.
pub(crate) const SEEDS: RangeInclusive<u64> = 1..=5;

/// Of each gate of a story, the figures of all seeds. They are made once, for
/// the tests and for the page.
pub(crate) fn figures(story: Tell, policy: &str) -> &'static [Vec<u64>] {
    static MADE: LazyLock<Vec<OnceLock<Vec<Vec<u64>>>>> =
        LazyLock::new(|| vec![OnceLock::new(); ALL.len() * POLICIES.len()]);
    let story = story();
    let row = ALL.iter().position(|tell| tell().name == story.name);
    let row = row.expect("the story stands in the list of all");
    let column = POLICIES.iter().position(|named| named.name == policy);
    let column = column.expect("the algorithm stands in the list of all");
    MADE[row * POLICIES.len() + column].get_or_init(|| {
        let policy = &POLICIES[column];
        let mut figures = vec![Vec::new(); story.gates.len()];
        for seed in SEEDS {
            let run = story.run(&policy.make, seed);
            for (gate, figures) in story.gates.iter().zip(&mut figures) {
                figures.push((gate.measure)(&run, policy, seed));
            }
        }
        figures
    })
}
