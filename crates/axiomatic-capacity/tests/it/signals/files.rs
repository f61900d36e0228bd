//! What files say that a test laid out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axiomatic_capacity::load_shed::signal::{Cpu, Memory, SignalError, Source, Stall};
use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};

use super::START;
use crate::support::{MILLI, SECOND};

/// A file system of a test's own.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static TREES: AtomicUsize = AtomicUsize::new(0);
        let number = TREES.fetch_add(1, Ordering::Relaxed);
        let name = format!("axiomatic-signals-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        Tree(root)
    }

    /// With a tree of cgroups, and this process in one of them.
    fn with_cgroup(path: &str) -> Self {
        let tree = Tree::new();
        tree.write("proc/self/cgroup", &format!("0::{path}\n"));
        tree.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-3\n");
        tree.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        tree
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.0.join(path)).unwrap();
    }

    fn source(&self) -> Source {
        Source::under(&self.0)
    }

    fn cpu_stat(&self, folder: &str, micros: u64, throttled: u64) {
        let stat = format!(
            "usage_usec {micros}\nuser_usec 1\nsystem_usec 1\nnr_periods 99\n\
             nr_throttled {throttled}\nthrottled_usec 5\n"
        );
        self.write(&format!("{folder}/cpu.stat"), &stat);
    }

    fn memory(&self, folder: &str, current: u64, inactive: u64, high: &str, max: &str) {
        let stat = format!("anon 1\nfile 2\nactive_file 77\ninactive_file {inactive}\nslab 3\n");
        self.write(&format!("{folder}/memory.stat"), &stat);
        self.write(&format!("{folder}/memory.current"), &format!("{current}\n"));
        self.write(&format!("{folder}/memory.high"), &format!("{high}\n"));
        self.write(&format!("{folder}/memory.max"), &format!("{max}\n"));
    }

    fn memory_is(&self) -> Pressure {
        let memory = Memory::read_from(&self.source(), Ratio::ONE).unwrap();
        memory.pressure(START)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const TOP: &str = "sys/fs/cgroup";
const POD: &str = "sys/fs/cgroup/pod";
const OWN: &str = "sys/fs/cgroup/pod/own";

#[test]
fn busy_is_what_the_quota_leaves() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.write(&format!("{OWN}/cgroup.type"), "domain\n");
    tree.write(&format!("{OWN}/cpu.max"), "200000 100000\n");
    tree.cpu_stat(OWN, 1_000_000, 0);
    let cpu = Cpu::read_from(&tree.source(), Ratio::percent(50)).unwrap();
    assert_eq!(cpu.name(), "cpu");
    assert_eq!(
        cpu.pressure(START),
        Pressure::NONE,
        "one reading tells nothing"
    );
    // Half of two processors.
    tree.cpu_stat(OWN, 1_100_000, 0);
    assert_eq!(
        cpu.pressure(START + 50 * MILLI),
        Pressure::NONE,
        "too early"
    );
    assert_eq!(cpu.pressure(START + 100 * MILLI), Pressure::percent(100));
    // The quota is halved: now it is all of it.
    tree.write(&format!("{OWN}/cpu.max"), "100000 100000\n");
    tree.cpu_stat(OWN, 11_100_000, 0);
    let after = cpu.pressure(START + 10 * SECOND + 100 * MILLI);
    assert!(
        after > Pressure::percent(180) && after <= Pressure::percent(200),
        "{after}"
    );
    assert_eq!(cpu.unread(), 0);
}

#[test]
fn without_a_quota_busy_is_a_share_of_the_processors() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.write(&format!("{OWN}/cgroup.type"), "domain\n");
    tree.write(&format!("{OWN}/cpu.max"), "max 100000\n");
    tree.cpu_stat(OWN, 0, 0);
    let cpu = Cpu::read_from(&tree.source(), Ratio::ONE).unwrap();
    cpu.pressure(START);
    tree.cpu_stat(OWN, 1_000_000, 0);
    // One of the four that the process may run on.
    assert_eq!(cpu.pressure(START + SECOND), Pressure::percent(25));
}

#[test]
fn an_ancestor_that_is_busier_counts() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.write(&format!("{OWN}/cgroup.type"), "domain\n");
    tree.write(&format!("{OWN}/cpu.max"), "max 100000\n");
    tree.write(&format!("{POD}/cpu.max"), "100000 100000\n");
    tree.cpu_stat(OWN, 0, 0);
    tree.cpu_stat(POD, 0, 0);
    let cpu = Cpu::read_from(&tree.source(), Ratio::ONE).unwrap();
    cpu.pressure(START);
    tree.cpu_stat(OWN, 100_000, 0);
    tree.cpu_stat(POD, 900_000, 0);
    assert_eq!(cpu.pressure(START + SECOND), Pressure::percent(90));
}

