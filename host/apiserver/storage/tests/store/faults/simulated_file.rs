//! The contents of a file, now and after a power loss.

use super::change_fate::ChangeFate;
use super::random_source::RandomSource;

/// What a disk writes as a whole, in bytes.
const SECTOR: usize = 512;

/// The identity of a file, whatever its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileId(pub(super) usize);

pub(super) enum FileChange {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
}

#[derive(Default)]
pub(super) struct SimulatedFile {
    pub(super) durable: Vec<u8>,
    pub(super) current: Vec<u8>,
    pending: Vec<FileChange>,
}

impl SimulatedFile {
    pub(super) fn change(&mut self, change: FileChange) {
        apply(&mut self.current, &change);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            apply(&mut self.durable, &change);
        }
    }

    /// Writes a part of the pending changes.
    pub(super) fn sync_partly(&mut self, fate: &mut ChangeFate<'_>) {
        for change in self.pending.drain(..) {
            match change {
                FileChange::Write { offset, data } if fate.is_torn() => {
                    for part in torn(offset, &data, fate.random) {
                        apply(&mut self.durable, &part);
                    }
                }
                change if fate.is_kept() => apply(&mut self.durable, &change),
                _ => {}
            }
        }
    }
}

fn apply(content: &mut Vec<u8>, change: &FileChange) {
    match change {
        FileChange::Write { offset, data } => {
            let end = offset + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(data);
        }
        FileChange::Truncate(length) => content.resize(*length, 0),
    }
}

/// Returns a random part of the sectors of a write.
fn torn(offset: usize, data: &[u8], random: &mut RandomSource) -> Vec<FileChange> {
    let mut parts = Vec::new();
    let mut start = 0;
    while start < data.len() {
        let sector_end = (offset + start) / SECTOR * SECTOR + SECTOR - offset;
        let end = sector_end.min(data.len());
        if random.one_in(2) {
            parts.push(FileChange::Write {
                offset: offset + start,
                data: data[start..end].to_vec(),
            });
        }
        start = end;
    }
    parts
}
