//! The verdicts: each gate of each story, for a server and all seeds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, OnceLock};

use crate::servers::Pieces;
use crate::stories::{Bound, Gate, Tell};

/// Every gate holds for each of these.
pub(crate) const SEEDS: RangeInclusive<u64> = 1..=5;

type Figures = Vec<Vec<u64>>;
/// By the names of the story and of the server.
type Made = BTreeMap<(&'static str, &'static str), Arc<OnceLock<Figures>>>;

/// Of each gate of a story, the figures of all seeds. They are made once, for
/// the tests and for the page.
pub(crate) fn figures(story: Tell, pieces: &Pieces) -> Figures {
    static MADE: Mutex<Made> = Mutex::new(Made::new());
    let story = story();
    let key = (story.name, pieces.name);
    let made = Arc::clone(MADE.lock().unwrap().entry(key).or_default());
    let made = made.get_or_init(|| {
        let mut figures = vec![Vec::new(); story.gates.len()];
        for seed in SEEDS {
            let run = story.world.run(pieces, seed);
            for (gate, figures) in story.gates.iter().zip(&mut figures) {
                figures.push((gate.measure)(&run));
            }
        }
        figures
    });
    made.clone()
}

/// Which gates a server fails, and by what. The bounds are those that are
/// chosen.
pub(crate) fn failed(
    story: Tell,
    pieces: &Pieces,
    bound: impl Fn(&Gate) -> Option<Bound>,
) -> Vec<String> {
    let mut failed = Vec::new();
    let figures = figures(story, pieces);
    let story = story();
    for (gate, figures) in story.gates.iter().zip(&figures) {
        let Some(bound) = bound(gate) else { continue };
        for (figure, seed) in figures.iter().zip(SEEDS) {
            if !bound.holds(*figure) {
                let promise = gate.promise;
                failed.push(format!(
                    "{promise}: {figure} and not {bound:?}, seed {seed}"
                ));
            }
        }
    }
    failed
}
