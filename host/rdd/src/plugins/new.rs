//! `rdd plugin new`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, ValueEnum};
use rdd_plugin_project::{PluginForm, ProjectLanguage, ProjectSpec, create};
use serde::Serialize;

use crate::output::{CommandReport, OutputArgs};

/// Options of `rdd plugin new`.
#[derive(Args)]
pub(crate) struct NewArgs {
    /// Name of the backend, and of the new directory
    name: String,
    /// Language
    #[arg(long, value_name = "LANGUAGE")]
    lang: LanguageArg,
    /// Form in which it is built: a component runs in a sandbox, a library is native code
    #[arg(long, value_name = "FORM", default_value = "component")]
    form: FormArg,
    #[command(flatten)]
    output: OutputArgs,
}

/// The languages on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum LanguageArg {
    Rust,
    Python,
    C,
}

/// The forms on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum FormArg {
    Component,
    Library,
}

impl From<LanguageArg> for ProjectLanguage {
    fn from(language: LanguageArg) -> Self {
        match language {
            LanguageArg::Rust => Self::Rust,
            LanguageArg::Python => Self::Python,
            LanguageArg::C => Self::C,
        }
    }
}

impl From<FormArg> for PluginForm {
    fn from(form: FormArg) -> Self {
        match form {
            FormArg::Component => Self::Component,
            FormArg::Library => Self::Library,
        }
    }
}

/// The output of the command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewReport {
    name: String,
    language: &'static str,
    form: &'static str,
    path: String,
}

impl CommandReport for NewReport {
    fn text(&self) -> String {
        let Self {
            name,
            language,
            form,
            path,
        } = self;
        let allow_native = match *form {
            "library" => " --allow-native",
            _ => "",
        };
        format!(
            "created {path}: a backend for the toy engine in {language}; {path}/README.md says how to change it\n\
             \n\
             next:\n\
             \x20 cd {name}\n\
             \x20 rdd plugin build\n\
             \x20 rdd plugin test{allow_native} .\n\
             \x20 rdd plugin install{allow_native} .\n"
        )
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

/// Writes the project to a directory in the working directory.
pub(super) fn run(args: NewArgs) -> Result<ExitCode> {
    let NewArgs {
        name,
        lang,
        form,
        output,
    } = args;
    let (language, form) = (ProjectLanguage::from(lang), PluginForm::from(form));
    let spec = ProjectSpec::new(&name, language, form)?;
    let path = create(Path::new(""), &spec)?;
    output.print(&NewReport {
        name,
        language: language.word(),
        form: form.word(),
        path: path.display().to_string(),
    })?;
    Ok(ExitCode::SUCCESS)
}
