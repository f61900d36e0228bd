//! That a definition is what it was.

use std::path::Path;

use axiomatic_core::hash::{Algorithm, Hasher, Seed};

use crate::saga::{Saga, Store};

/// The steps of the definition are those of a file that is kept with the
/// source: whoever changes them learns what becomes of the sagas that are
/// under way. A path that is not absolute is the package's.
///
/// With `AXIOMATIC_BLESS=1` in the environment the file is written instead.
///
/// # Panics
///
/// If the file is not there, or says otherwise; with what is different, and
/// what to do.
#[track_caller]
pub fn assert_definition_unchanged<S: Store, In, Out>(
    saga: &Saga<S, In, Out>,
    path: impl AsRef<Path>,
) {
    let blesses = std::env::var_os("AXIOMATIC_BLESS").is_some_and(|says| says == "1");
    let compared = compare(&saga.describe().to_string(), path.as_ref(), blesses);
    if let Err(difference) = compared {
        panic!("{difference}");
    }
}

fn compare(now: &str, path: &Path, blesses: bool) -> Result<(), String> {
    let shown = path.display();
    if blesses {
        return std::fs::write(path, now).map_err(|error| format!("{shown}: {error}"));
    }
    let before = match std::fs::read_to_string(path) {
        Ok(before) => before.replace("\r\n", "\n"),
        Err(error) => {
            return Err(format!(
                "{shown}: {error}\nThe definition is\n{now}\
                 Run this test with AXIOMATIC_BLESS=1 to write it there, and commit it."
            ));
        }
    };
    if before == now {
        return Ok(());
    }
    let hash = Hasher::new(Algorithm::Xxh3, Seed::fixed(0)).hash(before.as_bytes());
    let version = version_of(&before).unwrap_or("…");
    let is_counted = version_of(&before) != version_of(now);
    let count = match is_counted {
        true => "Its version was counted up.",
        false => "Count its version up: sagas of the old one are known by its hash.",
    };
    Err(format!(
        "the definition is not what {shown} says it was:\n{}\
         {count} Sagas of version {version} that are under way will be parked, until an \
         executor runs that knows them: the old definition beside the new one, under \
         another name for new sagas; or the new one, if each step that an old saga may \
         have begun is in it, and takes and returns what it did, with \
         `.also_runs({version}, {hash:#x})`.\n\
         Then run this test with AXIOMATIC_BLESS=1 to write the file, and commit it.",
        difference(&before, now)
    ))
}

fn version_of(description: &str) -> Option<&str> {
    description.lines().next()?.rsplit(' ').next()
}

/// The lines of both, those that are in one alone marked: by their longest
/// common subsequence, of at most a thousand steps.
fn difference(before: &str, now: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), now.lines().collect());
    let mut common = vec![vec![0u16; new.len() + 1]; old.len() + 1];
    for (i, old) in old.iter().enumerate().rev() {
        for (j, new) in new.iter().enumerate().rev() {
            common[i][j] = match old == new {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut text = String::new();
    while i < old.len() || j < new.len() {
        let is_same = i < old.len() && j < new.len() && old[i] == new[j];
        let is_gone = i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]);
        let (mark, line) = match (is_same, is_gone) {
            (true, _) => (' ', old[i]),
            (false, true) => ('-', old[i]),
            (false, false) => ('+', new[j]),
        };
        text.extend([mark, ' ']);
        text.push_str(line);
        text.push('\n');
        i += usize::from(is_same || is_gone);
        j += usize::from(is_same || !is_gone);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "saga \"trip\" version 1\n\"car\": a\n\"room\": b\n";
    const NEW: &str = "saga \"trip\" version 1\n\"car\": a\n\"bus\": c\n\"room\": d\n";

    fn file(name: &str) -> std::path::PathBuf {
        let name = format!("axiomatic-{name}-{}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[test]
    fn a_file_that_is_missing_is_an_error_and_is_written_if_it_is_asked_for() {
        let path = file("missing");
        let missing = compare(OLD, &path, false).unwrap_err();
        assert!(missing.contains("AXIOMATIC_BLESS=1") && missing.contains(OLD));
        compare(OLD, &path, true).unwrap();
        compare(OLD, &path, false).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_definition_that_changed_is_shown_with_what_to_do() {
        let path = file("changed");
        compare(OLD, &path, true).unwrap();
        let changed = compare(NEW, &path, false).unwrap_err();
        let lines = "  \"car\": a\n- \"room\": b\n+ \"bus\": c\n+ \"room\": d\n";
        assert!(changed.contains(lines), "{changed}");
        assert!(changed.contains("Count its version up"), "{changed}");
        assert!(changed.contains(".also_runs(1, 0x"), "{changed}");
        let counted = NEW.replace("version 1", "version 2");
        let changed = compare(&counted, &path, false).unwrap_err();
        assert!(changed.contains("was counted up"), "{changed}");
        std::fs::remove_file(path).unwrap();
    }
}
