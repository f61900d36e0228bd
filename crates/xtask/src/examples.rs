use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::counts::Counts;
use crate::lanes::Report;
use crate::run::{End, Run, cargo};
use crate::tree::Tree;

const PACKAGE: &str = "axiomatic-examples";
const LIMIT: Duration = Duration::from_secs(120);

/// Builds the examples in release, then runs each: it must exit with 0.
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
        let arguments = arguments_of(&example.source);
        println!("\n{} {}", example.name, arguments.join(" "));
        let binary = tree.target.join("release/examples").join(&example.name);
        let mut command = Command::new(binary);
        command.current_dir(&tree.root).args(arguments);
        let finished = Run::new(&mut command).limit(LIMIT).go();
        match finished.end {
            End::Exited(status) if status.success() => {}
            End::Exited(status) => println!("{}: {status}", example.name),
            _ => println!("{}: killed after {} s", example.name, LIMIT.as_secs()),
        }
        counts += Counts::one(finished.success());
    }
    Report::of(true, counts)
}

fn arguments_of(source: &Path) -> Vec<String> {
    declared(&fs::read_to_string(source).unwrap_or_default())
}

/// What an example asks to be run with, in a line `//! xtask: --quick` of the
/// comment at its top.
fn declared(source: &str) -> Vec<String> {
    source
        .lines()
        .take_while(|line| line.starts_with("//"))
        .filter_map(|line| {
            line.trim_start_matches(['/', '!'])
                .trim()
                .strip_prefix("xtask:")
        })
        .flat_map(|arguments| arguments.split_whitespace().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::declared;

    #[test]
    fn only_the_head_of_an_example_declares_arguments() {
        assert_eq!(
            declared("//! Long.\n//!\n//! xtask: --quick\nfn main() {}"),
            ["--quick"]
        );
        assert_eq!(declared("// xtask: --quick\n//! Long."), ["--quick"]);
        assert!(declared("//! Short.\nfn main() {}\n// xtask: --quick").is_empty());
    }
}
