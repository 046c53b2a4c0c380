//! The directories with backends.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use rdd_plugin::PluginDirs;

/// The directories of `--plugin-dir` or `RDD_PLUGIN_DIR`. Each occurrence of the
/// option is one directory, even with `:` in its name. The variable is a list in
/// the format of `PATH`.
///
/// Written by hand: clap's derive splits the values of both or of neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PluginDirArgs(Vec<PathBuf>);

/// The name of the argument within clap.
const ID: &str = "plugin_dirs";
/// The environment variable.
const VARIABLE: &str = "RDD_PLUGIN_DIR";

impl PluginDirArgs {
    /// Returns whether no directory was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the given directories, or else the user's, and then the one beside
    /// the program. What the user installed takes precedence over what came with
    /// the program.
    pub(crate) fn into_dirs(self) -> PluginDirs {
        let user = user_dir();
        if !self.is_empty() {
            return PluginDirs {
                search: self.0,
                user,
            };
        }
        // The installed program is a link, which macOS does not resolve.
        let beside = std::env::current_exe()
            .and_then(fs::canonicalize)
            .ok()
            .and_then(|program| Some(program.parent()?.join("plugins")));
        PluginDirs {
            search: user.iter().cloned().chain(beside).collect(),
            user,
        }
    }

    fn from_variable(list: &OsStr) -> Self {
        // An empty entry would mean the working directory.
        Self(
            std::env::split_paths(list)
                .filter(|dir| !dir.as_os_str().is_empty())
                .collect(),
        )
    }
}

/// Returns the user's plugin directory, `$XDG_DATA_HOME/rdd/plugins`.
fn user_dir() -> Option<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(std::env::home_dir()?.join(".local/share")));
    data.map(|data| data.join("rdd/plugins"))
}

/// Returns the user's plugin directory for a command that changes it.
pub(crate) fn required_user_dir() -> Result<PathBuf> {
    user_dir().context("there is no home directory for plugins; set XDG_DATA_HOME")
}

/// Returns the directories of `RDD_PLUGIN_DIR`, if it is set.
pub(crate) fn explicit_dirs() -> Option<Vec<PathBuf>> {
    let list = std::env::var_os(VARIABLE)?;
    let PluginDirArgs(dirs) = PluginDirArgs::from_variable(&list);
    (!dirs.is_empty()).then_some(dirs)
}

impl Args for PluginDirArgs {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(ID)
                .long("plugin-dir")
                .env(VARIABLE)
                .value_name("DIR")
                .action(ArgAction::Append)
                .value_parser(ValueParser::os_string())
                .help("Directory with backends; can be repeated, or a list separated by ':' in the variable [default: the user's, then beside the program]"),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PluginDirArgs {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, Error> {
        let values = matches.get_many::<OsString>(ID).unwrap_or_default();
        Ok(match matches.value_source(ID) {
            Some(ValueSource::EnvVariable) => {
                let dirs = values.flat_map(|list| Self::from_variable(list).0);
                Self(dirs.collect())
            }
            _ => Self(values.map(PathBuf::from).collect()),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        dirs: PluginDirArgs,
    }

    #[test]
    fn each_option_is_one_directory_even_with_separators_in_its_name() {
        let line = Line::parse_from(["rdd", "--plugin-dir", "/a:b,c", "--plugin-dir=/d"]);
        assert_eq!(line.dirs, PluginDirArgs(vec!["/a:b,c".into(), "/d".into()]));
    }

    #[test]
    fn the_variable_is_a_list_like_path() {
        let dirs = |list: &str| PluginDirArgs::from_variable(list.as_ref());
        assert_eq!(
            dirs("/a:/b c"),
            PluginDirArgs(vec!["/a".into(), "/b c".into()])
        );
        assert_eq!(dirs("/a::"), PluginDirArgs(vec!["/a".into()]));
        assert_eq!(dirs(""), PluginDirArgs::default());
    }
}
