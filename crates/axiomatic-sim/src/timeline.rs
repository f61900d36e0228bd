use std::fmt;
use std::ops::Range;
use std::time::Duration;

use axiomatic_core::Ratio;
use axiomatic_core::time::saturating_nanos;

/// How finely a ramp is taken where something is summed along it. Nothing
/// was measured: it is a few requests of the loads that are usual here.
const RAMP_STEP: Duration = Duration::from_millis(10);

/// A value over the time of a run: steps, stretches and ramps.
///
/// ```
/// use axiomatic_core::Ratio;
/// use axiomatic_sim::Timeline;
/// use std::time::Duration;
///
/// let second = Duration::from_secs;
/// let errors = Timeline::always(Ratio::ZERO)
///     .ramp(second(10)..second(20), Ratio::percent(50))
///     .then(second(30), Ratio::ZERO)
///     .during(second(40)..second(45), Ratio::ONE);
/// assert_eq!(errors.at(second(15)), Ratio::percent(25));
/// assert_eq!(errors.at(second(29)), Ratio::percent(50));
/// assert_eq!(errors.at(second(44)), Ratio::ONE);
/// assert_eq!(errors.at(second(45)), Ratio::ZERO);
/// ```
#[derive(Clone)]
pub struct Timeline<T>(Vec<Piece<T>>);

#[derive(Clone)]
struct Piece<T> {
    from: Duration,
    shape: Shape<T>,
}

#[derive(Clone)]
enum Shape<T> {
    Level(T),
    /// With its own beginning, so that a stretch cut out of it does not bend
    /// the rest.
    Ramp {
        over: Range<Duration>,
        low: T,
        high: T,
        blend: fn(&T, &T, Ratio) -> T,
    },
}

/// A value that a [`Timeline`] can lead to another one in a straight line.
pub trait Blend: Clone {
    /// What lies this share of the way from `start` to `end`.
    fn blend(start: &Self, end: &Self, share: Ratio) -> Self;
}

impl Blend for u64 {
    fn blend(start: &u64, end: &u64, share: Ratio) -> u64 {
        let way = u128::from(share.as_parts_per_million().min(1_000_000));
        let sum = u128::from(*start) * (1_000_000 - way) + u128::from(*end) * way;
        (sum / 1_000_000) as u64
    }
}

impl Blend for Ratio {
    fn blend(start: &Ratio, end: &Ratio, share: Ratio) -> Ratio {
        let [start, end] = [start, end].map(|ratio| u64::from(ratio.as_parts_per_million()));
        // Between two numbers of 32 bits lie only such.
        Ratio::parts_per_million(u64::blend(&start, &end, share) as u32)
    }
}

impl Blend for Duration {
    fn blend(start: &Duration, end: &Duration, share: Ratio) -> Duration {
        let [start, end] = [start, end].map(|duration| saturating_nanos(*duration));
        Duration::from_nanos(u64::blend(&start, &end, share))
    }
}

impl<T: Clone> Timeline<T> {
    /// The same value for ever.
    pub fn always(value: T) -> Self {
        Timeline(vec![Piece {
            from: Duration::ZERO,
            shape: Shape::Level(value),
        }])
    }

    /// From then on this value; what was said of later times is dropped.
    #[must_use]
    pub fn then(mut self, from: Duration, value: T) -> Self {
        self.cut(from, Shape::Level(value));
        self
    }

    /// In this stretch another value; before and after it what was said.
    #[must_use]
    pub fn during(mut self, stretch: Range<Duration>, value: T) -> Self {
        let rest = Piece {
            from: stretch.end,
            shape: self.piece(stretch.end).shape.clone(),
        };
        let later = self.0.iter().filter(|piece| piece.from > stretch.end);
        let later: Vec<_> = later.cloned().collect();
        self.cut(stretch.start, Shape::Level(value));
        self.0.push(rest);
        self.0.extend(later);
        self
    }

    /// A straight line over this stretch, from what was said of its
    /// beginning to this value, which then stays.
    #[must_use]
    pub fn ramp(mut self, over: Range<Duration>, to: T) -> Self
    where
        T: Blend,
    {
        let ramp = Shape::Ramp {
            low: self.at(over.start),
            high: to.clone(),
            blend: T::blend,
            over: over.clone(),
        };
        self.cut(over.start, ramp);
        self.then(over.end, to)
    }

