//! The state of the fake engine, and how each call changes it.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use rdd_core::{
    Container, ContainerAction, ContainerRef, ContainerState, EngineError, EngineObject, ErrorCode,
    Image, ObjectKind, ObjectRef, RemoveRequest, RemoveTarget, Timestamp, WatchEvent,
};

use super::container_log::ContainerLog;
use super::not_found;
use super::script::CallScript;

pub(super) struct EngineState {
    /// The engine's clock, which advances by a second with each operation, so that
    /// creation times differ and test runs are repeatable.
    clock: Timestamp,
    serial: u64,
    pub(super) objects: BTreeMap<ObjectRef, EngineObject>,
    pub(super) logs: BTreeMap<ContainerRef, ContainerLog>,
    pub(super) journal: Vec<WatchEvent>,
    pub(super) events_held: bool,
    /// The index in the journal of the first held event.
    pub(super) held_from: usize,
    /// The number of times that the running watches were disconnected.
    pub(super) disconnects: u64,
    /// The number of times that the open logs were disconnected.
    pub(super) log_disconnects: u64,
    pub(super) script: CallScript,
}

/// 2026-01-01T00:00:00Z.
pub(super) const EPOCH: i64 = 1_767_225_600;

impl EngineState {
    pub(super) fn new() -> Self {
        Self {
            clock: Timestamp::from_seconds(EPOCH),
            serial: 0,
            objects: BTreeMap::new(),
            logs: BTreeMap::new(),
            journal: Vec::new(),
            events_held: false,
            held_from: 0,
            disconnects: 0,
            log_disconnects: 0,
            script: CallScript::default(),
        }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.clock = self.clock.saturating_add(SignedDuration::from_secs(1));
        self.clock
    }

    /// Returns the time of the clock without advancing it.
    pub(super) fn time(&self) -> Timestamp {
        self.clock
    }

