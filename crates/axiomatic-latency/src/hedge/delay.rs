use std::time::Duration;

use axiomatic_core::Ratio;

use super::ConfigError;

/// After which time the first attempt counts as slow.
///
/// | Delay | Is | For |
/// |---|---|---|
/// | [`adding_at_most`](Delay::adding_at_most) | what that share of the calls exceeds | most cases: it says what it costs |
/// | [`quantile`](Delay::quantile) | what that share of the calls stays below | the same, said the other way round |
/// | [`fixed`](Delay::fixed) | always the same | a dependency with a promise to keep |
///
/// The first two learn how long calls take, forget it by half in
/// [`Config::half_life`](super::Config::half_life), and hedge nothing before
/// they have seen enough.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    pub(super) source: Source,
    pub(super) bounds: Bounds,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Fixed(Duration),
    Quantile(Ratio),
    /// The quantile that is left, and a budget of this share.
    Adding(Ratio),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) shortest: Duration,
    pub(super) longest: Duration,
}

impl Delay {
    /// Always this long.
    pub const fn fixed(delay: Duration) -> Self {
        Delay::of(Source::Fixed(delay)).between(Duration::from_nanos(1), Duration::MAX)
    }

    /// As long as this share of the calls takes at most: at 95 %, one call in
    /// twenty is slow.
    pub const fn quantile(share: Ratio) -> Self {
        Delay::of(Source::Quantile(share))
    }

    /// As long as it takes for no more than this share of the calls to be
    /// slow; the hedge's own budget then is the same share, exactly, and
    /// nothing besides. So when all calls become slow at once, they are not
    /// all hedged.
    pub const fn adding_at_most(share: Ratio) -> Self {
        Delay::of(Source::Adding(share))
    }

    const fn of(source: Source) -> Self {
        Delay {
            source,
            bounds: Bounds {
                shortest: Duration::from_millis(1),
                longest: Duration::MAX,
            },
        }
    }

    /// The same, never shorter and never longer than this: what is learned is
    /// by default not shorter than a millisecond, the step of tokio's timers.
    /// What it fires too early for the sake of `longest`, the budget bounds.
    #[must_use]
    pub const fn between(mut self, shortest: Duration, longest: Duration) -> Self {
        self.bounds = Bounds { shortest, longest };
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Bounds { shortest, longest } = self.bounds;
        if shortest.is_zero() || shortest > longest {
            return Err(ConfigError::Bounds { shortest, longest });
        }
        match self.source {
            Source::Fixed(delay) if delay.is_zero() => Err(ConfigError::NoDelay),
            Source::Fixed(_) => Ok(()),
            Source::Quantile(share) | Source::Adding(share) => {
                if share > Ratio::ZERO && share < Ratio::ONE {
                    Ok(())
                } else {
                    Err(ConfigError::Share(share))
                }
            }
        }
    }
}

impl Source {
    /// The quantile of the latencies that is watched.
    pub(super) fn watched(self) -> Option<Ratio> {
        match self {
            Source::Fixed(_) => None,
            Source::Quantile(share) => Some(share),
            Source::Adding(share) => {
                let rest = Ratio::ONE.as_parts_per_million() - share.as_parts_per_million();
                Some(Ratio::parts_per_million(rest))
            }
        }
    }
}