#[test]
fn throttled_periods_count_as_busy_whatever_the_usage() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.write(&format!("{OWN}/cgroup.type"), "domain\n");
    tree.write(&format!("{OWN}/cpu.max"), "100000 100000\n");
    tree.cpu_stat(OWN, 0, 0);
    let cpu = Cpu::read_from(&tree.source(), Ratio::percent(80)).unwrap();
    cpu.pressure(START);
    tree.cpu_stat(OWN, 300_000, 8);
    assert_eq!(cpu.pressure(START + SECOND), Pressure::percent(100));
}

#[test]
fn a_single_throttled_period_is_no_overload() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.write(&format!("{OWN}/cgroup.type"), "domain\n");
    tree.write(&format!("{OWN}/cpu.max"), "100000 100000\n");
    tree.cpu_stat(OWN, 0, 0);
    let cpu = Cpu::read_from(&tree.source(), Ratio::percent(80)).unwrap();
    let mut most = Pressure::NONE;
    for tenth in 0..50u32 {
        tree.cpu_stat(OWN, u64::from(tenth) * 20_000, u64::from(tenth / 10));
        most = most.max(cpu.pressure(START + tenth * 100 * MILLI));
    }
    assert!(
        most > Pressure::percent(20) && most < Pressure::percent(50),
        "{most}"
    );
}

#[test]
fn the_root_of_all_cgroups_is_the_machine() {
    let tree = Tree::with_cgroup("/");
    tree.cpu_stat(TOP, 0, 0);
    tree.write(
        "proc/stat",
        "cpu 0 0 0 0\ncpu0 100 0 0 100 0 0 0 0\ncpu9 0 0 0 0\n",
    );
    let cpu = Cpu::read_from(&tree.source(), Ratio::ONE).unwrap();
    cpu.pressure(START);
    tree.write(
        "proc/stat",
        "cpu 0 0 0 0\ncpu0 130 0 10 150 5 0 3 2\ncpu9 99 0 0 0\n",
    );
    // 45 ticks of a hundred; the tenth processor is not ours.
    assert_eq!(cpu.pressure(START + SECOND), Pressure::percent(45));
}

#[test]
fn a_container_finds_itself_at_the_root_of_the_mount() {
    // The path is that of the host, whose tree is not mounted here.
    let tree = Tree::with_cgroup("/kubepods/pod7/abc");
    tree.write(&format!("{TOP}/cgroup.type"), "domain\n");
    tree.memory(TOP, 600, 100, "max", "1000");
    assert_eq!(tree.memory_is(), Pressure::percent(50));
    // Nor does a path that leads out of the mount lead anywhere.
    tree.write("proc/self/cgroup", "0::/../elsewhere\n");
    tree.memory("sys/fs/elsewhere", 900, 0, "max", "1000");
    assert_eq!(tree.memory_is(), Pressure::percent(50));
}

#[test]
fn a_mount_of_a_part_of_the_tree_is_understood() {
    let tree = Tree::with_cgroup("/docker/abc/own");
    tree.write(
        "proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
         41 31 0:38 /docker/abc /sys/fs/my\\040tree rw shared:1 - cgroup2 cgroup2 rw\n",
    );
    tree.write("sys/fs/my tree/cgroup.controllers", "");
    tree.memory("sys/fs/my tree/own", 300, 50, "max", "1000");
    assert_eq!(tree.memory_is(), Pressure::percent(25));
}

#[test]
fn memory_is_the_working_set_of_the_tightest_ancestor() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.memory(OWN, 500, 100, "max", "max");
    tree.memory(POD, 900, 150, "max", "1000");
    assert_eq!(
        tree.memory_is(),
        Pressure::percent(75),
        "only the pod has a limit"
    );
    tree.memory(OWN, 500, 100, "max", "500");
    assert_eq!(
        tree.memory_is(),
        Pressure::percent(80),
        "now its own is nearer"
    );
    tree.memory(OWN, 500, 100, "400", "500");
    assert_eq!(
        tree.memory_is(),
        Pressure::percent(100),
        "where it is slowed down"
    );
    tree.memory(OWN, 100, 500, "max", "500");
    assert_eq!(
        tree.memory_is(),
        Pressure::percent(75),
        "less than nothing is nothing"
    );
}

#[test]
fn without_a_limit_memory_is_that_of_the_machine() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.memory(OWN, 500, 100, "max", "max");
    let error = Memory::read_from(&tree.source(), Ratio::ONE).unwrap_err();
    let kind = io::ErrorKind::NotFound;
    let sought = "memory";
    assert_eq!(error, SignalError::Unreadable { sought, kind });
    tree.write(
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 5 kB\nMemAvailable: 400 kB\n",
    );
    assert_eq!(tree.memory_is(), Pressure::percent(60));
}

