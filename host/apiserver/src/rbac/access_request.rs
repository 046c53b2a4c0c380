//! What a user asks to do, and the decision about it.

use crate::status::ApiError;
use crate::user::UserInfo;

/// What a request is about to do: with a resource, or with another path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessRequest<'a> {
    /// With objects of a resource.
    Resource(ResourceAccessRequest<'a>),
    /// With a path such as `/metrics`.
    NonResource {
        /// The method in lower case, such as `get`.
        verb: &'a str,
        /// The path, with its leading slash.
        path: &'a str,
    },
}

/// What a request is about to do with a resource. Empty fields are absent.
///
/// ```
/// use rdd_apiserver::ResourceAccessRequest;
///
/// let logs = ResourceAccessRequest {
///     verb: "get",
///     group: "containers.rancherdesktop.io",
///     resource: "containers",
///     subresource: "log",
///     ..ResourceAccessRequest::default()
/// };
/// assert_eq!(logs.namespace, "", "in all namespaces");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceAccessRequest<'a> {
    /// The verb, such as `list`.
    pub verb: &'a str,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural of the resource.
    pub resource: &'a str,
    /// The subresource.
    pub subresource: &'a str,
    /// The namespace; empty for all namespaces, and for cluster-scoped objects.
    pub namespace: &'a str,
    /// The name of the object; empty for a collection.
    pub name: &'a str,
}

impl AccessRequest<'_> {
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Resource(request) => request.namespace,
            Self::NonResource { .. } => "",
        }
    }

    /// Returns the 403 of a user who may not do this, in the words of
    /// kube-apiserver. `reason` is appended unless it is empty.
    pub(crate) fn denial(&self, user: &UserInfo, reason: &str) -> ApiError {
        let mut why = self.denial_text(user);
        if !reason.is_empty() {
            why = format!("{why}: {reason}");
        }
        match self {
            Self::Resource(request) => {
                ApiError::forbidden(request.group, request.resource, request.name, &why, vec![])
            }
            Self::NonResource { .. } => ApiError::forbidden_path(&why),
        }
    }

    fn denial_text(&self, user: &UserInfo) -> String {
        let user = user.name.as_str();
        match self {
            Self::NonResource { verb, path } => {
                format!("User {user:?} cannot {verb} path {path:?}")
            }
            Self::Resource(request) => {
                let ResourceAccessRequest {
                    verb,
                    group,
                    namespace,
                    ..
                } = request;
                let resource = request.combined_resource();
                let scope = match *namespace {
                    "" => "at the cluster scope".to_owned(),
                    namespace => format!("in the namespace {namespace:?}"),
                };
                format!(
                    "User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}"
                )
            }
        }
    }
}

impl ResourceAccessRequest<'_> {
    /// Returns `resource/subresource`, or the resource alone.
    pub(super) fn combined_resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

/// The decision about an access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessOutcome {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The binding that allows it, or what is wrong with the roles that might;
    /// may be empty.
    pub reason: String,
}
