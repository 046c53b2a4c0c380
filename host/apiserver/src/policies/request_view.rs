//! A write as policies see it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use rdd_apiserver_schema::ResourceTarget;
use rdd_apiserver_storage::StoreSnapshot;
use serde_json::{Map, Value, json};

use super::user_authorization::UserAuthorization;
use crate::admission::{AdmissionOperation, AdmissionRequest};
use crate::query::QueryParams;
use crate::rbac::RbacSnapshot;
use crate::records::{self, NAMESPACE_PREFIX};
use crate::registry::ResourceRegistry;
use crate::resource::ServedResource;
use crate::selectors::label::LabelSelector;
use crate::status::ApiError;

/// The query parameters that are fields of the options of a write.
const OPTION_PARAMETERS: [&str; 2] = ["fieldManager", "fieldValidation"];

/// What policies may read of the server.
pub(crate) struct PolicyState {
    pub(crate) registry: Arc<ResourceRegistry>,
    pub(crate) snapshot: StoreSnapshot,
    pub(crate) rbac: Arc<RbacSnapshot>,
}

/// A write, with what policies may ask about it.
pub(crate) struct RequestView<'a> {
    request: &'a AdmissionRequest<'a>,
    resource: &'a Arc<ServedResource>,
    query: &'a QueryParams,
    /// The objects in the form of the request's resource.
    object: Option<Cow<'a, Value>>,
    old_object: Option<Cow<'a, Value>>,
    pub(super) registry: Arc<ResourceRegistry>,
    pub(super) snapshot: StoreSnapshot,
    rbac: Arc<RbacSnapshot>,
    /// Found when a policy needs them for the first time.
    equivalent_resources: OnceCell<Vec<Arc<ServedResource>>>,
}