    pub(super) fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }

    pub(super) fn next_id(&mut self) -> String {
        // Spread over all digits, so that IDs differ in their first digits.
        format!(
            "{:016x}",
            self.next_serial().wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
        .repeat(4)
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn init(&self) -> VecDeque<WatchEvent> {
        let mut init = VecDeque::from([WatchEvent::InitBegin]);
        init.extend(
            self.objects
                .values()
                .map(|object| WatchEvent::Applied(Box::new(object.clone()))),
        );
        init.push_back(WatchEvent::InitDone);
        init
    }

    pub(super) fn find(&self, reference: &ObjectRef) -> Result<EngineObject, EngineError> {
        self.objects
            .get(reference)
            .cloned()
            .ok_or_else(|| not_found(kind_name(reference.kind), &reference.id))
    }

    pub(super) fn apply(&mut self, object: EngineObject) {
        self.objects.insert(object.reference(), object.clone());
        self.journal.push(WatchEvent::Applied(Box::new(object)));
    }

    pub(super) fn remove_object(
        &mut self,
        reference: ObjectRef,
    ) -> Result<EngineObject, EngineError> {
        let object = self
            .objects
            .remove(&reference)
            .ok_or_else(|| not_found(kind_name(reference.kind), &reference.id))?;
        if let EngineObject::Container(container) = &object {
            self.logs.remove(&container.container_ref());
        }
        self.journal.push(WatchEvent::Removed(reference));
        Ok(object)
    }

    /// Returns the image of this namespace that has this tag.
    fn image_with_tag(&self, namespace: &str, tag: &str) -> Option<&Image> {
        self.objects.values().find_map(|object| match object {
            EngineObject::Image(image)
                if image.namespace == namespace && image.repo_tags.iter().any(|t| t == tag) =>
            {
                Some(image)
            }
            _ => None,
        })
    }

    pub(super) fn container(&self, container: &ContainerRef) -> Result<Container, EngineError> {
        match self.find(&container.clone().into())? {
            EngineObject::Container(container) => Ok(container),
            _ => Err(not_found("container", &container.id)),
        }
    }

    /// Ends the streams that follow a log, or lets later ones follow it.
    fn set_log_ended(&mut self, container: &ContainerRef, is_ended: bool) {
        if let Some(log) = self.logs.get_mut(container) {
            log.ended = is_ended;
        }
    }

    pub(super) fn act(
        &mut self,
        reference: &ContainerRef,
        action: ContainerAction,
    ) -> Result<(), EngineError> {
        let mut container = self.container(reference)?;
        let id = &reference.id;
        let now = self.now();
        let conflict = |what: &str| EngineError::new(ErrorCode::Conflict, what);
        match action {
            ContainerAction::Start if container.paused => {
                return Err(conflict(
                    "cannot start a paused container, try unpause instead",
                ));
            }
            ContainerAction::Start if container.running => return Ok(()),
            ContainerAction::Stop if !container.running => return Ok(()),
            ContainerAction::Pause if container.paused => return Ok(()),
            ContainerAction::Pause if !container.running => {
                return Err(conflict(&format!("container {id} is not running")));
            }
            ContainerAction::Unpause if !container.paused => {
                return Err(conflict(&format!("container {id} is not paused")));
            }
            ContainerAction::Start => {
                begin(&mut container, now);
                self.set_log_ended(reference, false);
            }
            ContainerAction::Stop => {
                end(&mut container, now);
                self.set_log_ended(reference, true);
            }
            ContainerAction::Restart => {
                if container.running {
                    end(&mut container, now);
                }
                begin(&mut container, now);
            }
            ContainerAction::Pause => {
                container.paused = true;
                container.state = ContainerState::Paused;
            }
            ContainerAction::Unpause => {
                container.paused = false;
                container.state = ContainerState::Running;
            }
        }
        self.apply(EngineObject::Container(container));
        Ok(())
    }

    pub(super) fn remove(&mut self, request: &RemoveRequest) -> Result<(), EngineError> {
        let namespace = &request.namespace;
        let reference = |kind, id: &str| ObjectRef::new(kind, namespace, id);
        match &request.target {
            RemoveTarget::Container { id } => {
                self.remove_object(reference(ObjectKind::Container, id))?;
            }
            RemoveTarget::ImageTag { tag, image_id } => {
                let owner = self
                    .image_with_tag(namespace, tag)
                    .ok_or_else(|| not_found("image", tag))?;
                if &owner.id != image_id {
                    return Err(replaced(tag));
                }
                self.untag(namespace, tag)?;
            }
            RemoveTarget::Image { id } => {
                let reference = reference(ObjectKind::Image, id);
                if let Ok(EngineObject::Image(image)) = self.find(&reference)
                    && !image.repo_tags.is_empty()
                {
                    return Err(replaced(id));
                }
                self.remove_object(reference)?;
            }
            RemoveTarget::Volume { name, created_at } => {
                let reference = reference(ObjectKind::Volume, name);
                let found = self.find(&reference)?;
                if let EngineObject::Volume(volume) = &found
                    && volume.created_at != *created_at
                {
                    return Err(replaced(name));
                }
                self.remove_object(reference)?;
            }
        }
        Ok(())
    }

    pub(super) fn take_tag(&mut self, namespace: &str, tag: &str, notify: bool) -> Option<Image> {
        let mut image = self.image_with_tag(namespace, tag)?.clone();
        image.repo_tags.retain(|t| t != tag);
        if notify {
            self.apply(EngineObject::Image(image.clone()));
        } else {
            let object = EngineObject::Image(image.clone());
            self.objects.insert(object.reference(), object);
        }
        Some(image)
    }

    pub(super) fn untag(&mut self, namespace: &str, tag: &str) -> Result<(), EngineError> {
        let image = self
            .image_with_tag(namespace, tag)
            .cloned()
            .ok_or_else(|| not_found("image", tag))?;
        if image.repo_tags.len() == 1 {
            self.remove_object(EngineObject::Image(image).reference())?;
        } else {
            self.take_tag(namespace, tag, true);
        }
        Ok(())
    }
}

fn begin(container: &mut Container, now: Timestamp) {
    container.running = true;
    container.paused = false;
    container.state = ContainerState::Running;
    container.pid = 4242;
    container.started_at = Some(now);
}

fn end(container: &mut Container, now: Timestamp) {
    container.running = false;
    container.paused = false;
    container.state = ContainerState::Exited;
    container.pid = 0;
    container.finished_at = Some(now);
}

fn kind_name(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "container",
        ObjectKind::Image => "image",
        ObjectKind::Volume => "volume",
        ObjectKind::Namespace => "namespace",
    }
}

fn replaced(name: &str) -> EngineError {
    EngineError::new(
        ErrorCode::Replaced,
        format!("{name} is a different object now"),
    )
}
