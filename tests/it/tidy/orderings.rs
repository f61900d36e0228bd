use super::text::{code_only, comment_above, line_of, without_tests};

const ATOMIC: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// Atomic orderings stand in files named `cell`, `sync` or `atomic`, or
/// ending so; each is written in full, where the ordering sweep finds it, and
/// has an `ORDERING:` comment on its line or within six lines above.
pub(crate) fn placed_and_argued(path: &str, text: &str) -> Vec<String> {
    let code = without_tests(&code_only(text));
    let stem = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .trim_end_matches(".rs");
    let home = ["cell", "sync", "atomic"]
        .iter()
        .any(|kind| stem.ends_with(kind));
    let mut complaints = Vec::new();
    for (at, _) in code.match_indices("Ordering::") {
        let line = line_of(&code, at);
        let after = &code[at + "Ordering::".len()..];
        let name: String = after
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect();
        let opened = after.trim_start();
        if (opened.starts_with('{') || opened.starts_with('*')) && !code[..at].ends_with("cmp::") {
            complaints.push(format!(
                ":{line}: names an ordering without `Ordering::` before it"
            ));
        }
        if !ATOMIC.contains(&name.as_str()) {
            continue;
        }
        if !home {
            complaints.push(format!(":{line}: {name} outside of a file for atomics"));
        }
        if comment_above(text, line, "ORDERING:").is_none_or(|(_, said)| said.is_empty()) {
            complaints.push(format!(":{line}: {name} without an ORDERING: comment"));
        }
    }
    complaints
}

/// Atomics come from the facade, which becomes loom's in a model.
pub(crate) fn facade_used(text: &str) -> Vec<String> {
    let code = without_tests(&code_only(text));
    ["std::sync::atomic", "core::sync::atomic"]
        .iter()
        .flat_map(|path| code.match_indices(path))
        .map(|(at, path)| format!(":{}: {path} is not seen by loom", line_of(&code, at)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{facade_used, placed_and_argued};

    #[test]
    fn an_ordering_in_the_wrong_file_is_seen() {
        let text = "// ORDERING: Relaxed: a statistic.\na.load(Ordering::Relaxed);\n";
        assert_eq!(
            placed_and_argued("crates/a/src/count_cell.rs", text).len(),
            0
        );
        assert_eq!(placed_and_argued("crates/a/src/atomic.rs", text).len(), 0);
        assert_eq!(placed_and_argued("crates/a/src/breaker.rs", text).len(), 1);
    }

    #[test]
    fn an_ordering_without_its_sentence_is_seen() {
        for planted in [
            "a.load(Ordering::Acquire);\n",
            "// ORDERING: far away\n\n\n\n\n\n\na.load(Ordering::Acquire);\n",
            "// ORDERING:\n\na.load(Ordering::Acquire);\n",
        ] {
            assert_eq!(placed_and_argued("cell.rs", planted).len(), 1, "{planted}");
        }
        let exchange = "// ORDERING: AcqRel: both sides.\na.compare_exchange(\n    1,\n    2,\n    Ordering::AcqRel,\n    Ordering::Acquire,\n)";
        assert_eq!(placed_and_argued("cell.rs", exchange).len(), 0);
    }

    #[test]
    fn an_ordering_that_hides_its_name_is_seen() {
        assert_eq!(
            placed_and_argued("cell.rs", "use crate::sync::Ordering::{Acquire};").len(),
            1
        );
        assert_eq!(
            placed_and_argued("cell.rs", "use crate::sync::Ordering::*;").len(),
            1
        );
        assert_eq!(
            placed_and_argued("x.rs", "use std::cmp::Ordering::*; Ordering::Less").len(),
            0
        );
    }

    #[test]
    fn tests_may_use_orderings_as_they_like() {
        let text = "#[cfg(test)]\nmod tests { fn f() { A.load(Ordering::SeqCst); } }";
        assert_eq!(placed_and_argued("breaker.rs", text).len(), 0);
    }

    #[test]
    fn std_atomics_past_the_facade_are_seen() {
        assert_eq!(facade_used("use std::sync::atomic::AtomicU8;").len(), 1);
        assert_eq!(
            facade_used("use crate::sync::AtomicU8; // std::sync::atomic").len(),
            0
        );
    }
}
