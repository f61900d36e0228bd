//! What others do when they are asked.

use super::actions::Does;
use super::world::{Effects, Kind, Protocol, Request, Rule, Stage, World};

impl Protocol {
    pub(crate) fn arrive(&self, world: &mut World, request: Request, does: Does) -> Option<()> {
        let mut wire = world.on_the_wire.iter();
        let at = wire.position(|other| *other == request)?;
        world.on_the_wire.remove(at);
        let (saga, step) = (usize::from(request.saga), usize::from(request.step));
        let effects = &mut world.sagas[saga].effects[step];
        if self.outside.checks_tokens && request.under.epoch < effects.token {
            world.seen.late_request_refused = true;
            return Some(());
        }
        effects.token = effects.token.max(request.under.epoch);
        let is_late = request.under.holding < effects.holding;
        effects.holding = effects.holding.max(request.under.holding);
        let before = effects.clone();
        let kind = match (request.is_undo, does) {
            (true, _) => self.undoes(effects, request.key),
            (false, does) => self.acts(effects, request.key, does)?,
        };
        world.seen.late_effect |= is_late && before.count != effects.count;
        world.seen.request_known_again |= before == *effects;
        if does == Does::Refuses {
            world.left.refusals = world.left.refusals.saturating_sub(1);
        }
        self.answers(world, request, kind);
        Some(())
    }

    /// The other side does it, unless it knows better.
    fn acts(&self, effects: &mut Effects, key: u8, does: Does) -> Option<Kind> {
        let is_known = |keys: u8| keys >> key & 1 == 1;
        let is_done = self.outside.knows_keys && is_known(effects.done);
        let is_gone = is_known(effects.gone);
        match does {
            Does::Refuses if is_done || is_gone => None,
            Does::Refuses => {
                self.remembers(effects, key);
                Some(Kind::Failed)
            }
            Does::What if is_gone => Some(Kind::Failed),
            Does::What => {
                if !is_done {
                    effects.count += 1;
                    effects.done |= 1 << key;
                }
                Some(Kind::Done)
            }
        }
    }

    /// The other side undoes it, if it was done.
    fn undoes(&self, effects: &mut Effects, key: u8) -> Kind {
        if effects.done >> key & 1 == 1 {
            effects.count = effects.count.saturating_sub(1);
            effects.done &= !(1 << key);
        }
        self.remembers(effects, key);
        Kind::Undone
    }

    fn remembers(&self, effects: &mut Effects, key: u8) {
        if self.outside.remembers_undone {
            effects.gone |= 1 << key;
        }
    }

    /// Who sent it hears of it, if it waits still.
    fn answers(&self, world: &mut World, request: Request, kind: Kind) {
        let (executor, saga) = (request.from.0, request.saga);
        if world.name(executor) != request.from {
            return;
        }
        let Some(work) = world.work(executor, saga) else {
            return;
        };
        if work.stage != Stage::Waits(request) {
            return;
        }
        if self.rule == Rule::SaysDoneFirst && kind == Kind::Done {
            work.stage = Stage::Loads;
        } else {
            work.stage = Stage::Says(kind, request.step);
        }
    }
}
