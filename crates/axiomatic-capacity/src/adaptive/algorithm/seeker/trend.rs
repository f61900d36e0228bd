/// The last windows as points: how many were in flight, how many answers a
/// second came of it, and after how long.
///
/// It answers one question: has more in flight brought more answers?
#[derive(Clone, Debug, Default)]
pub(super) struct Trend {
    points: [Point; WINDOWS],
    len: usize,
    next: usize,
}

/// How many windows are remembered: long enough for a slope to stand out from
/// chance, and over soon enough after a change. Cinnamon remembers 50 (Uber
/// Engineering, "Cinnamon: Using Century Old Tech to Build a Mean Load
/// Shedder", 2023); nothing was measured.
const WINDOWS: usize = 16;

/// Fewer say nothing.
const FEWEST: usize = 12;

/// Below this share of its mean, what was in flight did not vary.
const SPREAD: f64 = 0.05;

#[derive(Copy, Clone, Debug, Default)]
struct Point {
    in_flight: f64,
    rate: f64,
    latency: f64,
}

/// How many hundredths the one grows by for each hundredth of the other, and
/// by how much that may be off.
#[derive(Copy, Clone, Debug)]
struct Slope {
    value: f64,
    error: f64,
}

impl Trend {
    pub(super) fn add(&mut self, in_flight: f64, rate: f64, latency: f64) {
        self.points[self.next] = Point {
            in_flight,
            rate,
            latency,
        };
        self.next = (self.next + 1) % WINDOWS;
        self.len = (self.len + 1).min(WINDOWS);
    }

    pub(super) fn forget(&mut self) {
        self.len = 0;
        self.next = 0;
    }

    /// Whether more in flight came with longer latencies and not with more
    /// answers. Both have to be clear by their own scatter, since of windows
    /// with few calls either can be chance.
    pub(super) fn shows_no_gain(&self) -> bool {
        if self.len < FEWEST {
            return false;
        }
        let rate = self.slope(|point| point.rate);
        let latency = self.slope(|point| point.latency);
        match (rate, latency) {
            (Some(rate), Some(latency)) => {
                rate.value + 2.0 * rate.error < 0.5 && latency.value - 2.0 * latency.error > 0.0
            }
            _ => false,
        }
    }

    /// The line of least squares, relative to the means; none, where what was
    /// in flight did not vary.
    fn slope(&self, of: fn(&Point) -> f64) -> Option<Slope> {
        let points = &self.points[..self.len];
        let count = points.len() as f64;
        let mean = |of: &dyn Fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (x, y) = (mean(&|point| point.in_flight), mean(&of));
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for point in points {
            let (dx, dy) = (point.in_flight - x, of(point) - y);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        if y <= 0.0 || xx <= SPREAD * SPREAD * x * x * count {
            return None;
        }
        let slope = xy / xx;
        let scatter = (yy - slope * xy).max(0.0) / (count - 2.0);
        Some(Slope {
            value: slope * x / y,
            error: (scatter / xx).sqrt() * x / y,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: impl IntoIterator<Item = (f64, f64, f64)>) -> Trend {
        let mut trend = Trend::default();
        for (in_flight, rate, latency) in points {
            trend.add(in_flight, rate, latency);
        }
        trend
    }

    /// Below the knee, answers come in proportion and latency stays.
    fn below(in_flight: u32) -> (f64, f64, f64) {
        (f64::from(in_flight), f64::from(in_flight) * 20.0, 50.0)
    }

    /// Above it, it is the other way round.
    fn above(in_flight: u32) -> (f64, f64, f64) {
        (f64::from(in_flight), 400.0, f64::from(in_flight) * 2.5)
    }

    #[test]
    fn there_is_no_gain_where_only_latency_grows() {
        assert!(of((20..36).map(above)).shows_no_gain());
        assert!(!of((20..36).map(below)).shows_no_gain());
    }

    #[test]
    fn few_windows_and_windows_alike_say_nothing() {
        assert!(!of((20..31).map(above)).shows_no_gain());
        assert!(!of([above(20); 16]).shows_no_gain());
        let mut trend = of((20..36).map(above));
        trend.forget();
        assert!(!trend.shows_no_gain());
    }

    #[test]
    fn only_the_last_windows_count() {
        let mut trend = of((20..36).map(above));
        for in_flight in 20..36 {
            let (in_flight, rate, latency) = below(in_flight);
            trend.add(in_flight, rate, latency);
        }
        assert!(!trend.shows_no_gain());
    }

    #[test]
    fn what_scatters_widely_is_no_evidence() {
        let scattered = (20..36).map(|in_flight| {
            let (in_flight, rate, latency) = above(in_flight);
            let way = if in_flight % 2.0 == 0.0 { 0.2 } else { 1.8 };
            (in_flight, rate * way, latency * (2.0 - way))
        });
        assert!(!of(scattered).shows_no_gain());
    }
}
