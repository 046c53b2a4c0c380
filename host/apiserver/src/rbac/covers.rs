//! Which rights a set of rules lacks of another one: nobody may grant what they do
//! not have.

use std::collections::BTreeMap;

use super::rule_entry::{ALL, RuleEntry, has};

/// The maximum number of single rights that are compared. A role of a few hundred
/// rules has fewer; one with more is compared as if nothing of it were held.
const MAX_SINGLE_RIGHTS: usize = 10_000;

/// Returns the single rights of `requested` that no rule of `held` contains.
pub(crate) fn missing_rights(held: &[RuleEntry], requested: &[RuleEntry]) -> Vec<RuleEntry> {
    let count: usize = requested.iter().map(count_single_rights).sum();
    if count > MAX_SINGLE_RIGHTS {
        return requested.to_vec();
    }
    let singles = requested.iter().flat_map(single_rights);
    singles
        .filter(|single| !held.iter().any(|rule| contains(rule, single)))
        .collect()
}

fn count_single_rights(rule: &RuleEntry) -> usize {
    let resources = rule
        .api_groups
        .len()
        .saturating_mul(rule.resources.len())
        .saturating_mul(rule.resource_names.len().max(1));
    rule.verbs
        .len()
        .saturating_mul(resources.saturating_add(rule.non_resource_urls.len()))
}

/// Returns the rule as rules with one verb, one resource, and at most one name.
fn single_rights(rule: &RuleEntry) -> Vec<RuleEntry> {
    let mut singles = Vec::new();
    let names: Vec<Vec<String>> = match rule.resource_names.as_slice() {
        [] => vec![Vec::new()],
        names => names.iter().map(|name| vec![name.clone()]).collect(),
    };
    for verb in &rule.verbs {
        let verbs = vec![verb.clone()];
        for group in &rule.api_groups {
            for resource in &rule.resources {
                singles.extend(names.iter().map(|names| RuleEntry {
                    verbs: verbs.clone(),
                    api_groups: vec![group.clone()],
                    resources: vec![resource.clone()],
                    resource_names: names.clone(),
                    non_resource_urls: Vec::new(),
                }));
            }
        }
        singles.extend(rule.non_resource_urls.iter().map(|url| RuleEntry {
            verbs: verbs.clone(),
            non_resource_urls: vec![url.clone()],
            ..RuleEntry::default()
        }));
    }
    singles
}

/// Returns whether `rule` contains a single right.
fn contains(rule: &RuleEntry, single: &RuleEntry) -> bool {
    let has_all = |list: &[String], wanted: &[String]| {
        has(list, ALL) || wanted.iter().all(|text| has(list, text))
    };
    has_all(&rule.verbs, &single.verbs)
        && has_all(&rule.api_groups, &single.api_groups)
        && single
            .resources
            .iter()
            .all(|resource| contains_resource(&rule.resources, resource))
        && contains_names(rule, single)
        && single
            .non_resource_urls
            .iter()
            .all(|url| contains_path(&rule.non_resource_urls, url))
}

fn contains_resource(list: &[String], resource: &str) -> bool {
    let of_any = resource
        .split_once('/')
        .map(|(_, subresource)| format!("*/{subresource}"));
    has(list, ALL) || has(list, resource) || of_any.is_some_and(|any| has(list, &any))
}

/// A rule without names is about all names.
fn contains_names(rule: &RuleEntry, single: &RuleEntry) -> bool {
    let wanted = &single.resource_names;
    rule.resource_names.is_empty()
        || !wanted.is_empty() && wanted.iter().all(|name| has(&rule.resource_names, name))
}

fn contains_path(list: &[String], path: &str) -> bool {
    list.iter().any(|url| match url.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => url == path,
    })
}

/// Joins rules that differ in their verbs only, for messages, and sorts them.
pub(super) fn compact(rules: Vec<RuleEntry>) -> Vec<RuleEntry> {
    let mut verbs_of: BTreeMap<RuleEntry, Vec<String>> = BTreeMap::new();
    for mut rule in rules {
        let verbs = std::mem::take(&mut rule.verbs);
        verbs_of.entry(rule).or_default().extend(verbs);
    }
    let joined = verbs_of.into_iter();
    joined
        .map(|(rule, verbs)| RuleEntry { verbs, ..rule })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> RuleEntry {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        RuleEntry {
            verbs: texts(verbs),
            api_groups: texts(groups),
            resources: texts(resources),
            resource_names: texts(names),
            non_resource_urls: Vec::new(),
        }
    }

    fn paths(verbs: &[&str], urls: &[&str]) -> RuleEntry {
        RuleEntry {
            non_resource_urls: urls.iter().map(|&url| url.to_owned()).collect(),
            ..resources(verbs, &[], &[], &[])
        }
    }

    #[test]
    fn rights_are_held_together_and_missing_one_by_one() {
        let get = resources(&["get"], &[""], &["pods"], &[]);
        let list = resources(&["list"], &[""], &["pods"], &[]);
        let both = resources(&["get", "list"], &[""], &["pods"], &[]);
        let all = resources(&["*"], &["*"], &["*"], &[]);
        for (held, requested, is_held) in [
            (vec![get.clone(), list.clone()], both.clone(), true),
            (vec![get.clone()], both.clone(), false),
            (vec![all.clone()], both.clone(), true),
            (vec![both.clone()], all.clone(), false),
            (vec![], both.clone(), false),
            (vec![], RuleEntry::default(), true),
            // All names contain one, and not the other way round.
            (
                vec![get.clone()],
                resources(&["get"], &[""], &["pods"], &["a"]),
                true,
            ),
            (
                vec![resources(&["get"], &[""], &["pods"], &["a"])],
                get.clone(),
                false,
            ),
            (
                vec![resources(&["get"], &[""], &["pods"], &["a"])],
                resources(&["get"], &[""], &["pods"], &["b"]),
                false,
            ),
            (
                vec![resources(&["get"], &[""], &["*/log"], &[])],
                resources(&["get"], &[""], &["pods/log"], &[]),
                true,
            ),
            (
                vec![get.clone()],
                resources(&["get"], &[""], &["pods/log"], &[]),
                false,
            ),
            (vec![all.clone()], paths(&["get"], &["/metrics"]), false),
            (
                vec![paths(&["get"], &["/a/*"])],
                paths(&["get"], &["/a/b"]),
                true,
            ),
            (
                vec![paths(&["get"], &["/a/b"])],
                paths(&["get"], &["/a/*"]),
                false,
            ),
        ] {
            let missing = missing_rights(&held, std::slice::from_ref(&requested));
            assert_eq!(
                missing.is_empty(),
                is_held,
                "{requested} of {held:?}: {missing:?}"
            );
        }
        assert_eq!(missing_rights(&[get], &[both]), [list]);
    }

    #[test]
    fn missing_rights_are_listed_by_resource() {
        let role = resources(&["get", "list"], &[""], &["pods", "nodes"], &[]);
        let texts: Vec<String> = compact(missing_rights(&[], &[role]))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            texts,
            [
                r#"{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}"#,
                r#"{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}"#,
            ]
        );
    }

    #[test]
    fn too_many_rights_to_compare_are_not_held() {
        let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all = resources(&["*"], &["*"], &["*"], &[]);
        let role = resources(&many, &[""], &many, &[]);
        assert!(!missing_rights(&[all], &[role]).is_empty());
    }
}
