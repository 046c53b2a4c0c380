//! The parameters of a policy: objects that its bindings select.

use std::sync::Arc;

use rdd_apiserver_storage::StoreSnapshot;
use serde_json::Value;

use crate::registry::ResourceRegistry;
use crate::resource::ServedResource;
use crate::selectors::label::LabelSelector;

/// The kind of the parameters of a policy.
#[derive(Debug)]
pub(super) struct ParamKind {
    api_version: String,
    kind: String,
}

/// The parameters that a binding selects.
#[derive(Debug)]
pub(super) struct ParamSelection {
    /// The name of one object; empty if there is a selector.
    name: String,
    namespace: Option<String>,
    selector: LabelSelector,
    /// Whether a request is denied if there are no parameters.
    denies_without: bool,
}

/// An error of [`ParamKind::find`] or [`ParamSelection::select`], in the words
/// of kube-apiserver.
#[derive(Debug, thiserror::Error)]
pub(super) enum ParamError {
    /// The kind is not served.
    #[error("failed to find resource referenced by paramKind: '{api_version}, Kind={kind}'")]
    UnknownKind {
        /// The group and the version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// The request has no namespace, and the binding names none.
    #[error(
        "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
    )]
    NoNamespace,
    /// The binding names a namespace.
    #[error("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")]
    ClusterScoped,
    /// No object is selected, and the binding requires one.
    #[error("no params found for policy binding with `Deny` parameterNotFoundAction")]
    NotFound,
    /// A stored object cannot be read.
    #[error("stored object {key} cannot be read: {error}")]
    Unreadable {
        /// The key of the object.
        key: Arc<str>,
        /// The error of the parser.
        error: serde_json::Error,
    },
}

impl ParamKind {
    /// Reads `paramKind`.
    pub(super) fn from_spec(spec: &Value) -> Option<Self> {
        let param_kind = spec.get("paramKind").filter(|kind| kind.is_object())?;
        let text = |field: &str| param_kind[field].as_str().unwrap_or_default().to_owned();
        let api_version = text("apiVersion");
        Some(Self {
            api_version,
            kind: text("kind"),
        })
    }

    /// Returns the resource of the kind.
    ///
    /// # Errors
    /// The kind is not served.
    pub(super) fn find<'r>(
        &self,
        registry: &'r ResourceRegistry,
    ) -> Result<&'r Arc<ServedResource>, ParamError> {
        registry
            .resources()
            .find(|resource| {
                resource.kind.kind == self.kind && resource.kind.api_version() == self.api_version
            })
            .ok_or_else(|| ParamError::UnknownKind {
                // Upstream writes the core group as an empty one.
                api_version: match self.api_version.contains('/') {
                    true => self.api_version.clone(),
                    false => format!("/{}", self.api_version),
                },
                kind: self.kind.clone(),
            })
    }
}

impl ParamSelection {
    /// Reads `paramRef`.
    pub(super) fn from_spec(spec: &Value) -> Option<Self> {
        let param_ref = spec.get("paramRef").filter(|param| param.is_object())?;
        let text = |field: &str| param_ref[field].as_str().unwrap_or_default().to_owned();
        Some(Self {
            name: text("name"),
            namespace: Some(text("namespace")).filter(|namespace| !namespace.is_empty()),
            selector: LabelSelector::from_object(&param_ref["selector"]),
            denies_without: param_ref["parameterNotFoundAction"] == "Deny",
        })
    }

    /// Returns the selected objects. `namespace` is that of the request.
    ///
    /// # Errors
    /// See [`ParamError`].
    pub(super) fn select(
        &self,
        resource: &ServedResource,
        snapshot: &StoreSnapshot,
        namespace: Option<&str>,
    ) -> Result<Vec<Value>, ParamError> {
        let namespace = match (resource.kind.namespaced, &self.namespace) {
            (true, Some(namespace)) => Some(namespace.as_str()),
            (true, None) => Some(namespace.ok_or(ParamError::NoNamespace)?),
            (false, Some(_)) => return Err(ParamError::ClusterScoped),
            (false, None) => None,
        };
        let prefix = resource.collection_prefix(namespace);
        let records = if self.name.is_empty() {
            snapshot.range(&prefix, None).collect()
        } else {
            Vec::from_iter(snapshot.get(&resource.key(namespace, &self.name)))
        };
        let mut params = Vec::new();
        for record in records {
            let object = resource
                .load(&record.value)
                .map_err(|error| ParamError::Unreadable {
                    key: Arc::clone(&record.key),
                    error,
                })?;
            if self.selector.matches(&object) {
                params.push(object);
            }
        }
        if params.is_empty() && self.denies_without {
            return Err(ParamError::NotFound);
        }
        Ok(params)
    }
}
