//! One rule of a role, and what it matches.

use serde_json::{Value, json};

use super::access_request::{AccessRequest, ResourceAccessRequest};

/// Matches every verb, group, resource, or path.
pub(super) const ALL: &str = "*";

/// A rule of a role: Kubernetes' `PolicyRule`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RuleEntry {
    pub(crate) verbs: Vec<String>,
    pub(crate) api_groups: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) resource_names: Vec<String>,
    pub(crate) non_resource_urls: Vec<String>,
}

/// Returns whether a list has a text.
pub(super) fn has(list: &[String], text: &str) -> bool {
    list.iter().any(|item| item == text)
}

fn has_or_all(list: &[String], text: &str) -> bool {
    has(list, ALL) || has(list, text)
}

impl RuleEntry {
    /// Returns the rules that allow everything.
    pub(crate) fn everything() -> [Self; 2] {
        let all = || vec![ALL.to_owned()];
        let resources = Self {
            verbs: all(),
            api_groups: all(),
            resources: all(),
            ..Self::default()
        };
        let paths = Self {
            verbs: all(),
            non_resource_urls: all(),
            ..Self::default()
        };
        [resources, paths]
    }

    /// Reads the rules of a stored role.
    pub(crate) fn from_role(role: &Value) -> Vec<Self> {
        let rules = role["rules"].as_array().map_or(&[][..], Vec::as_slice);
        rules.iter().map(Self::from_value).collect()
    }

    fn from_value(rule: &Value) -> Self {
        let texts = |field: &str| {
            let items = rule[field].as_array().map_or(&[][..], Vec::as_slice);
            let texts = items.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        Self {
            verbs: texts("verbs"),
            api_groups: texts("apiGroups"),
            resources: texts("resources"),
            resource_names: texts("resourceNames"),
            non_resource_urls: texts("nonResourceURLs"),
        }
    }

    /// Returns whether the rule allows a request.
    pub(crate) fn allows(&self, request: &AccessRequest<'_>) -> bool {
        match request {
            AccessRequest::Resource(request) => self.allows_resource(request),
            AccessRequest::NonResource { verb, path } => {
                has_or_all(&self.verbs, verb) && self.has_path(path)
            }
        }
    }

    fn allows_resource(&self, request: &ResourceAccessRequest<'_>) -> bool {
        has_or_all(&self.verbs, request.verb)
            && has_or_all(&self.api_groups, request.group)
            && self.has_resource(request)
            && (self.resource_names.is_empty() || has(&self.resource_names, request.name))
    }

    fn has_resource(&self, request: &ResourceAccessRequest<'_>) -> bool {
        let combined = request.combined_resource();
        let subresource = request.subresource;
        self.resources.iter().any(|resource| {
            resource == ALL
                || *resource == combined
                || !subresource.is_empty() && resource.strip_prefix("*/") == Some(subresource)
        })
    }

    fn has_path(&self, path: &str) -> bool {
        self.non_resource_urls
            .iter()
            .any(|url| match url.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix.trim_end_matches('*')),
                None => url == path,
            })
    }

    /// Returns the rule as an entry of a `SelfSubjectRulesReview`, and whether it
    /// is about resources.
    pub(crate) fn to_review(&self) -> (Value, bool) {
        let is_about_resources = self.non_resource_urls.is_empty();
        let mut rule = json!({"verbs": self.verbs});
        for (field, texts) in [
            ("apiGroups", &self.api_groups),
            ("resources", &self.resources),
            ("resourceNames", &self.resource_names),
            ("nonResourceURLs", &self.non_resource_urls),
        ] {
            if let (false, Some(fields)) = (texts.is_empty(), rule.as_object_mut()) {
                fields.insert(field.to_owned(), json!(texts));
            }
        }
        (rule, is_about_resources)
    }
}

impl std::fmt::Display for RuleEntry {
    /// Writes the fields that are not empty, as kube-apiserver does in messages.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        f.write_str("{")?;
        let mut separator = "";
        for (name, texts) in fields.into_iter().filter(|(_, texts)| !texts.is_empty()) {
            let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
            write!(f, "{separator}{name}:[{}]", quoted.join(" "))?;
            separator = ", ";
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(rule: Value) -> RuleEntry {
        RuleEntry::from_value(&rule)
    }

    fn pods(verb: &'static str, subresource: &'static str) -> ResourceAccessRequest<'static> {
        ResourceAccessRequest {
            verb,
            resource: "pods",
            subresource,
            namespace: "default",
            name: "a",
            ..ResourceAccessRequest::default()
        }
    }

