//! The stories, and what is asked of a server in each. What can be measured
//! in a run stands in `run.rs`.
//!
//! It is one file because a gate is read next to the story that it belongs to,
//! and to the gates of the others.

use std::time::Duration;

use axiomatic_sim::{Arrivals, Rate, Timeline};

use crate::run::Run;
use crate::servers::{EVERYTHING, FAIR, NO_SHEDDER, NOTHING, Pieces};
use crate::world::{Again, CRITICAL, CRITICAL_PLUS, SHEDDABLE, World};

pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A story, and what is asked of a server in it.
pub(crate) struct Story {
    pub(crate) name: &'static str,
    /// What happens, for the page.
    pub(crate) about: &'static str,
    pub(crate) world: World,
    /// What stands in front of it, if it is to go well.
    pub(crate) with: &'static Pieces,
    /// What it is compared with.
    pub(crate) without: &'static Pieces,
    pub(crate) gates: Vec<Gate>,
}

/// What is promised of a story, and measured in a run of it.
pub(crate) struct Gate {
    pub(crate) promise: &'static str,
    pub(crate) bound: Bound,
    /// What is known of the server that it is compared with.
    pub(crate) without: Option<Bound>,
    pub(crate) unit: Unit,
    pub(crate) measure: fn(&Run) -> u64,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Bound {
    AtLeast(u64),
    AtMost(u64),
}
use Bound::{AtLeast, AtMost};

impl Bound {
    /// What one piece alone is held to: it may lose an eighth of what all
    /// together have to keep, and do twice as much in vain.
    pub(crate) fn of_a_piece(self) -> Self {
        match self {
            AtLeast(least) => AtLeast(least - least / 8),
            AtMost(most) => AtMost(most * 2),
        }
    }

    pub(crate) fn holds(self, figure: u64) -> bool {
        match self {
            AtLeast(least) => figure >= least,
            AtMost(most) => figure <= most,
        }
    }

    /// Of the figures of all seeds.
    pub(crate) fn worst(self, figures: &[u64]) -> u64 {
        let worst = match self {
            AtLeast(_) => figures.iter().min(),
            AtMost(_) => figures.iter().max(),
        };
        worst.copied().unwrap_or(0)
    }
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Unit {
    /// In thousandths.
    Share,
    Millis,
}

/// How a story is told.
pub(crate) type Tell = fn() -> Story;

pub(crate) const ALL: &[Tell] = &[
    double, ten_times, stuck, storm, quarter, entrance, steady, one_user, as_told,
];

/// A world of calls that take 20 ms, a thousand of which can be served in a
/// second.
fn world(rate: Timeline<Rate>, end: Duration) -> World {
    World {
        arrivals: Arrivals::poisson(rate),
        takes: Timeline::always(ms(20)),
        entrance: Duration::ZERO,
        stuck: Duration::ZERO..Duration::ZERO,
        again: Again::After(2, ms(100)),
        of_one_user: 0,
        one_class: false,
        end,
    }
}

const fn rate(a_second: u32) -> Rate {
    Rate::per_second(a_second)
}

/// What can be borne: 70 %.
fn usual() -> Timeline<Rate> {
    Timeline::always(rate(700))
}

fn share(promise: &'static str, bound: Bound, measure: fn(&Run) -> u64) -> Gate {
    Gate {
        promise,
        bound,
        without: None,
        unit: Unit::Share,
        measure,
    }
}

fn millis(promise: &'static str, bound: Bound, measure: fn(&Run) -> u64) -> Gate {
    Gate {
        unit: Unit::Millis,
        ..share(promise, bound, measure)
    }
}

impl Gate {
    fn but_without(self, bound: Bound) -> Self {
        Gate {
            without: Some(bound),
            ..self
        }
    }
}

/// Overload from 5 s to 35 s.
pub(crate) fn double() -> Story {
    Story {
        name: "overload x2",
        about: "for 30 s twice as many requests come as can be served",
        world: world(usual().during(s(5)..s(35), rate(2_000)), s(45)),
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            share("from the second second on, goodput", AtLeast(950), |run| {
                run.goodput(s(6)..s(35))
            })
            .but_without(AtMost(200)),
            share("goodput of the worst five seconds", AtLeast(900), |run| {
                run.least_goodput(s(6)..s(35))
            })
            .but_without(AtMost(100)),
            share("of what is critical plus is served", AtLeast(990), |run| {
                run.served(CRITICAL_PLUS, s(6)..s(35))
            }),
            share(
                "of what is critical, which just does not fit",
                AtLeast(850),
                |run| run.served(CRITICAL, s(6)..s(35)),
            ),
            share("of what is sheddable", AtMost(50), |run| {
                run.served(SHEDDABLE, s(6)..s(35))
            }),
            share("work that is done in vain", AtMost(20), |run| {
                run.in_vain(s(6)..s(35))
            })
            .but_without(AtLeast(500)),
            millis("99 of a hundred answers within", AtMost(500), |run| {
                run.p99(s(6)..s(35))
            }),
            millis("from its end until 95 % of goodput", AtMost(2_000), |run| {
                run.back(s(35)..s(45))
            }),
        ],
    }
}

/// From 5 s to 15 s.
pub(crate) fn ten_times() -> Story {
    Story {
        name: "overload x10",
        about: "for 10 s ten times as many requests come as can be served",
        world: world(usual().during(s(5)..s(15), rate(10_000)), s(25)),
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            share("from the second second on, goodput", AtLeast(950), |run| {
                run.goodput(s(6)..s(15))
            })
            .but_without(AtMost(200)),
            share("goodput of the worst five seconds", AtLeast(900), |run| {
                run.least_goodput(s(6)..s(15))
            })
            .but_without(AtMost(100)),
            share(
                "of what can be served is critical plus",
                AtLeast(850),
                |run| run.share_of(CRITICAL_PLUS, s(6)..s(15)),
            ),
            share("work that is done in vain", AtMost(20), |run| {
                run.in_vain(s(6)..s(15))
            }),
            millis("from its end until 95 % of goodput", AtMost(2_000), |run| {
                run.back(s(15)..s(25))
            }),
        ],
    }
}

