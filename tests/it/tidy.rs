//! The rules of the tree that no compiler checks.
//!
//! Each rule is a function from text to complaints, tested beside itself on
//! a planted violation, since a rule that can find nothing looks the same as
//! a tree that is in order. The tests here read the tree and apply the rules.

mod essays;
mod manifests;
mod orderings;
mod papers;
mod sources;
mod telemetry;
// The same eyes as the ordering sweep's, included by path so that neither
// side pulls in the other's dependencies.
#[path = "../../crates/xtask/src/text.rs"]
mod text;
mod tree;

use tree::{File, Tree};

/// The `lib.rs` that may leave out `#![forbid(unsafe_code)]`, and why.
const MAY_BE_UNSAFE: &[(&str, &str)] = &[(
    "crates/axiomatic-sketch/src/lib.rs",
    "that the processor has AVX2 can be asked, and not be said in safe code",
)];

/// Files in crates with loom models that use std's atomics beside the
/// facade, and why.
const MAY_BYPASS_THE_FACADE: &[(&str, &str)] = &[
    ("crates/axiomatic-core/src/sync.rs", "it is the facade"),
    (
        "crates/axiomatic-core/src/time/manual_cell.rs",
        "a test's clock is not part of what a model explores",
    ),
];

/// Library files outside of core's time module that read a clock, and why.
const MAY_READ_A_CLOCK: &[(&str, &str)] = &[(
    "crates/axiomatic-http/src/binding.rs",
    "a Retry-After date in an answer without a Date means nothing without a wall clock",
)];

/// Crates that stand for an axiom, and so for themselves.
const AXIOM_CRATES: &[&str] = &[
    "axiomatic-failure",
    "axiomatic-latency",
    "axiomatic-capacity",
    "axiomatic-placement",
    "axiomatic-sketch",
    "axiomatic-coordination",
];

/// Crates whose public modules are patterns, each with an essay.
const PATTERN_CRATES: &[&str] = &[
    "axiomatic-failure",
    "axiomatic-latency",
    "axiomatic-capacity",
    "axiomatic-placement",
    "axiomatic-sketch",
    "axiomatic-coordination",
    "axiomatic-redis",
    "axiomatic-sqlite",
    "axiomatic-postgres",
    "axiomatic-nats",
    "axiomatic-amqp",
];

/// Applies a rule to files and fails with all complaints at once, and also
/// if there was nothing to apply it to.
#[track_caller]
fn in_order<'a>(files: impl IntoIterator<Item = &'a File>, rule: impl Fn(&File) -> Vec<String>) {
    let mut seen = 0;
    let mut complaints = Vec::new();
    for file in files {
        seen += 1;
        let said = rule(file).into_iter();
        complaints.extend(said.map(|complaint| format!("{}{complaint}", file.path)));
    }
    assert!(seen > 0, "the rule was applied to nothing");
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn excepted(list: &[(&str, &str)], file: &File) -> bool {
    list.iter().any(|(path, _)| file.path == *path)
}

#[test]
fn an_exception_is_for_a_file_that_exists() {
    let tree = Tree::read();
    for (path, why) in MAY_BE_UNSAFE
        .iter()
        .chain(MAY_BYPASS_THE_FACADE)
        .chain(MAY_READ_A_CLOCK)
    {
        assert!(
            tree.sources.iter().any(|file| file.path == *path),
            "{path} ({why})"
        );
    }
}

#[test]
fn every_package_inherits_the_workspace_lints() {
    in_order(&Tree::read().manifests(), |file| {
        manifests::lints_inherited(&file.text)
    });
}

#[test]
fn axiom_crates_never_depend_on_each_other() {
    in_order(&Tree::read().manifests(), |file| {
        manifests::axiom_dependencies(&file.text, AXIOM_CRATES)
    });
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let tree = Tree::read();
    let roots = tree.crate_roots().into_iter();
    let bound = roots.filter(|file| !excepted(MAY_BE_UNSAFE, file));
    in_order(bound, |file| sources::unsafe_forbidden(&file.text));
}

#[test]
fn orderings_stand_only_in_files_for_atomics_and_each_says_why() {
    in_order(Tree::read().shipped(), |file| {
        orderings::placed_and_argued(&file.path, &file.text)
    });
}

#[test]
fn atomics_that_loom_should_see_come_from_the_facade() {
    let tree = Tree::read();
    let bound = tree
        .shipped()
        .filter(|file| tree.has_models(file.krate()) && !excepted(MAY_BYPASS_THE_FACADE, file));
    // Until the first crate has models there is nothing to look at.
    let bound: Vec<&File> = bound.collect();
    if !bound.is_empty() {
        in_order(bound, |file| orderings::facade_used(&file.text));
    }
}

#[test]
fn no_library_reads_a_clock_outside_of_core_time() {
    let tree = Tree::read();
    let bound = tree.shipped().filter(|file| {
        !file.path.starts_with("crates/axiomatic-core/src/time/")
            && !excepted(MAY_READ_A_CLOCK, file)
    });
    in_order(bound, |file| sources::no_clock_read(&file.text));
}

#[test]
fn nothing_is_left_undone_or_ignored() {
    in_order(&Tree::read().sources, |file| {
        sources::nothing_left_undone(&file.text)
    });
}

#[test]
fn a_file_over_four_hundred_lines_says_why_it_is_one_file() {
    in_order(&Tree::read().sources, |file| {
        sources::long_files_say_why(&file.text)
    });
}

#[test]
fn every_pattern_has_its_headings() {
    let tree = Tree::read();
    in_order(tree.patterns(PATTERN_CRATES), |file| {
        essays::headings(&file.text)
    });
}

#[test]
fn every_guarantee_names_a_test_that_exists() {
    let tree = Tree::read();
    let known = essays::tests(tree.sources.iter().map(|file| file.text.as_str()));
    // Those of core and of bindings too, which are no patterns.
    let essays = tree.shipped();
    let essays = essays.filter(|file| essays::guarantees_something(&file.text));
    in_order(essays, |file| essays::guarantees(&file.text, &known));
}

#[test]
fn telemetry_lists_the_names_that_are_emitted_and_no_others() {
    let tree = Tree::read();
    let emitted = telemetry::emitted(tree.shipped().map(|file| file.text.as_str()));
    let complaints = telemetry::compared(&emitted, &tree.paper("TELEMETRY.md"));
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn both_licences_are_there() {
    let tree = Tree::read();
    let complaints = [
        papers::licence(&tree.paper("LICENSE-MIT"), "MIT"),
        papers::licence(&tree.paper("LICENSE-APACHE"), "Apache License"),
    ]
    .concat();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn the_changelog_has_a_section_for_what_is_unreleased() {
    let complaints = papers::unreleased(&Tree::read().paper("CHANGELOG.md"));
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
