//! The figures in the READMEs of the examples. Only the number of entries is
//! asserted; times and memory are printed:
//!
//!     cargo test --release -p rdd-plugin-wasm --test examples figures -- --ignored --nocapture
#![allow(clippy::print_stdout, reason = "figures for a developer")]

use std::time::Instant;

use futures::StreamExt as _;
use rdd_core::{ContainerEngine as _, EntryOptions, ObjectRef};
use rdd_plugin_contract::{BackendInstance as _, BackendLimits};

use crate::support::{Example, component, entries, flood};

#[tokio::test]
#[ignore = "a measurement, of several minutes in a debug build"]
async fn figures() {
    for (folder, name) in [
        ("rust", "toy-rust"),
        ("c", "toy-c"),
        ("python", "toy-python"),
    ] {
        let start = Instant::now();
        component(folder, name);
        println!("{name}: compiled in {:?}", start.elapsed());
        let start = Instant::now();
        let example = Example::start(folder, name, BackendLimits::default()).await;
        println!("{name}: started in {:?}", start.elapsed());
        let memory = || example.handle.usage().memory_bytes / 1024;
        println!("{name}: {} KiB of memory", memory());

        let web = ObjectRef::from(example.container("main", "web"));
        let start = Instant::now();
        for _ in 0..1_000 {
            example.handle.inspect(&web).await.unwrap();
        }
        println!("{name}: {:?} for an inspection", start.elapsed() / 1_000);
        println!("{name}: {} KiB of memory then", memory());

        let before = memory();
        let lines = 140_000;
        let flood = flood(&example, lines).await;
        let options = EntryOptions {
            follow: false,
            ..EntryOptions::default()
        };
        let start = Instant::now();
        let mut log = entries(&example, &flood, &options).await;
        println!("{name}: a log opened in {:?}", start.elapsed());
        let (mut count, mut most) = (0, 0);
        while let Some(batch) = log.next().await {
            count += batch.unwrap().headers().len();
            most = most.max(memory());
        }
        let elapsed = start.elapsed();
        assert_eq!(count, lines, "{name}");
        let mib = lines as f64 * 100.0 / f64::from(1 << 20);
        println!(
            "{name}: {count} entries in {elapsed:?}, {:.1} MiB/s, with {} KiB for the log",
            mib / elapsed.as_secs_f64(),
            most.saturating_sub(before)
        );
    }
}
