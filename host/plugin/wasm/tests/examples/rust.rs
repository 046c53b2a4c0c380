//! The example in Rust.

use rdd_plugin_contract::BackendLimits;

use crate::common_tests::tests_of_example;
use crate::support;

tests_of_example!("rust", "toy-rust", inspections: 10_000);

#[tokio::test]
async fn it_acts_and_removes() {
    support::acts_and_removes(&example(BackendLimits::default()).await).await;
}
