//! The modules of the crate are layers: each uses only those that come after it in
//! `lib.rs`, so none uses, by way of others, what uses it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Returns the modules of `lib.rs`, without those for tests.
fn modules(root: &str) -> Vec<&str> {
    root.lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect()
}

/// Returns the names of the crate's modules that a file uses outside of its tests.
fn used_modules(content: &str) -> BTreeSet<&str> {
    let code = content.split("#[cfg(test)]").next().unwrap_or_default();
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let list = match rest.strip_prefix('{') {
            Some(list) => list.split_once('}').map_or(list, |(list, _)| list),
            None => rest.split(';').next().unwrap_or_default(),
        };
        let names: Vec<&str> = match rest.starts_with('{') {
            true => list.split(',').collect(),
            false => vec![list],
        };
        used.extend(names.into_iter().filter_map(|name| {
            name.trim()
                .split(|character: char| !(character.is_alphanumeric() || character == '_'))
                .next()
        }));
    }
    used
}

/// Calls `visit` with each source file and the index of its module.
fn visit_files(directory: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit_files(&path, visit);
        } else {
            visit(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn a_module_uses_only_those_that_come_after_it() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = fs::read_to_string(source.join("lib.rs")).unwrap();
    let modules = modules(&root);
    assert!(modules.len() > 40, "{modules:?}");
    let mut files = 0;
    let mut wrong = Vec::new();
    visit_files(&source, &mut |path, content| {
        let relative = path.strip_prefix(&source).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        let Some(own) = modules.iter().position(|name| *name == module) else {
            return;
        };
        files += 1;
        for used in used_modules(content) {
            let position = modules.iter().position(|name| *name == used);
            if position.is_some_and(|position| position < own) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    });
    assert!(files > 100, "{files} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn uses_are_found_in_all_forms() {
    let code = "use crate::{one::A, two};\nuse crate::three;\nlet x = crate::four::f();";
    let expected = ["four", "one", "three", "two"];
    assert!(used_modules(code).into_iter().eq(expected));
}
