/// The manifest says `[lints] workspace = true`.
pub(crate) fn lints_inherited(manifest: &str) -> Vec<String> {
    let inherits = lines(manifest).any(|(section, line)| {
        let line: String = line.split_whitespace().collect();
        (section == "lints" && line == "workspace=true") || line == "lints.workspace=true"
    });
    if inherits {
        Vec::new()
    } else {
        vec![": does not inherit the workspace's lints".to_owned()]
    }
}

/// An axiom crate does not name another one, neither among its dependencies
/// of any kind nor in a feature.
pub(crate) fn axiom_dependencies(manifest: &str, axioms: &[&str]) -> Vec<String> {
    let name = lines(manifest)
        .filter(|(section, _)| *section == "package")
        .find_map(|(_, line)| line.strip_prefix("name")?.split('"').nth(1));
    let Some(name) = name.filter(|name| axioms.contains(name)) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    for (section, line) in lines(manifest).filter(|(section, _)| *section != "package") {
        for other in axioms.iter().filter(|other| **other != name) {
            if names(line, other) || (line.starts_with('[') && names(section, other)) {
                complaints.push(format!(": {name} depends on {other}: {line}"));
            }
        }
    }
    complaints
}

/// Whether `word` stands in the line, and not as a part of a longer name.
fn names(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

/// The lines of a manifest that are not comments, each with its section.
fn lines(manifest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        let line = line.split(" #").next().unwrap_or(line).trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        }
        (!line.is_empty() && !line.starts_with('#')).then_some((section, line))
    })
}

#[cfg(test)]
mod tests {
    use super::{axiom_dependencies, lints_inherited};

    const AXIOMS: &[&str] = &["axiomatic-failure", "axiomatic-latency"];

    #[test]
    fn a_manifest_without_the_lints_is_seen() {
        assert_eq!(
            lints_inherited("[package]\n[lints]\nworkspace = true\n").len(),
            0
        );
        assert_eq!(lints_inherited("[lints]\n# workspace = true\n").len(), 1);
        assert_eq!(lints_inherited("[package]\nworkspace = true\n").len(), 1);
        assert_eq!(lints_inherited("[lints]\nworkspace = false\n").len(), 1);
    }

    #[test]
    fn a_dependency_of_one_axiom_on_another_is_seen() {
        let manifest =
            |dependency: &str| format!("[package]\nname = \"axiomatic-failure\"\n{dependency}\n");
        for planted in [
            "[dependencies]\naxiomatic-latency.workspace = true",
            "[dev-dependencies]\nx = { package = \"axiomatic-latency\", path = \"../x\" }",
            "[target.'cfg(unix)'.dependencies.axiomatic-latency]\npath = \"..\"",
            "[features]\nf = [\"axiomatic-latency/tracing\"]",
        ] {
            assert_eq!(
                axiom_dependencies(&manifest(planted), AXIOMS).len(),
                1,
                "{planted}"
            );
        }
        for allowed in [
            "[dependencies]\naxiomatic-core.workspace = true",
            "[dependencies]\n# not axiomatic-latency",
            "[dependencies]\naxiomatic-latency-bound = \"1\"",
        ] {
            assert_eq!(
                axiom_dependencies(&manifest(allowed), AXIOMS).len(),
                0,
                "{allowed}"
            );
        }
        let other =
            "[package]\nname = \"axiomatic-stack\"\n[dependencies]\naxiomatic-latency = \"1\"\n";
        assert_eq!(axiom_dependencies(other, AXIOMS).len(), 0);
    }
}