#[test]
fn standing_still_is_read_where_it_is_nearest() {
    let tree = Tree::with_cgroup("/pod/own");
    fs::create_dir_all(tree.0.join(OWN)).unwrap();
    let of_cpu = || Stall::of_cpu_from(&tree.source(), Ratio::percent(20));
    let of_memory = || Stall::of_memory_from(&tree.source(), Ratio::percent(5)).unwrap();
    assert!(of_cpu().is_err());
    let some = |avg10| format!("some avg10={avg10} avg60=0.00 avg300=0.00 total=1\n");
    tree.write("proc/pressure/cpu", &some("10.00"));
    tree.write("proc/pressure/memory", &some("1.25"));
    assert_eq!(of_cpu().unwrap().pressure(START), Pressure::percent(50));
    assert_eq!(of_memory().pressure(START), Pressure::percent(25));
    tree.write(&format!("{OWN}/cpu.pressure"), &some("30.00"));
    assert_eq!(of_cpu().unwrap().pressure(START), Pressure::percent(150));
    // A file that says nothing is passed over.
    tree.write(&format!("{OWN}/cpu.pressure"), "");
    assert_eq!(of_cpu().unwrap().pressure(START), Pressure::percent(50));
    assert_eq!(of_cpu().unwrap().name(), "cpu stall");
    assert_eq!(of_memory().name(), "memory stall");
}

#[test]
fn files_that_are_not_understood_are_no_signal() {
    let tree = Tree::with_cgroup("/pod/own");
    let unreadable = |kind, sought| SignalError::Unreadable { sought, kind };
    let cpu = |tree: &Tree| Cpu::read_from(&tree.source(), Ratio::ONE).unwrap_err();
    assert_eq!(cpu(&tree), unreadable(io::ErrorKind::NotFound, "cpu"));
    tree.write("proc/stat", "intr 1 2 3\n");
    assert_eq!(cpu(&tree), unreadable(io::ErrorKind::InvalidData, "cpu"));
    tree.write("proc/meminfo", "MemTotal: lots\n");
    let memory = Memory::read_from(&tree.source(), Ratio::ONE).unwrap_err();
    assert_eq!(memory, unreadable(io::ErrorKind::InvalidData, "memory"));
    assert!(memory.to_string().starts_with("no file tells memory"));
}

#[test]
fn a_file_that_vanishes_is_borne_and_found_again() {
    let tree = Tree::with_cgroup("/pod/own");
    tree.write("proc/pressure/cpu", "some avg10=50.00 avg60=0.00\n");
    let stall = Stall::of_cpu_from(&tree.source(), Ratio::ONE).unwrap();
    assert_eq!(stall.pressure(START), Pressure::percent(50));
    // What is kept open can still be read, so it is also emptied.
    tree.write("proc/pressure/cpu", "");
    tree.remove("proc/pressure/cpu");
    for second in 1..=10u32 {
        assert_eq!(
            stall.pressure(START + second * SECOND),
            Pressure::percent(50)
        );
    }
    assert_eq!(stall.pressure(START + 11 * SECOND), Pressure::NONE);
    assert_eq!(stall.unread(), 11);
    tree.write("proc/pressure/cpu", "some avg10=70.00 avg60=0.00\n");
    assert_eq!(stall.pressure(START + 12 * SECOND), Pressure::percent(70));
}

#[test]
fn how_often_it_is_read_can_be_chosen() {
    let tree = Tree::new();
    let meminfo = |available: u32| {
        let text = format!("MemTotal: 1000 kB\nMemAvailable: {available} kB\n");
        tree.write("proc/meminfo", &text);
    };
    meminfo(900);
    let memory = Memory::read_from(&tree.source(), Ratio::ONE).unwrap();
    let memory = memory.every(Duration::from_millis(10));
    assert_eq!(memory.pressure(START), Pressure::percent(10));
    meminfo(800);
    assert_eq!(memory.pressure(START + 9 * MILLI), Pressure::percent(10));
    assert_eq!(memory.pressure(START + 10 * MILLI), Pressure::percent(20));
}

#[test]
fn a_source_without_anything_is_no_signal() {
    let nowhere = Source::under(Path::new("/nowhere/at/all"));
    assert!(Cpu::read_from(&nowhere, Ratio::ONE).is_err());
    assert!(Memory::read_from(&nowhere, Ratio::ONE).is_err());
    assert!(Stall::of_cpu_from(&nowhere, Ratio::ONE).is_err());
    assert!(Stall::of_memory_from(&nowhere, Ratio::ONE).is_err());
}
