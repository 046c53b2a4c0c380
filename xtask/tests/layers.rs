//! The modules of each crate are layers: each uses only those that come after it in
//! `lib.rs` or `main.rs`, so none uses, by way of others, what uses it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The directories with the crates of the project.
const ROOTS: [&str; 4] = ["bench", "host", "plugins", "xtask"];

/// The names of modules that are compiled only for tests or for fuzzing.
const FOR_TESTS: [&str; 3] = ["fixtures", "fuzzing", "tests"];

/// Returns the modules of a crate in their order.
fn modules(root: &str) -> Vec<&str> {
    root.lines()
        .filter_map(|line| line.strip_suffix(';'))
        .filter_map(|line| match line.split_once("mod ")? {
            ("" | "pub " | "pub(crate) ", name) => Some(name),
            _ => None,
        })
        .filter(|name| !FOR_TESTS.contains(name))
        .collect()
}

fn first_name(code: &str) -> &str {
    let end = code.find(|character: char| !(character.is_alphanumeric() || character == '_'));
    end.map_or(code, |end| &code[..end])
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .filter(|name| !name.is_empty())
}

/// Returns the module of each item that the root exports again.
fn exports(root: &str) -> BTreeMap<&str, &str> {
    let mut exports = BTreeMap::new();
    for statement in root.split(';') {
        if let Some((_, path)) = statement.split_once("pub use ") {
            let mut path = names(path);
            if let Some(module) = path.next() {
                exports.extend(path.map(|name| (name, module)));
            }
        }
    }
    exports
}

/// Returns the names in the root of its crate that a file uses outside of its tests:
/// modules, and items that the root exports again. Comments may name anything.
fn used_names(content: &str) -> BTreeSet<&str> {
    let code = content.split("#[cfg(test)]").next().unwrap_or_default();
    let mut used = BTreeSet::new();
    for (before, rest) in code.match_indices("crate::").map(|(at, found)| {
        let (before, rest) = code.split_at(at);
        (before, &rest[found.len()..])
    }) {
        let line = before.rsplit('\n').next().unwrap_or_default();
        if line.trim_start().starts_with("//") {
            continue;
        }
        match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((list, _)) => used.extend(list.split(',').map(|item| first_name(item.trim()))),
            None => {
                used.insert(first_name(rest));
            }
        }
    }
    used
}

/// Adds the source files below a directory, without those for tests.
fn add_files(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if FOR_TESTS.contains(&name) {
            continue;
        }
        if path.is_dir() {
            add_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Adds the source directories of the crates below a directory.
fn add_crates(directory: &Path, crates: &mut Vec<PathBuf>) {
    if directory.join("Cargo.toml").exists() && directory.join("src").is_dir() {
        crates.push(directory.join("src"));
    }
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["src", "node_modules", "target"].contains(&name) {
            add_crates(&path, crates);
        }
    }
}

/// Returns which modules of a crate use one that comes before them.
fn uses_against_the_order(source: &Path) -> Vec<String> {
    let roots = ["lib.rs", "main.rs"].map(|name| source.join(name));
    let root = roots.iter().find(|path| path.exists()).unwrap();
    let content = fs::read_to_string(root).unwrap();
    let modules = modules(&content);
    let exports = exports(&content);
    let mut files = Vec::new();
    add_files(source, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(source).unwrap();
        let module = first_name(relative.to_str().unwrap());
        let Some(own) = modules.iter().position(|other| *other == module) else {
            continue;
        };
        for name in used_names(&fs::read_to_string(&file).unwrap()) {
            let used = exports.get(name).unwrap_or(&name);
            if modules[..own].contains(used) {
                wrong.push(format!("{} uses {name} of {used}", file.display()));
            }
        }
    }
    wrong
}

#[test]
fn a_module_uses_only_those_that_come_after_it() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates = Vec::new();
    for root in ROOTS {
        add_crates(&workspace.join(root), &mut crates);
    }
    assert!(crates.len() > 20, "{crates:?}");
    let wrong: Vec<_> = crates
        .iter()
        .flat_map(|source| uses_against_the_order(source))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_are_found_in_their_order_without_those_for_tests() {
    let root =
        "mod one;\npub mod two;\n#[cfg(test)]\nmod tests;\npub mod fuzzing;\nmod inline {\n}\n";
    assert_eq!(modules(root), ["one", "two"]);
}

#[test]
fn items_of_the_root_are_found_in_their_modules() {
    let root = "mod one;\npub use one::{A, b::C};\npub use two::D;\nuse three::E;";
    let expected = [("A", "one"), ("C", "one"), ("D", "two"), ("b", "one")];
    assert!(exports(root).into_iter().eq(expected));
}

#[test]
fn uses_are_found_in_all_forms() {
    let code = "use crate::{one::A, two};\nuse crate::three;\nlet x = crate::four::f();\n/// [x](crate::five)\n";
    let expected = ["four", "one", "three", "two"];
    assert!(used_names(code).into_iter().eq(expected));
}
