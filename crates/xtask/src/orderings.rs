//! The ordering sweep: weaken each ordering in turn, and expect a loom model
//! to fail. What no model notices is either too strong or not tested, unless
//! someone wrote down why (`SURVIVES:`).
//!
//! Mutants live in a copy of the tree, `target/orderings/tree`; the working
//! tree is only read. It is one file because it is one procedure: copy,
//! mutate, judge, report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use crate::counts::Counts;
use crate::lanes::{Report, Verdict};
use crate::loom;
use crate::run::{End, Finished, Run};
use crate::sites::{Argument, Mutant, bypasses_the_facade, mutants};
use crate::tree::{Tree, entries, sources};

/// What part of the sweep to run, and how.
#[derive(Default)]
pub(crate) struct Options {
    /// Only files whose path ends so.
    pub(crate) files: Vec<String>,
    /// Only files that differ from this commit.
    pub(crate) changed: Option<String>,
    /// Print the mutants and run nothing.
    pub(crate) list: bool,
    /// How long the models of one mutant may run, at least.
    pub(crate) limit: Option<Duration>,
}

/// A source file with its mutants.
struct Subject {
    package: String,
    /// Relative to the root.
    path: PathBuf,
    text: String,
    mutants: Vec<Mutant>,
}

enum Fate {
    Killed(String),
    TimedOut,
    Survived(Option<Argument>),
    DoesNotCompile(String),
}

pub(crate) fn sweep_all(tree: &Tree) -> Report {
    sweep(tree, &Options::default())
}

pub(crate) fn sweep(tree: &Tree, options: &Options) -> Report {
    let subjects = match subjects(tree, options) {
        Ok(subjects) => subjects,
        Err(why) => return Report::failed(why),
    };
    if options.list {
        return list(&subjects);
    }
    if options.changed.is_some() && subjects.is_empty() {
        return Report::skipped("no file with atomics changed");
    }
    match run(tree, options, &subjects) {
        Ok(counts) => Report::of(true, counts),
        Err(why) => Report::failed(why),
    }
}

fn list(subjects: &[Subject]) -> Report {
    let mut counts = Counts::default();
    for subject in subjects {
        for mutant in &subject.mutants {
            let argument = mutant.argument(&subject.text);
            let note = argument.map(|a| format!("  (SURVIVES: {})", a.said));
            println!("{}{}", label(subject, mutant), note.unwrap_or_default());
            counts.passed += 1;
        }
    }
    println!("{} mutants", counts.passed);
    Report {
        verdict: Verdict::Ok,
        counts,
    }
}

fn label(subject: &Subject, mutant: &Mutant) -> String {
    let place = format!("{}:{}", subject.path.display(), mutant.line);
    format!("{place:<58}  {} -> {}", mutant.from, mutant.to)
}

/// The files that may name an ordering, of the crates that have models.
fn subjects(tree: &Tree, options: &Options) -> Result<Vec<Subject>, String> {
    let changed = match &options.changed {
        Some(base) => Some(changed_files(&tree.root, base)?),
        None => None,
    };
    let mut subjects = Vec::new();
    for package in tree.crates_with_test("loom") {
        for file in sources(&tree.root.join("crates").join(&package).join("src")) {
            let path = file.strip_prefix(&tree.root).unwrap_or(&file).to_path_buf();
            let shown = path.to_string_lossy();
            let asked = options.files.is_empty()
                || options.files.iter().any(|f| shown.ends_with(f.as_str()));
            let touched = changed.as_ref().is_none_or(|all| all.contains(&path));
            if !(holds_atomics(&path) && asked && touched) {
                continue;
            }
            let text = fs::read_to_string(&file).map_err(|error| format!("{shown}: {error}"))?;
            let mutants = mutants(&text);
            if !mutants.is_empty() && bypasses_the_facade(&text) {
                println!("{shown}: left out, its atomics are std's own, which no model sees");
            } else if !mutants.is_empty() {
                subjects.push(Subject {
                    package: package.clone(),
                    path,
                    text,
                    mutants,
                });
            }
        }
    }
    Ok(subjects)
}

/// Files named `cell`, `sync` or `atomic`, or ending so, are the only ones
/// that may name an ordering; tidy sees to that.
fn holds_atomics(path: &Path) -> bool {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    ["cell", "sync", "atomic"]
        .iter()
        .any(|kind| stem.ends_with(kind))
}

fn changed_files(root: &Path, base: &str) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for args in [
        vec!["diff", "--name-only", base],
        vec!["ls-files", "--others", "--exclude-standard"],
    ] {
        let output = Command::new("git")
            .current_dir(root)
            .args(&args)
            .output()
            .map_err(|error| format!("git: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        files.extend(
            String::from_utf8_lossy(&output.stdout)
                .lines()
                .map(PathBuf::from),
        );
    }
    Ok(files)
}

