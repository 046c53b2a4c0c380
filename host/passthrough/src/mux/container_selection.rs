//! The containers that a subscription selects.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdd_core::{
    COMPOSE_PROJECT_LABEL, Container, ContainerEngine, ContainerIndex, ContainerLookup,
    ContainerRef, IndexedContainer, LabelPredicate, text,
};

use super::subscription::SubscriptionError;
use crate::limits;
use crate::request_error::StreamRequestError;

/// The containers of a subscription.
pub(super) enum ContainerSelection {
    /// One, as in the path of its log.
    One(String),
    /// Those whose labels match.
    Labels(Box<dyn LabelPredicate>),
    /// Those of a Docker Compose project.
    Project(String),
}

impl ContainerSelection {
    /// Returns the selected containers. One that is named is returned only if
    /// `is_first`: it does not come back.
    pub(super) fn find(
        &self,
        engine: &dyn ContainerEngine,
        index: &ContainerIndex,
        is_first: bool,
    ) -> Result<Vec<IndexedContainer>, SubscriptionError> {
        let by_label = |is_selected: &dyn Fn(&BTreeMap<String, String>) -> bool| {
            let all = index.iter();
            all.filter(|indexed| is_selected(&indexed.container.labels))
                .cloned()
                .collect()
        };
        let name = match self {
            Self::Labels(predicate) => {
                return Ok(by_label(&|labels| predicate.matches(labels)));
            }
            Self::Project(project) => {
                return Ok(by_label(&|labels| {
                    labels.get(COMPOSE_PROJECT_LABEL) == Some(project)
                }));
            }
            Self::One(name) => name,
        };
        if !is_first {
            return Ok(Vec::new());
        }
        let format = engine.info().id_format;
        let reference = match index.find(name, None) {
            ContainerLookup::Found(reference) => reference,
            ContainerLookup::Ambiguous { namespaces } => {
                return Err(StreamRequestError::AmbiguousId {
                    id: name.clone(),
                    namespaces,
                }
                .into());
            }
            // The engine may have one that it has not reported yet.
            ContainerLookup::NotFound if format.matches(name) => {
                ContainerRef::new(engine.info().default_namespace(), &**name)
            }
            ContainerLookup::NotFound => {
                return Err(StreamRequestError::InvalidId {
                    id: text::quote(name, limits::MAX_QUOTED_ID),
                    format,
                }
                .into());
            }
        };
        let unknown = || IndexedContainer {
            mirror_name: name.as_str().into(),
            container: Arc::new(Container {
                id: reference.id.clone(),
                namespace: reference.namespace.clone(),
                ..Container::default()
            }),
        };
        Ok(vec![index.by_reference(&reference).unwrap_or_else(unknown)])
    }
}
