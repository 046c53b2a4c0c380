//! What the engine has, and the changes that watches report.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdd_core::{
    Container, ContainerAction, ContainerRef, ContainerRestartPolicy, ContainerState, EngineError,
    EngineObject, ErrorCode, Image, MountSpec, ObjectKind, ObjectRef, RemoveRequest, RemoveTarget,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::container_log::ContainerLog;
use crate::protocol::kind_word;

/// The number of changes that are kept for watches that fall behind.
const MAX_CHANGES: usize = 4_096;

/// The exit code of a program that was stopped: 128 + SIGTERM.
const STOPPED: i32 = 143;

/// A change that watches report.
#[derive(Clone, Debug)]
pub(crate) enum ObjectChange {
    Applied(Arc<EngineObject>),
    Removed(ObjectRef),
}

/// What the engine keeps of a container besides its object.
pub(crate) struct ContainerRecord {
    pub(crate) log: Arc<ContainerLog>,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) working_dir: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) mounts: Vec<MountSpec>,
    pub(crate) restart_policy: ContainerRestartPolicy,
    /// The number of restarts by the policy since the last start on request.
    pub(crate) restarts: u32,
    /// Whether the program's processes are frozen.
    pub(crate) paused: watch::Sender<bool>,
    /// Cancelled when the current run ends.
    pub(crate) run: CancellationToken,
}

#[derive(Default)]
pub(crate) struct EngineState {
    serial: u64,
    pub(crate) objects: BTreeMap<ObjectRef, Arc<EngineObject>>,
    pub(crate) containers: BTreeMap<ContainerRef, ContainerRecord>,
    changes: VecDeque<ObjectChange>,
    /// The number of changes that are no longer kept.
    discarded: u64,
    /// The errors of the next requests, by verb.
    pub(crate) failures: HashMap<String, VecDeque<EngineError>>,
}

/// What all connections and programs share. No lock is held across an await.
pub(crate) struct SharedEngine {
    state: Mutex<EngineState>,
    /// Notified of each change of an object.
    pub(crate) changed: Notify,
    /// Cancelled when the last handle of the engine is dropped.
    pub(crate) shutdown: CancellationToken,
    /// Whether connections get responses.
    pub(crate) answering: watch::Sender<bool>,
    /// Counts how often all connections were cut.
    pub(crate) cuts: watch::Sender<u64>,
    /// The number of open connections by verb; empty before the verb is read.
    pub(crate) connections: Mutex<HashMap<String, usize>>,
}

impl SharedEngine {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Notify::new(),
            shutdown: CancellationToken::new(),
            answering: watch::Sender::new(true),
            cuts: watch::Sender::new(0),
            connections: Mutex::default(),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, EngineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes every watch.
    pub(crate) fn change<T>(&self, f: impl FnOnce(&mut EngineState) -> T) -> T {
        let result = f(&mut self.lock());
        self.changed.notify_waiters();
        result
    }
}

impl EngineState {
    pub(crate) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Returns the number of changes so far.
    pub(crate) fn change_count(&self) -> u64 {
        self.discarded + self.changes.len() as u64
    }

    /// Returns the changes from number `next` on, at most `max`, or `None` if
    /// they are no longer kept.
    pub(crate) fn changes_from(&self, next: u64, max: usize) -> Option<Vec<ObjectChange>> {
        let first = usize::try_from(next.checked_sub(self.discarded)?).ok()?;
        Some(self.changes.iter().skip(first).take(max).cloned().collect())
    }

    fn record_change(&mut self, change: ObjectChange) {
        self.changes.push_back(change);
        if self.changes.len() > MAX_CHANGES {
            self.changes.pop_front();
            self.discarded += 1;
        }
    }

    pub(crate) fn apply(&mut self, object: EngineObject) {
        let object = Arc::new(object);
        self.objects.insert(object.reference(), Arc::clone(&object));
        self.record_change(ObjectChange::Applied(object));
    }

    pub(crate) fn find(&self, reference: &ObjectRef) -> Result<&EngineObject, EngineError> {
        self.objects
            .get(reference)
            .map(Arc::as_ref)
            .ok_or_else(|| not_found(kind_word(reference.kind), &reference.id))
    }

