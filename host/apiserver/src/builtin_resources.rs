//! The built-in resources.

use std::sync::Arc;

use rdd_apiserver_kinds::{ResourceKind, builtin};

use crate::resource::ServedResource;
use crate::review;
use crate::strategy::{BuiltinStrategy, ResourceStrategy};
use crate::versioned_types::VersionedTypes;

/// Returns all built-in resources.
pub(crate) fn resources() -> Vec<Arc<ServedResource>> {
    builtin::kinds()
        .iter()
        .map(|kind| {
            Arc::new(ServedResource::new(
                kind.kind.clone(),
                kind.storage_resource,
                kind.name_rule,
                kind.columns(),
                VersionedTypes::from_schema(kind.schema()).with_zero(kind.zero_object()),
                ResourceStrategy::Builtin(BuiltinStrategy::new(kind)),
            ))
        })
        .collect()
}

/// Returns the kinds that are in discovery but not in the registry.
pub(crate) fn discovery_only_kinds() -> Vec<ResourceKind> {
    review::kinds()
}