impl<'a> RequestView<'a> {
    pub(crate) fn new(
        request: &'a AdmissionRequest<'a>,
        resource: &'a Arc<ServedResource>,
        query: &'a QueryParams,
        state: PolicyState,
    ) -> Self {
        let scale_paths = if request.subresource == Some("scale") {
            resource.custom().and_then(|custom| custom.scale.as_ref())
        } else {
            None
        };
        let shown = |object: Option<&'a Value>| {
            object.map(|object| match scale_paths {
                Some(paths) => Cow::Owned(paths.to_scale_or_zero(object)),
                None => Cow::Borrowed(object),
            })
        };
        Self {
            request,
            resource,
            query,
            object: shown(request.object),
            old_object: shown(request.old_object),
            registry: state.registry,
            snapshot: state.snapshot,
            rbac: state.rbac,
            equivalent_resources: OnceCell::new(),
        }
    }

    pub(super) fn request(&self) -> &'a AdmissionRequest<'a> {
        self.request
    }

    pub(super) fn resource(&self) -> &Arc<ServedResource> {
        self.resource
    }

    pub(super) fn name(&self) -> &str {
        self.request.name
    }

    /// The subresource; empty for the resource itself.
    pub(super) fn subresource(&self) -> &str {
        self.request.subresource.unwrap_or_default()
    }

    /// The name of the operation in rules and requests.
    pub(super) fn operation(&self) -> &'static str {
        match self.request.operation {
            AdmissionOperation::Create => "CREATE",
            AdmissionOperation::Update => "UPDATE",
            AdmissionOperation::Delete => "DELETE",
        }
    }

    fn is_namespace(&self) -> bool {
        self.request.group.is_empty() && self.request.resource == "namespaces"
    }

    /// Whether the request is for an object in a namespace.
    pub(super) fn is_namespaced(&self) -> bool {
        self.request.namespace.is_some()
    }

    /// The namespace of the object; for a namespace, the namespace itself.
    pub(super) fn namespace(&self) -> Option<&str> {
        if self.is_namespace() {
            return Some(self.request.name);
        }
        self.request.namespace
    }

    fn read_namespace(&self, name: &str) -> Result<Value, ApiError> {
        let record = self
            .snapshot
            .get(&format!("{NAMESPACE_PREFIX}{name}"))
            .ok_or_else(|| ApiError::not_found("", "namespaces", name))?;
        records::read(record).map_err(|error| ApiError::internal(error.to_string()))
    }

    /// Returns the namespace of a namespaced object.
    ///
    /// # Errors
    /// 404 if it does not exist.
    pub(super) fn namespace_object(&self) -> Result<Option<Value>, ApiError> {
        let name = self.request.namespace;
        name.map(|name| self.read_namespace(name)).transpose()
    }

    /// Returns whether the namespace matches. Objects without a namespace match,
    /// except namespaces, whose own labels count.
    ///
    /// # Errors
    /// 404 if the namespace does not exist.
    pub(super) fn matches_namespace(&self, selector: &LabelSelector) -> Result<bool, ApiError> {
        let Some(name) = self.namespace().filter(|_| !selector.is_empty()) else {
            return Ok(true);
        };
        match &self.object {
            // The stored one has the old labels.
            Some(object) if self.is_namespace() && self.subresource().is_empty() => {
                Ok(selector.matches(object))
            }
            _ => Ok(selector.matches(&self.read_namespace(name)?)),
        }
    }

    /// Returns whether the new or the old object matches.
    pub(super) fn matches_objects(&self, selector: &LabelSelector) -> bool {
        let matches = |object: &Option<Cow<'_, Value>>| {
            object
                .as_ref()
                .is_some_and(|object| selector.matches(object))
        };
        selector.is_empty() || matches(&self.object) || matches(&self.old_object)
    }

    /// Returns the other resources through which the same objects are served.
    pub(super) fn equivalent_resources(&self) -> &[Arc<ServedResource>] {
        self.equivalent_resources.get_or_init(|| {
            let own = self.resource();
            let mut resources: Vec<_> = self
                .registry
                .resources()
                .filter(|other| other.key_prefix == own.key_prefix && other.kind != own.kind)
                .cloned()
                .collect();
            resources.sort_by(|left, right| {
                let key = |resource: &ServedResource| resource.kind.api_version();
                key(left).cmp(&key(right))
            });
            resources
        })
    }

    /// Returns the new and the old object in the form of `matched`.
    pub(super) fn objects_as(&self, matched: &ServedResource) -> [Option<Cow<'_, Value>>; 2] {
        let is_own = matched.kind == self.resource().kind || self.subresource() == "scale";
        [&self.object, &self.old_object].map(|object| {
            let object = object.as_deref()?;
            Some(if is_own {
                Cow::Borrowed(object)
            } else {
                Cow::Owned(convert(self.resource(), matched, object))
            })
        })
    }

    /// Returns what decides for `authorizer`.
    pub(super) fn authorization(&self) -> Arc<UserAuthorization> {
        Arc::new(UserAuthorization {
            rbac: Arc::clone(&self.rbac),
            user: self.request.user.clone(),
        })
    }

    /// Returns what `authorizer.requestResource` is about.
    pub(super) fn resource_target(&self) -> ResourceTarget {
        ResourceTarget {
            group: self.request.group.to_owned(),
            resource: self.request.resource.to_owned(),
            subresource: self.subresource().to_owned(),
            namespace: self.namespace().unwrap_or_default().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// Returns the fields of the `AdmissionRequest`, except the objects.
    pub(super) fn request_value(&self, matched: &ServedResource) -> Value {
        let kind_of = |resource: &ServedResource| {
            if self.subresource() == "scale" {
                return json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
            }
            let kind = &resource.kind;
            json!({"group": kind.group, "version": kind.version, "kind": kind.kind})
        };
        let resource_of = |resource: &ServedResource| {
            let kind = &resource.kind;
            json!({"group": kind.group, "version": kind.version, "resource": kind.plural})
        };
        let mut value = json!({
            "uid": "",
            "kind": kind_of(matched),
            "resource": resource_of(matched),
            "requestKind": kind_of(self.resource()),
            "requestResource": resource_of(self.resource()),
            "operation": self.operation(),
            "userInfo": self.request.user.to_value(),
            "dryRun": self.request.dry_run,
            "options": self.options(),
        });
        if let Some(fields) = value.as_object_mut() {
            let subresource = self.subresource();
            for (field, text) in [
                ("subResource", subresource),
                ("requestSubResource", subresource),
                ("name", self.name()),
                ("namespace", self.namespace().unwrap_or_default()),
            ] {
                if !text.is_empty() {
                    fields.insert(field.to_owned(), text.into());
                }
            }
        }
        value
    }

    fn options(&self) -> Value {
        let kind = match self.request.operation {
            AdmissionOperation::Create => "CreateOptions",
            AdmissionOperation::Delete => "DeleteOptions",
            AdmissionOperation::Update => "UpdateOptions",
        };
        let mut options = Map::new();
        options.insert("kind".to_owned(), kind.into());
        options.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
        if self.request.dry_run {
            options.insert("dryRun".to_owned(), json!(["All"]));
        }
        for parameter in OPTION_PARAMETERS {
            if let Some(text) = self.query.get(parameter) {
                options.insert(parameter.to_owned(), text.into());
            }
        }
        Value::Object(options)
    }
}

/// Converts an object to an equivalent resource.
fn convert(own: &ServedResource, other: &ServedResource, object: &Value) -> Value {
    let mut converted = object.clone();
    if own.is_builtin() && other.is_builtin() {
        converted = own.strategy().to_storage(object).unwrap_or(converted);
        other.strategy().convert_from_storage(&mut converted);
    }
    if let Some(fields) = converted.as_object_mut() {
        fields.insert("apiVersion".to_owned(), other.kind.api_version().into());
        fields.insert("kind".to_owned(), other.kind.kind.as_str().into());
    }
    converted
}
