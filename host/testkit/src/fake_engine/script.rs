//! What a test lays down for the next calls, and what it reads of past ones.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rdd_core::{ContainerAction, EngineError, ErrorCode, RemoveRequest};
use tokio::sync::watch;

use super::FakeEngine;

/// The calls that can be scripted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineOperation {
    /// [`ContainerEngine::watch`](rdd_core::ContainerEngine::watch).
    Watch,
    /// [`ContainerEngine::inspect`](rdd_core::ContainerEngine::inspect).
    Inspect,
    /// [`ContainerEngine::get_logs`](rdd_core::ContainerEngine::get_logs).
    GetLogs,
    /// [`ContainerEngine::act`](rdd_core::ContainerEngine::act).
    Act,
    /// [`ContainerEngine::remove`](rdd_core::ContainerEngine::remove).
    Remove,
}

/// A changing call that the host made, recorded as it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineCall {
    /// [`ContainerEngine::act`](rdd_core::ContainerEngine::act).
    Act {
        /// The container.
        id: String,
        /// What was asked for.
        action: ContainerAction,
    },
    /// [`ContainerEngine::remove`](rdd_core::ContainerEngine::remove).
    Remove(RemoveRequest),
}

/// Holds calls back until the test opens it. Clones are one gate.
#[derive(Clone)]
pub struct CallGate(Arc<watch::Sender<bool>>);

impl CallGate {
    fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets every held call and every later one through.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        // Cannot fail: this gate owns the sender.
        drop(self.0.subscribe().wait_for(|open| *open).await);
    }
}

/// Which calls a line of the script is about: of an operation, on one object
/// or on any.
#[derive(PartialEq, Eq, Hash)]
struct Calls(EngineOperation, Option<String>);

#[derive(Default)]
pub(super) struct Script {
    calls: Vec<EngineCall>,
    begun: HashMap<EngineOperation, usize>,
    delays: HashMap<Calls, Duration>,
    gates: HashMap<Calls, CallGate>,
    next_failures: HashMap<Calls, VecDeque<EngineError>>,
    standing_failures: HashMap<Calls, EngineError>,
    panics: HashSet<EngineOperation>,
    offline: Option<EngineError>,
}

impl Script {
    pub(super) fn record(&mut self, call: EngineCall) {
        self.calls.push(call);
    }

    pub(super) fn begin(
        &mut self,
        operation: EngineOperation,
        on: &str,
    ) -> (Option<Duration>, Option<CallGate>) {
        *self.begun.entry(operation).or_default() += 1;
        (
            lookup(&self.delays, operation, on).copied(),
            lookup(&self.gates, operation, on).cloned(),
        )
    }

    /// Whether this call is the one that must panic.
    pub(super) fn panics(&mut self, operation: EngineOperation) -> bool {
        self.panics.remove(&operation)
    }

    pub(super) fn verdict(
        &mut self,
        operation: EngineOperation,
        on: &str,
    ) -> Result<(), EngineError> {
        if let Some(error) = &self.offline {
            return Err(error.clone());
        }
        for key in [
            Calls(operation, Some(on.to_owned())),
            Calls(operation, None),
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
    map: &'a HashMap<Calls, V>,
    operation: EngineOperation,
    on: &str,
) -> Option<&'a V> {
    map.get(&Calls(operation, Some(on.to_owned())))
        .or_else(|| map.get(&Calls(operation, None)))
}

/// The script. `on` is an ID, tag or volume name; `None` means any.
impl FakeEngine {
    /// Every changing call so far, in the order in which they began.
    pub fn calls(&self) -> Vec<EngineCall> {
        self.lock().script.calls.clone()
    }

    /// How many calls of this operation have begun.
    pub fn begun(&self, operation: EngineOperation) -> usize {
        self.lock()
            .script
            .begun
            .get(&operation)
            .copied()
            .unwrap_or(0)
    }

    /// Fails the next call; repeated, the one after it as well.
    pub fn fail_next(&self, operation: EngineOperation, on: Option<&str>, error: EngineError) {
        let key = Calls(operation, on.map(str::to_owned));
        self.script(|script| {
            script
                .next_failures
                .entry(key)
                .or_default()
                .push_back(error);
        });
    }

    /// Fails every call until [`FakeEngine::mend`].
    pub fn fail(&self, operation: EngineOperation, on: Option<&str>, error: EngineError) {
        let key = Calls(operation, on.map(str::to_owned));
        self.script(|script| script.standing_failures.insert(key, error));
    }

    /// Makes the next call panic: a bug of the backend.
    pub fn panic_next(&self, operation: EngineOperation) {
        self.script(|script| script.panics.insert(operation));
    }

    /// Ends what [`FakeEngine::fail`] and [`FakeEngine::panic_next`] began.
    pub fn mend(&self, operation: EngineOperation, on: Option<&str>) {
        let key = Calls(operation, on.map(str::to_owned));
        self.script(|script| {
            script.standing_failures.remove(&key);
            script.panics.remove(&operation);
        });
    }

    /// Makes calls take this long.
    pub fn delay(&self, operation: EngineOperation, on: Option<&str>, delay: Duration) {
        let key = Calls(operation, on.map(str::to_owned));
        self.script(|script| script.delays.insert(key, delay));
    }

    /// Holds calls back until the gate is opened.
    pub fn gate(&self, operation: EngineOperation, on: Option<&str>) -> CallGate {
        let gate = CallGate::closed();
        let key = Calls(operation, on.map(str::to_owned));
        self.script(|script| script.gates.insert(key, gate.clone()));
        gate
    }

    /// Loses the engine: streams end with an error, calls fail, and nobody
    /// hears of what changes from now on.
    pub fn go_offline(&self, reason: &str) {
        let error = EngineError::new(ErrorCode::Unavailable, reason);
        self.script(|script| script.offline = Some(error));
    }

    /// The engine is back.
    pub fn go_online(&self) {
        self.script(|script| script.offline = None);
    }
}
