//! What a new project is made of.

use std::fmt;

use serde::Deserialize;

/// The languages of projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProjectLanguage {
    /// Rust, with the SDK.
    Rust,
    /// Python, as a component with an interpreter in it.
    Python,
    /// C17.
    C,
}

impl ProjectLanguage {
    /// All languages.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::C];

    /// Returns the word for the language on the command line and in `plugin.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    /// Returns the forms in which a plugin in this language can be built.
    pub fn forms(self) -> &'static [PluginForm] {
        match self {
            Self::Rust | Self::C => &[PluginForm::Component, PluginForm::Library],
            Self::Python => &[PluginForm::Component],
        }
    }
}

impl fmt::Display for ProjectLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The forms of a plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PluginForm {
    /// A WebAssembly component, which runs in a sandbox.
    #[default]
    Component,
    /// A dynamic library, for the platform on which it is built.
    Library,
}

impl PluginForm {
    /// Returns the word for the form on the command line and in `plugin.toml`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Library => "library",
        }
    }
}

impl fmt::Display for PluginForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The name, the language, and the form of a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSpec {
    pub(crate) name: String,
    pub(crate) language: ProjectLanguage,
    pub(crate) form: PluginForm,
}

/// A project that cannot be made. The message is one sentence with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not a name of a backend.
    #[error(
        "{0:?} cannot be the name of a backend; use lowercase letters, digits, and '-' between them, at most 63 characters"
    )]
    Name(String),
    /// The language has no such form.
    #[error(
        "a backend in {language} cannot be built as a {form}; use one of: {}",
        words(.language.forms())
    )]
    Form {
        /// The language.
        language: ProjectLanguage,
        /// The form.
        form: PluginForm,
    },
}

fn words(forms: &[PluginForm]) -> String {
    let words: Vec<_> = forms.iter().map(|form| form.word()).collect();
    words.join(", ")
}

/// The maximum length of a backend's name: that of a DNS label.
const MAX_NAME_BYTES: usize = 63;

impl ProjectSpec {
    /// Checks a name and a form.
    ///
    /// # Errors
    ///
    /// Fails if the name is not a DNS label, which names of backends are, or if
    /// the language does not have the form.
    pub fn new(name: &str, language: ProjectLanguage, form: PluginForm) -> Result<Self, SpecError> {
        let is_word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let is_valid = (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|c| is_word(c) || c == b'-')
            && !name.starts_with('-')
            && !name.ends_with('-');
        if !is_valid {
            return Err(SpecError::Name(name.to_owned()));
        }
        check_form(language, form)?;
        Ok(Self {
            name: name.to_owned(),
            language,
            form,
        })
    }
}

impl ProjectSpec {
    /// Returns the name of the example in `plugins/examples`. The two forms differ in
    /// C, since a library has other bindings.
    pub(crate) fn example(&self) -> &'static str {
        match (self.language, self.form) {
            (ProjectLanguage::Rust, _) => "rust",
            (ProjectLanguage::Python, _) => "python",
            (ProjectLanguage::C, PluginForm::Component) => "c",
            (ProjectLanguage::C, PluginForm::Library) => "c-library",
        }
    }

    /// Returns the name of the example's plugin, which is replaced by that of a new
    /// one.
    pub(crate) fn example_name(&self) -> String {
        format!("toy-{}", self.example())
    }
}

/// Checks that a language has a form.
pub(crate) fn check_form(language: ProjectLanguage, form: PluginForm) -> Result<(), SpecError> {
    match language.forms().contains(&form) {
        true => Ok(()),
        false => Err(SpecError::Form { language, form }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_a_dns_label() {
        let spec = |name: &str| ProjectSpec::new(name, ProjectLanguage::C, PluginForm::Component);
        for name in ["a", "1", "my-engine", "a--b", &"x".repeat(63)] {
            spec(name).unwrap();
        }
        for name in [
            "",
            "-a",
            "a-",
            "My",
            "my_engine",
            "a/b",
            "..",
            "ä",
            &"x".repeat(64),
        ] {
            let error = spec(name).unwrap_err().to_string();
            assert!(error.contains("use lowercase letters"), "{error}");
        }
    }

    #[test]
    fn a_form_that_a_language_does_not_have_is_rejected_with_the_others() {
        let error = ProjectSpec::new("a", ProjectLanguage::Python, PluginForm::Library)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("python") && error.ends_with("component"),
            "{error}"
        );
        ProjectSpec::new("a", ProjectLanguage::Rust, PluginForm::Library).unwrap();
    }
}
