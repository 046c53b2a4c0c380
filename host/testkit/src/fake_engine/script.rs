//! The scripted behavior of future calls, and the record of past ones.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rdd_core::{
    ContainerAction, ContainerRef, ContainerSpec, EngineError, ErrorCode, ExecOptions, PullSpec,
    PushSpec, RemoveRequest, VolumeSpec,
};
use tokio::sync::watch;

use super::{FakeEngine, TransferScript};

/// An operation that can be scripted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineOperation {
    /// [`ContainerEngine::watch`](rdd_core::ContainerEngine::watch).
    Watch,
    /// [`ContainerEngine::inspect`](rdd_core::ContainerEngine::inspect).
    Inspect,
    /// [`ContainerEngine::get_logs`](rdd_core::ContainerEngine::get_logs).
    GetLogs,
    /// [`ContainerEngine::get_entries`](rdd_core::ContainerEngine::get_entries).
    GetEntries,
    /// [`ContainerEngine::act`](rdd_core::ContainerEngine::act).
    Act,
    /// [`ContainerEngine::remove`](rdd_core::ContainerEngine::remove).
    Remove,
    /// [`ContainerEngine::create_container`](rdd_core::ContainerEngine::create_container).
    CreateContainer,
    /// [`ContainerEngine::create_volume`](rdd_core::ContainerEngine::create_volume).
    CreateVolume,
    /// [`ContainerEngine::exec`](rdd_core::ContainerEngine::exec).
    Exec,
    /// [`ContainerEngine::pull`](rdd_core::ContainerEngine::pull).
    Pull,
    /// [`ContainerEngine::push`](rdd_core::ContainerEngine::push).
    Push,
}

/// A changing call, recorded when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineCall {
    /// [`ContainerEngine::act`](rdd_core::ContainerEngine::act).
    Act {
        /// The container.
        container: ContainerRef,
        /// The requested action.
        action: ContainerAction,
    },
    /// [`ContainerEngine::remove`](rdd_core::ContainerEngine::remove).
    Remove(RemoveRequest),
    /// [`ContainerEngine::create_container`](rdd_core::ContainerEngine::create_container).
    CreateContainer(ContainerSpec),
    /// [`ContainerEngine::create_volume`](rdd_core::ContainerEngine::create_volume).
    CreateVolume(VolumeSpec),
    /// [`ContainerEngine::exec`](rdd_core::ContainerEngine::exec).
    Exec {
        /// The container.
        container: ContainerRef,
        /// The process.
        options: ExecOptions,
    },
    /// [`ContainerEngine::pull`](rdd_core::ContainerEngine::pull).
    Pull(PullSpec),
    /// [`ContainerEngine::push`](rdd_core::ContainerEngine::push).
    Push(PushSpec),
}

/// Blocks calls until the test opens it. Clones share one gate.
#[derive(Clone, Debug)]
pub struct CallGate(Arc<watch::Sender<bool>>);

