//! New projects are built with the tools of their languages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed test panics")]

use std::fs;
use std::path::{Path, PathBuf};

use rdd_plugin_project::{
    BuildError, BuildOptions, BuiltArtifact, PluginForm, ProjectLanguage, ProjectManifest,
    ProjectSpec, build, create, write_output,
};
use tempfile::TempDir;

struct Project {
    _parent: TempDir,
    dir: PathBuf,
}

impl Project {
    fn new(language: ProjectLanguage, form: PluginForm) -> Self {
        let parent = tempfile::tempdir().unwrap();
        // Not an identifier in any of the languages.
        let spec = ProjectSpec::new("1-my-engine", language, form).unwrap();
        let dir = create(parent.path(), &spec).unwrap();
        Self {
            _parent: parent,
            dir,
        }
    }

    fn build(&self) -> Result<BuiltArtifact, BuildError> {
        let manifest = ProjectManifest::read(&self.dir).unwrap().unwrap();
        let options = BuildOptions {
            dir: self.dir.clone(),
            platform: "test/platform".to_owned(),
            is_verbose: false,
        };
        build(&manifest, &options)
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.dir.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} does not contain {from:?}");
        fs::write(path, text.replace(from, to)).unwrap();
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

/// Writes the plugin and returns its manifest.
fn written(project: &Project, artifact: &BuiltArtifact) -> toml::Table {
    let manifest = ProjectManifest::read(&project.dir).unwrap().unwrap();
    let output = ProjectManifest::output_dir(&project.dir);
    let dir = write_output(&output, manifest.name(), manifest.plugin(), artifact).unwrap();
    assert_eq!(dir, ProjectManifest::resolve(&project.dir).unwrap());
    assert_eq!(
        fs::read(dir.join(&artifact.file)).unwrap(),
        artifact.content
    );
    fs::read_to_string(dir.join("plugin.toml"))
        .unwrap()
        .parse()
        .unwrap()
}

fn builds_a_component(language: ProjectLanguage) {
    let project = Project::new(language, PluginForm::Component);
    let artifact = project.build().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(artifact.file, "1-my-engine.wasm");
    // A component, with the name of the backend in it.
    assert_eq!(
        artifact.content.get(..8),
        Some(b"\0asm\x0d\0\x01\0".as_slice())
    );
    assert!(contains(
        &artifact.content,
        "rancher-desktop:engine/engine@0.1.0"
    ));
    let manifest = written(&project, &artifact);
    assert_eq!(manifest["kind"].as_str(), Some("component"));
    assert_eq!(manifest["sha256"].as_str(), Some(&*artifact.sha256()));
    assert_eq!(
        manifest["description"].as_str(),
        Some("A backend for the toy engine")
    );
}

#[test]
fn a_project_in_rust_builds_as_a_component() {
    builds_a_component(ProjectLanguage::Rust);
}

#[test]
fn a_project_in_c_builds_as_a_component() {
    builds_a_component(ProjectLanguage::C);
}

#[test]
fn a_project_in_python_builds_as_a_component() {
    builds_a_component(ProjectLanguage::Python);
}

#[test]
fn a_project_in_rust_builds_as_a_library() {
    builds_a_library(ProjectLanguage::Rust);
}

#[test]
fn a_project_in_c_builds_as_a_library() {
    builds_a_library(ProjectLanguage::C);
}

fn builds_a_library(language: ProjectLanguage) {
    let project = Project::new(language, PluginForm::Library);
    let artifact = project.build().unwrap_or_else(|error| panic!("{error}"));
    assert!(contains(&artifact.content, "rdd_backend_library"));
    let manifest = written(&project, &artifact);
    assert_eq!(manifest["kind"].as_str(), Some("library"));
    let library = &manifest["libraries"][0];
    assert_eq!(library["platform"].as_str(), Some("test/platform"));
    assert_eq!(library["file"].as_str(), Some(&*artifact.file));
}

#[test]
fn the_error_of_a_compiler_names_the_line() {
    let project = Project::new(ProjectLanguage::C, PluginForm::Component);
    project.replace("src/backend.c", "\"Toy Engine\"", "undeclared_name");
    let error = project.build().unwrap_err();
    let BuildError::Failed { output, log, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        output.contains("backend.c:") && output.contains("undeclared_name"),
        "{error}"
    );
    assert!(fs::read_to_string(log).unwrap().contains("undeclared_name"));
    assert!(!Path::new(&project.dir).join("out/1-my-engine").exists());
}

#[test]
fn a_call_that_the_contract_does_not_have_in_this_form_is_an_error() {
    let project = Project::new(ProjectLanguage::C, PluginForm::Component);
    // A module with an import that no host has.
    project.replace(
        "src/wire.c",
        "#include \"wire.h\"",
        "#include \"wire.h\"\n__attribute__((import_module(\"env\"), import_name(\"magic\"))) void magic(void);\n__attribute__((constructor)) static void call(void) { magic(); }",
    );
    let error = project.build().unwrap_err();
    assert!(matches!(error, BuildError::Component(_)), "{error}");
    assert!(error.to_string().contains("magic"), "{error}");
}

#[test]
fn a_project_in_rust_without_a_library_names_the_remedy() {
    let project = Project::new(ProjectLanguage::Rust, PluginForm::Component);
    project.replace(
        "Cargo.toml",
        "crate-type = [\"cdylib\"]",
        "crate-type = [\"rlib\"]",
    );
    let error = project.build().unwrap_err().to_string();
    assert!(error.contains("crate-type = [\"cdylib\"]"), "{error}");
}
