//! The part of the workspace's lock file that a new project needs, so that it is
//! compiled with the versions that the repository was tested with.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};

/// Returns the lock file with the packages of a registry that these depend on,
/// directly and indirectly. Cargo removes those that it does not need, and adds the
/// packages of the project.
pub(crate) fn subset(path: &Path, dependencies: &[String]) -> Result<String> {
    let lock: Table = fs::read_to_string(path)?.parse()?;
    let packages = lock.get("package").and_then(Value::as_array);
    let packages = packages.context("the lock file has no packages")?;
    let mut queue: Vec<&str> = dependencies.iter().map(String::as_str).collect();
    let mut found = BTreeSet::new();
    while let Some(reference) = queue.pop() {
        // "NAME", or "NAME VERSION" where there are several versions.
        let mut words = reference.split(' ');
        let (name, version) = (words.next(), words.next());
        for (index, package) in packages.iter().enumerate() {
            let has = |key: &str, expected: Option<&str>| {
                package.get(key).and_then(Value::as_str) == expected
            };
            if !has("name", name) || (version.is_some() && !has("version", version)) {
                continue;
            }
            // A package of the workspace has dependencies for its tests, too.
            if package.get("source").is_none() || !found.insert(index) {
                continue;
            }
            let further = package.get("dependencies").and_then(Value::as_array);
            queue.extend(further.into_iter().flatten().filter_map(Value::as_str));
        }
    }
    let found = packages
        .iter()
        .enumerate()
        .filter(|(index, _)| found.contains(index))
        .map(|(_, package)| package.clone())
        .collect();
    let version = lock
        .get("version")
        .context("the lock file has no version")?;
    let subset = Table::from_iter([
        ("version".to_owned(), version.clone()),
        ("package".to_owned(), Value::Array(found)),
    ]);
    Ok(toml::to_string(&subset)?)
}
