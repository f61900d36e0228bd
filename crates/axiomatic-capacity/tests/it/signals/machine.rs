//! What the files of this machine say, where it has them.

use axiomatic_capacity::load_shed::signal::{Cpu, Memory, SignalError, Stall};
use axiomatic_core::Ratio;
use axiomatic_core::pressure::{Pressure, Signal};
use axiomatic_core::time::Clock;

use crate::support::MILLI;

#[test]
fn this_machine_says_what_it_can() {
    let (cpu, memory) = (
        Cpu::of_this_cgroup(Ratio::ONE),
        Memory::of_this_cgroup(Ratio::ONE),
    );
    if !cfg!(target_os = "linux") {
        assert_eq!(cpu.unwrap_err(), SignalError::Unsupported);
        assert_eq!(memory.unwrap_err(), SignalError::Unsupported);
        return;
    }
    let now = Clock::Precise.now();
    let memory = memory.unwrap().pressure(now);
    // Some is used, and not ten times of what there is.
    assert!(
        memory > Pressure::NONE && memory < Pressure::percent(1_000),
        "{memory}"
    );
    for stall in [Stall::of_cpu(Ratio::ONE), Stall::of_memory(Ratio::ONE)] {
        match stall {
            Ok(stall) => assert!(stall.pressure(now) <= Pressure::FULL, "{stall:?}"),
            Err(error) => assert!(matches!(error, SignalError::Unreadable { .. })),
        }
    }
}

#[test]
fn to_be_busy_makes_the_processors_of_this_machine_busy() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let cpu = Cpu::of_this_cgroup(Ratio::ONE).unwrap();
    let start = Clock::Precise.now();
    cpu.pressure(start);
    // Busy until it is seen: as one of a few hundred processors at least.
    while cpu.pressure(Clock::Precise.now()) < Pressure::parts_per_million(1_000) {
        assert!(Clock::Precise.now() - start < 60_000 * MILLI, "{cpu:?}");
        std::hint::spin_loop();
    }
    assert_eq!(cpu.unread(), 0);
}
