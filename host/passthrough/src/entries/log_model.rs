//! Random logs of two sources, as an engine writes them.

use std::sync::Arc;

use fastrand::Rng;
use rdd_core::{ContainerEngine, ContainerRef, EntryHeader, OutputSource, Timestamp};
use rdd_testkit::FakeEngine;

pub(crate) const SOURCES: [OutputSource; 2] = [OutputSource::Stdout, OutputSource::Stderr];

#[derive(Clone, Debug)]
pub(crate) struct ModelEntry {
    pub(crate) source: OutputSource,
    pub(crate) time: i64,
    pub(crate) text: String,
    pub(crate) is_partial: bool,
}

impl ModelEntry {
    pub(crate) fn header(&self) -> EntryHeader {
        EntryHeader {
            time: self.time,
            length: u32::try_from(self.text.len()).unwrap(),
            source: self.source,
            is_partial: self.is_partial,
        }
    }
}

/// Returns what an engine writes: an entry gets its time before it gets its turn, and
/// all parts of a line have the time of the first one.
pub(crate) fn random_log(rng: &mut Rng, max_entries: usize) -> Vec<ModelEntry> {
    let mut log = Vec::new();
    let mut clock = 1_700_000_000_000_000_000;
    let mut waiting: [Option<ModelEntry>; 2] = [None, None];
    let mut open: [Option<i64>; 2] = [None, None];
    // The times are far apart, or all within the time that those of two sources cross.
    let step = *rng.choice(&[1, 1_000_000_000]).unwrap();
    for number in 0..rng.usize(1..max_entries * 2) {
        let of = rng.usize(0..2);
        let (Some(waiting), Some(open)) = (waiting.get_mut(of), open.get_mut(of)) else {
            return log;
        };
        if let Some(entry) = waiting.take() {
            log.push(entry);
            continue;
        }
        clock += step;
        let is_partial = rng.u8(0..3) == 0;
        let time = open.unwrap_or(clock);
        *open = is_partial.then_some(time);
        *waiting = Some(ModelEntry {
            source: SOURCES[of],
            time,
            text: number.to_string(),
            is_partial,
        });
    }
    log.extend(waiting.into_iter().flatten());
    log
}

/// An engine with one container, whose log is a random one.
pub(crate) struct ModelEngine {
    pub(crate) fake: FakeEngine,
    pub(crate) engine: Arc<dyn ContainerEngine>,
    pub(crate) container: ContainerRef,
}

impl ModelEngine {
    pub(crate) fn new(log: &[ModelEntry]) -> Self {
        let fake = FakeEngine::default();
        let id = fake.run_container("web");
        let model = Self {
            engine: Arc::new(fake.clone()),
            container: fake.container_ref(&id),
            fake,
        };
        model.write(log);
        model
    }

    pub(crate) fn write(&self, entries: &[ModelEntry]) {
        for entry in entries {
            let at = Timestamp::from_unix_nanoseconds(entry.time);
            let newline = if entry.is_partial { "" } else { "\n" };
            let text = format!("{}{newline}", entry.text);
            self.fake
                .write_log_at(&self.container.id, at, entry.source, text);
        }
    }
}
