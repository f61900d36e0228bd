//! Where a source names an atomic ordering, and how each can be weakened.
//! Text in, text out; running the models is `orderings.rs`.

use std::ops::Range;

use crate::text::{code_only, comment_above, line_of, without_tests};

/// One place in a text, weakened by one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mutant {
    pub(crate) line: usize,
    /// What stands there, as the report says it: `Acquire`, or
    /// `fence(Acquire)`.
    pub(crate) from: String,
    pub(crate) to: String,
    span: Range<usize>,
    replacement: String,
}

/// The argument that lets a mutant survive, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) line: usize,
    pub(crate) said: String,
}

impl Mutant {
    /// The text with this mutant in it.
    pub(crate) fn apply(&self, text: &str) -> String {
        let (before, after) = (&text[..self.span.start], &text[self.span.end..]);
        format!("{before}{}{after}", self.replacement)
    }

    /// The written argument, if there is one: a comment with `SURVIVES:` and
    /// a sentence, on the line or within six lines above, and not beyond the
    /// beginning of the function: one argument must not cover a neighbour.
    pub(crate) fn argument(&self, text: &str) -> Option<Argument> {
        let (line, said) = comment_above(text, self.line, "SURVIVES:")?;
        let code = code_only(text);
        let mut between = code
            .lines()
            .skip(line)
            .take((self.line - 1).saturating_sub(line));
        let same_function = !between.any(|line| line.split_whitespace().any(|word| word == "fn"));
        (same_function && !said.is_empty()).then_some(Argument { line, said })
    }
}

/// What an ordering is an argument of; not every weakening is legal in each.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `load`, and the second ordering of a compare-exchange.
    Load,
    Store,
    /// Everything else that takes one: read-modify-write, a helper of ours.
    ReadModifyWrite,
    Fence,
}

/// Every mutant of a source, in the order of its lines. Test modules have
/// none.
pub(crate) fn mutants(text: &str) -> Vec<Mutant> {
    let code = without_tests(&code_only(text));
    let mut mutants = Vec::new();
    for (start, _) in code.match_indices("Ordering::") {
        let name_start = start + "Ordering::".len();
        let name_len = code[name_start..]
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(code.len() - name_start);
        let name = &code[name_start..name_start + name_len];
        if !["Acquire", "Release", "AcqRel", "SeqCst"].contains(&name) {
            continue;
        }
        let line = line_of(&code, start);
        let (place, call) = place(&code, start);
        for weaker in weaker(name, place) {
            mutants.push(match (weaker, &call) {
                (None, Some(call)) => Mutant {
                    line,
                    from: format!("fence({name})"),
                    to: "no fence".to_owned(),
                    span: call.clone(),
                    replacement: "()".to_owned(),
                },
                (weaker, _) => {
                    let weaker = weaker.unwrap_or("Relaxed");
                    Mutant {
                        line,
                        from: name.to_owned(),
                        to: weaker.to_owned(),
                        span: name_start..name_start + name_len,
                        replacement: weaker.to_owned(),
                    }
                }
            });
        }
    }
    mutants
}

/// One step down; `None` stands for leaving the fence out, since a relaxed
/// fence panics.
fn weaker(name: &str, place: Place) -> Vec<Option<&'static str>> {
    match (name, place) {
        ("Acquire" | "Release", Place::Fence) => vec![None],
        ("Acquire" | "Release", _) => vec![Some("Relaxed")],
        ("AcqRel", _) => vec![Some("Acquire"), Some("Release")],
        ("SeqCst", Place::Load) => vec![Some("Acquire")],
        ("SeqCst", Place::Store) => vec![Some("Release")],
        _ => vec![Some("AcqRel")],
    }
}

/// The call that the ordering at `at` is an argument of, and the span of that
/// call if it is a fence.
fn place(code: &str, at: usize) -> (Place, Option<Range<usize>>) {
    let bytes = code.as_bytes();
    let mut depth = 0;
    let mut argument = 0;
    for open in (0..at).rev() {
        match bytes[open] {
            b')' | b']' | b'}' => depth += 1,
            b'(' if depth == 0 => {
                let before = code[..open].trim_end();
                let path = before
                    .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .map_or(0, |index| index + 1);
                let call = &before[path..];
                let name = call.rsplit("::").next().unwrap_or(call);
                return named(name, argument, path..end_of_call(bytes, open));
            }
            b'(' | b'[' | b'{' if depth > 0 => depth -= 1,
            b',' if depth == 0 => argument += 1,
            // Left the expression: a constant, a match arm.
            b';' | b'{' if depth == 0 => break,
            _ => {}
        }
    }
    (Place::ReadModifyWrite, None)
}

fn named(name: &str, argument: usize, call: Range<usize>) -> (Place, Option<Range<usize>>) {
    let place = match (name, argument) {
        ("load", _) => Place::Load,
        ("store", _) => Place::Store,
        ("fence", _) => return (Place::Fence, Some(call)),
        ("compare_exchange" | "compare_exchange_weak", 3) => Place::Load,
        ("fetch_update" | "try_update", 1) => Place::Load,
        _ => Place::ReadModifyWrite,
    };
    (place, None)
}

