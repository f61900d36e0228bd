use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::SignalError;
use super::parse::{Mount, unified_mount, unified_path};

/// The file system whose `/proc` and `/sys/fs/cgroup` are read: the machine's,
/// or a tree that a test laid out.
///
/// Only cgroups of version 2 are read. Where a machine has those of version 1,
/// the signals fall back to what `/proc` says of the whole machine.
///
/// ```
/// use axiomatic_capacity::load_shed::signal::{Memory, Source};
/// use axiomatic_core::Ratio;
/// use axiomatic_core::pressure::{Pressure, Signal};
/// use axiomatic_core::time::Instant;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let root = std::env::temp_dir().join(format!("axiomatic-doc-{}", std::process::id()));
/// std::fs::create_dir_all(root.join("proc"))?;
/// std::fs::write(
///     root.join("proc/meminfo"),
///     "MemTotal: 1000 kB\nMemAvailable: 550 kB\n",
/// )?;
/// let memory = Memory::read_from(&Source::under(&root), Ratio::percent(90))?;
/// assert_eq!(memory.pressure(Instant::from_nanos(1)), Pressure::percent(50));
/// # std::fs::remove_dir_all(root)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    root: PathBuf,
}

impl Source {
    /// The machine's own.
    pub fn machine() -> Self {
        Source::under("/")
    }

    /// The tree whose root is here.
    pub fn under(path: impl Into<PathBuf>) -> Self {
        Source { root: path.into() }
    }

    /// # Errors
    ///
    /// [`SignalError::Unsupported`] if it is that of a machine which has no
    /// such files.
    pub(super) fn check(&self) -> Result<(), SignalError> {
        if self.root == Path::new("/") && !cfg!(target_os = "linux") {
            return Err(SignalError::Unsupported);
        }
        Ok(())
    }

    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The folders of this process's cgroup and of its ancestors, as far up as
    /// they can be seen, its own first. None if there are no cgroups of
    /// version 2.
    pub(super) fn cgroups(&self) -> Vec<PathBuf> {
        let mount = fs::read(self.file("/proc/self/mountinfo"))
            .ok()
            .and_then(|info| unified_mount(&info))
            .unwrap_or_else(|| Mount {
                root: b"/".to_vec(),
                point: b"/sys/fs/cgroup".to_vec(),
            });
        let point = relative(&mount.point).unwrap_or_default();
        let top = self.root.join(point);
        if !top.join("cgroup.controllers").exists() {
            return Vec::new();
        }
        let own = fs::read(self.file("/proc/self/cgroup")).ok();
        let below = own.as_deref().and_then(unified_path).and_then(|path| {
            // What is mounted may be a part of the tree, that of a container.
            let path = relative(path)?;
            Some(path.strip_prefix(relative(&mount.root)?).ok()?.to_owned())
        });
        let own = below
            .map(|below| top.join(below))
            .filter(|own| own.is_dir());
        // A path that cannot be seen from here: a container sees its own
        // cgroup as the root of the mount.
        let own = own.unwrap_or_else(|| top.clone());
        let up = own
            .ancestors()
            .take_while(|folder| folder.starts_with(&top));
        up.map(Path::to_owned).collect()
    }
}

/// An absolute path without its root; none if it leads out of it.
fn relative(path: &[u8]) -> Option<PathBuf> {
    let mut relative = PathBuf::new();
    for part in Path::new(&native(path)).components() {
        match part {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => relative.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(relative)
}

#[cfg(unix)]
fn native(path: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(path.to_vec())
}

#[cfg(not(unix))]
fn native(path: &[u8]) -> OsString {
    String::from_utf8_lossy(path).into_owned().into()
}
