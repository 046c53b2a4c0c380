//! A view of the engine, built from the events of its watch: events in, changes
//! of the desired mirrors out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rdd_core::{BackendInfo, EngineObject, Image, ObjectKind, ObjectRef, Volume, WatchEvent};

use crate::desired_state::DesiredState;
use crate::key::{MirrorKey, MirrorKind};
use crate::mirror_names;

/// Maximum number of objects, more than any engine holds: a faulty backend that
/// reports more must not exhaust the memory of the host.
const MAX_OBJECTS: usize = 200_000;

/// A change of what a mirror should represent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DesiredChange {
    /// The engine has the object in this state.
    Set(MirrorKey, DesiredState),
    /// The object is gone. A later `Set` of the same key is about another
    /// object.
    Removed(MirrorKey),
}

/// An event that violates the protocol of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WatchProtocolError {
    #[error("the backend ended a listing that it did not begin")]
    InitDoneWithoutBegin,
    #[error("the backend reported more than {MAX_OBJECTS} objects")]
    TooManyObjects,
}

/// An object of the engine, with what is needed to update its mirrors.
enum TrackedObject {
    Image(Arc<Image>),
    /// Any other object, which has exactly one mirror.
    Mirror(DesiredState),
}

/// All objects of the engine of one backend.
pub(crate) struct EngineView {
    /// The Kubernetes namespace of the mirrors.
    namespace: Arc<str>,
    info: BackendInfo,
    objects: HashMap<ObjectRef, TrackedObject>,
    /// The image that has a tag, by engine namespace and tag: a tag points to
    /// one image, whatever the order of events.
    tags: HashMap<(String, String), ObjectRef>,
    /// Objects of the listing in progress.
    listing: Option<HashSet<ObjectRef>>,
    /// Whether any listing was completed: before that, an object that is
    /// missing here may exist.
    listed_once: bool,
}

impl EngineView {
    pub(crate) fn new(namespace: Arc<str>, info: BackendInfo) -> Self {
        Self {
            namespace,
            info,
            objects: HashMap::new(),
            tags: HashMap::new(),
            listing: None,
            listed_once: false,
        }
    }

    /// Returns whether the engine has been listed completely, so that an object
    /// that is not in the view does not exist.
    pub(crate) fn has_listed(&self) -> bool {
        self.listed_once
    }

    /// Sets the information about the backend, after it was loaded or reloaded.
    /// If another namespace is the default now, mirrors have other names.
    pub(crate) fn set_backend_info(&mut self, info: BackendInfo) -> Vec<DesiredChange> {
        let mut changes = Vec::new();
        if info.default_namespace() == self.info.default_namespace() {
            self.info = info;
        } else {
            let before = self.mirrors();
            self.info = info;
            let after = self.mirrors();
            // A name that an object of another namespace had before is removed
            // first, so that a deletion of the old mirror is not about the new
            // object.
            let renamed = before
                .into_iter()
                .filter(|(key, desired)| after.get(key) != Some(desired));
            changes.extend(renamed.map(|(key, _)| DesiredChange::Removed(key)));
            let mirrors = after.into_iter();
            changes.extend(mirrors.map(|(key, desired)| DesiredChange::Set(key, desired)));
        }
        changes.extend(self.fixed_namespaces());
        changes
    }

    /// Returns the namespaces that always exist.
    pub(crate) fn fixed_namespaces(&self) -> Vec<DesiredChange> {
        let names = self.info.namespaces.iter();
        names
            .map(|name| self.key(MirrorKind::Namespace, &mirror_names::namespace(name)))
            .map(|key| DesiredChange::Set(key, DesiredState::Namespace))
            .collect()
    }

    /// Returns whether a listing is in progress.
    pub(crate) fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// Discards the listing in progress, because the watch ended. The next
    /// watch begins with a new listing.
    pub(crate) fn abort_listing(&mut self) {
        self.listing = None;
    }

