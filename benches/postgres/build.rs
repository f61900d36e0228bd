//! Finds the migrations of sqlxmq in its package, since it has none that run by
//! themselves, and theirs are not ours to keep.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let migrations = package("sqlxmq").join("migrations");
    let mut files: Vec<PathBuf> = fs::read_dir(&migrations)
        .expect("the package has its migrations")
        .map(|file| file.expect("it can be read").path())
        .filter(|path| path.to_string_lossy().ends_with(".up.sql"))
        .collect();
    // Their names begin with their dates.
    files.sort_unstable();
    assert!(!files.is_empty(), "no migrations in the package of sqlxmq");
    let scripts = files.iter().map(|file| {
        let script = fs::read_to_string(file).expect("it is text");
        format!("    {script:?},\n")
    });
    let table = format!("&[\n{}]\n", scripts.collect::<String>());
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    fs::write(Path::new(&out).join("sqlxmq_migrations.rs"), table).expect("it is ours to write");
}

/// Where the sources of a dependency are.
fn package(name: &str) -> PathBuf {
    let cargo = env::var_os("CARGO").expect("cargo says where it is");
    let target = env::var("TARGET").expect("cargo says for what");
    let metadata = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        // Packages for other platforms were not downloaded.
        .args(["--filter-platform", &target])
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "cargo knows its packages");
    let metadata: serde_json::Value =
        serde_json::from_slice(&metadata.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let manifest = packages
        .iter()
        .find(|package| package["name"] == name)
        .and_then(|package| package["manifest_path"].as_str())
        .expect("it is a dependency");
    Path::new(manifest)
        .parent()
        .expect("a file is in a directory")
        .to_owned()
}