fn run(tree: &Tree, options: &Options, subjects: &[Subject]) -> Result<Counts, String> {
    let copy = tree.target.join("orderings/tree");
    copy_tree(&tree.root, &copy).map_err(|error| format!("copying the tree: {error}"))?;
    let sweep = Sweep {
        copy,
        target: tree.target.join("orderings/build"),
        floor: options.limit.unwrap_or(Duration::from_secs(60)),
    };
    let mut fates = Vec::new();
    let mut package = "";
    let mut limit = sweep.floor;
    for subject in subjects {
        if package != subject.package {
            package = &subject.package;
            limit = sweep.unchanged_code_passes(package)?;
        }
        for mutant in &subject.mutants {
            let fate = sweep.try_one(subject, mutant, limit)?;
            println!("{:<90}  {}", label(subject, mutant), describe(&fate));
            fates.push((subject, fate, mutant.argument(&subject.text)));
        }
    }
    println!();
    print_idle_arguments(&fates);
    let mut counts = Counts::default();
    for (_, fate, _) in &fates {
        counts += Counts::one(matches!(
            fate,
            Fate::Killed(_) | Fate::TimedOut | Fate::Survived(Some(_))
        ));
    }
    print_totals(&fates);
    Ok(counts)
}

struct Sweep {
    copy: PathBuf,
    target: PathBuf,
    floor: Duration,
}

/// How far the models look.
#[derive(Clone, Copy)]
enum Look {
    /// At two preemptions. It is a part of the full look, so what it finds is
    /// found, in a fraction of the time; planted bugs needed one preemption.
    Short,
    /// At the models' own bounds.
    Full,
}

impl Sweep {
    /// Models that fail anyway would kill everything. Returns how long those
    /// of a mutant may run: never so short that being slow looks like failing.
    fn unchanged_code_passes(&self, package: &str) -> Result<Duration, String> {
        println!("{package}: building and running the models on the unchanged code");
        let binary = loom::build(&self.copy, package, &self.target, true)
            .map_err(|_| format!("{package}: the models do not build"))?;
        let finished = self.models(package, &binary, Look::Full, Duration::from_secs(1800));
        let counts = Counts::of_tests(&finished.output);
        if !finished.success() {
            print!("{}", finished.output);
            return Err(format!("{package}: the models fail on the unchanged code"));
        }
        if counts.passed == 0 {
            return Err(format!("{package}: there are no models in tests/loom.rs"));
        }
        let limit = self.floor.max(3 * finished.took);
        println!(
            "{package}: {} models pass in {:.1} s; a mutant gets {} s\n",
            counts.passed,
            finished.took.as_secs_f64(),
            limit.as_secs()
        );
        Ok(limit)
    }

    fn try_one(&self, subject: &Subject, mutant: &Mutant, limit: Duration) -> Result<Fate, String> {
        let file = self.copy.join(&subject.path);
        let broken = |error: io::Error| format!("{}: {error}", file.display());
        fs::write(&file, mutant.apply(&subject.text)).map_err(broken)?;
        let fate = match loom::build(&self.copy, &subject.package, &self.target, false) {
            Ok(binary) => {
                let argument = mutant.argument(&subject.text);
                let look = |look| self.models(&subject.package, &binary, look, limit);
                match fate(&look(Look::Short), argument.clone()) {
                    Fate::Survived(_) => fate(&look(Look::Full), argument),
                    seen => seen,
                }
            }
            Err(said) => Fate::DoesNotCompile(first_error(&said)),
        };
        fs::write(&file, &subject.text).map_err(broken)?;
        Ok(fate)
    }

    fn models(&self, package: &str, binary: &Path, look: Look, limit: Duration) -> Finished {
        let mut command = loom::command(&self.copy, package, binary);
        command.env("RUST_BACKTRACE", "0");
        if let Look::Short = look {
            command.env("LOOM_MAX_PREEMPTIONS", "2");
        }
        // One failing model is enough.
        let run = Run::new(&mut command).quiet().stop_at("... FAILED");
        run.limit(limit).go()
    }
}

fn fate(finished: &Finished, argument: Option<Argument>) -> Fate {
    match &finished.end {
        End::Exited(status) if status.success() => Fate::Survived(argument),
        End::TimedOut => Fate::TimedOut,
        // A panic inside a panic kills the process before it can name the
        // model.
        End::Exited(status) => {
            Fate::Killed(killer(&finished.output).unwrap_or_else(|| status.to_string()))
        }
        End::Stopped | End::NotStarted => {
            Fate::Killed(killer(&finished.output).unwrap_or_else(|| "a model".to_owned()))
        }
    }
}

