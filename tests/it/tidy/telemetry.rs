use std::collections::BTreeSet;

use super::text::{code_only, without_tests};

/// The names of metrics and the targets of events that the sources contain:
/// string literals of the form `axiomatic_…` or `axiomatic::…`, and nothing
/// but that.
pub(crate) fn emitted<'a>(sources: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    sources
        .flat_map(|source| literals(source))
        .filter(|literal| is_name(literal))
        .map(str::to_owned)
        .collect()
}

/// What is emitted stands in the table, and what stands in the table is
/// emitted. Names count where the table has them in backticks.
pub(crate) fn compared(emitted: &BTreeSet<String>, table: &str) -> Vec<String> {
    if table.is_empty() {
        return vec!["there is no TELEMETRY.md".to_owned()];
    }
    let listed: BTreeSet<String> = table
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| is_name(name))
        .map(str::to_owned)
        .collect();
    let missing = emitted
        .difference(&listed)
        .map(|name| format!("TELEMETRY.md does not list `{name}`"));
    let stale = listed
        .difference(emitted)
        .map(|name| format!("TELEMETRY.md lists `{name}`, which nothing emits"));
    missing.chain(stale).collect()
}

fn is_name(text: &str) -> bool {
    let rest = text
        .strip_prefix("axiomatic_")
        .or_else(|| text.strip_prefix("axiomatic::"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == ':')
    })
}

/// The string literals of what ships. Masking keeps the quotes, so they tell
/// where to look in the text itself.
fn literals(source: &str) -> Vec<&str> {
    let code = without_tests(&code_only(source));
    let quotes: Vec<usize> = code.match_indices('"').map(|(at, _)| at).collect();
    quotes
        .chunks_exact(2)
        .map(|pair| &source[pair[0] + 1..pair[1]])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{compared, emitted};

    const SOURCE: &str = "
        // \"axiomatic_in_a_comment\"
        const TARGET: &str = \"axiomatic::circuit_breaker\";
        tracing::event!(target: \"axiomatic::timeout\", \"axiomatic_ no name\");
        counter!(\"axiomatic_calls_total\", '\"', \"a\\\"b\");
        #[cfg(test)]
        mod tests { const X: &str = \"axiomatic_in_a_test\"; }
    ";

    #[test]
    fn names_are_found_where_they_are_emitted() {
        let found: Vec<String> = emitted([SOURCE].into_iter()).into_iter().collect();
        assert_eq!(
            found,
            [
                "axiomatic::circuit_breaker",
                "axiomatic::timeout",
                "axiomatic_calls_total"
            ]
        );
    }

    #[test]
    fn a_name_that_is_not_listed_and_one_that_is_not_emitted_are_seen() {
        let emitted = emitted([SOURCE].into_iter());
        let table = "| `axiomatic::circuit_breaker` | |\n| `axiomatic::timeout` and `axiomatic_calls_total` |\n";
        assert_eq!(compared(&emitted, table).len(), 0);
        assert_eq!(
            compared(&emitted, "`axiomatic::timeout` axiomatic_calls_total\n").len(),
            2
        );
        assert_eq!(
            compared(&emitted, &format!("{table}`axiomatic_gone`\n")).len(),
            1
        );
        assert_eq!(compared(&emitted, "").len(), 1);
    }
}