    #[test]
    fn a_rule_allows_what_all_of_its_lists_match() {
        let rule_of = |verbs: Value, groups: Value, resources: Value| {
            rule(json!({"verbs": verbs, "apiGroups": groups, "resources": resources}))
        };
        let get = pods("get", "");
        let log = pods("get", "log");
        let in_apps = ResourceAccessRequest {
            group: "apps",
            ..get
        };
        let collection = ResourceAccessRequest {
            verb: "list",
            name: "",
            ..get
        };
        let core = || json!([""]);
        for (rule, request, allowed) in [
            (rule_of(json!(["get"]), core(), json!(["pods"])), get, true),
            (rule_of(json!(["*"]), core(), json!(["pods"])), get, true),
            (
                rule_of(json!(["list"]), core(), json!(["pods"])),
                get,
                false,
            ),
            (rule_of(json!([]), core(), json!(["pods"])), get, false),
            (
                rule_of(json!(["get"]), json!(["*"]), json!(["pods"])),
                in_apps,
                true,
            ),
            (
                rule_of(json!(["get"]), core(), json!(["pods"])),
                in_apps,
                false,
            ),
            (
                rule_of(json!(["get"]), json!([]), json!(["pods"])),
                get,
                false,
            ),
            (rule_of(json!(["get"]), core(), json!(["*"])), get, true),
            (rule_of(json!(["get"]), core(), json!(["pod"])), get, false),
            // Subresources are resources of their own.
            (rule_of(json!(["get"]), core(), json!(["pods"])), log, false),
            (
                rule_of(json!(["get"]), core(), json!(["pods/log"])),
                log,
                true,
            ),
            (
                rule_of(json!(["get"]), core(), json!(["pods/log"])),
                get,
                false,
            ),
            (rule_of(json!(["get"]), core(), json!(["*"])), log, true),
            (rule_of(json!(["get"]), core(), json!(["*/log"])), log, true),
            (
                rule_of(json!(["get"]), core(), json!(["*/log"])),
                get,
                false,
            ),
            (
                rule_of(json!(["get"]), core(), json!(["pods/*"])),
                log,
                false,
            ),
            (
                rule_of(json!(["get"]), core(), json!(["*/exec"])),
                log,
                false,
            ),
            (
                rule(
                    json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}),
                ),
                get,
                true,
            ),
            (
                rule(
                    json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["b"]}),
                ),
                get,
                false,
            ),
            // A collection has no name.
            (
                rule(
                    json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["a"]}),
                ),
                collection,
                false,
            ),
            // Names are no patterns.
            (
                rule(
                    json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["*"]}),
                ),
                get,
                false,
            ),
            (
                rule(json!({"verbs": ["*"], "nonResourceURLs": ["*"]})),
                get,
                false,
            ),
        ] {
            let outcome = rule.allows(&AccessRequest::Resource(request));
            assert_eq!(outcome, allowed, "{rule} {request:?}");
        }
    }

    #[test]
    fn a_path_is_matched_as_a_whole_or_by_its_beginning() {
        for (url, path, allowed) in [
            ("/metrics", "/metrics", true),
            ("/metrics", "/metrics/x", false),
            ("/metrics/*", "/metrics/x", true),
            ("/metrics/*", "/metrics", false),
            ("/apis*", "/apis", true),
            ("/apis*", "/apis/x/y", true),
            ("*", "/anything", true),
            ("/a*b", "/axb", false),
        ] {
            let rule = rule(json!({"verbs": ["get"], "nonResourceURLs": [url]}));
            let request = |verb| AccessRequest::NonResource { verb, path };
            assert_eq!(rule.allows(&request("get")), allowed, "{url} {path}");
            assert!(!rule.allows(&request("post")), "{url} {path}");
        }
        let resources = rule(json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}));
        let request = AccessRequest::NonResource {
            verb: "get",
            path: "/metrics",
        };
        assert!(!resources.allows(&request));
    }
}