    pub(crate) fn container(&self, reference: &ContainerRef) -> Result<&Container, EngineError> {
        match self.find(&reference.clone().into())? {
            EngineObject::Container(container) => Ok(container),
            _ => Err(not_found("container", &reference.id)),
        }
    }

    pub(crate) fn record(&self, reference: &ContainerRef) -> Result<&ContainerRecord, EngineError> {
        self.containers
            .get(reference)
            .ok_or_else(|| not_found("container", &reference.id))
    }

    /// Modifies a container and reports the change.
    pub(crate) fn edit(
        &mut self,
        reference: &ContainerRef,
        edit: impl FnOnce(&mut Container),
    ) -> Result<(), EngineError> {
        let mut container = self.container(reference)?.clone();
        edit(&mut container);
        self.apply(EngineObject::Container(container));
        Ok(())
    }

    /// Performs an action. Returns whether a run of the program has to begin.
    pub(crate) fn act(
        &mut self,
        reference: &ContainerRef,
        action: ContainerAction,
    ) -> Result<bool, EngineError> {
        let container = self.container(reference)?;
        let (running, paused) = (container.running, container.paused);
        let is_waiting = container.restarting;
        let id = &reference.id;
        match action {
            ContainerAction::Start | ContainerAction::Restart if paused => Err(conflict(format!(
                "the container {id} is paused; unpause it first"
            ))),
            ContainerAction::Start if running => Ok(false),
            ContainerAction::Stop if !running && !is_waiting => Ok(false),
            ContainerAction::Pause if paused => Ok(false),
            ContainerAction::Pause if !running => {
                Err(conflict(format!("the container {id} is not running")))
            }
            ContainerAction::Unpause if !paused => {
                Err(conflict(format!("the container {id} is not paused")))
            }
            ContainerAction::Start => {
                self.begin(reference, true)?;
                Ok(true)
            }
            ContainerAction::Restart => {
                if running {
                    self.end(reference, STOPPED)?;
                }
                self.begin(reference, true)?;
                Ok(true)
            }
            ContainerAction::Stop => {
                self.end(
                    reference,
                    if running {
                        STOPPED
                    } else {
                        container.exit_code
                    },
                )?;
                Ok(false)
            }
            ContainerAction::Pause | ContainerAction::Unpause => {
                let paused = action == ContainerAction::Pause;
                self.edit(reference, |container| {
                    container.paused = paused;
                    container.state = if paused {
                        ContainerState::Paused
                    } else {
                        ContainerState::Running
                    };
                })?;
                self.record(reference)?.paused.send_replace(paused);
                Ok(false)
            }
        }
    }

    /// Begins a run of the container.
    pub(crate) fn begin(
        &mut self,
        reference: &ContainerRef,
        on_request: bool,
    ) -> Result<(), EngineError> {
        let pid = i32::try_from(4_000 + self.next_serial() % 1_000_000).unwrap_or(4_000);
        self.edit(reference, |container| {
            container.running = true;
            container.paused = false;
            container.restarting = false;
            container.state = ContainerState::Running;
            container.pid = pid;
            container.exit_code = 0;
            container.started_at = Some(clock::timestamp(clock::now()));
        })?;
        let record = self
            .containers
            .get_mut(reference)
            .ok_or_else(|| not_found("container", &reference.id))?;
        // A restart that is pending must not begin a second run.
        record.run.cancel();
        record.run = CancellationToken::new();
        record.paused.send_replace(false);
        record.restarts = if on_request { 0 } else { record.restarts + 1 };
        record.log.set_open(true);
        Ok(())
    }

    /// Ends the run of the container.
    pub(crate) fn end(
        &mut self,
        reference: &ContainerRef,
        exit_code: i32,
    ) -> Result<(), EngineError> {
        let record = self.record(reference)?;
        record.run.cancel();
        record.paused.send_replace(false);
        record.log.set_open(false);
        self.edit(reference, |container| {
            container.running = false;
            container.paused = false;
            container.restarting = false;
            container.state = ContainerState::Exited;
            container.pid = 0;
            container.exit_code = exit_code;
            container.finished_at = Some(clock::timestamp(clock::now()));
        })
    }

