//! What holds in every state.

use stateright::Property;

use super::actions::{Action, Answer, Does};
use super::world::{End, Kind, Next, Place, Protocol, Rule, Saga, Stage, World, next};

pub(crate) const ONE_LINE: &str = "a log has one line at each place";
pub(crate) const HOLDER: &str = "whoever writes a line has the bucket, and nobody has after";
pub(crate) const UNTIL: &str = "nobody writes whose lease has ended";
pub(crate) const CONFLICT: &str = "whoever holds the lease knows the log";
pub(crate) const LOCAL_ONCE: &str = "what a local step does is there if and only if its line is";
pub(crate) const ONCE: &str = "a foreign step happens at most once";
pub(crate) const LATE: &str = "a late request does nothing where a token is compared";
pub(crate) const DONE: &str = "what is said to be done was done";
pub(crate) const UNDONE: &str = "what is undone stays undone";
pub(crate) const NOTHING_LEFT: &str = "of a saga that was unwound nothing is left, nor comes later";
pub(crate) const PROGRESS: &str = "a saga can be brought to its end, whatever has happened";

pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        Property::always(ONE_LINE, |_, world: &World| {
            of_all(world, |_, saga| {
                let mut lines = saga.log.iter().enumerate();
                lines.all(|(at, line)| usize::from(line.at) == at)
            })
        }),
        Property::always(HOLDER, |_, world: &World| !world.seen.line_of_another),
        Property::always(CONFLICT, |_, world: &World| !world.seen.conflict),
        Property::always(LOCAL_ONCE, is_local_once),
        Property::always(ONCE, |protocol: &Protocol, world: &World| {
            of_all(world, |number, saga| {
                let foreign = |step: &usize| protocol.sagas[number][*step] == Place::Foreign;
                let mut steps = (0..2).filter(foreign);
                steps.all(|step| saga.effects[step].count <= 1)
            })
        }),
        Property::always(DONE, |_, world: &World| of_all(world, is_done_if_said)),
        Property::always(UNDONE, |_, world: &World| {
            of_all(world, |_, saga| {
                !saga.has(Kind::Undone, 0) || saga.effects[0].count == 0
            })
        }),
        Property::always(NOTHING_LEFT, |_, world: &World| {
            of_all(world, |_, saga| {
                let mut effects = saga.effects.iter();
                saga.end() != Some(End::Compensated) || effects.all(|effect| effect.count == 0)
            })
        }),
        Property::always(UNTIL, |_, world: &World| !world.seen.line_after_the_end),
        Property::always(PROGRESS, drains),
    ];
    if protocol.outside.checks_tokens {
        all.push(Property::always(LATE, |_, world: &World| {
            !world.seen.late_effect
        }));
    }
    // What the others would hold without, if it never happened.
    if protocol.rule == Rule::Sound {
        all.extend([
            Property::sometimes("a saga is done", |_, world: &World| {
                world.sagas.iter().any(|saga| saga.end() == Some(End::Done))
            }),
            Property::sometimes("an append comes too late", |_, world: &World| {
                world.seen.late_append_refused
            }),
            Property::sometimes("the bucket changes hands", |_, world: &World| {
                world.lease.holding > 1
            }),
        ]);
        if protocol.refusals + protocol.cancels > 0 {
            all.push(Property::sometimes(
                "a step is undone",
                |_, world: &World| world.sagas.iter().any(|saga| saga.has(Kind::Undone, 0)),
            ));
        }
        if protocol.unknowns > 0 && protocol.has_foreign() {
            all.push(Property::sometimes(
                "a store is asked again",
                |_, world: &World| world.seen.append_known_again,
            ));
        }
        if protocol.has_foreign() {
            all.push(Property::sometimes(
                "a request is known again",
                |_, world: &World| world.seen.request_known_again,
            ));
        }
        if protocol.has_foreign() && protocol.outside.checks_tokens {
            all.push(Property::sometimes(
                "a late request is refused",
                |_, world: &World| world.seen.late_request_refused,
            ));
        }
    }
    all
}

fn of_all(world: &World, holds: impl Fn(usize, &Saga) -> bool) -> bool {
    let mut sagas = world.sagas.iter().enumerate();
    sagas.all(|(number, saga)| holds(number, saga))
}

fn is_local_once(protocol: &Protocol, world: &World) -> bool {
    of_all(world, |number, saga| {
        (0..2u8).all(|step| {
            let lines = |kind| {
                let mut lines = saga.log.iter();
                lines
                    .by_ref()
                    .filter(|line| line.kind == kind && line.step == step)
                    .count()
            };
            let there = lines(Kind::Done) as i64 - lines(Kind::Undone) as i64;
            let count = saga.effects[usize::from(step)].count;
            let is_foreign = protocol.sagas[number][usize::from(step)] == Place::Foreign;
            is_foreign || (i64::from(count) == there && count <= 1)
        })
    })
}

fn is_done_if_said(_: usize, saga: &Saga) -> bool {
    (0..2u8).all(|step| {
        let is_undone = saga.has(Kind::UndoBegan, step) || saga.has(Kind::Undone, step);
        let is_said = saga.has(Kind::Done, step) && !is_undone;
        !is_said || saga.effects[usize::from(step)].count >= 1
    })
}

/// From here on nobody moves but one executor, the clock, and those who do
/// what it asks for: then each saga comes to its end.
///
/// That is "eventually" as an executor understands it that is left alone for
/// long enough. It is asked of every state, so no crash and no lease that ends
/// leads to one from which there is no way.
fn drains(protocol: &Protocol, world: &World) -> bool {
    const EXECUTOR: u8 = 0;
    let mut world = world.clone();
    // More than it can need: four steps for each of two actions and an undo,
    // and what was left undone.
    for _ in 0..32 * protocol.sagas.len() {
        let Some(saga) = world.sagas.iter().position(|saga| saga.end().is_none()) else {
            return true;
        };
        let action = helps(protocol, &world, EXECUTOR, saga as u8);
        if protocol.step(&mut world, action).is_none() {
            return false;
        }
    }
    false
}

/// The step that brings this saga nearer to its end.
fn helps(protocol: &Protocol, world: &World, executor: u8, saga: u8) -> Action {
    let own = &world.executors[usize::from(executor)];
    let Some(held) = own.held else {
        let is_held = world.lease.owner.is_some() && !world.lease.has_ended;
        return match is_held {
            true => Action::End,
            false => Action::Claim { executor },
        };
    };
    if !world.compares(world.name(executor), held) {
        return Action::Attend { executor };
    }
    let row = &world.sagas[usize::from(saga)];
    let Some(work) = own.works[usize::from(saga)] else {
        return match row.is_held {
            true => Action::End,
            false => Action::Take { executor, saga },
        };
    };
    let answer = Answer::Heard;
    let does = Does::What;
    match work.stage {
        Stage::Thinks => match next(world.known(saga, &work)) {
            Next::Act { step, .. } if protocol.place(saga, step) == Place::Local => Action::Work {
                executor,
                saga,
                does,
                answer,
            },
            _ => Action::Say {
                executor,
                saga,
                answer,
            },
        },
        Stage::Says(..) => Action::Say {
            executor,
            saga,
            answer,
        },
        Stage::Sends { .. } => Action::Send { executor, saga },
        Stage::Waits(request) if world.on_the_wire.contains(&request) => {
            Action::Arrive { request, does }
        }
        Stage::Waits(_) => Action::GiveUp { executor, saga },
        Stage::Loads => Action::Load { executor, saga },
    }
}
