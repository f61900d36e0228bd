use crate::run::cargo;
use crate::tree::Tree;

const PACKAGE: &str = "axiomatic-benches";

/// Runs one bench; without a name that exists, lists those that do. True if
/// a bench ran and succeeded.
pub(crate) fn run(tree: &Tree, name: Option<&str>, quick: bool) -> bool {
    let names = match names(tree) {
        Ok(names) => names,
        Err(error) => {
            eprintln!("cargo metadata: {error}");
            return false;
        }
    };
    let Some(name) = name.filter(|name| names.iter().any(|known| known == name)) else {
        match name {
            Some(name) => eprintln!("There is no bench {name}. There are:"),
            None => eprintln!("Which bench? There are:"),
        }
        for name in names {
            eprintln!("    {name}");
        }
        return false;
    };
    let args = ["bench", "-p", PACKAGE, "--bench", name, "--"];
    let args = args.into_iter().chain(quick.then_some("--quick"));
    // Its streams stay its own: a bench may draw progress on a terminal.
    match cargo(&tree.root, args).status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("cargo: {error}");
            false
        }
    }
}

pub(crate) fn names(tree: &Tree) -> std::io::Result<Vec<String>> {
    let packages = tree.packages()?;
    let package = packages.into_iter().find(|package| package.name == PACKAGE);
    Ok(package
        .map(|package| package.targets)
        .unwrap_or_default()
        .into_iter()
        .filter(|target| target.kind == "bench")
        .map(|target| target.name)
        .collect())
}
