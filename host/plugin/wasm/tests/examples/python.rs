//! The example in Python.

use futures::StreamExt as _;
use rdd_core::{ContainerEngine as _, LogOptions, OutputChunk, OutputSource};
use rdd_plugin_contract::BackendLimits;

use crate::common_tests::tests_of_example;
use crate::support::{self, in_time};

tests_of_example!("python", "toy-python", inspections: 1_000);

#[tokio::test]
async fn it_acts_and_removes() {
    support::acts_and_removes(&example(BackendLimits::default()).await).await;
}

#[tokio::test]
async fn it_reads_bytes_with_and_without_times() {
    let example = example(BackendLimits::default()).await;
    let web = example.container("main", "web");
    let long = vec![b'x'; 65_536];
    let time = 1_767_225_600_000_000_001;
    for (source, bytes) in [
        (OutputSource::Stdout, b"one\n".as_slice()),
        (OutputSource::Stderr, b"err\xff\n"),
        (OutputSource::Stdout, &long),
        (OutputSource::Stdout, b"\nend"),
    ] {
        let bytes = bytes.to_vec();
        example.engine.write_at(&web, time, source, bytes).unwrap();
    }
    for timestamps in [false, true] {
        let options = LogOptions {
            follow: false,
            timestamps,
            ..LogOptions::default()
        };
        let log = in_time(example.handle.get_logs(&web, &options))
            .await
            .unwrap();
        let chunks: Vec<OutputChunk> = in_time(log.map(Result::unwrap).collect()).await;
        let of = |source| {
            let chunks = chunks.iter().filter(|chunk| chunk.source == source);
            chunks
                .flat_map(|chunk| chunk.bytes.to_vec())
                .collect::<Vec<u8>>()
        };
        let prefix = match timestamps {
            true => b"2026-01-01T00:00:00.000000001Z ".as_slice(),
            false => b"",
        };
        assert_eq!(of(OutputSource::Stderr), [prefix, b"err\xff\n"].concat());
        let expected = [prefix, b"one\n", prefix, &long, b"\n", prefix, b"end"].concat();
        assert!(
            of(OutputSource::Stdout) == expected,
            "timestamps: {timestamps}"
        );
    }
}
