/// A licence is there and is the one that its name says.
pub(crate) fn licence(text: &str, title: &str) -> Vec<String> {
    if text.contains(title) {
        Vec::new()
    } else {
        vec![format!("there is no text of the {title} licence")]
    }
}

/// The changelog has a section for what comes next.
pub(crate) fn unreleased(changelog: &str) -> Vec<String> {
    let found = changelog.lines().any(|line| {
        line.strip_prefix("## ")
            .is_some_and(|title| title.trim().trim_matches(['[', ']']) == "Unreleased")
    });
    if found {
        Vec::new()
    } else {
        vec!["CHANGELOG.md: there is no section `## [Unreleased]`".to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::{licence, unreleased};

    #[test]
    fn a_missing_or_wrong_licence_is_seen() {
        assert_eq!(licence("MIT License", "MIT").len(), 0);
        assert_eq!(licence("", "MIT").len(), 1);
        assert_eq!(licence("MIT License", "Apache License").len(), 1);
    }

    #[test]
    fn a_changelog_without_its_section_is_seen() {
        assert_eq!(unreleased("# Changelog\n\n## [Unreleased]\n").len(), 0);
        assert_eq!(
            unreleased("# Changelog\n\n## [0.1.0]\n\nUnreleased\n").len(),
            1
        );
    }
}
