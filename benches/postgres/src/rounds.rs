//! Turns: in each round every case runs once, and what is compared are the
//! figures of one round. A slow minute of the machine is everybody's.

use crate::queue::{BoxError, Step};

/// One line of a table.
pub(crate) struct Case {
    /// Cases of one group stand together.
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) note: String,
    /// The line of the same table that this one is compared with.
    pub(crate) floor: Option<usize>,
    /// One turn, with one figure for each column. The first one is compared.
    pub(crate) run: Box<dyn Fn() -> Step<'static, Vec<f64>>>,
}

impl Case {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.group, self.name)
    }
}

/// The figures of a case in each round.
pub(crate) type Figures = Vec<Vec<f64>>;

/// Those that the filter leaves out have no figures.
pub(crate) async fn take_turns(
    rounds: usize,
    filter: Option<&str>,
    cases: &[Case],
) -> Result<Vec<Figures>, BoxError> {
    let named = |case: &Case| filter.is_none_or(|text| case.line().contains(text));
    let mut wanted: Vec<bool> = cases.iter().map(named).collect();
    for at in 0..cases.len() {
        if let Some(floor) = cases[at].floor.filter(|_| wanted[at]) {
            wanted[floor] = true;
        }
    }
    let mut figures = vec![Figures::new(); cases.len()];
    for round in 0..rounds {
        for turn in 0..cases.len() {
            let at = (round + turn) % cases.len();
            let case = &cases[at];
            if !wanted[at] {
                continue;
            }
            eprintln!("round {}: {}", round + 1, case.line());
            figures[at].push((case.run)().await?);
        }
    }
    Ok(figures)
}

pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
