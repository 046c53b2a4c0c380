//! A disk in memory that loses what was not synced.
//!
//! Each file has two contents: what processes read, and what is left after a power
//! loss. Writes and truncations since the last sync are between the two. A power loss
//! keeps, drops, or tears each of them at random, in sectors; so it does with names
//! that were added, changed, or removed since the last sync of the directory. A failed
//! sync does the same, and later syncs do not make up for it, as on Linux.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdd_apiserver_storage::FileInterface;

use super::change_fate::ChangeFate;
use super::disk_call::{CallFate, CallKind, DiskError, DiskFault, InterruptionKind};
use super::name_change::{NameChange, Names, apply_name};
use super::random_source::RandomSource;
use super::simulated_file::{FileChange, FileId, SimulatedFile};
use super::simulated_vfs;

struct DiskState {
    random: RandomSource,
    files: Vec<SimulatedFile>,
    names: Names,
    durable_names: Names,
    pending_names: Vec<NameChange>,
    locks: BTreeSet<String>,
    fault: Option<DiskFault>,
    /// The number of calls that the fault may apply to.
    matching_calls: u64,
    /// The number of changing calls.
    changes: u64,
    interrupt_at: Option<u64>,
    /// From then on, nothing has an effect until the restart.
    is_interrupted: bool,
}

impl DiskState {
    fn begin(&mut self, kind: CallKind) -> CallFate {
        if self.is_interrupted {
            return CallFate::Fail(DiskError::Io);
        }
        if kind.is_change() {
            self.changes += 1;
            if self.interrupt_at.is_some_and(|at| self.changes >= at) {
                self.is_interrupted = true;
                return CallFate::Interrupt;
            }
        }
        let Some(fault) = self.fault.as_ref().filter(|it| it.calls.contains(&kind)) else {
            return CallFate::Succeed;
        };
        self.matching_calls += 1;
        let is_first = self.matching_calls == fault.after + 1;
        let is_later = self.matching_calls > fault.after && fault.is_lasting;
        if is_first || is_later {
            CallFate::Fail(fault.error)
        } else {
            CallFate::Succeed
        }
    }

    /// Begins a call that happens as a whole or not at all.
    fn begin_whole(&mut self, kind: CallKind) -> Result<(), DiskError> {
        match self.begin(kind) {
            CallFate::Succeed => Ok(()),
            CallFate::Fail(error) => Err(error),
            CallFate::Interrupt if self.random.one_in(2) => Ok(()),
            CallFate::Interrupt => Err(DiskError::Io),
        }
    }

    fn name(&mut self, change: NameChange) {
        apply_name(&mut self.names, &change);
        self.pending_names.push(change);
    }

    fn create(&mut self, name: &str) -> usize {
        let file = self.files.len();
        self.files.push(SimulatedFile::default());
        let name = name.to_owned();
        self.name(NameChange::Add { name, file });
        file
    }

    fn sync_names(&mut self) {
        for change in self.pending_names.drain(..) {
            apply_name(&mut self.durable_names, &change);
        }
    }

    fn lose_power(&mut self) {
        let mut fate = ChangeFate::new(&mut self.random);
        for change in self.pending_names.drain(..) {
            if fate.is_kept() {
                apply_name(&mut self.durable_names, &change);
            }
        }
        self.names = self.durable_names.clone();
        for file in &mut self.files {
            file.sync_partly(&mut ChangeFate::new(&mut self.random));
            file.current = file.durable.clone();
        }
    }
}

/// A disk with one directory. Clones are the same disk.
#[derive(Clone)]
pub(super) struct SimulatedDisk(Arc<Mutex<DiskState>>);

impl Debug for SimulatedDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SimulatedDisk")
    }
}

