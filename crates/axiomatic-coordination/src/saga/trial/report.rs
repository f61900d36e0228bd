//! What a trial found.

use std::fmt;

use serde_json::Value;

/// What a trial did, and what it found.
#[derive(Clone, Debug)]
#[must_use = "a report that nobody reads finds nothing: `assert_clean`"]
pub struct Report {
    trial: &'static str,
    runs: Vec<(&'static str, u32)>,
    findings: Vec<Finding>,
}

/// Something that is not as it should be after a fault.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The step at which the fault was; empty if it was at none.
    pub step: String,
    /// Its item, if it is for each of many.
    pub item: u32,
    /// What the fault was.
    pub fault: String,
    /// What is wrong.
    pub wrong: String,
    /// What should be seen, of what is seen otherwise; null, if effects are as
    /// they should be.
    pub expected: Value,
    /// What is seen instead.
    pub actual: Value,
}

impl Report {
    /// Of a trial that has runs of these kinds.
    pub(super) fn new(trial: &'static str, kinds: &[&'static str]) -> Self {
        Report {
            trial,
            runs: kinds.iter().map(|kind| (*kind, 0)).collect(),
            findings: Vec::new(),
        }
    }

    /// A run of this kind was made.
    pub(super) fn ran(&mut self, kind: &'static str) {
        match self.runs.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, runs)) => *runs += 1,
            None => self.runs.push((kind, 1)),
        }
    }

    pub(super) fn found(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// That nothing was found where nothing was tried is no good news.
    pub(super) fn finished(mut self) -> Self {
        for (kind, runs) in self.runs.clone() {
            if runs == 0 && self.findings.is_empty() {
                let wrong = "there was no run of this kind: there is nothing to try it at";
                self.found(Finding::of_saga(kind, wrong));
            }
        }
        self
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// What was found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many sagas were run with a fault.
    pub fn runs(&self) -> u32 {
        self.runs.iter().map(|(_, runs)| runs).sum()
    }

    /// Nothing was found.
    ///
    /// # Panics
    ///
    /// If something was, with all of it.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
    }
}

impl Finding {
    pub(super) fn of_saga(fault: &str, wrong: impl Into<String>) -> Self {
        Finding {
            step: String::new(),
            item: 0,
            fault: fault.into(),
            wrong: wrong.into(),
            expected: Value::Null,
            actual: Value::Null,
        }
    }

    /// With what is seen otherwise than it should be.
    pub(super) fn seeing(mut self, expected: &Value, actual: &Value) -> Self {
        let differing = |own: &Value, other: &Value| match own.as_object() {
            Some(sights) => {
                let sights = sights.iter();
                let differ = sights.filter(|(what, sight)| other.get(what) != Some(sight));
                Value::Object(
                    differ
                        .map(|(what, sight)| (what.clone(), sight.clone()))
                        .collect(),
                )
            }
            None => own.clone(),
        };
        self.expected = differing(expected, actual);
        self.actual = differing(actual, expected);
        self
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.findings.len();
        writeln!(f, "{}: {} runs, {found} findings", self.trial, self.runs())?;
        for (kind, runs) in &self.runs {
            writeln!(f, "  {runs} runs: {kind}")?;
        }
        for (number, finding) in (1..).zip(&self.findings) {
            write!(f, "{number}. {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.step.is_empty() {
            write!(f, "step {:?}", self.step)?;
            if self.item > 0 {
                write!(f, ", item {}", self.item)?;
            }
            f.write_str(": ")?;
        }
        writeln!(f, "{}: {}", self.fault, self.wrong)?;
        if self.expected != self.actual {
            writeln!(f, "   expected {:#}", self.expected)?;
            writeln!(f, "   seen     {:#}", self.actual)?;
        }
        Ok(())
    }
}