    pub(crate) fn remove(&mut self, request: &RemoveRequest) -> Result<(), EngineError> {
        let namespace = &request.namespace;
        match &request.target {
            RemoveTarget::Container { id } => {
                self.remove_container(&ContainerRef::new(namespace, id))
            }
            RemoveTarget::ImageTag { tag, image_id } => {
                let image = self
                    .image(namespace, tag)
                    .ok_or_else(|| not_found("image", tag))?;
                if image.id != *image_id {
                    return Err(replaced(tag));
                }
                let mut image = image.clone();
                image.repo_tags.retain(|other| other != tag);
                if image.repo_tags.is_empty() {
                    self.remove_image(&image)
                } else {
                    self.apply(EngineObject::Image(image));
                    Ok(())
                }
            }
            RemoveTarget::Image { id } => {
                let reference = ObjectRef::new(ObjectKind::Image, namespace, id);
                match self.find(&reference)?.clone() {
                    EngineObject::Image(image) if image.repo_tags.is_empty() => {
                        self.remove_image(&image)
                    }
                    _ => Err(replaced(id)),
                }
            }
            RemoveTarget::Volume { name, created_at } => {
                let reference = ObjectRef::new(ObjectKind::Volume, namespace, name);
                if let (EngineObject::Volume(volume), Some(meant)) =
                    (self.find(&reference)?, created_at)
                    && volume.created_at.as_ref() != Some(meant)
                {
                    return Err(replaced(name));
                }
                let mounted = |record: &ContainerRecord| {
                    let mut mounts = record.mounts.iter();
                    mounts.any(|mount| mount.source == *name)
                };
                let mut containers = self.containers.iter();
                if containers
                    .any(|(owner, record)| owner.namespace == *namespace && mounted(record))
                {
                    return Err(conflict(format!("the volume {name} is in use")));
                }
                self.forget(reference);
                Ok(())
            }
        }
    }

    fn remove_container(&mut self, reference: &ContainerRef) -> Result<(), EngineError> {
        let record = self
            .containers
            .remove(reference)
            .ok_or_else(|| not_found("container", &reference.id))?;
        record.run.cancel();
        record.log.set_open(false);
        self.forget(reference.clone().into());
        Ok(())
    }

    fn remove_image(&mut self, image: &Image) -> Result<(), EngineError> {
        let uses = |object: &EngineObject| match object {
            EngineObject::Container(container) => {
                container.namespace == image.namespace && container.image_id == image.id
            }
            _ => false,
        };
        if self.objects.values().any(|object| uses(object)) {
            return Err(conflict(format!("a container uses the image {}", image.id)));
        }
        self.forget(EngineObject::Image(image.clone()).reference());
        Ok(())
    }

    /// Removes an object and reports it.
    pub(crate) fn forget(&mut self, reference: ObjectRef) {
        self.objects.remove(&reference);
        self.record_change(ObjectChange::Removed(reference));
    }

    /// Returns the image of this namespace with this tag, digest, or ID.
    pub(crate) fn image(&self, namespace: &str, name: &str) -> Option<&Image> {
        self.objects.values().find_map(|object| match &**object {
            EngineObject::Image(image)
                if image.namespace == namespace
                    && (image.id == name
                        || image.repo_tags.iter().any(|tag| tag == name)
                        || image.repo_digests.iter().any(|digest| digest == name)) =>
            {
                Some(image)
            }
            _ => None,
        })
    }
}

pub(crate) fn not_found(what: &str, id: &str) -> EngineError {
    EngineError::new(ErrorCode::NotFound, format!("no such {what}: {id}"))
}

pub(crate) fn conflict(message: impl Into<String>) -> EngineError {
    EngineError::new(ErrorCode::Conflict, message)
}

pub(crate) fn invalid(message: impl Into<String>) -> EngineError {
    EngineError::new(ErrorCode::InvalidArgument, message)
}

fn replaced(name: &str) -> EngineError {
    EngineError::new(ErrorCode::Replaced, format!("{name} is another object now"))
}
