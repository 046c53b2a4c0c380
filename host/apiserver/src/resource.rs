//! One served resource in one version: how its objects are read, judged and
//! shown, whether it is built in or comes from a definition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::table::TableColumns;
use rdd_apiserver_schema::StructuralSchema;
use serde_json::Value;

use crate::encode::{self, Storable};
use crate::managed::Types;
use rdd_apiserver_schema::names::NameValidator;

/// A resource as it is served right now; replaced as a whole when its
/// definition changes.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: ResourceKind,
    /// `group/plural/`: where its objects lie in the store.
    pub(crate) prefix: String,
    /// `{"apiVersion":…,"kind":…,` in front of every stored object.
    pub(crate) typed: Vec<u8>,
    pub(crate) names: NameValidator,
    pub(crate) columns: TableColumns,
    pub(crate) types: Types,
    pub(crate) source: Source,
}

/// Who defines the resource.
#[derive(Debug)]
pub(crate) enum Source {
    Builtin(crate::builtin::Builtin),
    Custom(Custom),
}

/// What a CustomResourceDefinition says of one version.
#[derive(Debug)]
pub(crate) struct Custom {
    pub(crate) schema: StructuralSchema,
    /// The schema of the version that is stored, where that is another one:
    /// it decides what is kept.
    pub(crate) stored: Option<StructuralSchema>,
    /// The schema as it was written, for OpenAPI.
    pub(crate) openapi: Arc<Value>,
    pub(crate) status: bool,
    pub(crate) scale: Option<crate::scale::ScalePaths>,
    /// Field paths without the leading dot.
    pub(crate) selectable: Vec<String>,
    /// The definition is being deleted: nothing new is created.
    pub(crate) terminating: AtomicBool,
    /// Revision of the definition that `terminating` reflects, stored after
    /// it: whoever reads this one first never sees an older `terminating`.
    pub(crate) definition: AtomicU64,
    /// Stored objects may be older than this schema or written through
    /// another version: they are pruned and defaulted when read.
    pub(crate) mend: bool,
    /// Deprecation warning of this version.
    pub(crate) warning: Option<String>,
}

impl Resource {
    pub(crate) fn new(
        kind: ResourceKind,
        storage: (&str, &str),
        names: NameValidator,
        columns: TableColumns,
        types: Types,
        source: Source,
    ) -> Self {
        Self {
            prefix: prefix(storage.0, storage.1),
            typed: encode::type_prefix(&kind.api_version(), &kind.kind),
            kind,
            names,
            columns,
            types,
            source,
        }
    }

    pub(crate) fn is_builtin(&self) -> bool {
        matches!(self.source, Source::Builtin(_))
    }

    pub(crate) fn custom(&self) -> Option<&Custom> {
        match &self.source {
            Source::Custom(custom) => Some(custom),
            Source::Builtin(_) => None,
        }
    }

    /// Key of one object.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) => format!("{}{namespace}/{name}", self.prefix),
            None => format!("{}{name}", self.prefix),
        }
    }

    /// Prefix of the keys of a collection.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        match namespace {
            Some(namespace) => format!("{}{namespace}/", self.prefix),
            None => self.prefix.clone(),
        }
    }

    /// Whether stored bytes can be sent as they are, but for their type.
    pub(crate) fn verbatim(&self) -> bool {
        match &self.source {
            Source::Builtin(builtin) => builtin.verbatim(),
            Source::Custom(custom) => !custom.mend,
        }
    }

    /// A stored object in the form of this version.
    ///
    /// # Errors
    /// When what is stored is not JSON, which means a damaged database.
    pub(crate) fn load(&self, stored: &[u8]) -> Result<Value, serde_json::Error> {
        let mut object = crate::records::parse(stored)?;
        if let Source::Builtin(builtin) = &self.source {
            builtin.read(&mut object);
        }
        if let Some(root) = object.as_object_mut() {
            root.insert("apiVersion".to_owned(), self.kind.api_version().into());
            root.insert("kind".to_owned(), self.kind.kind.as_str().into());
        }
        match &self.source {
            Source::Custom(custom) if custom.mend => {
                custom.schema.prune(&mut object);
                custom.schema.apply_defaults(&mut object);
            }
            Source::Custom(_) | Source::Builtin(_) => {}
        }
        Ok(object)
    }

    /// An object in the form in which it is stored.
    pub(crate) fn storable(&self, object: &Value) -> Storable {
        let stored = match &self.source {
            Source::Builtin(builtin) => builtin.store(object),
            Source::Custom(custom) => custom.stored.as_ref().map(|schema| {
                let mut kept = object.clone();
                schema.prune(&mut kept);
                kept
            }),
        };
        Storable::new(stored.as_ref().unwrap_or(object))
    }

    /// What a field selector compares, or nothing when the field cannot be
    /// selected on.
    pub(crate) fn selectable(&self, field: &str) -> bool {
        if field == "metadata.name" || (field == "metadata.namespace" && self.kind.namespaced) {
            return true;
        }
        match &self.source {
            Source::Builtin(builtin) => builtin.selectable(field),
            Source::Custom(custom) => custom.selectable.iter().any(|f| f == field),
        }
    }

    /// The value of a selectable field.
    pub(crate) fn field(&self, object: &Value, field: &str) -> String {
        match &self.source {
            Source::Builtin(builtin) => builtin.field(object, field),
            Source::Custom(_) => crate::selectors::field::read(object, field),
        }
    }
}

/// `group/plural/`, with a name for the core group.
pub(crate) fn prefix(group: &str, plural: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    format!("{group}/{plural}/")
}
