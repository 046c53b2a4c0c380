//! The container that the path of a request addresses, and its engine.

use std::sync::Arc;

use rdd_core::{
    ContainerEngine, ContainerIndex, ContainerLookup, ContainerRef, IdFormat, ServingSnapshot,
    ServingState, text,
};

use crate::limits;
use crate::request_error::StreamRequestError;

/// The container that a request addresses, and the engine that has it.
pub(crate) struct ContainerTarget<'a> {
    pub(crate) snapshot: &'a ServingSnapshot,
    pub(crate) containers: ContainerIndex,
    /// The container as in the path: the name of its mirror, or its ID.
    pub(crate) container: &'a str,
}

impl ContainerTarget<'_> {
    /// Checks that the text may be the name of a mirror or an ID, and returns the
    /// format of IDs.
    pub(crate) fn check_form(&self) -> Result<IdFormat, StreamRequestError> {
        let format = self
            .snapshot
            .info
            .as_ref()
            .map_or(IdFormat::Identifier(limits::MAX_ID_LENGTH), |info| {
                info.id_format
            });
        if format.matches(self.container) || self.containers.get(self.container).is_some() {
            return Ok(format);
        }
        Err(StreamRequestError::InvalidId {
            id: text::quote(self.container, limits::MAX_QUOTED_ID),
            format,
        })
    }

    /// Returns the reference to the container. One that is not in the index is
    /// looked for in the default namespace, since the engine may have it.
    pub(crate) fn reference(
        &self,
        format: IdFormat,
        namespace: Option<String>,
        default_namespace: &str,
    ) -> Result<ContainerRef, StreamRequestError> {
        match self.containers.find(self.container, namespace.as_deref()) {
            ContainerLookup::Found(reference) => Ok(reference),
            ContainerLookup::Ambiguous { namespaces } => Err(StreamRequestError::AmbiguousId {
                id: self.container.to_owned(),
                namespaces,
            }),
            // The name of a mirror, whose container is in another namespace.
            ContainerLookup::NotFound if !format.matches(self.container) => {
                Err(StreamRequestError::ContainerNotFound {
                    backend: self.snapshot.backend.clone(),
                    id: self.container.to_owned(),
                })
            }
            ContainerLookup::NotFound => {
                let namespace = namespace.unwrap_or_else(|| default_namespace.to_owned());
                Ok(ContainerRef::new(namespace, self.container))
            }
        }
    }
}

/// Returns the engine of a snapshot.
pub(crate) fn ready_engine(
    snapshot: &ServingSnapshot,
) -> Result<&Arc<dyn ContainerEngine>, StreamRequestError> {
    match &snapshot.serving {
        ServingState::Ready(engine) => Ok(engine),
        ServingState::Unavailable(reason) => Err(StreamRequestError::from_unavailable(
            &snapshot.backend,
            reason,
        )),
    }
}
