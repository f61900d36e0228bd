use std::fmt;
use std::ops::Add;

// A plot and the margins beside it, in pixels.
pub(super) const WIDTH: u64 = 760;
pub(super) const LEFT: u64 = 56;
pub(super) const RIGHT: u64 = 20;
pub(super) const PLOT: u64 = 130;

pub(super) const SECOND: u64 = 1_000_000_000;

/// From values to tenths of a pixel: whole numbers, whose text is the same on
/// every machine.
pub(super) struct Scale {
    every: u64,
    span: u64,
    step: u64,
    top: u64,
}

impl Scale {
    /// For so many bins of so many nanoseconds, and values up to `highest`.
    pub(super) fn new(every: u64, bins: u64, highest: u64) -> Self {
        let step = tick(highest, 4);
        Scale {
            every: every.max(1),
            span: every.saturating_mul(bins).max(1),
            step,
            top: highest.div_ceil(step).max(1) * step,
        }
    }

    /// The values that the axis names.
    pub(super) fn values(&self) -> impl Iterator<Item = u64> {
        (0..=self.top).step_by(self.step as usize)
    }

    /// The times that the axis names.
    pub(super) fn seconds(&self) -> impl Iterator<Item = u64> {
        let seconds = self.span / SECOND;
        (0..=seconds).step_by(tick(seconds, 12) as usize)
    }

    pub(super) fn x(&self, nanos: u64) -> Tenths {
        let width = u128::from((WIDTH - LEFT - RIGHT) * 10);
        let way = u128::from(nanos.min(self.span)) * width / u128::from(self.span);
        Tenths(LEFT * 10 + way as u64)
    }

    pub(super) fn y(&self, plot: u64, value: u64) -> Tenths {
        let height = u128::from(PLOT * 10);
        let way = u128::from(value.min(self.top)) * height / u128::from(self.top);
        Tenths((plot + PLOT) * 10 - way as u64)
    }

    /// The corners of a layer: a step for each bin.
    pub(super) fn steps(&self, plot: u64, values: &[u64]) -> String {
        let mut path = String::new();
        let mut last = None;
        for (bin, value) in values.iter().enumerate() {
            let (x, y) = (self.x(bin as u64 * self.every), self.y(plot, *value));
            // Only where it changes.
            if last.is_none() {
                path += &format!("{x} {y}");
            } else if last != Some(y) {
                path += &format!("H{x}V{y}");
            }
            last = Some(y);
        }
        let end = self.x(values.len() as u64 * self.every);
        path + &format!("H{end}")
    }
}

/// Tenths of a pixel.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) struct Tenths(u64);

impl Tenths {
    pub(super) const fn whole(pixels: u64) -> Self {
        Tenths(pixels * 10)
    }

    /// The way to a later one.
    pub(super) const fn to(self, end: Tenths) -> Tenths {
        Tenths(end.0.saturating_sub(self.0))
    }
}

impl Add for Tenths {
    type Output = Tenths;

    fn add(self, other: Tenths) -> Tenths {
        Tenths(self.0 + other.0)
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 % 10 {
            0 => write!(f, "{}", self.0 / 10),
            tenth => write!(f, "{}.{tenth}", self.0 / 10),
        }
    }
}

/// The smallest of 1, 2, 5, 10, 20, … of which `most` reach `highest`.
fn tick(highest: u64, most: u64) -> u64 {
    let powers = (0..18).map(|power| 10u64.pow(power));
    let ticks = powers.flat_map(|power| [power, 2 * power, 5 * power]);
    let mut fitting = ticks.filter(|tick| highest.div_ceil(*tick) <= most);
    fitting.next().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        let ticks = [0, 3, 4, 5, 9, 200, 210, 1_000].map(|highest| tick(highest, 4));
        assert_eq!(ticks, [1, 1, 1, 2, 5, 50, 100, 500]);
    }

    #[test]
    fn a_step_is_drawn_only_where_the_value_changes() {
        let scale = Scale::new(1, 4, 1);
        assert_eq!(scale.steps(0, &[0, 0, 1, 1]), "56 130H398V0H740");
    }
}
