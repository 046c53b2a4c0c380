//! The paths and links in documents and comments exist.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;

/// The prefixes that identify a path of the repository in a text.
const FOLDERS: [&str; 11] = [
    "bats/", "bench/", "crds/", "docs/", "fuzz/", "host/", "oracle/", "plugins/", "scripts/",
    "wit/", "xtask/",
];

fn root() -> PathBuf {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    metadata.workspace_root.into_std_path_buf()
}

/// Returns all files of the repository with this extension.
fn files(root: &Path, ending: &str) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", &format!("*{ending}")])
        .current_dir(root)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<_> = listed.lines().map(PathBuf::from).collect();
    assert!(
        !files.is_empty(),
        "no {ending} file is under version control"
    );
    files
}

/// Returns the words of `text` that look like a path of the repository.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    text.split(['`', ' ', '\n', '(', ')', ',', ';', '"'])
        .map(|word| word.trim_end_matches(['.', ':', '/']))
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        // Patterns and examples are not paths.
        .filter(|word| !word.contains(['*', '{', '<', '$', '…']))
}

#[test]
fn paths_and_links_in_documents_exist() {
    let root = root();
    for file in files(&root, ".md") {
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        let here = root.join(&file).parent().unwrap().to_owned();
        for path in named_paths(&text) {
            let path = path.split('#').next().unwrap();
            assert!(
                root.join(path).exists() || here.join(path).exists(),
                "{} names {path}, which does not exist",
                file.display()
            );
        }
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            if !link.is_empty() && !link.contains("://") {
                assert!(
                    here.join(link).exists(),
                    "{} links to {link}, which does not exist",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn paths_in_comments_exist() {
    let root = root();
    for file in files(&root, ".rs") {
        let text = std::fs::read_to_string(root.join(&file)).unwrap();
        let comments: String = text
            .lines()
            .filter(|line| line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        for path in named_paths(&comments) {
            assert!(
                root.join(path).exists(),
                "{} names {path}, which does not exist",
                file.display()
            );
        }
    }
}

/// The table "Where to look" of docs/architecture.md is true: each file contains
/// each word that a reader would search for.
#[test]
fn the_words_to_search_for_are_in_the_files_of_the_table() {
    let root = root();
    let text = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let (_, table) = text.split_once("## Where to look").unwrap();
    let (table, _) = table.split_once("## ").unwrap();
    let quoted = |cell: &str| -> Vec<String> {
        let words = cell.split('`').skip(1).step_by(2);
        words.map(str::to_lowercase).collect()
    };
    let mut rows = 0;
    for row in table.lines().filter(|line| line.contains(".rs`")) {
        let [_, _, words, file, _] = row.split('|').collect::<Vec<_>>()[..] else {
            panic!("not three columns: {row}");
        };
        let file = file.trim().trim_matches('`');
        let content = std::fs::read_to_string(root.join(file))
            .unwrap()
            .to_lowercase();
        for word in quoted(words) {
            assert!(content.contains(&word), "{file} does not contain {word:?}");
            rows += 1;
        }
    }
    assert!(rows >= 10, "only {rows} words were found");
}
