//! The path of a request, parsed.

use crate::query::decode_segment;

/// The path of a resource, of one of its objects, or of a subresource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) resource: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestTarget {
    Root,
    Version,
    /// `/backup`.
    Backup,
    /// `/healthz`, `/livez`, or `/readyz`, and the check below it.
    Health(String, Option<String>),
    OpenApiV2,
    OpenApiV3(Option<String>),
    Api,
    Apis,
    Group(String),
    GroupVersion(String, String),
    Resource(ResourcePath),
    /// A path that names nothing.
    Unknown {
        /// The group of a path below `/api` or `/apis`, which decides the form of
        /// the 404.
        group: Option<String>,
    },
}

/// Parses a path that is still percent-encoded.
pub(crate) fn parse(path: &str) -> RequestTarget {
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    let health = |name: &str| RequestTarget::Health(name.to_owned(), None);
    match trimmed {
        "" => return RequestTarget::Root,
        "version" | "version/" => return RequestTarget::Version,
        "backup" => return RequestTarget::Backup,
        "healthz" | "livez" | "readyz" => return health(trimmed),
        "openapi/v2" => return RequestTarget::OpenApiV2,
        "openapi/v3" | "openapi/v3/" => return RequestTarget::OpenApiV3(None),
        _ => {}
    }
    if let Some(rest) = trimmed.strip_prefix("openapi/v3/") {
        return RequestTarget::OpenApiV3(Some(rest.to_owned()));
    }
    for name in ["healthz", "livez", "readyz"] {
        if let Some(check) = trimmed
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            return RequestTarget::Health(name.to_owned(), Some(check.to_owned()));
        }
    }
    let inner = trimmed.strip_suffix('/').unwrap_or(trimmed);
    let parts: Vec<String> = inner
        .split('/')
        .map(|part| decode_segment(part).into_owned())
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let unknown = || RequestTarget::Unknown {
        group: match parts.as_slice() {
            ["api", ..] => Some(String::new()),
            ["apis", group, ..] => Some((*group).to_owned()),
            _ => None,
        },
    };
    if parts.contains(&"") {
        return unknown();
    }
    match parts.as_slice() {
        ["api"] => RequestTarget::Api,
        ["apis"] => RequestTarget::Apis,
        ["api", version] => RequestTarget::GroupVersion(String::new(), (*version).to_owned()),
        ["apis", group] => RequestTarget::Group((*group).to_owned()),
        ["apis", group, version] => {
            RequestTarget::GroupVersion((*group).to_owned(), (*version).to_owned())
        }
        ["api", version, rest @ ..] => {
            parse_resource("", version, rest).map_or_else(unknown, RequestTarget::Resource)
        }
        ["apis", group, version, rest @ ..] => {
            parse_resource(group, version, rest).map_or_else(unknown, RequestTarget::Resource)
        }
        _ => unknown(),
    }
}

fn parse_resource(group: &str, version: &str, rest: &[&str]) -> Option<ResourcePath> {
    let resource_path = |namespace: Option<&str>, resource: &str, tail: &[&str]| {
        let (name, subresource) = match tail {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, sub] => (Some(*name), Some(*sub)),
            _ => return None,
        };
        Some(ResourcePath {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.map(str::to_owned),
            resource: resource.to_owned(),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    };
    match rest {
        ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
            resource_path(None, "namespaces", &[name, sub])
        }
        ["namespaces", namespace, resource, tail @ ..] => {
            resource_path(Some(namespace), resource, tail)
        }
        [resource, tail @ ..] => resource_path(None, resource, tail),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_named(path: &str) -> (Option<String>, String, Option<String>, Option<String>) {
        match parse(path) {
            RequestTarget::Resource(p) => (p.namespace, p.resource, p.name, p.subresource),
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_are_parsed_as_clients_write_them() {
        let text = |s: &str| Some(s.to_owned());
        assert_eq!(
            parse_named("/api/v1/namespaces"),
            (None, "namespaces".into(), None, None)
        );
        assert_eq!(
            parse_named("/api/v1/namespaces/a"),
            (None, "namespaces".into(), text("a"), None)
        );
        assert_eq!(
            parse_named("/api/v1/namespaces/a/finalize"),
            (None, "namespaces".into(), text("a"), text("finalize"))
        );
        assert_eq!(
            parse_named("/api/v1/namespaces/a/configmaps/"),
            (text("a"), "configmaps".into(), None, None)
        );
        assert_eq!(
            parse_named("/apis/g/v1/namespaces/a/ws/b/status"),
            (text("a"), "ws".into(), text("b"), text("status"))
        );
        assert_eq!(
            parse_named("/apis/g/v1/ws/sha256%3Aabc"),
            (None, "ws".into(), text("sha256:abc"), None)
        );
        assert_eq!(
            parse("/api//v1"),
            RequestTarget::Unknown {
                group: Some(String::new())
            }
        );
        assert_eq!(
            parse("/apis/g/v1/"),
            RequestTarget::GroupVersion("g".into(), "v1".into())
        );
        assert_eq!(parse("/nope"), RequestTarget::Unknown { group: None });
    }
}
