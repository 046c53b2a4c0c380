//! Which requests a policy or a binding matches.

use std::sync::Arc;

use serde_json::Value;

use super::request_view::RequestView;
use crate::resource::ServedResource;
use crate::selectors::label::LabelSelector;
use crate::status::ApiError;

/// Matches everything.
const WILDCARD: &str = "*";

/// The predicate of `matchConstraints` and of `matchResources`.
#[derive(Debug)]
pub(super) struct MatchPredicate {
    included: Vec<ResourcePredicate>,
    excluded: Vec<ResourcePredicate>,
    namespaces: LabelSelector,
    objects: LabelSelector,
    /// Whether rules also match through other groups and versions of a resource.
    is_equivalent: bool,
}

/// One of the rules about resources.
#[derive(Debug)]
struct ResourcePredicate {
    groups: Vec<String>,
    versions: Vec<String>,
    operations: Vec<String>,
    /// Resources and subresources.
    resources: Vec<(String, String)>,
    /// Names of objects; empty for all.
    names: Vec<String>,
    scope: ScopeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScopeKind {
    All,
    Cluster,
    Namespaced,
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let list = value[field].as_array();
    list.into_iter()
        .flatten()
        .map(|text| text.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn contains(list: &[String], text: &str) -> bool {
    list.iter().any(|entry| entry == WILDCARD || entry == text)
}

impl ResourcePredicate {
    fn from_rule(rule: &Value) -> Self {
        let resources = texts(rule, "resources").into_iter().map(|entry| {
            let (resource, subresource) = entry.split_once('/').unwrap_or((&entry, ""));
            (resource.to_owned(), subresource.to_owned())
        });
        Self {
            groups: texts(rule, "apiGroups"),
            versions: texts(rule, "apiVersions"),
            operations: texts(rule, "operations"),
            resources: resources.collect(),
            names: texts(rule, "resourceNames"),
            scope: match rule["scope"].as_str() {
                Some("Cluster") => ScopeKind::Cluster,
                Some("Namespaced") => ScopeKind::Namespaced,
                _ => ScopeKind::All,
            },
        }
    }

    /// Returns whether the rule matches a request as if it were for `resource`.
    fn matches(&self, view: &RequestView<'_>, resource: &ServedResource) -> bool {
        let (kind, subresource) = (&resource.kind, view.subresource());
        let is_scope = match self.scope {
            ScopeKind::All => true,
            ScopeKind::Cluster => !view.is_namespaced(),
            ScopeKind::Namespaced => view.is_namespaced(),
        };
        let is_part = |entry: &str, text: &str| entry == WILDCARD || entry == text;
        is_scope
            && contains(&self.operations, view.operation())
            && contains(&self.groups, &kind.group)
            && contains(&self.versions, &kind.version)
            && (self.resources.iter())
                .any(|(name, sub)| is_part(name, &kind.plural) && is_part(sub, subresource))
            && (self.names.is_empty() || self.names.iter().any(|name| name == view.name()))
    }
}

impl MatchPredicate {
    /// Reads stored match resources. Absent ones match everything.
    pub(super) fn from_resources(resources: &Value) -> Self {
        let rules = |field: &str| {
            let rules = resources[field].as_array();
            rules
                .into_iter()
                .flatten()
                .map(ResourcePredicate::from_rule)
                .collect()
        };
        Self {
            included: rules("resourceRules"),
            excluded: rules("excludeResourceRules"),
            namespaces: LabelSelector::from_object(&resources["namespaceSelector"]),
            objects: LabelSelector::from_object(&resources["objectSelector"]),
            is_equivalent: resources["matchPolicy"] != "Exact",
        }
    }

    /// Returns the resource as which a request matches: its own, or an
    /// equivalent one. `None` if it does not match.
    ///
    /// # Errors
    /// The namespace, whose labels are needed, does not exist.
    pub(super) fn matched_resource(
        &self,
        view: &RequestView<'_>,
    ) -> Result<Option<Arc<ServedResource>>, ApiError> {
        if self.find(&self.excluded, view).is_some() {
            return Ok(None);
        }
        let matched = if self.included.is_empty() {
            Some(Arc::clone(view.resource()))
        } else {
            self.find(&self.included, view)
        };
        let Some(matched) = matched.filter(|_| view.matches_objects(&self.objects)) else {
            return Ok(None);
        };
        Ok(view.matches_namespace(&self.namespaces)?.then_some(matched))
    }

    fn find(
        &self,
        rules: &[ResourcePredicate],
        view: &RequestView<'_>,
    ) -> Option<Arc<ServedResource>> {
        let matches =
            |resource: &ServedResource| rules.iter().any(|rule| rule.matches(view, resource));
        if matches(view.resource()) {
            return Some(Arc::clone(view.resource()));
        }
        if rules.is_empty() || !self.is_equivalent {
            return None;
        }
        view.equivalent_resources()
            .iter()
            .find(|resource| matches(resource))
            .cloned()
    }
}