    /// The value at a time.
    pub fn at(&self, elapsed: Duration) -> T {
        match &self.piece(elapsed).shape {
            Shape::Level(value) => value.clone(),
            Shape::Ramp {
                over,
                low,
                high,
                blend,
            } => {
                let done = saturating_nanos(elapsed.saturating_sub(over.start));
                let whole = saturating_nanos(over.end - over.start);
                let share = u128::from(done) * 1_000_000 / u128::from(whole.max(1));
                let share = u32::try_from(share).unwrap_or(1_000_000).min(1_000_000);
                blend(low, high, Ratio::parts_per_million(share))
            }
        }
    }

    /// Until when the value of this time can be taken to stay: the next step,
    /// or a small way along a ramp; never, if nothing more changes.
    pub fn stays_until(&self, elapsed: Duration) -> Option<Duration> {
        let next = self.0.iter().map(|piece| piece.from);
        let next = next.filter(|from| *from > elapsed).min();
        match self.piece(elapsed).shape {
            Shape::Level(_) => next,
            Shape::Ramp { .. } => next.map(|next| next.min(elapsed + RAMP_STEP)),
        }
    }

    fn piece(&self, elapsed: Duration) -> &Piece<T> {
        // Pieces are in order and the first begins at zero.
        let after = self.0.partition_point(|piece| piece.from <= elapsed);
        &self.0[after.saturating_sub(1)]
    }

    fn cut(&mut self, from: Duration, shape: Shape<T>) {
        self.0.retain(|piece| piece.from < from);
        self.0.push(Piece { from, shape });
    }
}

impl<T: Clone> From<T> for Timeline<T> {
    fn from(value: T) -> Self {
        Timeline::always(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Timeline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for piece in &self.0 {
            match &piece.shape {
                Shape::Level(value) => list.entry(&(piece.from, value)),
                Shape::Ramp { low, high, .. } => list.entry(&(piece.from, low, high)),
            };
        }
        list.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_stretch_cut_out_of_a_ramp_does_not_bend_it() {
        let line = Timeline::always(0u64)
            .ramp(s(0)..s(100), 100)
            .during(s(20)..s(30), 7);
        for (at, value) in [(0, 0), (10, 10), (20, 7), (29, 7), (30, 30), (99, 99)] {
            assert_eq!(line.at(s(at)), value, "at {at} s");
        }
        assert_eq!(line.at(s(1_000)), 100);
    }

    #[test]
    fn a_step_drops_what_was_said_of_later_times() {
        let line = Timeline::always(1).then(s(10), 2).then(s(20), 3);
        let line = line.then(s(5), 4);
        assert_eq!(line.at(s(4)), 1);
        assert_eq!(line.at(s(100)), 4);
    }

    #[test]
    fn stretches_lie_on_each_other_in_the_order_of_their_saying() {
        let line = Timeline::always('a')
            .during(s(10)..s(40), 'b')
            .during(s(20)..s(30), 'c')
            .during(s(0)..s(15), 'd');
        let said: String = (0..50).step_by(5).map(|at| line.at(s(at))).collect();
        assert_eq!(said, "dddbccbbaa");
    }

    #[test]
    fn it_says_until_when_a_value_stays() {
        let line = Timeline::always(0u64).then(s(10), 5).ramp(s(20)..s(21), 9);
        assert_eq!(line.stays_until(s(0)), Some(s(10)));
        assert_eq!(line.stays_until(s(10)), Some(s(20)));
        assert_eq!(line.stays_until(s(20)), Some(s(20) + RAMP_STEP));
        assert_eq!(line.stays_until(s(21)), None);
    }

    #[test]
    fn values_between_two_values_lie_between_them() {
        let (low, high) = (Duration::from_millis(50), Duration::from_millis(150));
        let middle = Duration::blend(&low, &high, Ratio::percent(50));
        assert_eq!(middle, Duration::from_millis(100));
        assert_eq!(
            u64::blend(&u64::MAX, &u64::MAX, Ratio::percent(50)),
            u64::MAX
        );
        assert_eq!(u64::blend(&9, &3, Ratio::ONE), 3);
    }
}
