//! What came of it.

use std::fmt;

use crate::{Class, Event, Obligation};

/// How many of the latest events a [`Violation`] shows. Every check is short,
/// and its last steps are the ones that tell.
const SHOWN: usize = 16;

/// What the kit found out about one obligation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The layer keeps it.
    Kept,
    /// The layer breaks it.
    Broken(Violation),
    /// It does not concern this layer, or the subject does not say what the
    /// kit would need to know.
    Skipped(String),
    /// It could not be judged, since the layer did something else than the
    /// check expects on the way there. Not a pass.
    Unjudged(String),
    /// The layer breaks it, and [`Contract::except`](crate::Contract::except)
    /// said so and why.
    Excepted(String),
    /// It was excepted, and the layer keeps it: the exception is out of date.
    /// Not a pass.
    ExceptedInVain(String),
}

/// How an obligation was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    obligation: Obligation,
    what: String,
    events: Vec<Event>,
}

impl Violation {
    pub(crate) fn new(obligation: Obligation, what: String, events: Vec<Event>) -> Self {
        Violation {
            obligation,
            what,
            events,
        }
    }

    /// Which obligation.
    pub fn obligation(&self) -> Obligation {
        self.obligation
    }

    /// What happened, in a sentence.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What was done to the inner service until then.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.obligation, self.what)
    }
}

/// The verdict on every obligation.
#[derive(Clone, Debug)]
pub struct Report {
    class: Class,
    verdicts: Vec<(Obligation, Verdict)>,
}

impl Report {
    pub(crate) fn new(class: Class, verdicts: Vec<(Obligation, Verdict)>) -> Self {
        Report { class, verdicts }
    }

    /// Whether nothing is broken, nothing was left unjudged, and every
    /// exception is needed.
    pub fn is_kept(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| {
            matches!(
                verdict,
                Verdict::Kept | Verdict::Skipped(_) | Verdict::Excepted(_)
            )
        })
    }

    /// What is broken.
    pub fn broken(&self) -> impl Iterator<Item = &Violation> {
        self.verdicts
            .iter()
            .filter_map(|(_, verdict)| match verdict {
                Verdict::Broken(violation) => Some(violation),
                _ => None,
            })
    }

    /// The verdict on one obligation.
    pub fn verdict(&self, obligation: Obligation) -> Option<&Verdict> {
        self.verdicts
            .iter()
            .find(|(judged, _)| *judged == obligation)
            .map(|(_, verdict)| verdict)
    }

    /// All verdicts, in the order of [`Obligation::ALL`].
    pub fn verdicts(&self) -> impl Iterator<Item = (Obligation, &Verdict)> {
        self.verdicts
            .iter()
            .map(|(obligation, verdict)| (*obligation, verdict))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the contract of a {} layer:", self.class)?;
        for (obligation, verdict) in &self.verdicts {
            match verdict {
                Verdict::Kept => writeln!(f, "  kept      {obligation}")?,
                Verdict::Skipped(why) => writeln!(f, "  skipped   {obligation}: {why}")?,
                Verdict::Unjudged(why) => writeln!(f, "  UNJUDGED  {obligation}: {why}")?,
                Verdict::Excepted(why) => writeln!(f, "  excepted  {obligation}: {why}")?,
                Verdict::ExceptedInVain(why) => {
                    writeln!(f, "  KEPT BUT EXCEPTED  {obligation}: {why}")?;
                }
                Verdict::Broken(violation) => {
                    writeln!(f, "  BROKEN    {violation}")?;
                    let events = &violation.events;
                    let skipped = events.len().saturating_sub(SHOWN);
                    for event in &events[skipped..] {
                        writeln!(f, "              {event}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
