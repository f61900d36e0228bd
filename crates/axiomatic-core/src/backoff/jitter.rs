use super::ConfigError;
use super::session::Session;
use crate::Ratio;

/// How far a wait is shortened at random.
///
/// The ceiling of the wait is clamped first, and jitter shortens what came of
/// it. So no wait is ever longer than the longest, and those at the longest
/// are as spread as all others.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Not at all: whoever failed together comes back together. For tests,
    /// and for a client that is the only one.
    Off,
    /// To anything from nothing on: the default, since it spreads a crowd the
    /// most, and so costs the server the least calls.
    #[default]
    Full,
    /// To one half of the ceiling at least: for a wait that must not be
    /// short.
    Equal,
    /// By at most this share of the ceiling: for a wait that has to be
    /// foreseeable, a health check's for example. 100 % is
    /// [`Full`](Jitter::Full), 50 % is [`Equal`](Jitter::Equal).
    Bounded(Ratio),
}

impl Jitter {
    /// A wait below this ceiling, both in nanoseconds.
    pub(super) fn shorten(self, ceiling: u64, session: &mut Session) -> u64 {
        let share = self.share().as_parts_per_million();
        let most = u128::from(ceiling) * u128::from(share) / 1_000_000;
        // A share above one shortens by all there is.
        let most = most.min(u128::from(ceiling)) as u64;
        session.draw(ceiling - most, ceiling)
    }

    const fn share(self) -> Ratio {
        match self {
            Jitter::Off => Ratio::ZERO,
            Jitter::Full => Ratio::ONE,
            Jitter::Equal => Ratio::percent(50),
            Jitter::Bounded(share) => share,
        }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        match self.share() {
            share if share > Ratio::ONE => Err(ConfigError::Share(share)),
            _ => Ok(()),
        }
    }
}