impl SimulatedDisk {
    pub(super) fn new(random: RandomSource) -> Self {
        Self(Arc::new(Mutex::new(DiskState {
            random,
            files: Vec::new(),
            names: Names::new(),
            durable_names: Names::new(),
            pending_names: Vec::new(),
            locks: BTreeSet::new(),
            fault: None,
            matching_calls: 0,
            changes: 0,
            interrupt_at: None,
            is_interrupted: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interrupts the process at the given changing call from now on; 1 is the next one.
    pub(super) fn interrupt_at(&self, call: u64) {
        let mut state = self.state();
        state.interrupt_at = Some(state.changes + call);
    }

    pub(super) fn interrupt(&self) {
        self.state().is_interrupted = true;
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.state().is_interrupted
    }

    /// Starts the machine, or only the process, again. Its files must be closed.
    pub(super) fn restart(&self, interruption: InterruptionKind) {
        let mut state = self.state();
        if interruption == InterruptionKind::PowerLoss {
            state.lose_power();
        }
        state.locks.clear();
        state.interrupt_at = None;
        state.is_interrupted = false;
    }

    pub(super) fn inject(&self, fault: DiskFault) {
        let mut state = self.state();
        state.fault = Some(fault);
        state.matching_calls = 0;
    }

    pub(super) fn repair(&self) {
        self.state().fault = None;
    }

    /// Returns the number of calls since [`Self::inject`] that the fault may apply to.
    pub(super) fn matching_calls(&self) -> u64 {
        self.state().matching_calls
    }

    /// Returns the number of changing calls so far.
    pub(super) fn changes(&self) -> u64 {
        self.state().changes
    }

    pub(super) fn open(&self, name: Option<&str>, create: bool) -> Result<FileId, DiskError> {
        let mut state = self.state();
        state.begin_whole(CallKind::Open)?;
        let Some(name) = name else {
            // A temporary file of SQLite.
            state.files.push(SimulatedFile::default());
            return Ok(FileId(state.files.len() - 1));
        };
        if let Some(&file) = state.names.get(name) {
            return Ok(FileId(file));
        }
        if !create {
            return Err(DiskError::NotFound);
        }
        state.begin_whole(CallKind::Create)?;
        Ok(FileId(state.create(name)))
    }

    /// Returns the number of bytes that were read.
    pub(super) fn read(
        &self,
        file: FileId,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<usize, DiskError> {
        let mut state = self.state();
        state.begin_whole(CallKind::Read)?;
        let content = &state.files[file.0].current;
        let start = offset.min(content.len());
        let end = (offset + buffer.len()).min(content.len());
        let length = end - start;
        buffer[..length].copy_from_slice(&content[start..end]);
        Ok(length)
    }

    pub(super) fn write(&self, file: FileId, offset: usize, data: &[u8]) -> Result<(), DiskError> {
        let mut state = self.state();
        let state = &mut *state;
        let is_growth = offset + data.len() > state.files[file.0].current.len();
        let kind = if is_growth {
            CallKind::Growth
        } else {
            CallKind::Write
        };
        let fate = state.begin(kind);
        let file = &mut state.files[file.0];
        let error = match fate {
            CallFate::Succeed => {
                let data = data.to_vec();
                file.change(FileChange::Write { offset, data });
                return Ok(());
            }
            CallFate::Fail(error) if state.is_interrupted => return Err(error),
            CallFate::Fail(error) => error,
            CallFate::Interrupt => DiskError::Io,
        };
        // The beginning of the data may be written.
        let length = match state.random.below(3) {
            0 => 0,
            1 => state.random.below(data.len() + 1),
            _ => data.len(),
        };
        if length > 0 && error != DiskError::Full {
            let data = data[..length].to_vec();
            file.change(FileChange::Write { offset, data });
        }
        Err(error)
    }

    pub(super) fn truncate(&self, file: FileId, length: usize) -> Result<(), DiskError> {
        let mut state = self.state();
        state.begin_whole(CallKind::Truncate)?;
        state.files[file.0].change(FileChange::Truncate(length));
        Ok(())
    }

    /// Syncs the file, and its directory if it is new.
    pub(super) fn sync(&self, file: FileId, is_new: bool) -> Result<(), DiskError> {
        let mut state = self.state();
        let state = &mut *state;
        let error = match state.begin(CallKind::Sync) {
            CallFate::Succeed => {
                state.files[file.0].sync();
                if is_new {
                    state.sync_names();
                }
                return Ok(());
            }
            CallFate::Fail(error) if state.is_interrupted => return Err(error),
            CallFate::Fail(error) => error,
            CallFate::Interrupt => {
                // The power may be lost between the sync and its result.
                if state.random.one_in(2) {
                    state.files[file.0].sync();
                }
                return Err(DiskError::Io);
            }
        };
        // The system counts the changes as written, and no later sync repeats them.
        let file = &mut state.files[file.0];
        file.sync_partly(&mut ChangeFate::new(&mut state.random));
        if state.random.one_in(3) {
            // It needs the memory, and reads from the disk again.
            file.current = file.durable.clone();
        }
        Err(error)
    }

    pub(super) fn file_length(&self, file: FileId) -> Result<usize, DiskError> {
        let mut state = self.state();
        state.begin_whole(CallKind::Lookup)?;
        Ok(state.files[file.0].current.len())
    }

    pub(super) fn exists(&self, name: &str) -> Result<bool, DiskError> {
        let mut state = self.state();
        state.begin_whole(CallKind::Lookup)?;
        Ok(state.names.contains_key(name))
    }

    pub(super) fn remove(&self, name: &str, sync: bool) -> Result<(), DiskError> {
        let mut state = self.state();
        let &file = state.names.get(name).ok_or(DiskError::NotFound)?;
        state.begin_whole(CallKind::Remove)?;
        let name = name.to_owned();
        state.name(NameChange::Remove { name, file });
        if sync {
            state.sync_names();
        }
        Ok(())
    }
}

fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

impl FileInterface for SimulatedDisk {
    fn vfs(&self) -> Option<&str> {
        Some(simulated_vfs::NAME)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Debug + Send>>> {
        let mut state = self.state();
        state.begin_whole(CallKind::Open)?;
        if !state.locks.insert(name(path)) {
            return Ok(None);
        }
        drop(state);
        Ok(Some(Box::new(SimulatedLock {
            disk: self.clone(),
            name: name(path),
        })))
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        let mut state = self.state();
        state.begin_whole(CallKind::Lookup)?;
        let file = state.names.get(&name(path));
        Ok(file.map(|&file| state.files[file].current.len() as u64))
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole(CallKind::Create)?;
        if state.names.contains_key(&name(path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.create(&name(path));
        Ok(())
    }

    fn restrict(&self, _path: &Path) -> io::Result<()> {
        self.state().begin_whole(CallKind::Lookup)?;
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(Self::remove(self, &name(path), false)?)
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        let file = self.open(Some(&name(path)), false)?;
        let mut content = vec![0; self.file_length(file)?];
        self.read(file, 0, &mut content)?;
        self.write(file, 0, &content)?;
        Ok(self.sync(file, false)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (from, to) = (name(from), name(to));
        let &file = state.names.get(&from).ok_or(DiskError::NotFound)?;
        state.begin_whole(CallKind::Rename)?;
        state.name(NameChange::Rename { from, to, file });
        Ok(())
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.begin_whole(CallKind::SyncDirectory)?;
        state.sync_names();
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: SimulatedDisk,
    name: String,
}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.name);
    }
}
