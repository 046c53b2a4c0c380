//! Reference implementations pass the whole table.

use std::sync::Arc;

use rdd_conformance::{
    BackendTarget, ConformanceReport, ConformanceSuite, SuiteOptions, TestEnvironment,
    ToyEnvironment,
};
use rdd_toy_engine::ToyEngine;

use crate::fake_environment::{FakeEnvironment, FakeTarget};
use crate::toy_client::ToyTarget;

async fn run(target: impl BackendTarget, environment: impl TestEnvironment) -> ConformanceReport {
    let options = SuiteOptions::default();
    let suite = ConformanceSuite::new(Arc::new(target), Arc::new(environment), options);
    suite
        .run(|case| print!("{:6.2} s {}", case.seconds, case.to_text()))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_direct_client_of_the_toy_engine_passes_every_case() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("toy.sock");
    let engine = ToyEngine::new();
    let server = engine.listen(&path).unwrap();
    let report = run(ToyTarget(path), ToyEnvironment::new(engine)).await;
    server.shutdown().await;
    assert_eq!(report.failed(), [""; 0], "{}", report.to_text());
    // The client has every capability.
    assert_eq!(
        report.skipped(),
        ["describe/a-call-without-its-capability-is-unsupported"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fake_engine_passes_what_can_be_set_up_in_it() {
    let target = FakeTarget::default();
    let environment = FakeEnvironment(target.0.clone());
    let report = run(target, environment).await;
    // The host checks IDs before a backend gets them, and here is no host.
    assert_eq!(
        report.failed(),
        ["inspect/a-malformed-id-is-rejected"],
        "{}",
        report.to_text()
    );
    let (passed, _, _) = report.counts();
    assert!(passed > 60, "{}", report.to_text());
}