    /// Applies one event of the watch.
    pub(crate) fn apply(
        &mut self,
        event: WatchEvent,
    ) -> Result<Vec<DesiredChange>, WatchProtocolError> {
        let mut changes = Vec::new();
        match event {
            WatchEvent::InitBegin => self.listing = Some(HashSet::new()),
            WatchEvent::Applied(object) => {
                let reference = object.reference();
                if let Some(listed) = &mut self.listing {
                    listed.insert(reference.clone());
                }
                if self.objects.len() >= MAX_OBJECTS && !self.objects.contains_key(&reference) {
                    return Err(WatchProtocolError::TooManyObjects);
                }
                self.on_applied(reference, *object, &mut changes);
            }
            WatchEvent::Removed(reference) => {
                if let Some(listed) = &mut self.listing {
                    listed.remove(&reference);
                }
                self.on_removed(&reference, &mut changes);
            }
            WatchEvent::InitDone => {
                let listed = self
                    .listing
                    .take()
                    .ok_or(WatchProtocolError::InitDoneWithoutBegin)?;
                let unlisted: BTreeSet<_> = self
                    .objects
                    .keys()
                    .filter(|reference| !listed.contains(*reference))
                    .cloned()
                    .collect();
                for reference in unlisted {
                    self.on_removed(&reference, &mut changes);
                }
                self.listed_once = true;
            }
        }
        Ok(changes)
    }

    fn on_applied(
        &mut self,
        reference: ObjectRef,
        object: EngineObject,
        changes: &mut Vec<DesiredChange>,
    ) {
        let desired = match object {
            EngineObject::Image(image) => return self.on_image_applied(&reference, image, changes),
            EngineObject::Container(container) => DesiredState::Container(Arc::new(container)),
            EngineObject::Volume(volume) => DesiredState::Volume(Arc::new(volume)),
            EngineObject::Namespace(_) => DesiredState::Namespace,
        };
        let key = self.object_key(&reference);
        match self.objects.get(&reference) {
            Some(TrackedObject::Mirror(previous)) if *previous == desired => return,
            Some(TrackedObject::Mirror(DesiredState::Volume(old))) if matches!(&desired, DesiredState::Volume(new) if is_different_volume(old, new)) =>
            {
                changes.push(DesiredChange::Removed(key.clone()));
            }
            _ => {}
        }
        self.objects
            .insert(reference, TrackedObject::Mirror(desired.clone()));
        changes.push(DesiredChange::Set(key, desired));
    }

    /// Updates the mirrors of an image: one for each tag, or one if it has
    /// none.
    fn on_image_applied(
        &mut self,
        reference: &ObjectRef,
        mut image: Image,
        changes: &mut Vec<DesiredChange>,
    ) {
        image.repo_tags.sort();
        image.repo_tags.dedup();
        let image = Arc::new(image);
        let previous = match self.objects.get(reference) {
            Some(TrackedObject::Image(previous)) if *previous == image => return,
            Some(TrackedObject::Image(previous)) => Some(Arc::clone(previous)),
            _ => None,
        };
        for tag in &image.repo_tags {
            self.assign_tag(&image.namespace, tag, reference, changes);
        }
        self.diff_image(previous.as_ref(), Some(&image), changes);
        self.objects
            .insert(reference.clone(), TrackedObject::Image(image));
    }

    /// Assigns a tag to `owner`. Engines report nothing about the image that
    /// loses it.
    fn assign_tag(
        &mut self,
        namespace: &str,
        tag: &str,
        owner: &ObjectRef,
        changes: &mut Vec<DesiredChange>,
    ) {
        let tag_key = (namespace.to_owned(), tag.to_owned());
        let Some(previous_owner) = self.tags.insert(tag_key, owner.clone()) else {
            return;
        };
        if previous_owner == *owner {
            return;
        }
        let Some(TrackedObject::Image(previous)) = self.objects.get_mut(&previous_owner) else {
            return;
        };
        let before = Arc::clone(previous);
        let mut after = (*before).clone();
        after.repo_tags.retain(|t| t != tag);
        let after = Arc::new(after);
        *previous = Arc::clone(&after);
        self.diff_image(Some(&before), Some(&after), changes);
    }

