//! Tests of the test helpers: they must fail when they should.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    missing_docs,
    reason = "tests fail by panicking"
)]

mod calls;
mod scripts;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdd_sdk::testing;

/// Runs a test that must fail, and returns its message.
fn failure(test: impl AsyncFnOnce()) -> String {
    let outcome = catch_unwind(AssertUnwindSafe(|| testing::run(test())));
    let panic = outcome.expect_err("the test passed");
    panic
        .downcast_ref::<String>()
        .cloned()
        .unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned())
}
