//! Whether the engine's object is the one that a mirror shows, and the proof of
//! it that a removal carries.

use rdd_core::{RemoveRequest, RemoveTarget};

use crate::desired_state::{DesiredState, MirrorStatus, wire_time};
use crate::entry::MirrorObject;

/// Returns whether the engine's object may be another one than the mirror
/// shows.
pub(super) fn may_be_different_object(desired: &DesiredState, object: &MirrorObject) -> bool {
    match (desired, &object.status) {
        (DesiredState::Container(container), Some(MirrorStatus::Container(status))) => {
            container.namespace != status.namespace
        }
        (DesiredState::Image { image, .. }, Some(MirrorStatus::Image(status))) => {
            image.namespace != status.namespace
        }
        (DesiredState::Volume(volume), Some(MirrorStatus::Volume(status))) => {
            let is_other_time = matches!(
                (wire_time(volume.created_at), &status.created_at),
                (Some(current), Some(shown)) if current != *shown
            );
            is_other_time || volume.namespace != status.namespace
        }
        _ => false,
    }
}

/// Returns the removal to request, with the proof that the object is still the
/// one that the mirror shows.
pub(super) fn removal_request(desired: &DesiredState) -> Option<RemoveRequest> {
    let (namespace, target) = match desired {
        DesiredState::Container(container) => (
            &container.namespace,
            RemoveTarget::Container {
                id: container.id.clone(),
            },
        ),
        DesiredState::Image { image, tag } => {
            let image_id = image.id.clone();
            let target = match tag {
                Some(tag) => RemoveTarget::ImageTag {
                    tag: tag.to_string(),
                    image_id,
                },
                None => RemoveTarget::Image { id: image_id },
            };
            (&image.namespace, target)
        }
        DesiredState::Volume(volume) => (
            &volume.namespace,
            RemoveTarget::Volume {
                name: volume.name.clone(),
                created_at: volume.created_at,
            },
        ),
        DesiredState::Namespace => return None,
    };
    Some(RemoveRequest {
        namespace: namespace.clone(),
        target,
    })
}
