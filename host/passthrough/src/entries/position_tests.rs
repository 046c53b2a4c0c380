//! Positions in random logs, however they are read. The truth is a count of the whole
//! log.

use std::collections::HashMap;

use fastrand::Rng;
use rdd_core::{EntryBatch, EntryPosition};

use super::log_model::{ModelEngine, ModelEntry, SOURCES, random_log};
use super::log_position::{LogPosition, PositionCounter};
use super::positioned_batch::PositionedBatch;
use super::time_census::{MORE_LINES, count_uncounted};

const LOGS: u64 = 400;
const MAX_ENTRIES: usize = 20;

fn true_positions(log: &[ModelEntry]) -> Vec<EntryPosition> {
    let mut counts = HashMap::new();
    let index = |entry: &ModelEntry| {
        let count: &mut u32 = counts.entry(entry.time).or_default();
        *count += 1;
        EntryPosition {
            time: entry.time,
            index: *count - 1,
        }
    };
    log.iter().map(index).collect()
}

/// Returns the true position after the first `count` entries.
fn true_position(log: &[ModelEntry], positions: &[EntryPosition], count: usize) -> LogPosition {
    let open_lines = SOURCES.map(|source| {
        let last = (0..count).rev().find(|it| log[*it].source == source);
        last.filter(|it| log[*it].is_partial && *it != count - 1)
            .map(|it| positions[it])
    });
    LogPosition {
        last: positions[count - 1],
        open_lines,
    }
}

/// Finds the positions of the entries from `begin` in batches that end where
/// `end_after` says. The engine's log may be longer than what was read, since it
/// is written at the same time.
async fn read(
    model: &ModelEngine,
    log: &[ModelEntry],
    begin: usize,
    mut counter: PositionCounter,
    mut end_after: impl FnMut(usize) -> usize,
    context: &str,
) {
    let positions = true_positions(log);
    let mut at = begin;
    while at < log.len() {
        let end = end_after(at);
        let entries = &log[at..end];
        let headers = entries.iter().map(ModelEntry::header).collect();
        let bytes: String = entries.iter().map(|entry| &*entry.text).collect();
        let batch = EntryBatch::new(None, headers, bytes.into()).unwrap();
        count_uncounted(&*model.engine, &model.container, &mut counter, &batch)
            .await
            .unwrap();
        let batch = PositionedBatch::new(batch, &mut counter);
        assert!(batch.position_after(end - at).is_some(), "{context}, {at}");
        for count in 1..=end - at {
            if let Some(mut found) = batch.position_after(count) {
                let truth = true_position(log, &positions, at + count);
                // What precedes the read is not known.
                for (found, truth) in found.open_lines.iter_mut().zip(truth.open_lines) {
                    let is_before = |open| positions[..begin].contains(&open);
                    if truth.is_some_and(is_before) {
                        *found = truth;
                    }
                }
                assert_eq!(found, truth, "{context}, entry {} of {log:#?}", at + count);
            }
        }
        at = end;
    }
}
#[tokio::test]
async fn the_positions_of_the_last_lines_are_those_of_the_whole_log() {
    for seed in 0..LOGS {
        let mut rng = Rng::with_seed(seed);
        let log = random_log(&mut rng, MAX_ENTRIES);
        if log.is_empty() {
            continue;
        }
        let model = ModelEngine::new(&log);
        let begin = rng.usize(0..log.len());
        let counter = PositionCounter::from_tail(log[begin].time);
        let context = format!("log {seed}, the last lines from {begin}");
        let end_after = |at| rng.usize(at + 1..=log.len());
        read(&model, &log, begin, counter, end_after, &context).await;
    }
}

#[tokio::test]
async fn the_positions_after_a_cursor_are_those_of_the_whole_log() {
    for seed in 0..LOGS {
        let mut rng = Rng::with_seed(seed);
        let log = random_log(&mut rng, MAX_ENTRIES);
        if log.is_empty() {
            continue;
        }
        let model = ModelEngine::new(&log);
        let begin = rng.usize(1..=log.len());
        let position = true_position(&log, &true_positions(&log), begin);
        let counter = PositionCounter::after(position);
        let context = format!("log {seed}, after {begin}");
        let end_after = |at| rng.usize(at + 1..=log.len());
        read(&model, &log, begin, counter, end_after, &context).await;
    }
}

/// The end of the log that is read first begins between two parts of a line, with an
/// earlier time of the other source.
#[tokio::test]
async fn a_count_is_not_taken_from_an_end_of_the_log_that_lacks_the_first_part() {
    let time = 1_700_000_000_000_000_000;
    let entry = |source, time, is_partial| ModelEntry {
        source,
        time,
        text: "text".to_owned(),
        is_partial,
    };
    let [out, err] = SOURCES;
    let log = [
        entry(out, time, true),
        entry(err, time - 1, false),
        entry(out, time, false),
    ];
    let model = ModelEngine::new(&log);
    let later = |number| entry(err, time + number, false);
    // The log is written on while it is read.
    let lines = 2 * 2 + i64::try_from(MORE_LINES).unwrap();
    model.write(&(1..lines - 1).map(later).collect::<Vec<_>>());
    let counter = PositionCounter::from_tail(time - 1);
    read(&model, &log, 1, counter, |_| log.len(), "the rest").await;
}
