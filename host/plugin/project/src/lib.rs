//! Projects of engine backends: [`create()`] writes a new one from a template, and
//! [`build()`] makes the plugin of it with the tools of its language.
//!
//! A project is a directory whose `plugin.toml` has a table `[build]`. Everything
//! that a project needs of this repository is in the program, and is written into
//! the project's directory `sdk`, since no registry has it. A project fetches only
//! public packages, with the tools of its language and their settings.
//!
//! This crate runs no plugins: whether a built plugin is valid is checked by those
//! who load it.
//!
//! ```
//! use rdd_plugin_project::{PluginForm, ProjectLanguage, ProjectSpec, create};
//!
//! let parent = tempfile::tempdir()?;
//! let spec = ProjectSpec::new("my-engine", ProjectLanguage::C, PluginForm::Component)?;
//! let project = create(parent.path(), &spec)?;
//! assert!(project.join("sdk/bindings/backend.h").exists());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// In layers: each module uses only those after it.

mod output;

mod build;
mod create;

mod archive;
mod component;
mod manifest;

mod spec;

pub use archive::{ArchiveError, ArchiveFile, files};
pub use build::{BuildError, BuildOptions, BuiltArtifact, build};
pub use component::{ComponentError, GUEST_TARGET, encode_component};
pub use create::{CreateError, create};
pub use manifest::{PROJECT_FILE, ProjectError, ProjectManifest};
pub use output::{OutputError, write_output};
pub use spec::{PluginForm, ProjectLanguage, ProjectSpec, SpecError};
