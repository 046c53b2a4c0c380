//! Aggregated ClusterRoles: their rules are those of the ClusterRoles that their
//! selectors match, also of ones that are aggregated themselves.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::selectors::label::LabelSelector;

/// The field of a ClusterRole that makes it an aggregated one.
const AGGREGATION_RULE: &str = "aggregationRule";

/// Returns whether others provide the rules of a ClusterRole.
pub(super) fn is_aggregated(role: &Value) -> bool {
    !selectors_of(role).is_empty()
}

fn selectors_of(role: &Value) -> &[Value] {
    let selectors = role[AGGREGATION_RULE]["clusterRoleSelectors"].as_array();
    selectors.map_or(&[], Vec::as_slice)
}

fn rules_of(role: &Value) -> &[Value] {
    role["rules"].as_array().map_or(&[], Vec::as_slice)
}

/// Gives the aggregated ones among all ClusterRoles, by name, the rules that they
/// should have. Returns the names of those whose rules were others.
///
/// Whatever aggregated roles held before does not count, so two that match each
/// other keep no rule that no other role has.
pub(crate) fn aggregate(roles: &mut BTreeMap<String, Value>) -> Vec<String> {
    let all = &*roles;
    let sources: BTreeMap<String, Vec<String>> = all
        .iter()
        .filter(|(_, role)| is_aggregated(role))
        .map(|(name, role)| (name.clone(), matching_names(name, role, all)))
        .collect();
    let mut aggregated: BTreeMap<&str, Vec<Value>> = sources
        .keys()
        .map(|name| (name.as_str(), Vec::new()))
        .collect();
    // Each pass carries rules one role further.
    for _ in 0..=sources.len() {
        let mut is_settled = true;
        for (name, matched) in &sources {
            let lists = matched.iter().map(|source| {
                let computed = aggregated.get(source.as_str()).map(Vec::as_slice);
                computed.unwrap_or_else(|| all.get(source).map_or(&[], rules_of))
            });
            let rules = union(lists);
            if aggregated.get(name.as_str()) != Some(&rules) {
                is_settled = false;
                aggregated.insert(name, rules);
            }
        }
        if is_settled {
            break;
        }
    }
    let mut changed = Vec::new();
    for (name, rules) in aggregated {
        let Some(role) = roles.get_mut(name) else {
            continue;
        };
        if rules_of(role) != rules
            && let Some(fields) = role.as_object_mut()
        {
            fields.insert("rules".to_owned(), rules.into());
            changed.push(name.to_owned());
        }
    }
    changed
}

/// Returns the names of the other roles that the selectors of a role match, those of
/// each selector sorted.
fn matching_names(own: &str, role: &Value, roles: &BTreeMap<String, Value>) -> Vec<String> {
    let mut matching = Vec::new();
    let mut seen = HashSet::new();
    for selector in selectors_of(role) {
        let selector = LabelSelector::from_object(selector);
        let found = roles
            .iter()
            .filter(|(name, role)| *name != own && selector.matches(role));
        matching.extend(
            found
                .map(|(name, _)| name.clone())
                .filter(|name| seen.insert(name.clone())),
        );
    }
    matching
}

/// Joins lists of rules; a rule that is in several is in the result once.
fn union<'v>(lists: impl Iterator<Item = &'v [Value]>) -> Vec<Value> {
    let mut seen = HashSet::new();
    lists
        .flatten()
        .filter(|rule| seen.insert(rule.to_string()))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns a role that has `label`, if it is not empty, and the right to do `verb`.
    fn plain(label: &str, verb: &str) -> Value {
        json!({
            "metadata": {"labels": {(label): "true"}},
            "rules": [{"verbs": [verb], "apiGroups": [""], "resources": ["a"]}],
        })
    }

    /// Returns a role with `label` that aggregates those with one of `selected`.
    fn aggregated(label: &str, selected: &[&str]) -> Value {
        let selectors: Vec<Value> = selected
            .iter()
            .map(|selected| json!({"matchLabels": {(*selected): "true"}}))
            .collect();
        json!({
            "metadata": {"labels": {(label): "true"}},
            "aggregationRule": {"clusterRoleSelectors": selectors},
        })
    }

    fn resolve<const N: usize>(roles: [(&str, Value); N]) -> BTreeMap<String, Value> {
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let mut roles = BTreeMap::from(roles);
        aggregate(&mut roles);
        assert_eq!(aggregate(&mut roles), Vec::<String>::new(), "it is settled");
        roles
    }

    fn verbs(role: &Value) -> Vec<&str> {
        let verbs = rules_of(role).iter().map(|rule| rule["verbs"][0].as_str());
        verbs.map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn rules_are_carried_through_roles_that_are_aggregated_themselves() {
        // Sorted before what it aggregates.
        let roles = resolve([
            ("admin", aggregated("", &["to-admin"])),
            ("edit", aggregated("to-admin", &["to-edit"])),
            ("view", aggregated("to-edit", &["to-view"])),
            ("reader", plain("to-view", "get")),
            ("writer", plain("to-edit", "update")),
            ("owner", plain("to-admin", "delete")),
            ("other", plain("", "never")),
        ]);
        assert_eq!(verbs(&roles["view"]), ["get"]);
        assert_eq!(verbs(&roles["edit"]), ["get", "update"]);
        assert_eq!(verbs(&roles["admin"]), ["get", "update", "delete"]);
        assert_eq!(verbs(&roles["reader"]), ["get"]);
    }

    #[test]
    fn rules_that_no_role_provides_any_longer_are_removed() {
        let mut view = aggregated("", &["to-view"]);
        view["rules"] = plain("", "stale")["rules"].clone();
        assert_eq!(
            verbs(&resolve([("view", view)])["view"]),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn roles_that_match_each_other_keep_nothing_alive() {
        let mut first = aggregated("both", &["both"]);
        first["rules"] = plain("", "stale")["rules"].clone();
        let roles = resolve([
            ("first", first),
            ("second", aggregated("both", &["both", "more"])),
            ("third", plain("more", "get")),
        ]);
        assert_eq!(verbs(&roles["first"]), ["get"]);
        assert_eq!(verbs(&roles["second"]), ["get"]);
    }

    #[test]
    fn a_rule_of_several_roles_is_listed_once_and_the_own_rules_do_not_count() {
        let roles = resolve([
            ("all", aggregated("x", &["x", "y"])),
            ("one", plain("x", "get")),
            ("two", plain("y", "get")),
        ]);
        assert_eq!(verbs(&roles["all"]), ["get"]);
        let everything = json!({"aggregationRule": {"clusterRoleSelectors": [{}]}});
        let roles = resolve([("all", everything), ("one", plain("", "get"))]);
        assert_eq!(verbs(&roles["all"]), ["get"]);
    }
}
