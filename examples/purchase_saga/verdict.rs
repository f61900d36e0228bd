//! What is promised of a purchase, and whether the books say so.

use axiomatic_coordination::saga::Ended;

use crate::definition::Purchase;
use crate::services::Town;
use crate::shop::Line;

/// A purchase, by its number.
pub(crate) fn price(number: u32) -> Purchase {
    (number, 1 + u64::from(number % 3), 1_000 + u64::from(number))
}

/// What is promised of a purchase.
#[derive(Clone, Copy)]
pub(crate) struct Promise {
    /// The step for which it turns, if it does.
    turns_at: Option<&'static str>,
    /// How many of the services do something for it: inventory, payment and
    /// shipping, in this order. Each does it once, and undoes it once if the
    /// saga turns.
    reaches: usize,
}

impl Promise {
    pub(crate) const DONE: Promise = Promise {
        turns_at: None,
        reaches: 3,
    };

    pub(crate) const fn turned(step: &'static str, reaches: usize) -> Self {
        Promise {
            turns_at: Some(step),
            reaches,
        }
    }

    pub(crate) fn is_kept(
        self,
        town: &Town,
        lines: &[Line],
        number: u32,
        ended: &Ended<String>,
    ) -> bool {
        let has_ended_so = match (ended, self.turns_at) {
            (Ended::Done(_), None) => true,
            (Ended::Compensated(why), Some(step)) => why.step() == Some(step),
            _ => false,
        };
        let (_, pieces, cents) = price(number);
        let is_left = self.turns_at.is_none();
        let mut services = town.all().into_iter().zip([pieces, cents, 1]).enumerate();
        let has_effects = services.all(|(at, (server, amount))| {
            let done = usize::from(at < self.reaches);
            let (undone, taken) = if is_left { (0, amount) } else { (done, 0) };
            let books = server.books.borrow();
            books.effects(number) == (done, undone) && books.taken_by(number) == taken
        });
        let lines = lines.iter().filter(|(of, _)| *of == number);
        let lines: Vec<&str> = lines.map(|(_, what)| &**what).collect();
        let last = match self.turns_at {
            None => "confirmed",
            Some(_) => "cancelled",
        };
        has_ended_so && has_effects && lines == ["placed", last]
    }
}
