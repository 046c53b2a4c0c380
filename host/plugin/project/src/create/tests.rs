use super::*;
use crate::manifest::ProjectManifest;

const LANGUAGES: [ProjectLanguage; 3] = ProjectLanguage::ALL;

fn spec(name: &str, language: ProjectLanguage) -> ProjectSpec {
    ProjectSpec::new(name, language, PluginForm::Component).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns every file below a directory of the repository, with its path in it.
fn repository_files(directory: &str) -> Vec<(String, Vec<u8>)> {
    fn collect(directory: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
        for name in names(directory) {
            let (path, name) = (directory.join(&name), format!("{prefix}{name}"));
            match path.is_dir() {
                true => collect(&path, &format!("{name}/"), files),
                false => files.push((name, fs::read(path).unwrap())),
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let mut files = Vec::new();
    collect(&root.join(directory), "", &mut files);
    files
}

#[test]
fn a_project_has_its_name_in_each_text_and_in_no_identifier() {
    for language in LANGUAGES {
        // Not an identifier in any of the languages, and a keyword in two.
        for name in ["1-engine", "struct", "my-engine"] {
            let parent = tempfile::tempdir().unwrap();
            let path = create(parent.path(), &spec(name, language)).unwrap();
            assert_eq!(names(parent.path()), [name]);
            let manifest = ProjectManifest::read(&path).unwrap().unwrap();
            assert_eq!((manifest.name(), manifest.language()), (name, language));
            for file in project_files(&spec(name, language)).unwrap() {
                let text = String::from_utf8_lossy(&file.content);
                let (example, identifier) =
                    (spec(name, language).example_name(), name.replace('-', "_"));
                assert!(!text.contains(&example), "{} has {example}", file.path);
                assert!(
                    !text.contains(&example.replace('-', "_")),
                    "{} has an identifier of the example",
                    file.path
                );
                if identifier != name && !file.path.starts_with("sdk/") {
                    assert!(!text.contains(&identifier), "{}", file.path);
                }
            }
        }
    }
}

#[test]
fn the_form_is_in_the_manifest() {
    for language in [ProjectLanguage::Rust, ProjectLanguage::C] {
        let parent = tempfile::tempdir().unwrap();
        let spec = ProjectSpec::new("native", language, PluginForm::Library).unwrap();
        let path = create(parent.path(), &spec).unwrap();
        let manifest = ProjectManifest::read(&path).unwrap().unwrap();
        assert_eq!(manifest.form(), PluginForm::Library);
        assert_eq!(manifest.name(), "native");
    }
}

#[test]
fn a_directory_that_is_not_empty_is_left_alone() {
    let parent = tempfile::tempdir().unwrap();
    let spec = spec("demo", ProjectLanguage::Python);
    fs::create_dir(parent.path().join("demo")).unwrap();
    fs::write(parent.path().join("demo/mine"), "text").unwrap();
    let error = create(parent.path(), &spec).unwrap_err();
    assert!(matches!(error, CreateError::Exists(_)), "{error}");
    assert_eq!(names(&parent.path().join("demo")), ["mine"]);
    assert_eq!(names(parent.path()), ["demo"]);

    fs::remove_dir_all(parent.path().join("demo")).unwrap();
    fs::write(parent.path().join("demo"), "a file").unwrap();
    create(parent.path(), &spec).unwrap_err();
    assert_eq!(fs::read(parent.path().join("demo")).unwrap(), b"a file");

    fs::remove_file(parent.path().join("demo")).unwrap();
    fs::create_dir(parent.path().join("demo")).unwrap();
    create(parent.path(), &spec).unwrap();
}

#[test]
fn nothing_stays_behind_where_a_project_cannot_be_written() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    create(&file, &spec("demo", ProjectLanguage::C)).unwrap_err();
    assert_eq!(names(parent.path()), ["file"]);
}

/// A program that was built before the SDK was changed would give authors another
/// SDK than the repository has.
#[test]
fn the_files_in_the_program_are_those_of_the_repository() {
    let files = archive::files().unwrap();
    let content = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        &file.unwrap_or_else(|| panic!("no {path}")).content
    };
    let mut compared = 0;
    for (directory, target) in [
        ("wit", "sdk/wit"),
        ("plugins/sdk/src", "sdk/crates/rdd-sdk/src"),
        ("plugins/sdk/abi/src", "sdk/crates/rdd-sdk/abi/src"),
        ("plugins/sdk/include", "sdk/include"),
        ("plugins/sdk/c", "sdk/bindings"),
        ("plugins/examples/rust/src", "examples/rust/src"),
        ("plugins/examples/python/src", "examples/python/src"),
        ("plugins/examples/c/src", "examples/c/src"),
        ("plugins/examples/c-library/src", "examples/c-library/src"),
    ] {
        for (path, expected) in repository_files(directory) {
            // Released versions of the contract are below wit/.
            let is_other = directory == "wit" && (!path.ends_with(".wit") || path.contains('/'));
            if path.ends_with(".pyc") || is_other {
                continue;
            }
            assert!(*content(&format!("{target}/{path}")) == expected, "{path}");
            compared += 1;
        }
    }
    assert!(compared > 50, "only {compared} files were compared");
    for path in ["backend.h", "backend.c", "backend_component_type.o"] {
        assert!(!content(&format!("sdk/bindings/{path}")).is_empty());
    }
}

#[test]
fn a_manifest_of_a_project_inherits_from_no_workspace() {
    for file in archive::files().unwrap() {
        if !file.path.ends_with("Cargo.toml") {
            continue;
        }
        let text = String::from_utf8(file.content).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        assert!(!text.contains("workspace = true"), "{}: {text}", file.path);
        assert!(manifest["package"]["edition"].is_str(), "{text}");
    }
}

#[test]
fn the_files_add_little_to_the_program() {
    let bytes = archive::compressed_bytes();
    assert!(bytes < 200 * 1024, "{bytes} bytes");
}
