//! The steps of a definition, as text and as drawings.

use std::fmt::{self, Write};
use std::sync::Arc;

#[cfg(feature = "conformance")]
use crate::saga::history::{Shape, StepShape};
use crate::saga::machine::{Class, Graph, Spec, Undo, Work};

/// The steps of a definition and what each depends on.
///
/// Its text has one line a step, and is what the definition's hash is taken
/// of: what decides whether a log that was written by one definition can be
/// read by another. How long a step may take, and how often it is tried, is
/// not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    head: String,
    steps: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: Arc<str>,
    class: &'static str,
    work: String,
    undo: &'static str,
    after: Vec<usize>,
}

impl Description {
    pub(super) fn new(name: &str, version: u32, graph: &Graph) -> Self {
        let line = |spec: &Spec| Line {
            name: spec.name.clone(),
            class: match spec.class {
                Class::Compensatable => "compensatable",
                Class::Pivot => "pivot",
                Class::Retriable => "retriable",
            },
            work: match spec.work {
                Work::Foreign => String::from("action"),
                Work::Local => String::from("local"),
                Work::Sleep(_) => String::from("sleep"),
                Work::Signal(_) => String::from("signal"),
                Work::Lock => String::from("lock"),
                Work::Each(_) => String::from("for each"),
            },
            undo: match spec.undo {
                Undo::Nothing => "",
                Undo::Effects => ", undone",
                Undo::EvenFailed => ", undone even if failed",
            },
            after: spec.after.iter().map(|step| step.index()).collect(),
        };
        Description {
            head: format!("saga {name:?} version {version}"),
            steps: graph.steps.iter().map(line).collect(),
        }
    }

    /// What the checker of histories has to know.
    #[cfg(feature = "conformance")]
    pub(crate) fn shape(&self) -> Shape {
        let step = |line: &Line| StepShape {
            name: line.name.clone(),
            is_local: line.work == "local",
            acts: !matches!(&*line.work, "sleep" | "signal" | "lock"),
            is_each: line.work == "for each",
            is_undone: !line.undo.is_empty(),
            is_undone_if_failed: line.undo == ", undone even if failed",
            after: line.after.clone(),
        };
        Shape(self.steps.iter().map(step).collect())
    }

    /// As a flowchart of Mermaid.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart TD\n");
        for (number, line) in self.steps.iter().enumerate() {
            let name = line.name.replace('"', "#quot;");
            let (open, close) = match line.class {
                "pivot" => ("{{", "}}"),
                "retriable" => ("([", "])"),
                _ => ("[", "]"),
            };
            let _ = writeln!(
                text,
                "  s{number}{open}\"{name}<br/>{}{}\"{close}",
                line.work, line.undo
            );
            for before in &line.after {
                let _ = writeln!(text, "  s{before} --> s{number}");
            }
        }
        text
    }

    /// As a graph of Graphviz.
    pub fn graphviz(&self) -> String {
        let mut text = format!("digraph {:?} {{\n", self.head);
        for (number, line) in self.steps.iter().enumerate() {
            let shape = match line.class {
                "pivot" => "hexagon",
                "retriable" => "ellipse",
                _ => "box",
            };
            let label = format!("{}\n{}{}", line.name, line.work, line.undo);
            let _ = writeln!(text, "  s{number} [shape={shape}, label={label:?}];");
            for before in &line.after {
                let _ = writeln!(text, "  s{before} -> s{number};");
            }
        }
        text.push_str("}\n");
        text
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head)?;
        for line in &self.steps {
            write!(
                f,
                "{:?}: {} {}{}",
                line.name, line.class, line.work, line.undo
            )?;
            for (nth, before) in line.after.iter().enumerate() {
                let word = if nth == 0 { "; after" } else { "," };
                write!(f, "{word} {:?}", self.steps[*before].name)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
