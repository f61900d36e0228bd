//! Sets of numbers of which most follow each other.

use std::error::Error;
use std::fmt;

/// Numbers, kept as spans of such as follow each other.
///
/// As text, which databases store and people read: `9-12 14`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// How many spans there are: what it costs.
    pub fn spans(&self) -> usize {
        self.0.len()
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from + 1).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest number.
    pub fn first(&self) -> Option<u64> {
        Some(self.0.first()?.0)
    }

    /// The greatest number.
    pub fn last(&self) -> Option<u64> {
        Some(self.0.last()?.1)
    }

    /// Whether this number is among them.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, to)| *to < number);
        self.0.get(at).is_some_and(|(from, _)| *from <= number)
    }

    /// Takes in a number that is not among them.
    pub(super) fn insert(&mut self, number: u64) {
        let at = self.0.partition_point(|(_, to)| *to < number);
        debug_assert!(!self.contains(number));
        let joins_before = at > 0 && self.0[at - 1].1 + 1 == number;
        let joins_behind = self.0.get(at).is_some_and(|(from, _)| number + 1 == *from);
        match (joins_before, joins_behind) {
            (false, false) => self.0.insert(at, (number, number)),
            (true, false) => self.0[at - 1].1 = number,
            (false, true) => self.0[at].0 = number,
            (true, true) => {
                self.0[at - 1].1 = self.0[at].1;
                self.0.remove(at);
            }
        }
    }

    /// Drops all numbers up to this one, and what follows them without a hole.
    /// Returns the last number dropped, or this one.
    pub(super) fn absorb(&mut self, through: u64) -> u64 {
        let mut reached = through;
        let gone = self.0.iter().take_while(|(from, to)| {
            let follows = *from - 1 <= reached;
            if follows {
                reached = reached.max(*to);
            }
            follows
        });
        let gone = gone.count();
        self.0.drain(..gone);
        reached
    }
}

impl fmt::Display for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (from, to)) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            match from == to {
                true => write!(f, "{from}")?,
                false => write!(f, "{from}-{to}")?,
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Spans {
    type Err = SpansError;

    fn from_str(text: &str) -> Result<Self, SpansError> {
        let mut spans = Vec::new();
        for span in text.split_ascii_whitespace() {
            let (from, to) = span.split_once('-').unwrap_or((span, span));
            let number = |text: &str| text.parse::<u64>().map_err(|_| SpansError);
            let (from, to) = (number(from)?, number(to)?);
            // One number apart at least, or they were one span.
            let follows = |(_, last): &(u64, u64)| from.checked_sub(2).is_some_and(|n| n >= *last);
            if from == 0 || to < from || to == u64::MAX || !spans.last().is_none_or(follows) {
                return Err(SpansError);
            }
            spans.push((from, to));
        }
        Ok(Spans(spans))
    }
}

/// A text is not one that [`Spans`] write.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SpansError;

impl fmt::Display for SpansError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not spans of numbers that grow")
    }
}

impl Error for SpansError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_as_they_are_written_and_nothing_else_is() {
        for text in ["", "7", "9-12 14", "1 3 5-6"] {
            assert_eq!(text.parse::<Spans>().unwrap().to_string(), text);
        }
        for text in [
            "x",
            "0",
            "3-2",
            "1 2",
            "1-3 3",
            "5 1",
            "1-",
            "-1",
            "1-18446744073709551615",
        ] {
            assert_eq!(text.parse::<Spans>(), Err(SpansError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn spans_hold_what_a_set_holds(numbers in proptest::collection::vec(1_u64..40, 0..60), through in 0_u64..45) {
            let mut set = BTreeSet::new();
            let mut spans = Spans::default();
            for number in numbers {
                prop_assert_eq!(spans.contains(number), set.contains(&number));
                if set.insert(number) {
                    spans.insert(number);
                }
                prop_assert_eq!(spans.numbers(), set.len() as u64);
                prop_assert_eq!(spans.first(), set.first().copied());
                prop_assert_eq!(spans.last(), set.last().copied());
                prop_assert_eq!(&spans.to_string().parse::<Spans>().unwrap(), &spans);
            }
            let mut reached = through;
            while set.contains(&(reached + 1)) {
                reached += 1;
            }
            set.retain(|number| *number > reached);
            prop_assert_eq!(spans.absorb(through), reached);
            prop_assert_eq!(spans.numbers(), set.len() as u64);
            prop_assert!(set.iter().all(|number| spans.contains(*number)));
        }
    }
}
