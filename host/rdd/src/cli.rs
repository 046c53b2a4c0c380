//! The command line. Every flag of `serve` is also an environment variable.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rdd_api::ActionName;
use rdd_gateway::{AllowedHost, TrustedOrigin};

use crate::actions::{self, ActionArgs, RemoveArgs};
use crate::output::{self, OutputArgs, OutputError};
use crate::plugin_dirs::PluginDirs;
use crate::state_dir::StateDir;
use crate::{compiler, ctl, logs, plugins, serve, status, version};

/// A container engine as Kubernetes objects, its logs over WebSockets.
#[derive(Parser)]
#[command(name = "rdd", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    instance: Instance,
    #[command(subcommand)]
    command: Command,
}

/// Which daemon is meant.
#[derive(Args, Clone)]
struct Instance {
    /// Directory that holds everything of one instance [default: $XDG_STATE_HOME/rdd/$RDD_INSTANCE]
    #[arg(long, global = true, env = "RDD_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Serve(Box<ServeArgs>),
    /// Run kubectl with this instance's kubeconfig; RDD_KUBECTL names another kubectl than the one on PATH
    #[command(disable_help_flag = true)]
    Ctl {
        /// Arguments of kubectl
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        args: Vec<OsString>,
    },
    /// Print the log of a container
    Logs(logs::LogsArgs),
    /// Look at the installed engine backends
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Start containers and wait until they are started
    Start(ActionArgs),
    /// Stop containers and wait until they are stopped
    Stop(ActionArgs),
    /// Stop containers, start them again, and wait until that is done
    Restart(ActionArgs),
    /// Freeze the processes of containers
    Pause(ActionArgs),
    /// Let frozen processes of containers go on
    Unpause(ActionArgs),
    /// Remove containers, running or not, and wait until they are gone
    Rm(RemoveArgs),
    /// Compile a backend, which the daemon has a process of its own do
    #[command(name = compiler::COMMAND, hide = true)]
    CompileBackend {
        /// Directory of compiled backends
        cache_dir: PathBuf,
        /// SHA-256 of the component on standard input
        digest: String,
    },
    /// Say whether the daemon runs and what it serves; exit code 3 when none is ready, 4 when it does not answer
    Status(OutputArgs),
    /// Print version and build details
    Version(OutputArgs),
}

#[derive(Subcommand)]
enum PluginCommand {
    /// List the installed backends and their state
    List {
        #[command(flatten)]
        plugin_dirs: PluginDirs,
        #[command(flatten)]
        output: OutputArgs,
    },
}

/// Options of `rdd serve`.
#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    /// Address of the HTTPS listener; port 0 takes the port of the last run, or a free one
    #[arg(
        long,
        env = "RDD_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) listen: SocketAddr,
    /// The engine: unix:///path, tcp://host:port or ssh://user@host [default: as the docker CLI finds it]
    #[arg(long, env = "RDD_ENGINE_ENDPOINT", value_name = "URL")]
    pub(crate) engine_endpoint: Option<String>,
    /// Name of the installed engine backend that the App is created with on a first start, or switched to
    #[arg(long, env = "RDD_BACKEND", value_name = "NAME")]
    pub(crate) backend: Option<String>,
    #[command(flatten)]
    pub(crate) plugin_dirs: PluginDirs,
    /// Write to the cluster of this kubeconfig instead of the embedded control plane
    #[arg(long, env = "RDD_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Never change the engine: actions and deletions are refused
    #[arg(long, env = "RDD_READ_ONLY", value_parser = BoolishValueParser::new())]
    pub(crate) read_only: bool,
    /// Form of the daemon's own log, which goes to stderr
    #[arg(long, env = "RDD_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged, such as info, debug or rdd_mirror=trace
    #[arg(
        long,
        env = "RDD_LOG",
        default_value = "warn,rdd=info",
        value_name = "FILTER"
    )]
    pub(crate) log: String,
    /// A host name, besides the loopback names, under which clients may reach the daemon; may be given several times, or as a list with ','
    #[arg(
        long = "allowed-host",
        env = "RDD_ALLOWED_HOST",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    /// An origin, besides the daemon's own, whose web pages may talk to it; may be given several times, or as a list with ','
    #[arg(
        long = "trusted-origin",
        env = "RDD_TRUSTED_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub(crate) trusted_origins: Vec<TrustedOrigin>,
    /// How often everything is listed anew, from 1s to 24h, such as 5m or 30s
    #[arg(long, env = "RDD_RESYNC", default_value = "5m", value_name = "DURATION", value_parser = resync_interval)]
    pub(crate) resync: std::time::Duration,
}

