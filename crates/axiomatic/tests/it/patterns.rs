use std::fs;

use crate::tree::{read, root};

/// Where each pattern has its line, besides the facade.
const PAPERS: [&str; 4] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "crates/axiomatic/src/axioms.rs",
];

/// What a new pattern forgets most easily, said at once.
#[test]
fn every_pattern_is_re_exported_and_stands_in_every_paper() {
    let patterns = patterns();
    assert!(patterns.len() >= 2, "found only {patterns:?}");
    let facade = read("crates/axiomatic/src/lib.rs");
    let mut missing = Vec::new();
    for (krate, pattern) in &patterns {
        let export = format!("pub use {}::{pattern};", krate.replace('-', "_"));
        if !facade.contains(&export) {
            missing.push(format!(
                "crates/axiomatic/src/lib.rs does not say `{export}`"
            ));
        }
        for paper in PAPERS {
            if !read(paper).contains(&format!("`{pattern}`")) {
                missing.push(format!("{paper} does not name `{pattern}`"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// The public modules of the crates that say they stand for an axiom, each
/// with its crate.
fn patterns() -> Vec<(String, String)> {
    let mut patterns = Vec::new();
    for entry in fs::read_dir(root().join("crates"))
        .expect("a folder")
        .flatten()
    {
        let krate = entry.file_name().to_string_lossy().into_owned();
        let lib = fs::read_to_string(entry.path().join("src/lib.rs")).unwrap_or_default();
        if lib.starts_with("//! Patterns for the axiom of ") {
            let lines: Vec<&str> = lib.lines().collect();
            let shown = lines.windows(2).filter(|pair| pair[0] != "#[doc(hidden)]");
            let modules =
                shown.filter_map(|pair| pair[1].strip_prefix("pub mod ")?.strip_suffix(';'));
            patterns.extend(modules.map(|module| (krate.clone(), module.to_owned())));
        }
    }
    patterns
}
