use crate::tree::read;

/// GitHub shows the README and tests nothing; rustdoc tests the crate's page
/// and can hide lines. So the README shows what the page does.
#[test]
fn the_example_of_the_readme_is_the_one_that_is_tested() {
    let page: String = read("crates/axiomatic/src/lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect();
    let tested: Vec<&str> = example(&page, "```")
        .into_iter()
        .filter(|line| *line != "#" && !line.starts_with("# "))
        .collect();
    assert!(!tested.is_empty(), "the crate's page has no example");
    assert_eq!(example(&read("README.md"), "```rust"), tested);
}

/// The lines of the first block that begins so.
fn example<'a>(text: &'a str, opening: &str) -> Vec<&'a str> {
    text.lines()
        .skip_while(|line| *line != opening)
        .skip(1)
        .take_while(|line| *line != "```")
        .collect()
}
