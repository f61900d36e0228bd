use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::run::cargo;

/// The checkout that the commands work on.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

/// What `cargo metadata` says of a member of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) features: Vec<String>,
    pub(crate) targets: Vec<Target>,
}

pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) source: PathBuf,
}

impl Tree {
    /// The tree that holds this package.
    pub(crate) fn here() -> Self {
        // Set by `cargo run`; the constant serves who calls the binary.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package
            .ancestors()
            .nth(2)
            .expect("xtask lies two levels below the root")
            .to_path_buf();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Tree { root, target }
    }

    pub(crate) fn packages(&self) -> io::Result<Vec<Package>> {
        let output = cargo(&self.root, ["metadata", "--format-version=1", "--no-deps"])
            .stderr(Stdio::inherit())
            .output()?;
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        Ok(array(&metadata["packages"]).iter().map(package).collect())
    }

    /// The libraries that are published: every crate under `crates/` with a
    /// library.
    pub(crate) fn libraries(&self) -> io::Result<Vec<Package>> {
        let mut packages = self.packages()?;
        packages.retain(|package| {
            package.dir.starts_with(self.root.join("crates"))
                && package.targets.iter().any(|target| target.kind == "lib")
        });
        Ok(packages)
    }

    /// The names of the crates that have `tests/NAME.rs`. Found by looking,
    /// not by asking cargo, since it needs no manifest to parse.
    pub(crate) fn crates_with_test(&self, name: &str) -> Vec<String> {
        let file = Path::new("tests").join(name).with_extension("rs");
        let mut crates: Vec<String> = entries(&self.root.join("crates"))
            .into_iter()
            .filter(|dir| dir.join(&file).is_file())
            .filter_map(|dir| Some(dir.file_name()?.to_str()?.to_owned()))
            .collect();
        crates.sort();
        crates
    }
}

fn package(json: &Value) -> Package {
    let manifest = PathBuf::from(text(&json["manifest_path"]));
    let features = json["features"].as_object();
    Package {
        name: text(&json["name"]),
        dir: manifest.parent().map(Path::to_path_buf).unwrap_or_default(),
        features: features
            .map(|f| f.keys().cloned().collect())
            .unwrap_or_default(),
        targets: array(&json["targets"])
            .iter()
            .map(|target| Target {
                name: text(&target["name"]),
                kind: text(&target["kind"][0]),
                source: PathBuf::from(text(&target["src_path"])),
            })
            .collect(),
    }
}

fn array(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// What lies in a folder, sorted; nothing if there is no such folder.
pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries
}

/// The `.rs` files under a folder, at any depth, sorted.
pub(crate) fn sources(dir: &Path) -> Vec<PathBuf> {
    entries(dir)
        .into_iter()
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else if path.extension().is_some_and(|e| e == "rs") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}
