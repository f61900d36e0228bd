use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::counts::Counts;
use crate::lanes::Report;
use crate::run::{End, Run, cargo};
use crate::services;
use crate::tree::Tree;

const PACKAGE: &str = "axiomatic-examples";
const LIMIT: Duration = Duration::from_secs(120);

/// Builds the examples in release, then runs each as it asks to be run: it must
/// exit with 0.
pub(crate) fn lane(tree: &Tree) -> Report {
    let packages = match tree.packages() {
        Ok(packages) => packages,
        Err(error) => return Report::failed(format!("cargo metadata: {error}")),
    };
    let Some(package) = packages.into_iter().find(|package| package.name == PACKAGE) else {
        return Report::failed(format!("there is no package {PACKAGE}"));
    };
    let args = ["build", "--release", "-p", PACKAGE, "--examples"];
    if !Run::new(&mut cargo(&tree.root, args)).go().success() {
        return Report::failed("the examples do not build");
    }
    let mut counts = Counts::default();
    for example in package
        .targets
        .iter()
        .filter(|target| target.kind == "example")
    {
        let source = fs::read_to_string(&example.source).unwrap_or_default();
        let binary = tree.target.join("release/examples").join(&example.name);
        for words in runs(&source) {
            println!("\n{} {}", example.name, words.join(" "));
            let Some(arguments) = with_servers(&words, services::url) else {
                println!("{}: a server is not there", example.name);
                // A machine that checks for everybody has them all.
                let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
                counts += if is_ci {
                    Counts::one(false)
                } else {
                    Counts::skipped()
                };
                continue;
            };
            let mut command = Command::new(&binary);
            command.current_dir(&tree.root).args(arguments);
            let finished = Run::new(&mut command).limit(LIMIT).go();
            match finished.end {
                End::Exited(status) if status.success() => {}
                End::Exited(status) => println!("{}: {status}", example.name),
                _ => println!("{}: killed after {} s", example.name, LIMIT.as_secs()),
            }
            counts += Counts::one(finished.success());
        }
    }
    Report::of(true, counts)
}

/// How an example asks to be run: once for each line `//! xtask: --quick` of the
/// comment at its top, with these arguments; once without any, if there is no
/// such line. A word such as `$AXIOMATIC_NATS_URL` stands for where a server is.
fn runs(source: &str) -> Vec<Vec<&str>> {
    let head = source.lines().take_while(|line| line.starts_with("//"));
    let asked = head.filter_map(|line| {
        let line = line.trim_start_matches(['/', '!']).trim();
        line.strip_prefix("xtask:")
    });
    let mut runs: Vec<_> = asked
        .map(|line| line.split_whitespace().collect())
        .collect();
    if runs.is_empty() {
        runs.push(Vec::new());
    }
    runs
}

/// The same words, with the servers' addresses; nothing if one is not there.
fn with_servers(words: &[&str], url: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let word = |word: &&str| match word.strip_prefix('$') {
        Some(variable) => url(variable),
        None => Some((*word).to_owned()),
    };
    words.iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::{runs, with_servers};

    #[test]
    fn only_the_head_of_an_example_says_how_it_is_run() {
        let none: [&str; 0] = [];
        assert_eq!(
            runs("//! Long.\n//!\n//! xtask: --quick\nfn main() {}"),
            [["--quick"]]
        );
        assert_eq!(runs("// xtask: --quick\n//! Long."), [["--quick"]]);
        assert_eq!(runs("//! Short.\nfn main() {}\n// xtask: --quick"), [none]);
        let twice = "//! xtask:\n//! xtask: --nats $AXIOMATIC_NATS_URL\n";
        let twice = runs(twice);
        assert_eq!(twice, [&[][..], &["--nats", "$AXIOMATIC_NATS_URL"]]);
    }

    #[test]
    fn an_example_is_run_with_the_servers_it_names_if_they_are_there() {
        let there = |variable: &str| (variable == "HERE").then(|| "nats://here".to_owned());
        let found = with_servers(&["--nats", "$HERE"], there);
        assert_eq!(found.unwrap(), ["--nats", "nats://here"]);
        assert_eq!(with_servers(&["$HERE", "$GONE"], there), None);
    }
}
