//! The modules of some crates are layers: each uses only those that come after it in
//! `lib.rs`, so none uses, by way of others, what uses it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates whose modules are layers.
const CRATES: [&str; 3] = [
    "host/apiserver",
    "host/apiserver/fieldmanager",
    "host/apiserver/storage",
];

/// Returns the modules of a crate in their order, without those for fuzzing.
fn modules(root: &str) -> Vec<&str> {
    root.lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect()
}

fn first_name(code: &str) -> &str {
    let end = code.find(|character: char| !(character.is_alphanumeric() || character == '_'));
    end.map_or(code, |end| &code[..end])
}

/// Returns the modules of its crate that a file uses outside of its tests.
fn used_modules(content: &str) -> BTreeSet<&str> {
    let code = content.split("#[cfg(test)]").next().unwrap_or_default();
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((list, _)) => used.extend(list.split(',').map(|item| first_name(item.trim()))),
            None => {
                used.insert(first_name(rest));
            }
        }
    }
    used
}

/// Adds the source files below a directory.
fn add_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn a_module_uses_only_those_that_come_after_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    for name in CRATES {
        let source = workspace.join(name).join("src");
        let root = fs::read_to_string(source.join("lib.rs")).unwrap();
        let modules = modules(&root);
        let mut files = Vec::new();
        add_files(&source, &mut files);
        assert!(modules.len() > 10 && files.len() > modules.len(), "{name}");
        for file in files {
            let relative = file.strip_prefix(&source).unwrap();
            let module = first_name(relative.to_str().unwrap());
            let Some(own) = modules.iter().position(|other| *other == module) else {
                continue;
            };
            for used in used_modules(&fs::read_to_string(&file).unwrap()) {
                if modules[..own].contains(&used) {
                    wrong.push(format!("{name}/src/{} uses {used}", relative.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn uses_are_found_in_all_forms() {
    let code = "use crate::{one::A, two};\nuse crate::three;\nlet x = crate::four::f();";
    let expected = ["four", "one", "three", "two"];
    assert!(used_modules(code).into_iter().eq(expected));
}
