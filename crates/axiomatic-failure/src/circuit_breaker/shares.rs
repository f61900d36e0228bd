//! The shares of the calls that pass, or do not: by a ramp, by a controller.

use axiomatic_core::Ratio;

use super::generation::Since;

/// How far a ramp has come. It is one generation, so that a failure counts
/// against it even if it comes a stage later.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Ramping {
    pub(super) stage: Stage,
    /// When the stage began, since the generation did.
    pub(super) since: Since,
    /// Whether a call has worked in this stage.
    pub(super) is_proven: bool,
}

impl Ramping {
    pub(super) const FIRST: Ramping = Ramping {
        stage: Stage(0),
        since: Since::BEGINNING,
        is_proven: false,
    };
}

/// One of the stages of a ramp.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage(u8);

impl Stage {
    pub(super) const COUNT: u32 = Stage::SHARES.len() as u32;
    /// What passes in each stage; after the last, everything does.
    const SHARES: [Ratio; 4] = [
        Ratio::percent(5),
        Ratio::percent(10),
        Ratio::percent(25),
        Ratio::percent(50),
    ];

    pub(super) const fn number(self) -> u64 {
        self.0 as u64
    }

    pub(super) const fn from_number(number: u64) -> Self {
        Stage((number % Stage::COUNT as u64) as u8)
    }

    pub(super) const fn admitting(self) -> Ratio {
        Stage::SHARES[self.0 as usize]
    }

    pub(super) fn next(self) -> Option<Stage> {
        (u32::from(self.0) + 1 < Stage::COUNT).then_some(Stage(self.0 + 1))
    }
}

/// What share of the calls is refused: some, and never more than all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Thinned(Ratio);

impl Thinned {
    /// None if the share is nothing.
    pub(super) fn by(refused: Ratio) -> Option<Self> {
        (refused > Ratio::ZERO).then(|| Thinned(refused.min(Ratio::ONE)))
    }

    pub(super) const fn refused(self) -> Ratio {
        self.0
    }
}