pub(crate) fn stuck() -> Story {
    Story {
        name: "stuck",
        about: "at 70 % of capacity, for 10 s no call ends; then all go on",
        world: World {
            stuck: s(10)..s(20),
            ..world(usual(), s(90))
        },
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            millis("from its end until 95 % of goodput", AtMost(3_000), |run| {
                run.back(s(20)..s(90))
            })
            .but_without(AtLeast(70_000)),
            share(
                "the most goodput of five seconds of the 65 s from 5 s after its end on",
                AtLeast(950),
                |run| run.most_goodput(s(25)..s(90)),
            )
            .but_without(AtMost(600)),
        ],
    }
}

/// What is called metastable: it stays down though its cause is gone.
pub(crate) fn storm() -> Story {
    Story {
        name: "retry storm",
        about: "at 70 % of capacity, for 10 s twice as much comes as can be served",
        world: world(usual().during(s(10)..s(20), rate(2_000)), s(90)),
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            millis("from its end until 95 % of goodput", AtMost(3_000), |run| {
                run.back(s(20)..s(90))
            })
            .but_without(AtLeast(70_000)),
            share(
                "the most goodput of five seconds of the 65 s from 5 s after its end on",
                AtLeast(950),
                |run| run.most_goodput(s(25)..s(90)),
            )
            .but_without(AtMost(600)),
        ],
    }
}

pub(crate) fn quarter() -> Story {
    let world = world(usual(), s(60));
    Story {
        name: "a quarter of the capacity",
        about: "at 70 % of capacity, for 20 s each call takes four times as long",
        world: World {
            takes: world.takes.during(s(10)..s(30), ms(80)),
            ..world
        },
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            share("from 2 s after the loss on, goodput", AtLeast(900), |run| {
                run.goodput(s(12)..s(30))
            })
            .but_without(AtMost(200)),
            share("work that is done in vain", AtMost(50), |run| {
                run.in_vain(s(12)..s(30))
            }),
            millis(
                "from its return until 95 % of goodput",
                AtMost(3_000),
                |run| run.back(s(30)..s(60)),
            )
            .but_without(AtLeast(30_000)),
        ],
    }
}

/// Why a queue that refuses is not enough: it stands too far inside.
pub(crate) fn entrance() -> Story {
    Story {
        name: "a narrow entrance",
        about: "overload x2, and it costs half a millisecond to come as far as the queue, one \
                request after the other; without the shedder, but with all the rest",
        world: World {
            entrance: Duration::from_micros(500),
            ..world(usual().during(s(5)..s(20), rate(2_000)), s(40))
        },
        with: &EVERYTHING,
        without: &NO_SHEDDER,
        gates: vec![
            share("from 2 s on, goodput", AtLeast(900), |run| {
                run.goodput(s(7)..s(20))
            })
            .but_without(AtMost(500)),
            share("of what is critical plus is served", AtLeast(950), |run| {
                run.served(CRITICAL_PLUS, s(7)..s(20))
            }),
            millis("from its end until 95 % of goodput", AtMost(3_000), |run| {
                run.back(s(20)..s(40))
            }),
        ],
    }
}

pub(crate) fn steady() -> Story {
    Story {
        name: "no overload",
        about: "a minute at 80 % of capacity",
        world: world(Timeline::always(rate(800)), s(60)),
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            share("requests that are refused", AtMost(5), |run| {
                run.refused(s(0)..s(60))
            }),
            share("goodput", AtLeast(990), |run| run.goodput(s(1)..s(59))),
        ],
    }
}

pub(crate) fn one_user() -> Story {
    Story {
        name: "one user of many",
        about: "for 30 s one user asks for as much as can be served, and a thousand others \
                together for half of it",
        world: World {
            of_one_user: 67,
            one_class: true,
            ..world(
                Timeline::always(rate(300)).during(s(5)..s(35), rate(1_500)),
                s(40),
            )
        },
        with: &FAIR,
        without: &EVERYTHING,
        gates: vec![
            share(
                "of what the others ask for is served",
                AtLeast(950),
                |run| run.served_of_others(s(10)..s(35)),
            )
            .but_without(AtMost(750)),
            share("goodput", AtLeast(940), |run| run.goodput(s(6)..s(35))),
        ],
    }
}

pub(crate) fn as_told() -> Story {
    Story {
        name: "they come when they are told to",
        about: "for 10 s three times as much comes as can be served, and who is refused comes \
                again when it is told to, three times at most",
        world: World {
            again: Again::AsTold(3),
            ..world(usual().during(s(5)..s(15), rate(3_000)), s(60))
        },
        with: &EVERYTHING,
        without: &NOTHING,
        gates: vec![
            share(
                "in it, what is sent, of what comes for the first time",
                AtMost(1_600),
                |run| run.amplified(s(5)..s(15)),
            ),
            share(
                "from 2 s after its end on, the most that come in a second, of the most before",
                AtMost(650),
                |run| run.peak(s(17)..s(60)) * 1_000 / run.peak(s(5)..s(15)).max(1),
            ),
            share("from the second second on, goodput", AtLeast(900), |run| {
                run.goodput(s(6)..s(15))
            }),
            share(
                "until 30 s after its end, answers, of what is sent or can be served",
                AtLeast(900),
                |run| run.answered(s(15)..s(45)),
            ),
        ],
    }
}
