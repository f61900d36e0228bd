use std::path::Path;
use std::{fs, io};

use crate::counts::Counts;

/// Which lanes of `deep` have passed, on which code. Kept as text, a line a
/// lane: `name seconds passed skipped`.
pub(crate) struct Progress {
    pub(crate) code: String,
    done: Vec<Done>,
}

/// A lane that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    name: String,
    pub(crate) seconds: u64,
    pub(crate) counts: Counts,
}

impl Progress {
    pub(crate) fn none(code: String) -> Self {
        Progress {
            code,
            done: Vec::new(),
        }
    }

    /// What was kept of this code; nothing if it was of another.
    pub(crate) fn read(folder: &Path, code: String) -> Self {
        let text = fs::read_to_string(folder.join("state.txt")).unwrap_or_default();
        Self::parse(&text, code)
    }

    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("state.txt"), self.to_text())
    }

    pub(crate) fn of(&self, name: &str) -> Option<&Done> {
        self.done.iter().find(|done| done.name == name)
    }

    pub(crate) fn passed(&mut self, name: &str, seconds: u64, counts: Counts) {
        self.done.retain(|done| done.name != name);
        self.done.push(Done {
            name: name.to_owned(),
            seconds,
            counts,
        });
    }

    fn parse(text: &str, code: String) -> Self {
        let mut lines = text.lines();
        let same = lines.next().and_then(|line| line.strip_prefix("code ")) == Some(code.as_str());
        let done = if same {
            lines.filter_map(parse_line).collect()
        } else {
            Vec::new()
        };
        Progress { code, done }
    }

    fn to_text(&self) -> String {
        let mut text = format!("code {}\n", self.code);
        for Done {
            name,
            seconds,
            counts,
        } in &self.done
        {
            text.push_str(&format!(
                "{name} {seconds} {} {}\n",
                counts.passed, counts.skipped
            ));
        }
        text
    }
}

fn parse_line(line: &str) -> Option<Done> {
    let mut words = line.split(' ');
    Some(Done {
        name: words.next()?.to_owned(),
        seconds: words.next()?.parse().ok()?,
        counts: Counts {
            passed: words.next()?.parse().ok()?,
            failed: 0,
            skipped: words.next()?.parse().ok()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Progress {
        let mut progress = Progress::none("abc".to_owned());
        let counts = Counts {
            passed: 7,
            failed: 0,
            skipped: 1,
        };
        progress.passed("loom", 12, counts);
        progress
    }

    #[test]
    fn what_was_written_is_read_again() {
        let again = Progress::parse(&some().to_text(), "abc".to_owned());
        assert_eq!(again.of("loom"), some().of("loom"));
        assert_eq!(again.of("fuzz"), None);
    }

    #[test]
    fn results_of_other_code_are_forgotten() {
        let other = Progress::parse(&some().to_text(), "abd".to_owned());
        assert_eq!(other.of("loom"), None);
        assert_eq!(Progress::parse("", "abd".to_owned()).of("loom"), None);
    }
}
