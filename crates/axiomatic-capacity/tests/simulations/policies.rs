//! What is judged: the columns.

use std::time::Duration;

use axiomatic_capacity::adaptive::{
    Aimd, Bounds, Gradient2, LimitAlgorithm, Sample, Seeker, Step, Vegas, Why,
};

const SECOND: Duration = Duration::from_secs(1);

/// An algorithm, by its name on the page.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    /// What it is, for the legend.
    pub(crate) about: &'static str,
    pub(crate) make: fn(Bounds, u64) -> Box<dyn LimitAlgorithm>,
    /// The same one, and it never probes.
    pub(crate) unprobed: fn(Bounds, u64) -> Box<dyn LimitAlgorithm>,
}

/// Makes an algorithm from its bounds and a seed.
pub(crate) type Make = dyn Fn(Bounds, u64) -> Box<dyn LimitAlgorithm>;

fn seeker(bounds: Bounds, seed: u64) -> Box<dyn LimitAlgorithm> {
    Box::new(
        Seeker::config(seed)
            .within(bounds)
            .build()
            .expect("it works"),
    )
}

fn unprobed_seeker(bounds: Bounds, seed: u64) -> Box<dyn LimitAlgorithm> {
    let config = Seeker::config(seed)
        .within(bounds)
        .probing_every(3_600 * SECOND);
    Box::new(config.build().expect("it works"))
}

fn vegas(bounds: Bounds, seed: u64) -> Box<dyn LimitAlgorithm> {
    Box::new(
        Vegas::config(seed)
            .within(bounds)
            .build()
            .expect("it works"),
    )
}

fn unprobed_vegas(bounds: Bounds, seed: u64) -> Box<dyn LimitAlgorithm> {
    let config = Vegas::config(seed)
        .within(bounds)
        .with_probe_multiplier(u32::MAX);
    Box::new(config.build().expect("it works"))
}

fn gradient(bounds: Bounds, _: u64) -> Box<dyn LimitAlgorithm> {
    Box::new(
        Gradient2::config()
            .within(bounds)
            .build()
            .expect("it works"),
    )
}

fn aimd(bounds: Bounds, _: u64) -> Box<dyn LimitAlgorithm> {
    Box::new(Aimd::config().within(bounds).build().expect("it works"))
}

pub(crate) const SEEKER: &str = "Seeker";
pub(crate) const VEGAS: &str = "Vegas";
pub(crate) const GRADIENT: &str = "Gradient2";
pub(crate) const AIMD: &str = "AIMD";

pub(crate) const POLICIES: &[Named] = &[
    Named {
        name: SEEKER,
        about: "the default, `Seeker::config(seed)`",
        make: seeker,
        unprobed: unprobed_seeker,
    },
    Named {
        name: VEGAS,
        about: "`Vegas::config(seed)`, as Netflix published it after TCP Vegas",
        make: vegas,
        unprobed: unprobed_vegas,
    },
    Named {
        name: GRADIENT,
        about: "`Gradient2::config()`, as Netflix published it, with a least limit of 1 and not of 20",
        make: gradient,
        unprobed: gradient,
    },
    Named {
        name: AIMD,
        about: "`Aimd::config()`, as Netflix published it",
        make: aimd,
        unprobed: aimd,
    },
];

/// A limit that stays: what the optimum is found with.
#[derive(Debug)]
pub(crate) struct Fixed(pub(crate) u32);

impl LimitAlgorithm for Fixed {
    fn initial(&self) -> u32 {
        self.0
    }

    fn step(&mut self, _: &Sample) -> Step {
        Step {
            limit: self.0,
            why: Why::Steady,
        }
    }
}
