//! The runtimes that tests run in.

use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Runs a test with virtual time: when nothing can go on but timers, time
/// advances to the next one. For tests without I/O outside of the process.
pub fn run<F: Future>(test: F) -> F::Output {
    run_in(
        Builder::new_current_thread()
            .enable_time()
            .start_paused(true),
        test,
    )
}

/// Runs a test in real time, with I/O, for tests of a real engine.
pub fn run_live<F: Future>(test: F) -> F::Output {
    run_in(Builder::new_current_thread().enable_all(), test)
}

fn run_in<F: Future>(builder: &mut Builder, test: F) -> F::Output {
    let runtime = builder
        .build()
        .unwrap_or_else(|error| panic!("cannot start a runtime: {error}"));
    LocalSet::new().block_on(&runtime, test)
}
