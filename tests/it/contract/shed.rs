//! The layers that shed load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axiomatic_capacity::load_shed::signal::Watched;
use axiomatic_capacity::load_shed::{self, LoadShedder, Prioritizer, Upstream, fairness};
use axiomatic_capacity::load_shed::{prioritizer, upstream};
use axiomatic_core::context::{AdmissionLevel, Priority};
use axiomatic_core::pressure::Pressure;

use super::*;

const BY_REQUEST: &str = "what is refused depends on the request, which readiness does not know";

/// A shedder, and what makes it shed all or nothing.
struct Shedding {
    shedder: LoadShedder,
    prioritizer: Prioritizer,
    percent: Arc<AtomicU32>,
    clock: ManualClock,
}

impl Shedding {
    fn new() -> Arc<Self> {
        let percent = Arc::new(AtomicU32::new(0));
        let gauge = Arc::clone(&percent);
        let pressure = move |_| Pressure::percent(gauge.load(Ordering::Relaxed) as u16);
        let prioritizer = prioritizer::Config::new()
            .signal(Watched::new("gauge", pressure))
            // One in 65,536 passes, which these few calls do not meet.
            .most_refused(Ratio::parts_per_million(999_999))
            .build()
            .unwrap();
        let clock = ManualClock::new();
        let shedder = load_shed::Config::new(&prioritizer)
            .clock(Clock::Manual(clock.clone()))
            .build();
        Arc::new(Shedding {
            shedder,
            prioritizer,
            percent,
            clock,
        })
    }

    /// Lets time pass with this pressure, in which requests come, and none of
    /// them ends.
    fn pass(&self, percent: u32) {
        self.percent.store(percent, Ordering::Relaxed);
        for _ in 0..200 * 30 {
            self.clock.advance(SECOND / 300);
            let _ = self
                .prioritizer
                .admit(self.clock.now(), Priority::default());
        }
    }

    fn subject<'a, L>(self: &Arc<Self>, layer: L) -> Subject<'a, L::Service>
    where
        L: Layer<Probe> + 'a,
    {
        let (refusing, relenting) = (Arc::clone(self), Arc::clone(self));
        Subject::new(layer)
            .refuse(move || {
                refusing.pass(5_000);
                assert_ne!(refusing.prioritizer.level(), AdmissionLevel::ALL);
            })
            .relent(move || {
                relenting.pass(0);
                assert_eq!(relenting.prioritizer.level(), AdmissionLevel::ALL);
            })
    }
}

#[test]
fn a_load_shedder_keeps_the_contract() {
    Contract::new(Class::Shedding, || {
        let shedding = Shedding::new();
        shedding.subject(shedding.shedder.layer())
    })
    .assert();
    Contract::new(Class::Shedding, || {
        let shedding = Shedding::new();
        shedding.subject(shedding.shedder.layer().announcing().with_error::<Typed>())
    })
    .assert();
}

#[test]
fn a_load_shedder_that_sorts_keeps_the_contract() {
    let fairness = fairness::Config::new().build().unwrap();
    Contract::new(Class::Shedding, || {
        let shedding = Shedding::new();
        let layer = shedding.shedder.layer();
        let layer = layer.by_user(&fairness, |_: &Request, _: &_| None);
        shedding.subject(layer.exempting(|_: &Request| false))
    })
    .assert();
}

#[test]
fn a_load_shedder_that_refuses_nobody_keeps_the_contract() {
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Shedding, || {
            let shedding = Shedding::new();
            shedding.shedder.set_mode(mode);
            Subject::new(shedding.shedder.layer())
        })
        .except(
            Obligation::ShedLeavesQueue,
            "it sheds nobody, and waits for what is not ready",
        )
        .assert();
    }
}

fn listening(mode: Mode) -> Upstream {
    let clock = Clock::Manual(ManualClock::new());
    let config = upstream::Config::new().probes(Ratio::ZERO).mode(mode);
    config.clock(clock).build().unwrap()
}

#[test]
fn a_client_that_heeds_levels_keeps_the_contract() {
    Contract::new(Class::Direct, || {
        let upstream = listening(Mode::Enforce);
        let (refusing, relenting) = (upstream.clone(), upstream.clone());
        Subject::new(upstream.layer().with_error::<Typed>())
            .refuse(move || {
                let nothing = AdmissionLevel::at(Priority::from_u8(255), u16::MAX);
                refusing.hear(refusing.now(), nothing);
            })
            .relent(move || relenting.hear(relenting.now(), AdmissionLevel::ALL))
    })
    .except(Obligation::RefusalSkipsInner, BY_REQUEST)
    .assert();
    for mode in [Mode::Shadow, Mode::Off] {
        Contract::new(Class::Direct, || Subject::new(listening(mode).layer())).assert();
    }
}

#[test]
fn layers_that_shed_ask_for_nothing_but_clones() {
    let shedder = Shedding::new().shedder.clone();
    let layer = shedder.layer();
    local::accepts_local_clone(&layer);
    local::accepts_local_clone(&layer.clone().with_error::<Typed>());
    local::stays_send(&layer);
    let client = listening(Mode::Enforce).layer();
    local::accepts_local(&client);
    local::accepts_local(&client.clone().with_error::<Typed>());
    local::stays_send(&client);
}
