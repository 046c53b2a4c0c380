//! Reads of random logs that are cut and resumed.

use std::sync::Arc;

use fastrand::Rng;
use futures::StreamExt as _;
use rdd_core::{ContainerIndex, OutputSource};

use super::{FollowMode, LogItem, LogStart, LogView};
use crate::entries::cursor::SourceSet;
use crate::entries::log_model::{ModelEngine, ModelEntry, random_log};
use crate::log_hub::LogHub;

const LOGS: u64 = 60;
/// More than a shared stream begins with.
const MAX_ENTRIES: usize = 1_500;
/// The engine's batches end at 64 KiB.
const MAX_TEXT_BYTES: usize = 20_000;

type ReadEntry = (OutputSource, Vec<u8>, bool);

fn read_entry(entry: &ModelEntry) -> ReadEntry {
    (entry.source, entry.text.clone().into(), entry.is_partial)
}

#[tokio::test]
async fn a_read_that_is_cut_and_resumed_has_each_entry_once() {
    for seed in 0..LOGS {
        let mut rng = Rng::with_seed(seed);
        let mut log = random_log(&mut rng, MAX_ENTRIES);
        for entry in &mut log {
            let length = 1 << rng.usize(0..MAX_TEXT_BYTES.ilog2() as usize);
            entry.text.extend(std::iter::repeat_n('x', length));
        }
        let model = ModelEngine::new(&log);
        model.fake.end_log(&model.container.id);
        let hub = LogHub::new(8);
        let mut read = Vec::new();
        let mut start = LogStart::After(None);
        'resumed: loop {
            let view = LogView {
                engine: Arc::clone(&model.engine),
                container: model.container.clone(),
                containers: ContainerIndex::channel().1,
                start,
                is_replaced: false,
                until: None,
                follow: *rng.choice(&[FollowMode::No, FollowMode::Yes]).unwrap(),
                sources: SourceSet::ALL,
            };
            let mut items = view.open(&hub).await.unwrap();
            for _ in 0..rng.usize(1..6) {
                match items.next().await.unwrap().unwrap() {
                    LogItem::Entries(selection) => {
                        let entries = selection.entries().map(|entry| {
                            let header = entry.header;
                            (header.source, entry.bytes.to_vec(), header.is_partial)
                        });
                        read.extend(entries);
                        start = LogStart::After(Some(selection.end().unwrap()));
                    }
                    LogItem::Position(_) => {}
                    LogItem::End(_) => break 'resumed,
                    other => panic!("log {seed}: {other:?}"),
                }
            }
        }
        let expected: Vec<_> = log.iter().map(read_entry).collect();
        let first = read
            .iter()
            .zip(&expected)
            .position(|(it, other)| it != other);
        assert_eq!(first, None, "log {seed}: the first other entry");
        assert_eq!(read.len(), expected.len(), "log {seed}");
        hub.shutdown().await;
    }
}
