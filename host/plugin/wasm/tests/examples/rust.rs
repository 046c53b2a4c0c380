//! The example in Rust.

use rdd_plugin_contract::BackendLimits;

use crate::support::{self, Example, impatient, restless};

async fn example(limits: BackendLimits) -> Example {
    Example::start("rust", "toy-rust", limits).await
}

#[tokio::test]
async fn it_watches() {
    support::watches(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_inspects() {
    support::inspects(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_leaves_nothing_behind() {
    support::repeats(&example(BackendLimits::default()).await, 10_000).await;
}

#[tokio::test]
async fn it_gives_up_on_an_engine_that_does_not_answer() {
    support::gives_up(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_pings() {
    support::pings(&example(impatient()).await).await;
}

#[tokio::test]
async fn it_reads_entries() {
    support::reads_entries(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_follows_entries() {
    support::follows_entries(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_yields_while_there_is_something_to_read() {
    support::reads_without_a_pause(&example(restless()).await).await;
}

#[tokio::test]
async fn it_stops_a_flood() {
    support::leaves_a_flood(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_acts_and_removes() {
    support::acts_and_removes(&example(BackendLimits::default()).await).await;
}
