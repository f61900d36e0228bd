use std::collections::HashSet;

use super::text::code_only;

const HEADINGS: [&str; 5] = [
    "# The problem",
    "# Example",
    "# Guarantees",
    "# Cost",
    "# When not to use it",
];

/// The modules that a `lib.rs` makes public and shows.
pub(crate) fn public_modules(lib: &str) -> Vec<String> {
    let code = code_only(lib);
    let mut modules = Vec::new();
    let mut hidden = false;
    for line in code.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix("pub mod ")
            .and_then(|rest| rest.strip_suffix(';'))
        {
            if !hidden {
                modules.push(name.to_owned());
            }
            hidden = false;
        } else if line.starts_with("#[doc(hidden)]") {
            hidden = true;
        } else if !line.starts_with("#[") && !line.is_empty() {
            hidden = false;
        }
    }
    modules
}

/// The essay has its five headings.
pub(crate) fn headings(text: &str) -> Vec<String> {
    let essay = prose(text);
    HEADINGS
        .iter()
        .filter(|heading| !essay.iter().any(|(_, line)| line == *heading))
        .map(|heading| format!(": the essay has no heading `{heading}`"))
        .collect()
}

/// Whether a file's essay has guarantees.
pub(crate) fn guarantees_something(text: &str) -> bool {
    prose(text).iter().any(|(_, line)| *line == "# Guarantees")
}

/// Each guarantee ends with the name of its test, in backticks inside
/// parentheses, and that test exists.
pub(crate) fn guarantees(text: &str, known: &HashSet<String>) -> Vec<String> {
    let bullets = bullets(text);
    let mut complaints = Vec::new();
    if bullets.is_empty() {
        complaints.push(": the essay guarantees nothing".to_owned());
    }
    for (line, bullet) in bullets {
        let tests = tests_named(&bullet);
        if tests.is_empty() {
            complaints.push(format!(
                ":{line}: a guarantee without the name of its test: {bullet}"
            ));
        }
        for test in tests {
            if !known.contains(test) {
                complaints.push(format!(":{line}: there is no test `{test}`"));
            }
        }
    }
    complaints
}

/// The name of every test in these sources: of the functions under `#[test]`,
/// which properties and models have too, or `#[tokio::test]` and the like.
pub(crate) fn tests<'a>(sources: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let mut names = HashSet::new();
    for source in sources {
        let code = code_only(source);
        for (at, _) in code.match_indices("#[") {
            let Some((attribute, rest)) = attribute(&code[at..]) else {
                continue;
            };
            let path = attribute.split('(').next().unwrap_or_default().trim();
            if path.rsplit("::").next() == Some("test") {
                names.extend(function(rest).map(str::to_owned));
            }
        }
    }
    names
}

/// The inside of the attribute that code begins with, and what follows it.
fn attribute(code: &str) -> Option<(&str, &str)> {
    let inside = code.strip_prefix("#[")?;
    let mut depth = 1;
    for (at, c) in inside.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&inside[..at], &inside[at + 1..]));
        }
    }
    None
}

/// The name of the function that code begins with, behind more attributes.
fn function(code: &str) -> Option<&str> {
    let mut code = code.trim_start();
    while let Some((_, rest)) = attribute(code) {
        code = rest.trim_start();
    }
    let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words
        .find(|word| !matches!(*word, "pub" | "async" | "unsafe" | "crate" | ""))
        .filter(|word| *word == "fn")
        .and_then(|_| words.next())
}

/// The lines of the module's documentation with their numbers, code blocks
/// left out: there a `#` hides a line and is no heading.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut prose = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(line) = line.strip_prefix("//!") else {
            continue;
        };
        let line = line.strip_prefix(' ').unwrap_or(line).trim_end();
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push((index + 1, line));
        }
    }
    prose
}

/// The bullets under `# Guarantees`, each as one line.
fn bullets(text: &str) -> Vec<(usize, String)> {
    let mut bullets: Vec<(usize, String)> = Vec::new();
    let mut inside = false;
    let mut open = false;
    for (number, line) in prose(text) {
        if line.starts_with("# ") {
            inside = line == "# Guarantees";
            continue;
        }
        if !inside {
            continue;
        }
        if let Some(start) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
            bullets.push((number, start.trim().to_owned()));
            open = true;
        } else if line.is_empty() {
            open = false;
        } else if let Some((_, bullet)) = bullets
            .last_mut()
            .filter(|_| open || line.starts_with("  "))
        {
            bullet.push(' ');
            bullet.push_str(line.trim());
        }
    }
    bullets
}

/// `a` and `b` of "It holds (`a`, `b`)."
fn tests_named(bullet: &str) -> Vec<&str> {
    let end = bullet.trim_end_matches(['.', ';']);
    let inside = end.strip_suffix(')').and_then(|rest| rest.rsplit_once('('));
    let Some((_, inside)) = inside else {
        return Vec::new();
    };
    inside.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESSAY: &str = "//! A breaker.
//!
//! # The problem
//! # Example
//! ```
//! # Cost
//! ```
//! # Guarantees
//!
//! - It opens once, however many
//!   threads ask (`it_opens_once`).
//! - It closes (`it_closes`, `it_closes_again`)
//!
//! More prose.
//! # When not to use it
//! - Never.
";

    fn known(names: &[&str]) -> HashSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_missing_heading_is_seen_and_a_hidden_line_of_code_is_none() {
        assert_eq!(headings(ESSAY), [": the essay has no heading `# Cost`"]);
        assert_eq!(headings(&format!("{ESSAY}//! # Cost\n")).len(), 0);
    }

    #[test]
    fn a_guarantee_that_names_no_existing_test_is_seen() {
        let all = known(&["it_opens_once", "it_closes", "it_closes_again"]);
        assert_eq!(guarantees(ESSAY, &all).len(), 0);
        let some = known(&["it_opens_once", "it_closes"]);
        assert_eq!(
            guarantees(ESSAY, &some),
            [":12: there is no test `it_closes_again`"]
        );
    }

    #[test]
    fn a_guarantee_without_a_test_is_seen() {
        let text = "//! # Guarantees\n//! - It `never` waits (really).\n";
        assert_eq!(guarantees(text, &known(&[])).len(), 1);
        assert_eq!(guarantees("//! # Guarantees\n", &known(&[])).len(), 1);
    }

    #[test]
    fn only_tests_are_taken_for_tests() {
        let sources = [
            "#[test]\nfn a() {}\nproptest! { #[test] fn b(x in 0..1) {} }",
            "#[tokio::test(flavor = \"x\")]\n#[should_panic]\nasync fn c() { fn d() {} }",
            "// #[test]\nfn e()\n#[cfg(test)]\nfn f() {}\n#[test_case(1)]\nfn g() {}",
            "\"#[test] fn h\"\n#[test]\nconst I: fn() = j;",
        ];
        assert_eq!(tests(sources.into_iter()), known(&["a", "b", "c"]));
    }

    #[test]
    fn guarantees_are_looked_for_in_essays_only() {
        assert!(guarantees_something(ESSAY));
        assert!(!guarantees_something("//! # Cost\n/// # Guarantees\n"));
    }

    #[test]
    fn modules_behind_a_feature_are_public_and_hidden_ones_are_not() {
        let lib = "pub mod a;\n#[cfg(feature = \"x\")]\npub mod b;\n#[doc(hidden)]\npub mod c;\nmod d;\n// pub mod e;\n";
        assert_eq!(public_modules(lib), ["a", "b"]);
    }
}
