//! What may happen, and what must never be.

use stateright::{Model, Property};

use super::world::{Lock, Phase, Protocol, Row, Rule, Saga, World};

pub(crate) const ONE_HAS_IT: &str = "nobody has what another has alone";
pub(crate) const NOBODY_FORGOTTEN: &str = "who has all is told when nothing is under way";
pub(crate) const EVERYBODY_ENDS: &str = "when nothing can be done, all have ended";
const SOMEBODY_WAITS: &str = "somebody waits";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Draw(usize),
    TakeGates(usize),
    Enter(usize),
    Commit(usize),
    LookAgain(usize),
    Hear(usize),
    AskForMore(usize),
    End(usize),
    GiveUp(usize),
    SeeWhoIsNext(usize),
    Tell(usize),
    Die(usize),
    /// Somebody attends, and tells those who have all and were not told.
    Heal,
}

impl Protocol {
    fn wanted(&self, saga: usize, request: u8) -> &[Lock] {
        &self.wants[saga][usize::from(request)]
    }

    /// Whether a saga has all of a request, if these rows are all there are.
    fn has_all(&self, rows: &[Row], saga: usize, request: u8) -> bool {
        let own = |row: &&Row| usize::from(row.saga) == saga && row.request == request;
        let mut own = rows.iter().filter(own).peekable();
        let has_it = |row: &Row| {
            let is_before = |other: &Row| other.saga != row.saga && other.place < row.place;
            let mut others = rows.iter().filter(|other| is_before(other));
            others.all(|other| !other.lock.is_in_the_way_of(row.lock))
        };
        match (own.peek(), self.rule) {
            (None, _) => false,
            (Some(_), Rule::TellsEarly) => own.any(has_it),
            (Some(_), _) => own.all(has_it),
        }
    }

    /// Whose turn has come among those who stand in lines for these.
    fn next_of(&self, world: &World, resources: &[Lock]) -> Vec<u8> {
        let waits = |saga: &usize| {
            let Saga {
                request, is_told, ..
            } = world.sagas[*saga];
            let stands = world.rows.iter().any(|row| {
                let is_there = resources.iter().any(|at| at.resource == row.lock.resource);
                usize::from(row.saga) == *saga && row.request == request && is_there
            });
            stands && !is_told && self.has_all(&world.rows, *saga, request)
        };
        let sagas = (0..world.sagas.len()).filter(waits);
        sagas.map(|saga| saga as u8).collect()
    }

    fn all_resources(&self) -> [Lock; 2] {
        [Lock::alone(0), Lock::alone(1)]
    }

    /// All that a saga has asked for so far.
    fn asked(&self, saga: usize, request: u8) -> Vec<Lock> {
        let requests = 0..=request;
        let locks = requests.flat_map(|request| self.wanted(saga, request));
        locks.copied().collect()
    }

    fn insert(&self, rows: &mut Vec<Row>, saga: usize, request: u8, place: u8) {
        for lock in self.wanted(saga, request) {
            rows.push(Row {
                saga: saga as u8,
                request,
                place,
                lock: *lock,
            });
        }
        rows.sort_by_key(|row| (row.place, row.saga, row.lock.resource));
    }

