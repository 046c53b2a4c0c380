//! Everything that is served, as one value that is swapped whole: discovery,
//! OpenAPI and the resources themselves never disagree.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rdd_apiserver_kinds::ResourceKind;

use crate::openapi::OpenApiCache;
use crate::resource::ServedResource;

type Versions = HashMap<String, HashMap<String, Arc<ServedResource>>>;

/// A document and the tag by which clients recognise it.
#[derive(Debug, Clone)]
pub(crate) struct CachedResponse {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
}

/// What is served.
#[derive(Debug, Default)]
pub(crate) struct ResourceRegistry {
    groups: HashMap<String, Versions>,
    /// All kinds, those that are only listed too.
    pub(crate) kinds: Vec<ResourceKind>,
    pub(crate) aggregated_discovery: [OnceLock<CachedResponse>; 2],
    pub(crate) openapi_index: OnceLock<CachedResponse>,
    pub(crate) openapi_documents: OnceLock<OpenApiCache>,
}

impl ResourceRegistry {
    /// A registry of the given resources; `listed` are kinds that discovery
    /// shows and nobody serves.
    pub(crate) fn new(resources: Vec<Arc<ServedResource>>, listed: Vec<ResourceKind>) -> Self {
        let mut kinds = listed;
        let mut groups: HashMap<String, Versions> = HashMap::new();
        for resource in resources {
            let kind = &resource.kind;
            kinds.push(kind.clone());
            groups
                .entry(kind.group.clone())
                .or_default()
                .entry(kind.version.clone())
                .or_default()
                .insert(kind.plural.clone(), Arc::clone(&resource));
        }
        Self {
            groups,
            kinds,
            ..Self::default()
        }
    }

    /// The resource that a path names.
    pub(crate) fn get(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<&Arc<ServedResource>> {
        self.groups.get(group)?.get(version)?.get(plural)
    }

    /// Every resource, in no order.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Arc<ServedResource>> {
        self.groups
            .values()
            .flat_map(HashMap::values)
            .flat_map(HashMap::values)
    }

    /// Whether a group is one of the server's own.
    pub(crate) fn is_builtin_group(&self, group: &str) -> bool {
        self.kinds.iter().any(|kind| {
            kind.group == group && kind.origin == rdd_apiserver_kinds::KindOrigin::Builtin
        })
    }
}
