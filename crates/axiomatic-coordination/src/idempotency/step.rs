//! What was done of a request.

use serde_json::Value;

use super::message::StoredShape;

/// A phase that has ended, with its result: a request that is run again does
/// not run it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The phase's name: the recovery point.
    pub name: Box<str>,
    /// Where its effect is.
    pub kind: Kind,
    /// What it returned.
    pub value: Value,
}

/// Where the effect of a phase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// In the store's own database: it committed with the step.
    Atomic,
    /// Elsewhere: it was done under a key that is the same each time.
    Foreign,
}

impl Step {
    /// As a line of JSON with its end. A record's steps are such lines, one
    /// behind the other, so that a store appends one without reading the
    /// others.
    pub fn line(&self) -> String {
        let kind = match self.kind {
            Kind::Atomic => "atomic",
            Kind::Foreign => "foreign",
        };
        format!("{}\n", serde_json::json!([self.name, kind, self.value]))
    }

    /// The steps of lines.
    ///
    /// # Errors
    ///
    /// [`StoredShape`] if they are something else.
    pub fn from_lines(lines: &str) -> Result<Vec<Step>, StoredShape> {
        let step = |line: &str| {
            let (name, kind, value): (Box<str>, Box<str>, Value) =
                serde_json::from_str(line).map_err(|_| StoredShape)?;
            let kind = match &*kind {
                "atomic" => Kind::Atomic,
                "foreign" => Kind::Foreign,
                _ => return Err(StoredShape),
            };
            Ok(Step { name, kind, value })
        };
        lines.lines().map(step).collect()
    }
}