impl CallGate {
    /// Returns a gate that blocks until it is opened.
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Unblocks all waiting and all later calls.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn wait(&self) {
        // Cannot fail: this gate owns the sender.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

/// The calls of an operation, on one object or, with `None`, on any.
#[derive(PartialEq, Eq, Hash)]
struct CallKey(EngineOperation, Option<String>);

#[derive(Default)]
pub(super) struct CallScript {
    calls: Vec<EngineCall>,
    call_counts: HashMap<EngineOperation, usize>,
    delays: HashMap<CallKey, Duration>,
    gates: HashMap<CallKey, CallGate>,
    next_failures: HashMap<CallKey, VecDeque<EngineError>>,
    standing_failures: HashMap<CallKey, EngineError>,
    panics: HashSet<EngineOperation>,
    offline: Option<EngineError>,
    transfers: HashMap<String, TransferScript>,
}

impl CallScript {
    pub(super) fn set_transfer(&mut self, image: &str, script: TransferScript) {
        self.transfers.insert(image.to_owned(), script);
    }

    pub(super) fn transfer(&self, image: &str) -> Option<TransferScript> {
        self.transfers.get(image).cloned()
    }

    pub(super) fn record(&mut self, call: EngineCall) {
        self.calls.push(call);
    }

    pub(super) fn begin(
        &mut self,
        operation: EngineOperation,
        on: &str,
    ) -> (Option<Duration>, Option<CallGate>) {
        *self.call_counts.entry(operation).or_default() += 1;
        (
            lookup(&self.delays, operation, on).copied(),
            lookup(&self.gates, operation, on).cloned(),
        )
    }

    /// Returns whether this call must panic, once for each scripted panic.
    pub(super) fn should_panic(&mut self, operation: EngineOperation) -> bool {
        self.panics.remove(&operation)
    }

    pub(super) fn result(
        &mut self,
        operation: EngineOperation,
        on: &str,
    ) -> Result<(), EngineError> {
        if let Some(error) = &self.offline {
            return Err(error.clone());
        }
        for key in [
            CallKey(operation, Some(on.to_owned())),
            CallKey(operation, None),
        ] {
            if let Some(error) = self
                .next_failures
                .get_mut(&key)
                .and_then(VecDeque::pop_front)
            {
                return Err(error);
            }
        }
        match lookup(&self.standing_failures, operation, on) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    pub(super) fn offline(&self) -> Option<&EngineError> {
        self.offline.as_ref()
    }
}

fn lookup<'a, V>(
    map: &'a HashMap<CallKey, V>,
    operation: EngineOperation,
    on: &str,
) -> Option<&'a V> {
    map.get(&CallKey(operation, Some(on.to_owned())))
        .or_else(|| map.get(&CallKey(operation, None)))
}

/// The scripting methods. `on` is an ID, a tag, or a volume name; the requested
/// name of a creation; the requested image of a transfer. `None` means any.
impl FakeEngine {
    /// Returns every changing call so far, in the order in which they started.
    pub fn calls(&self) -> Vec<EngineCall> {
        self.lock().script.calls.clone()
    }

    /// Returns the number of calls of this operation that have started.
    pub fn call_count(&self, operation: EngineOperation) -> usize {
        self.lock()
            .script
            .call_counts
            .get(&operation)
            .copied()
            .unwrap_or(0)
    }

    /// Fails the next call. Called twice, it fails the next two calls.
    pub fn fail_next(&self, operation: EngineOperation, on: Option<&str>, error: EngineError) {
        let key = CallKey(operation, on.map(str::to_owned));
        self.script(|script| {
            script
                .next_failures
                .entry(key)
                .or_default()
                .push_back(error);
        });
    }

    /// Fails every call until [`FakeEngine::clear_failures`].
    pub fn fail(&self, operation: EngineOperation, on: Option<&str>, error: EngineError) {
        let key = CallKey(operation, on.map(str::to_owned));
        self.script(|script| script.standing_failures.insert(key, error));
    }

    /// Makes the next call panic, as a bug in a backend would.
    pub fn panic_next(&self, operation: EngineOperation) {
        self.script(|script| script.panics.insert(operation));
    }

    /// Ends the effect of [`FakeEngine::fail`] and [`FakeEngine::panic_next`].
    pub fn clear_failures(&self, operation: EngineOperation, on: Option<&str>) {
        let key = CallKey(operation, on.map(str::to_owned));
        self.script(|script| {
            script.standing_failures.remove(&key);
            script.panics.remove(&operation);
        });
    }

    /// Delays every call by this long.
    pub fn delay(&self, operation: EngineOperation, on: Option<&str>, delay: Duration) {
        let key = CallKey(operation, on.map(str::to_owned));
        self.script(|script| script.delays.insert(key, delay));
    }

    /// Blocks every call until the returned gate is opened.
    pub fn gate(&self, operation: EngineOperation, on: Option<&str>) -> CallGate {
        let gate = CallGate::closed();
        let key = CallKey(operation, on.map(str::to_owned));
        self.script(|script| script.gates.insert(key, gate.clone()));
        gate
    }

    /// Makes the engine unreachable: streams end with an error, calls fail, and
    /// later changes send no events.
    pub fn go_offline(&self, reason: &str) {
        let error = EngineError::new(ErrorCode::Unavailable, reason);
        self.script(|script| script.offline = Some(error));
    }

    /// Makes the engine reachable again.
    pub fn go_online(&self) {
        self.script(|script| script.offline = None);
    }
}
