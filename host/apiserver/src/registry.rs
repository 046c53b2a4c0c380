//! The registry of served resources. It is replaced as a whole, so that the
//! resources, discovery, and OpenAPI are always consistent.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rdd_apiserver_kinds::ResourceKind;

use crate::cached_response::CachedResponse;
use crate::resource::ServedResource;

type Versions = HashMap<String, HashMap<String, Arc<ServedResource>>>;

/// The documents of a registry by location, each created once.
#[derive(Debug)]
pub(crate) struct OpenApiCache {
    pub(crate) by_location: HashMap<String, (String, String, OnceLock<Option<CachedResponse>>)>,
}

/// The served resources, and the documents that describe them.
#[derive(Debug, Default)]
pub(crate) struct ResourceRegistry {
    groups: HashMap<String, Versions>,
    /// All kinds, including those that are in discovery only.
    pub(crate) kinds: Vec<ResourceKind>,
    pub(crate) aggregated_discovery: [OnceLock<CachedResponse>; 2],
    pub(crate) openapi_index: OnceLock<CachedResponse>,
    pub(crate) openapi_documents: OnceLock<OpenApiCache>,
}

impl ResourceRegistry {
    /// Creates a registry of `resources`. The kinds in `discovery_only` appear
    /// in discovery and are not in the registry.
    pub(crate) fn new(
        resources: Vec<Arc<ServedResource>>,
        discovery_only: Vec<ResourceKind>,
    ) -> Self {
        let mut kinds = discovery_only;
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

    /// Returns the resource of a path.
    pub(crate) fn get(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<&Arc<ServedResource>> {
        self.groups.get(group)?.get(version)?.get(plural)
    }

    /// Returns all resources, in no particular order.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Arc<ServedResource>> {
        self.groups
            .values()
            .flat_map(HashMap::values)
            .flat_map(HashMap::values)
    }

    /// Returns whether a group contains a built-in kind.
    pub(crate) fn is_builtin_group(&self, group: &str) -> bool {
        self.kinds.iter().any(|kind| {
            kind.group == group && kind.origin == rdd_apiserver_kinds::KindOrigin::Builtin
        })
    }
}