/// The first model that failed.
fn killer(output: &str) -> Option<String> {
    output
        .lines()
        .filter_map(|line| line.strip_suffix("... FAILED"))
        .filter_map(|line| line.trim_start().strip_prefix("test "))
        .map(|name| {
            name.trim_end()
                .trim_end_matches(" - should panic")
                .to_owned()
        })
        .next()
}

fn first_error(said: &str) -> String {
    said.lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("the build failed")
        .to_owned()
}

fn describe(fate: &Fate) -> String {
    match fate {
        Fate::Killed(by) => format!("killed by {by}"),
        Fate::TimedOut => "killed by its time limit".to_owned(),
        Fate::Survived(Some(argument)) => format!("survives: {}", argument.said),
        Fate::Survived(None) => "SURVIVES, and nothing says why".to_owned(),
        Fate::DoesNotCompile(error) => format!("ERROR: {error}"),
    }
}

/// An argument for what does not survive any more is a false statement in the
/// source. It is told, not failed: a model may kill it by chance of limits.
fn print_idle_arguments(fates: &[(&Subject, Fate, Option<Argument>)]) {
    let mut needed: BTreeMap<(&Path, usize), bool> = BTreeMap::new();
    for (subject, fate, argument) in fates {
        if let Some(argument) = argument {
            *needed.entry((&subject.path, argument.line)).or_default() |=
                matches!(fate, Fate::Survived(_));
        }
    }
    for ((path, line), _) in needed.iter().filter(|(_, needed)| !**needed) {
        println!(
            "note: nothing under the SURVIVES: of {}:{line} survives",
            path.display()
        );
    }
}

fn print_totals(fates: &[(&Subject, Fate, Option<Argument>)]) {
    let count =
        |wanted: fn(&Fate) -> bool| fates.iter().filter(|(_, fate, _)| wanted(fate)).count();
    println!(
        "{} mutants: {} killed by a model, {} by their time limit, {} survive with an argument, {} without, {} do not compile",
        fates.len(),
        count(|fate| matches!(fate, Fate::Killed(_))),
        count(|fate| matches!(fate, Fate::TimedOut)),
        count(|fate| matches!(fate, Fate::Survived(Some(_)))),
        count(|fate| matches!(fate, Fate::Survived(None))),
        count(|fate| matches!(fate, Fate::DoesNotCompile(_))),
    );
}

/// Makes `to` the same as `from` without its build products. Files that are
/// the same already keep their times, so that cargo rebuilds only what
/// changed since the last sweep.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let skipped = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name == "target" || name == ".git")
    };
    for stale in entries(to) {
        let source = from.join(stale.file_name().unwrap_or_default());
        if stale.is_dir() && !source.is_dir() {
            fs::remove_dir_all(&stale)?;
        } else if stale.is_file() && !source.is_file() {
            fs::remove_file(&stale)?;
        }
    }
    for source in entries(from).into_iter().filter(|path| !skipped(path)) {
        let copy = to.join(source.file_name().unwrap_or_default());
        if source.is_dir() {
            copy_tree(&source, &copy)?;
        } else if fs::read(&source)? != fs::read(&copy).unwrap_or_default() || !copy.is_file() {
            fs::copy(&source, &copy)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_for_atomics_are_swept() {
        for path in [
            "a/cell.rs",
            "window/count_cell.rs",
            "sync.rs",
            "bloom/atomic.rs",
        ] {
            assert!(holds_atomics(Path::new(path)), "{path}");
        }
        assert!(!holds_atomics(Path::new("breaker.rs")));
    }

    #[test]
    fn the_killer_is_the_first_model_that_failed() {
        let output = "running 2 tests\ntest one ... ok\ntest two_at_once ... FAILED\ntest three ... FAILED\n";
        assert_eq!(killer(output), Some("two_at_once".to_owned()));
        assert_eq!(killer("test one ... ok\n"), None);
    }

    #[test]
    fn a_copy_follows_its_source_and_leaves_build_products_out() {
        let place = std::env::temp_dir().join(format!("axiomatic-copy-{}", std::process::id()));
        let (from, to) = (place.join("from"), place.join("to"));
        fs::create_dir_all(from.join("src")).unwrap();
        fs::create_dir_all(from.join("target")).unwrap();
        fs::write(from.join("src/a.rs"), "a").unwrap();
        fs::write(from.join("target/b"), "b").unwrap();
        copy_tree(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("src/a.rs")).unwrap(), "a");
        assert!(!to.join("target").exists());

        fs::remove_file(from.join("src/a.rs")).unwrap();
        fs::write(from.join("src/c.rs"), "").unwrap();
        copy_tree(&from, &to).unwrap();
        assert!(!to.join("src/a.rs").exists() && to.join("src/c.rs").exists());
        fs::remove_dir_all(place).unwrap();
    }
}
