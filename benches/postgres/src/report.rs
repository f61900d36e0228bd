//! The tables.

use crate::rounds::{Case, Figures, median};

pub(crate) struct Table<'a> {
    pub(crate) title: &'a str,
    /// The names of the figures.
    pub(crate) columns: &'a [&'a str],
    /// What the ratio of the first figure to the floor's is.
    pub(crate) ratio: &'a str,
}

impl Table<'_> {
    pub(crate) fn print(&self, cases: &[Case], figures: &[Figures]) {
        let width = cases.iter().map(|case| case.line().len()).max();
        let width = width.unwrap_or(0).max(24);
        print!("\n{:width$}", self.title);
        for column in self.columns {
            print!(" {column:>13}");
        }
        println!(" {:>6} {:>9}  note", "+-", self.ratio);
        for (case, own) in cases.iter().zip(figures) {
            if own.is_empty() {
                continue;
            }
            print!("{:width$}", case.line());
            for column in 0..self.columns.len() {
                print!(" {:>13}", figure(median(own.iter().map(|f| f[column]))));
            }
            let ratio = case.floor.map_or(String::new(), |floor| {
                let rounds = own.iter().zip(&figures[floor]);
                format!(
                    "{:.3}x",
                    median(rounds.map(|(own, floor)| own[0] / floor[0]))
                )
            });
            println!(" {:>5.0}% {ratio:>9}  {}", spread(own) * 100.0, case.note);
        }
    }
}

/// Half of what is between the lowest and the highest first figure, to the
/// median.
fn spread(figures: &Figures) -> f64 {
    let first = || figures.iter().map(|figures| figures[0]);
    let lowest = first().fold(f64::INFINITY, f64::min);
    let highest = first().fold(f64::NEG_INFINITY, f64::max);
    (highest - lowest) / 2.0 / median(first())
}

fn figure(value: f64) -> String {
    if value.abs() < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}
