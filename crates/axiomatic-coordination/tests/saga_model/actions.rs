//! What can happen.

use stateright::{Model, Property};

use super::world::{Next, Place, Protocol, Request, Stage, Work, World, can_turn, next};

/// One step of one of them: a transaction of the store, or a message.
///
/// An executor that is paused is one that does nothing for a while: there is
/// no step for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// The store's clock passes the lease.
    End,
    Claim {
        executor: u8,
    },
    /// The executor finds that it has lost the lease, and stops.
    Attend {
        executor: u8,
    },
    Crash {
        executor: u8,
    },
    Take {
        executor: u8,
        saga: u8,
    },
    /// It appends what comes next, or asks again.
    Say {
        executor: u8,
        saga: u8,
        answer: Answer,
    },
    /// Somebody cancels, and it appends that.
    Turn {
        executor: u8,
        saga: u8,
    },
    /// It does a local step.
    Work {
        executor: u8,
        saga: u8,
        does: Does,
        answer: Answer,
    },
    Load {
        executor: u8,
        saga: u8,
    },
    Send {
        executor: u8,
        saga: u8,
    },
    Arrive {
        request: Request,
        does: Does,
    },
    /// It has heard nothing for too long.
    GiveUp {
        executor: u8,
        saga: u8,
    },
}

/// Whether the store's answer is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Heard,
    Lost,
}

/// What becomes of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    What,
    /// For good: there is no such account.
    Refuses,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.start()]
    }

    /// Whatever may be tried. What turns out not to be possible changes
    /// nothing: what is plainly not is left out because it takes time.
    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let is_held = world.lease.owner.is_some() && !world.lease.has_ended;
        if is_held {
            actions.push(Action::End);
        }
        for executor in 0..self.executors {
            let own = &world.executors[usize::from(executor)];
            match own.held {
                None if !is_held && world.left.claims > 0 => {
                    actions.push(Action::Claim { executor });
                }
                Some(held) if !world.compares(world.name(executor), held) => {
                    actions.push(Action::Attend { executor });
                }
                _ => {}
            }
            // One that does nothing has nothing to forget.
            if world.left.crashes > 0 && own.held.is_some() {
                actions.push(Action::Crash { executor });
            }
            for saga in 0..self.sagas.len() as u8 {
                match own.works[usize::from(saga)] {
                    Some(work) => self.actions_of(world, executor, saga, &work, actions),
                    None if own.held.is_some() && !world.sagas[usize::from(saga)].is_held => {
                        actions.push(Action::Take { executor, saga });
                    }
                    None => {}
                }
            }
        }
        for request in world.on_the_wire.iter().copied() {
            let does = Does::What;
            actions.push(Action::Arrive { request, does });
            if request.step == 1 && world.left.refusals > 0 {
                let does = Does::Refuses;
                actions.push(Action::Arrive { request, does });
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties::all(self)
    }
}

impl Protocol {
    fn actions_of(
        &self,
        world: &World,
        executor: u8,
        saga: u8,
        work: &Work,
        actions: &mut Vec<Action>,
    ) {
        let may_lose = world.left.unknowns > 0;
        let say = |answer| Action::Say {
            executor,
            saga,
            answer,
        };
        match work.stage {
            Stage::Says(..) => {
                actions.push(say(Answer::Heard));
                if may_lose {
                    actions.push(say(Answer::Lost));
                }
            }
            Stage::Thinks => {
                let log = &world.sagas[usize::from(saga)].log;
                let log = &log[..usize::from(work.knows).min(log.len())];
                if can_turn(log) && world.left.cancels > 0 {
                    actions.push(Action::Turn { executor, saga });
                }
                let Next::Act { step, .. } = next(log) else {
                    return;
                };
                if self.place(saga, step) == Place::Foreign {
                    actions.push(say(Answer::Heard));
                    if may_lose {
                        actions.push(say(Answer::Lost));
                    }
                    return;
                }
                let local = |does, answer| Action::Work {
                    executor,
                    saga,
                    does,
                    answer,
                };
                actions.push(local(Does::What, Answer::Heard));
                if may_lose {
                    actions.push(local(Does::What, Answer::Lost));
                }
                if step == 1 && world.left.refusals > 0 {
                    actions.push(local(Does::Refuses, Answer::Heard));
                }
            }
            Stage::Sends { .. } => actions.push(Action::Send { executor, saga }),
            Stage::Waits(_) if may_lose => actions.push(Action::GiveUp { executor, saga }),
            Stage::Waits(_) => {}
            Stage::Loads => actions.push(Action::Load { executor, saga }),
        }
    }
}
