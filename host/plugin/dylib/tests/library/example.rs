//! The example in docs/abi.md.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _};
use rdd_core::{ContainerEngine as _, ErrorCode, LogOptions, WatchEvent};

use crate::support::{container, finish, minimal_backend, reference};

#[test]
fn the_example_in_the_guide_is_the_file_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let read = |path| std::fs::read_to_string(root.join(path)).unwrap();
    let guide = read("docs/abi.md");
    let example = read("plugins/fixtures/c-minimal/minimal.c");
    let (_, rest) = guide.split_once("```c\n").unwrap();
    let (quoted, _) = rest.split_once("```").unwrap();
    assert!(quoted == example, "copy minimal.c to docs/abi.md");
}

#[tokio::test]
async fn the_example_works() {
    let backend = minimal_backend();
    let handle = backend.launch().await.unwrap();
    assert_eq!(handle.info().engine, "Minimal");
    let mut watch = handle.watch().await.unwrap();
    let mut events = Vec::new();
    while events.last() != Some(&WatchEvent::InitDone) {
        events.push(watch.next().await.unwrap().unwrap());
    }
    assert_eq!(events.len(), 3);
    drop(watch);
    handle.inspect(&reference("web")).await.unwrap();
    let error = handle.inspect(&reference("other")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    let options = LogOptions::default();
    let log = handle.get_logs(&container("web"), &options).await.unwrap();
    let chunks: Vec<_> = log.try_collect().await.unwrap();
    let text: Vec<u8> = chunks
        .iter()
        .flat_map(|chunk| chunk.bytes.to_vec())
        .collect();
    assert_eq!(text, b"hello\ngoodbye\n");
    finish(backend, handle).await;
}