    /// What a saga has, as far as it knows.
    fn has(&self, saga: usize, stands: &Saga) -> Vec<Lock> {
        let is_over = matches!(stands.phase, Phase::Left | Phase::Tells(_) | Phase::Gone);
        let known = u8::from(stands.phase == Phase::Has) + stands.request;
        let requests = if is_over { 0 } else { known };
        let locks = (0..requests).flat_map(|request| self.wanted(saga, request));
        locks.copied().collect()
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let saga = |_| Saga {
            phase: Phase::Idle,
            request: 0,
            is_told: false,
        };
        vec![World {
            rows: Vec::new(),
            gates: [None; 2],
            next_place: 0,
            sagas: self.wants.iter().map(saga).collect(),
            deaths: 0,
            give_ups: 0,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        for (at, saga) in world.sagas.iter().enumerate() {
            let mut wanted = self.wanted(at, saga.request).iter();
            let is_free = |lock: &Lock| world.gates[usize::from(lock.resource)].is_none();
            let may_enter = self.rule == Rule::NoGate || wanted.all(is_free);
            match &saga.phase {
                Phase::Idle if self.rule == Rule::DrawsFirst => actions.push(Action::Draw(at)),
                Phase::Idle | Phase::Drawn(_) if may_enter => actions.push(Action::TakeGates(at)),
                Phase::Idle | Phase::Drawn(_) => {}
                Phase::Gated(_) => actions.push(Action::Enter(at)),
                Phase::Entered(..) => actions.push(Action::Commit(at)),
                Phase::Looks => actions.push(Action::LookAgain(at)),
                Phase::Waits if saga.is_told => actions.push(Action::Hear(at)),
                Phase::Waits if world.give_ups < self.give_ups => actions.push(Action::GiveUp(at)),
                Phase::Waits => {}
                Phase::Has if usize::from(saga.request) + 1 < self.wants[at].len() => {
                    actions.push(Action::AskForMore(at));
                }
                Phase::Has | Phase::Refused => actions.push(Action::End(at)),
                Phase::Left => actions.push(Action::SeeWhoIsNext(at)),
                Phase::Tells(_) => actions.push(Action::Tell(at)),
                Phase::Gone => {}
            }
            let is_leaving = matches!(saga.phase, Phase::Left | Phase::Tells(_));
            if is_leaving && world.deaths < self.deaths {
                actions.push(Action::Die(at));
            }
        }
        let has_died = world.deaths > 0 && self.rule != Rule::HealsNothing;
        if has_died && !self.next_of(world, &self.all_resources()).is_empty() {
            actions.push(Action::Heal);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Draw(at) => {
                next.sagas[at].phase = Phase::Drawn(next.next_place);
                next.next_place += 1;
            }
            Action::TakeGates(at) => {
                let saga = &mut next.sagas[at];
                let drawn = match saga.phase {
                    Phase::Drawn(place) => Some(place),
                    _ => None,
                };
                saga.phase = Phase::Gated(drawn);
                if self.rule != Rule::NoGate {
                    for lock in self.wanted(at, saga.request) {
                        next.gates[usize::from(lock.resource)] = Some(at as u8);
                    }
                }
            }
            Action::Enter(at) => {
                let Phase::Gated(drawn) = next.sagas[at].phase else {
                    return None;
                };
                let place = drawn.unwrap_or(next.next_place);
                next.next_place += u8::from(drawn.is_none());
                let request = next.sagas[at].request;
                // It sees what is committed, and what it has done itself.
                let mut rows = next.rows.clone();
                self.insert(&mut rows, at, request, place);
                let has_all = self.has_all(&rows, at, request);
                next.sagas[at].phase = Phase::Entered(place, has_all);
            }
            Action::Commit(at) => {
                let Phase::Entered(place, has_all) = next.sagas[at].phase else {
                    return None;
                };
                let request = next.sagas[at].request;
                for gate in &mut next.gates {
                    *gate = gate.filter(|who| usize::from(*who) != at);
                }
                let waits = request == 0 || self.rule == Rule::WaitsForMore;
                next.sagas[at].phase = match (has_all, waits) {
                    (true, _) => Phase::Waits,
                    (false, true) if self.rule == Rule::NoSecondLook => Phase::Waits,
                    (false, true) => Phase::Looks,
                    (false, false) => Phase::Refused,
                };
                if has_all || waits {
                    self.insert(&mut next.rows, at, request, place);
                }
                next.sagas[at].is_told = has_all;
            }
            Action::LookAgain(at) => {
                let request = next.sagas[at].request;
                let has_all = self.has_all(&next.rows, at, request);
                next.sagas[at].is_told |= has_all;
                next.sagas[at].phase = Phase::Waits;
            }
            Action::Hear(at) => next.sagas[at].phase = Phase::Has,
            Action::AskForMore(at) => {
                let saga = &mut next.sagas[at];
                saga.request += 1;
                (saga.phase, saga.is_told) = (Phase::Idle, false);
            }
            Action::End(at) | Action::GiveUp(at) => {
                next.give_ups += u8::from(matches!(action, Action::GiveUp(_)));
                next.rows.retain(|row| usize::from(row.saga) != at);
                next.sagas[at].phase = Phase::Left;
            }
            Action::SeeWhoIsNext(at) => {
                let asked = self.asked(at, next.sagas[at].request);
                let told = match self.rule {
                    Rule::TellsNobody => Vec::new(),
                    _ => self.next_of(&next, &asked),
                };
                next.sagas[at].phase = Phase::Tells(told);
            }
            Action::Tell(at) => {
                let Phase::Tells(told) = std::mem::replace(&mut next.sagas[at].phase, Phase::Gone)
                else {
                    return None;
                };
                self.tell(&mut next, &told);
            }
            Action::Die(at) => {
                next.deaths += 1;
                next.sagas[at].phase = Phase::Gone;
            }
            Action::Heal => {
                let told = self.next_of(&next, &self.all_resources());
                self.tell(&mut next, &told);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always(ONE_HAS_IT, |protocol, world| {
                let sagas = world.sagas.iter().enumerate();
                let had: Vec<_> = sagas.map(|(at, saga)| protocol.has(at, saga)).collect();
                (0..had.len()).all(|one| {
                    (0..one).all(|two| {
                        let mut both = had[one]
                            .iter()
                            .flat_map(|a| had[two].iter().map(move |b| (a, b)));
                        both.all(|(a, b)| !a.is_in_the_way_of(*b))
                    })
                })
            }),
            Property::<Self>::always(NOBODY_FORGOTTEN, |protocol, world| {
                let is_still = |saga: &Saga| {
                    matches!(
                        saga.phase,
                        Phase::Idle | Phase::Waits | Phase::Has | Phase::Gone
                    )
                };
                let may_be_told_yet = world.deaths > 0 || !world.sagas.iter().all(is_still);
                may_be_told_yet
                    || protocol
                        .next_of(world, &protocol.all_resources())
                        .is_empty()
            }),
            Property::<Self>::always(EVERYBODY_ENDS, |protocol, world| {
                let mut actions = Vec::new();
                protocol.actions(world, &mut actions);
                let mut sagas = world.sagas.iter();
                !actions.is_empty() || sagas.all(|saga| saga.phase == Phase::Gone)
            }),
            Property::<Self>::sometimes(SOMEBODY_WAITS, |_, world| {
                let mut sagas = world.sagas.iter();
                sagas.any(|saga| saga.phase == Phase::Waits && !saga.is_told)
            }),
        ]
    }
}

impl Protocol {
    /// Posts letters to those who stand in line still.
    fn tell(&self, world: &mut World, told: &[u8]) {
        for saga in told {
            let stands = world.rows.iter().any(|row| row.saga == *saga);
            world.sagas[usize::from(*saga)].is_told |= stands;
        }
    }
}
