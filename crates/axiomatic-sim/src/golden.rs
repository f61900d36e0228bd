//! Files that a test writes and compares: pages of results and their pictures.

use std::path::PathBuf;
use std::{env, fs, io};

/// Set to 1, it has [`compare_or_bless`] write files instead of comparing them.
pub const BLESS: &str = "AXIOMATIC_BLESS";

/// Compares files with what they should hold, and returns those that hold
/// something else, or are not there. With [`BLESS`] in the environment it writes
/// them instead, with their folders, and returns none.
///
/// ```
/// use axiomatic_sim::compare_or_bless;
///
/// # fn main() -> std::io::Result<()> {
/// let path = std::env::temp_dir().join(format!("axiomatic-{}.md", std::process::id()));
/// std::fs::write(&path, "# Results\r\n")?;
/// let now = |text: &str| [(path.clone(), text.to_owned())];
/// assert!(compare_or_bless(&now("# Results\n"))?.is_empty());
/// assert_eq!(compare_or_bless(&now("# Other results\n"))?, [path.clone()]);
/// # std::fs::remove_file(path)
/// # }
/// ```
///
/// # Errors
///
/// A file or a folder that cannot be written.
pub fn compare_or_bless(files: &[(PathBuf, String)]) -> io::Result<Vec<PathBuf>> {
    let blesses = env::var(BLESS).is_ok_and(|value| value == "1");
    let mut old = Vec::new();
    for (path, text) in files {
        if blesses {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, text)?;
            continue;
        }
        // Git may have turned the line ends around.
        let found = fs::read_to_string(path).unwrap_or_default();
        if found.replace("\r\n", "\n") != *text {
            old.push(path.clone());
        }
    }
    Ok(old)
}
