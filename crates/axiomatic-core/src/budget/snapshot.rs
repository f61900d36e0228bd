use std::fmt;

use crate::{Mode, Name};

/// What a budget was like at a moment: plain numbers, which print as a line.
#[derive(Copy, Clone, Debug)]
pub struct Snapshot {
    pub(super) name: Name,
    pub(super) mode: Mode,
    pub(super) level: Level,
    pub(super) granted: u64,
    pub(super) returned: u64,
    pub(super) refused: u64,
    pub(super) would_refuse: u64,
}

/// What was left, by the model.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// Of [`Deposits`](super::Deposits).
    Deposited {
        /// What can be spent.
        balance: Tokens,
        /// All that calls and time ever deposited.
        total: Tokens,
    },
    /// Of calls [`InFlight`](super::InFlight).
    InFlight {
        /// Calls under way.
        calls: u64,
        /// Extra attempts under way, or waited for.
        extras: u64,
        /// How many there may be.
        most: u64,
    },
    /// Of a [`Throttle`](super::Throttle), or of [`Costs`](super::Costs).
    Stock {
        /// What there is.
        balance: Tokens,
        /// What there can be.
        capacity: Tokens,
    },
}

/// Tokens, in thousandths.
///
/// ```
/// use axiomatic_core::budget::Tokens;
/// assert_eq!(Tokens::thousandths(2_050).to_string(), "2.05");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(u64);

impl Tokens {
    /// So many thousandths.
    pub const fn thousandths(thousandths: u64) -> Self {
        Tokens(thousandths)
    }

    /// The thousandths.
    pub const fn as_thousandths(self) -> u64 {
        self.0
    }

    /// The tokens, without what is less than one.
    pub const fn whole(self) -> u64 {
        self.0 / 1_000
    }
}

impl Snapshot {
    /// The budget's name.
    pub fn name(&self) -> Name {
        self.name
    }

    /// Whether it acted on its decisions.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What was left.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Extra attempts that were granted and paid for.
    pub fn granted(&self) -> u64 {
        self.granted
    }

    /// Those among them that were returned, since they were never sent.
    pub fn returned(&self) -> u64 {
        self.returned
    }

    /// Extra attempts that were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Extra attempts that would have been refused, had the mode not been
    /// shadow.
    pub fn would_refuse(&self) -> u64 {
        self.would_refuse
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry budget {}: {}", self.name, self.level)?;
        write!(
            f,
            "; {} granted, {} returned, {} refused",
            self.granted, self.returned, self.refused
        )?;
        if self.would_refuse > 0 {
            write!(f, ", {} would be", self.would_refuse)?;
        }
        if self.mode != Mode::Enforce {
            write!(f, "; {}", self.mode)?;
        }
        Ok(())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Deposited { balance, total } => write!(f, "{balance} of {total} deposited"),
            Level::InFlight {
                calls,
                extras,
                most,
            } => write!(f, "{extras} of {most} extra beside {calls} in flight"),
            Level::Stock { balance, capacity } => write!(f, "{balance} of {capacity}"),
        }
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            let decimals = format!("{rest:03}");
            write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
        }
    }
}