/// Forms of the daemon's own log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a duration such as `5m` or `1h30m`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    std::time::Duration::try_from(parsed).map_err(|error| error.to_string())
}

/// Reads `--resync`. It cannot be turned off: engines drop events for slow
/// readers, and nothing else makes up for that. More often than once a second
/// is a busy loop, and an interval of over a day was meant to turn it off.
fn resync_interval(text: &str) -> Result<std::time::Duration, String> {
    const MIN: std::time::Duration = std::time::Duration::from_secs(1);
    const MAX: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);
    let parsed: jiff::SignedDuration = text
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    match std::time::Duration::try_from(parsed) {
        Ok(interval) if (MIN..=MAX).contains(&interval) => Ok(interval),
        _ => Err(
            "engines lose events, so everything has to be listed anew now and then; \
             use a duration from 1s to 24h"
                .to_owned(),
        ),
    }
}

/// Runs the command and turns a failure into one line and an exit code.
pub(crate) async fn run(cli: Cli) -> ExitCode {
    match dispatch(cli).await {
        Ok(code) => code,
        Err(error) if matches!(error.downcast_ref(), Some(OutputError::Closed)) => {
            ExitCode::from(output::BROKEN_PIPE)
        }
        Err(error) => {
            output::print_error(&output::describe(&error));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode> {
    let Cli { instance, command } = cli;
    let state_dir = StateDir::locate(instance.state_dir)?;
    let act = async |action, args| actions::run(&state_dir, action, args).await;
    match command {
        Command::Serve(args) => serve::run(state_dir, *args).await,
        Command::Ctl { args } => match ctl::run(&state_dir, &args)? {},
        Command::Logs(args) => logs::run(&state_dir, args).await,
        Command::Plugin {
            command:
                PluginCommand::List {
                    plugin_dirs,
                    output,
                },
        } => plugins::list(&state_dir, plugin_dirs, output).await,
        Command::Start(args) => act(ActionName::Start, args).await,
        Command::Stop(args) => act(ActionName::Stop, args).await,
        Command::Restart(args) => act(ActionName::Restart, args).await,
        Command::Pause(args) => act(ActionName::Pause, args).await,
        Command::Unpause(args) => act(ActionName::Unpause, args).await,
        Command::Rm(args) => actions::remove(&state_dir, args).await,
        Command::CompileBackend { cache_dir, digest } => compiler::run(&cache_dir, &digest),
        Command::Status(output) => status::run(&state_dir, output).await,
        Command::Version(output) => version::run(output),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_host_or_an_origin_that_cannot_match_is_refused_by_its_option() {
        for (option, value, form) in [
            ("--trusted-origin", "foo", "scheme://host:port"),
            ("--allowed-host", "box.example:8443", "leave out the port"),
        ] {
            let Err(error) = Cli::try_parse_from(["rdd", "serve", option, value]) else {
                panic!("{option} {value} was accepted")
            };
            let error = error.to_string();
            assert!(error.contains(option) && error.contains(form), "{error}");
        }
    }

    #[test]
    fn every_flag_of_serve_is_also_a_variable() {
        use clap::CommandFactory as _;
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for arg in serve
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(|long| long != "help"))
        {
            let env = arg
                .get_env()
                .unwrap_or_else(|| panic!("--{} has no variable", arg.get_long().unwrap()));
            assert!(env.to_string_lossy().starts_with("RDD_"));
        }
    }

    #[test]
    fn a_resync_interval_is_neither_a_busy_loop_nor_never() {
        let seconds = |text| resync_interval(text).map(|interval| interval.as_secs());
        assert_eq!(seconds("1s"), Ok(1));
        assert_eq!(seconds("5m"), Ok(300));
        assert_eq!(seconds("24h"), Ok(86_400));
        for text in ["0s", "0", "999ms", "-5m", "25h", "9999999999h", "soon", ""] {
            assert!(resync_interval(text).is_err(), "{text:?}");
        }
        let error = resync_interval("0s").unwrap_err();
        assert!(error.contains("from 1s to 24h"), "{error}");
    }

    #[test]
    fn s1_the_readme_has_a_row_for_every_option_of_serve_and_no_other() {
        use clap::CommandFactory as _;
        let mut command = Cli::command();
        command.build();
        let serve = command.find_subcommand("serve").unwrap();
        let options: BTreeSet<_> = serve
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .filter(|long| !["help", "version"].contains(long))
            .collect();
        let rows: BTreeSet<_> = include_str!("../../../README.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `--"))
            .filter_map(|row| row.split([' ', '`']).next())
            .collect();
        assert_eq!(rows, options);
    }
}
