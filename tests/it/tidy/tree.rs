use std::fs;
use std::path::{Path, PathBuf};

/// The checkout, read once a test.
pub(crate) struct Tree {
    root: PathBuf,
    /// Every `.rs` file, `target` and hidden folders left out.
    pub(crate) sources: Vec<File>,
}

/// A file, its path relative to the root and with forward slashes.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("the root lies above");
        let mut sources = Vec::new();
        collect(root, root, &mut sources);
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Tree {
            root: root.to_path_buf(),
            sources,
        }
    }

    /// The manifests of the members.
    pub(crate) fn manifests(&self) -> Vec<File> {
        let crates = fs::read_dir(self.root.join("crates")).expect("crates/ is a folder");
        let mut folders: Vec<PathBuf> = crates
            .map(|entry| entry.expect("readable").path())
            .collect();
        folders.extend(
            ["examples", "benches", "tests", "tests/storm"].map(|name| self.root.join(name)),
        );
        folders.sort();
        let manifests = folders.iter().map(|folder| folder.join("Cargo.toml"));
        manifests
            .filter_map(|path| File::read(&self.root, &path))
            .collect()
    }

    /// The `lib.rs` of each crate, or its `main.rs` where there is none.
    pub(crate) fn crate_roots(&self) -> Vec<&File> {
        let all = |name: &str| {
            let end = format!("/src/{name}");
            self.sources.iter().filter(move |file| {
                file.path
                    .strip_suffix(&end)
                    .is_some_and(|krate| krate == format!("crates/{}", file.krate()))
            })
        };
        let mut roots: Vec<&File> = all("lib.rs").collect();
        let alone: Vec<&File> = all("main.rs")
            .filter(|main| !roots.iter().any(|lib| lib.krate() == main.krate()))
            .collect();
        roots.extend(alone);
        roots
    }

    /// What the libraries are made of: all under `crates/*/src`, except for
    /// the project's own commands, and what only its tests have.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &File> {
        self.sources.iter().filter(|file| {
            file.path
                .starts_with(&format!("crates/{}/src/", file.krate()))
                && !["xtask", "axiomatic-testbed"].contains(&file.krate())
        })
    }

    /// The file with the essay of each public module of these crates.
    pub(crate) fn patterns(&self, crates: &[&str]) -> Vec<&File> {
        let mut patterns = Vec::new();
        for lib in self.crate_roots() {
            if !crates.contains(&lib.krate()) {
                continue;
            }
            for module in super::essays::public_modules(&lib.text) {
                let src = format!("crates/{}/src/{module}", lib.krate());
                let places = [format!("{src}/mod.rs"), format!("{src}.rs")];
                let file = self.sources.iter().find(|file| places.contains(&file.path));
                patterns.push(file.unwrap_or_else(|| panic!("{src} has no file")));
            }
        }
        patterns
    }

    pub(crate) fn has_models(&self, krate: &str) -> bool {
        let models = format!("crates/{krate}/tests/loom.rs");
        self.sources.iter().any(|file| file.path == models)
    }

    /// A file at the root; empty if it is not there, of which the rules
    /// complain.
    pub(crate) fn paper(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap_or_default()
    }
}

impl File {
    fn read(root: &Path, path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let path = path.strip_prefix(root).ok()?;
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        Some(File {
            path: parts.join("/"),
            text,
        })
    }

    /// The crate under `crates/` that holds it, or an empty name.
    pub(crate) fn krate(&self) -> &str {
        let inside = self.path.strip_prefix("crates/").unwrap_or_default();
        inside.split_once('/').map_or("", |(krate, _)| krate)
    }
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<File>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(root, &path, sources);
        } else if path.is_file() && name.ends_with(".rs") {
            sources.extend(File::read(root, &path));
        }
    }
}