fn end_of_call(bytes: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        depth += i32::from(*byte == b'(');
        depth -= i32::from(*byte == b')');
        if depth == 0 {
            return at + 1;
        }
    }
    bytes.len()
}

/// Whether the atomics of a file are std's own and not the facade's: no model
/// sees them, so a sweep would find nothing but survivors.
pub(crate) fn bypasses_the_facade(text: &str) -> bool {
    let code = without_tests(&code_only(text));
    let facade = ["crate::sync", "axiomatic_core::sync", "loom::sync::atomic"];
    (code.contains("std::sync::atomic") || code.contains("core::sync::atomic"))
        && !facade.iter().any(|path| code.contains(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str) -> Vec<(usize, String)> {
        mutants(text)
            .iter()
            .map(|mutant| (mutant.line, format!("{} -> {}", mutant.from, mutant.to)))
            .collect()
    }

    #[test]
    fn each_ordering_is_weakened_as_its_call_allows() {
        let text = "fn f() {
    a.load(Ordering::Acquire);
    a.store(g(1, 2), Ordering::Release);
    a.fetch_add(1, Ordering::AcqRel);
    a.load(Ordering::SeqCst);
    a.store(1, Ordering::SeqCst);
    a.swap(1, Ordering::SeqCst);
    a.load(Ordering::Relaxed);
    x.cmp(y) == Ordering::Less;
}";
        let expected = [
            (2, "Acquire -> Relaxed"),
            (3, "Release -> Relaxed"),
            (4, "AcqRel -> Acquire"),
            (4, "AcqRel -> Release"),
            (5, "SeqCst -> Acquire"),
            (6, "SeqCst -> Release"),
            (7, "SeqCst -> AcqRel"),
        ];
        assert_eq!(
            steps(text),
            expected.map(|(line, step)| (line, step.to_owned()))
        );
    }

    #[test]
    fn both_orderings_of_a_compare_exchange_are_sites() {
        let text = "a.compare_exchange_weak(
    now,
    pack(next, 1),
    Ordering::AcqRel,
    atomic::Ordering::SeqCst,
)";
        let expected = [
            (4, "AcqRel -> Acquire"),
            (4, "AcqRel -> Release"),
            (5, "SeqCst -> Acquire"),
        ];
        assert_eq!(
            steps(text),
            expected.map(|(line, step)| (line, step.to_owned()))
        );
    }

    #[test]
    fn a_fence_is_left_out_and_not_relaxed() {
        let text = "sync::fence(Ordering::Acquire); fence(Ordering::SeqCst);";
        let mutants = mutants(text);
        assert_eq!(mutants[0].apply(text), "(); fence(Ordering::SeqCst);");
        assert_eq!(
            mutants[1].apply(text),
            "sync::fence(Ordering::Acquire); fence(Ordering::AcqRel);"
        );
    }

    #[test]
    fn a_mutant_changes_one_ordering_and_nothing_else() {
        let text =
            "a.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire) // Ordering::SeqCst";
        let mutated: Vec<String> = mutants(text).iter().map(|m| m.apply(text)).collect();
        assert_eq!(
            mutated,
            [
                "a.compare_exchange(0, 1, Ordering::Acquire, Ordering::Acquire) // Ordering::SeqCst",
                "a.compare_exchange(0, 1, Ordering::Release, Ordering::Acquire) // Ordering::SeqCst",
                "a.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed) // Ordering::SeqCst",
            ]
        );
    }

    #[test]
    fn tests_comments_and_strings_have_no_sites() {
        let text = "// Ordering::Acquire\nlet s = \"Ordering::Acquire\";\n#[cfg(test)]\nmod tests { fn f() { a.load(Ordering::Acquire); } }\n";
        assert_eq!(mutants(text), []);
    }

    #[test]
    fn a_survivor_needs_an_argument_and_not_only_the_word() {
        let with = "// ORDERING: Acquire: pairs with x.\n// SURVIVES: loom has no\n// such thing.\na.load(Ordering::Acquire);";
        let argument = mutants(with)[0].argument(with);
        assert_eq!(
            argument,
            Some(Argument {
                line: 2,
                said: "loom has no such thing.".to_owned()
            })
        );
        for without in [
            "// SURVIVES:\n\na.load(Ordering::Acquire);",
            "// SURVIVES: x\nb();\n}\npub fn c() {\na.load(Ordering::Acquire);",
        ] {
            assert_eq!(mutants(without)[0].argument(without), None);
        }
    }

    #[test]
    fn std_atomics_beside_the_facade_are_known() {
        assert!(bypasses_the_facade("use std::sync::atomic::AtomicU64;"));
        assert!(!bypasses_the_facade("use crate::sync::AtomicU64;"));
        let tests_only =
            "use crate::sync::A;\n#[cfg(test)]\nmod tests { use std::sync::atomic::B; }";
        assert!(!bypasses_the_facade(tests_only));
    }
}
