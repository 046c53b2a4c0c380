//! The directories with backends.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// The directories of `--plugin-dir` or `RDD_PLUGIN_DIR`. Each occurrence of the
/// option is one directory, even with `:` in its name. The variable is a list in
/// the format of `PATH`.
///
/// Written by hand: clap's derive splits the values of both or of neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PluginDirArgs(Vec<PathBuf>);

/// The name of the argument within clap.
const ID: &str = "plugin_dirs";

impl PluginDirArgs {
    /// Returns whether no directory was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the given directories, or else the one beside the program and the
    /// user's, `$XDG_DATA_HOME/rdd/plugins`.
    pub(crate) fn or_default(self) -> Vec<PathBuf> {
        if !self.is_empty() {
            return self.0;
        }
        // The installed program is a link, which macOS does not resolve.
        let beside = std::env::current_exe()
            .and_then(fs::canonicalize)
            .ok()
            .and_then(|program| Some(program.parent()?.join("plugins")));
        let data = std::env::var_os("XDG_DATA_HOME")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".local/share")));
        beside
            .into_iter()
            .chain(data.map(|data| data.join("rdd/plugins")))
            .collect()
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

impl Args for PluginDirArgs {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(ID)
                .long("plugin-dir")
                .env("RDD_PLUGIN_DIR")
                .value_name("DIR")
                .action(ArgAction::Append)
                .value_parser(ValueParser::os_string())
                .help("Directory with backends; can be repeated, or a list separated by ':' in the variable [default: beside the program, then the user's]"),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PluginDirArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let values = matches.get_many::<OsString>(ID).unwrap_or_default();
        Ok(match matches.value_source(ID) {
            Some(ValueSource::EnvVariable) => {
                let dirs = values.flat_map(|list| Self::from_variable(list).0);
                Self(dirs.collect())
            }
            _ => Self(values.map(PathBuf::from).collect()),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
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
