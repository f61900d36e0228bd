use crate::tree::{read, sources};

#[test]
fn every_test_on_the_page_of_axioms_exists() {
    let page = read("crates/axiomatic/src/axioms.rs");
    let sources = [sources("crates"), sources("tests")].concat();
    let exists = |test: &str| {
        let definition = format!("fn {test}(");
        sources.iter().any(|source| source.contains(&definition))
    };
    let rows = rows(&page);
    assert!(rows.len() >= 8, "the table of axioms was not found");
    for row in rows {
        let tests: Vec<&str> = row[4].split('`').skip(1).step_by(2).collect();
        assert!(
            !tests.is_empty() || row[4] == "none yet",
            "a row that names no test: {row:?}"
        );
        for test in tests {
            assert!(exists(test), "there is no test `{test}`");
        }
    }
}

/// The rows of the page's only table with five columns, its head left out.
fn rows(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect::<Vec<_>>())
        .filter(|row| row.len() == 5)
        .skip(1)
        .collect()
}
