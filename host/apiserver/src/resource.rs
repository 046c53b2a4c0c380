//! One served resource in one version: how its objects are read, validated,
//! and stored, whether it is built in or defined by a
//! CustomResourceDefinition.

use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::table::TableColumns;
use rdd_apiserver_schema::names::NameValidator;
use serde_json::Value;

use crate::encode::{self, EncodedObject};
use crate::meta;
use crate::records;
use crate::strategy::{CustomStrategy, ResourceStrategy, RestStrategy};
use crate::versioned_types::VersionedTypes;

/// A served resource. A change of its definition replaces it as a whole.
#[derive(Debug)]
pub(crate) struct ServedResource {
    pub(crate) kind: ResourceKind,
    /// `group/plural/`: the prefix of the keys of its objects in the store.
    pub(crate) key_prefix: String,
    /// `{"apiVersion":…,"kind":…,`: what is written before a stored object.
    pub(crate) type_meta_prefix: Vec<u8>,
    pub(crate) name_rule: NameValidator,
    pub(crate) columns: TableColumns,
    pub(crate) types: VersionedTypes,
    pub(crate) strategy: ResourceStrategy,
}

impl ServedResource {
    pub(crate) fn new(
        kind: ResourceKind,
        storage: (&str, &str),
        name_rule: NameValidator,
        columns: TableColumns,
        types: VersionedTypes,
        strategy: ResourceStrategy,
    ) -> Self {
        Self {
            key_prefix: key_prefix(storage.0, storage.1),
            type_meta_prefix: encode::type_meta_prefix(&kind.api_version(), &kind.kind),
            kind,
            name_rule,
            columns,
            types,
            strategy,
        }
    }

    pub(crate) fn is_builtin(&self) -> bool {
        matches!(self.strategy, ResourceStrategy::Builtin(_))
    }

    pub(crate) fn strategy(&self) -> &dyn RestStrategy {
        self.strategy.as_dyn()
    }

    pub(crate) fn custom(&self) -> Option<&CustomStrategy> {
        match &self.strategy {
            ResourceStrategy::Custom(custom) => Some(custom),
            ResourceStrategy::Builtin(_) => None,
        }
    }

    /// Returns the key of an object.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) => format!("{}{namespace}/{name}", self.key_prefix),
            None => format!("{}{name}", self.key_prefix),
        }
    }

    /// Returns the prefix of the keys of a collection.
    pub(crate) fn collection_prefix(&self, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) => format!("{}{namespace}/", self.key_prefix),
            None => self.key_prefix.clone(),
        }
    }

    /// Returns whether stored bytes are sent unchanged, apart from the type that
    /// is written before them.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.strategy().is_verbatim()
    }

    /// Reads a stored object as an object of this version.
    ///
    /// # Errors
    /// Fails if the bytes are not JSON, which means a damaged database.
    pub(crate) fn load(&self, stored: &[u8]) -> Result<Value, serde_json::Error> {
        let mut object = records::parse(stored)?;
        self.strategy().convert_from_storage(&mut object);
        meta::set_field(
            &mut object,
            "apiVersion",
            Some(self.kind.api_version().into()),
        );
        meta::set_field(&mut object, "kind", Some(self.kind.kind.as_str().into()));
        Ok(object)
    }

    /// Returns an object in the form in which it is stored.
    pub(crate) fn storable(&self, object: &Value) -> EncodedObject {
        let stored = self.strategy().to_storage(object);
        EncodedObject::new(stored.as_ref().unwrap_or(object))
    }

    /// Returns whether field selectors can use the field.
    pub(crate) fn is_selectable(&self, field: &str) -> bool {
        field == "metadata.name"
            || (field == "metadata.namespace" && self.kind.namespaced)
            || self.strategy().is_selectable(field)
    }
}

/// Returns `group/plural/`, with `core` for the core group.
pub(crate) fn key_prefix(group: &str, plural: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    format!("{group}/{plural}/")
}