    fn diff_image(
        &mut self,
        before: Option<&Arc<Image>>,
        after: Option<&Arc<Image>>,
        changes: &mut Vec<DesiredChange>,
    ) {
        let old = before
            .map(|image| self.image_mirrors(image))
            .unwrap_or_default();
        let new = after
            .map(|image| self.image_mirrors(image))
            .unwrap_or_default();
        for (key, desired) in old {
            if new.iter().any(|(other, _)| *other == key) {
                continue;
            }
            if let DesiredState::Image {
                image,
                tag: Some(tag),
            } = &desired
            {
                let tag_key = (image.namespace.clone(), tag.to_string());
                if self
                    .tags
                    .get(&tag_key)
                    .is_some_and(|owner| owner.id == image.id)
                {
                    self.tags.remove(&tag_key);
                }
            }
            changes.push(DesiredChange::Removed(key));
        }
        changes.extend(
            new.into_iter()
                .map(|(key, desired)| DesiredChange::Set(key, desired)),
        );
    }

    fn image_mirrors(&self, image: &Arc<Image>) -> Vec<(MirrorKey, DesiredState)> {
        let tags: Vec<Option<&str>> = if image.repo_tags.is_empty() {
            vec![None]
        } else {
            image
                .repo_tags
                .iter()
                .map(|tag| Some(tag.as_str()))
                .collect()
        };
        let namespace = self.other_namespace(&image.namespace);
        tags.into_iter()
            .map(|tag| {
                let name = mirror_names::image(namespace, &image.id, tag);
                let desired = DesiredState::Image {
                    image: Arc::clone(image),
                    tag: tag.map(Arc::from),
                };
                (self.key(MirrorKind::Image, &name), desired)
            })
            .collect()
    }

    /// Returns the mirrors of all objects.
    fn mirrors(&self) -> BTreeMap<MirrorKey, DesiredState> {
        self.objects
            .iter()
            .flat_map(|(reference, object)| match object {
                TrackedObject::Image(image) => self.image_mirrors(image),
                TrackedObject::Mirror(desired) => {
                    vec![(self.object_key(reference), desired.clone())]
                }
            })
            .collect()
    }

    fn on_removed(&mut self, reference: &ObjectRef, changes: &mut Vec<DesiredChange>) {
        match self.objects.remove(reference) {
            Some(TrackedObject::Image(image)) => self.diff_image(Some(&image), None, changes),
            Some(TrackedObject::Mirror(DesiredState::Namespace))
                if self.info.namespaces.contains(&reference.id) => {}
            Some(TrackedObject::Mirror(_)) => {
                changes.push(DesiredChange::Removed(self.object_key(reference)));
            }
            None => {}
        }
    }

    /// Returns the key of the mirror of an object that has exactly one, or of
    /// an image without tags.
    fn object_key(&self, reference: &ObjectRef) -> MirrorKey {
        let id = &reference.id;
        let namespace = self.other_namespace(&reference.namespace);
        match reference.kind {
            ObjectKind::Container => self.key(
                MirrorKind::Container,
                &mirror_names::container(namespace, id),
            ),
            ObjectKind::Image => {
                self.key(MirrorKind::Image, &mirror_names::image(namespace, id, None))
            }
            ObjectKind::Volume => {
                self.key(MirrorKind::Volume, &mirror_names::volume(namespace, id))
            }
            ObjectKind::Namespace => self.key(MirrorKind::Namespace, &mirror_names::namespace(id)),
        }
    }

    /// Returns the engine's namespace as names of mirrors are made from it:
    /// `None` for the default one.
    fn other_namespace<'a>(&self, namespace: &'a str) -> Option<&'a str> {
        (namespace != self.info.default_namespace()).then_some(namespace)
    }

    fn key(&self, kind: MirrorKind, name: &str) -> MirrorKey {
        MirrorKey {
            kind,
            namespace: Arc::clone(&self.namespace),
            name: Arc::from(name),
        }
    }
}

/// Returns whether two volumes of the same name differ in a property that never
/// changes during the life of a volume.
///
/// The creation time is not such a property, although it is the most
/// significant one: Docker before 23 changes it when the volume is written to,
/// so that after a gap in the events it proves nothing. A live mirror follows
/// it, which is harmless; for its role in removals, see `plan`.
fn is_different_volume(old: &Volume, new: &Volume) -> bool {
    old.driver != new.driver
        || old.scope != new.scope
        || old.labels != new.labels
        || old.options != new.options
}

#[cfg(test)]
mod tests;
