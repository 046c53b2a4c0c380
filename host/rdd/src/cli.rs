//! The command line. Every flag of `serve` is also an environment variable.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rdd_api::ActionName;
use rdd_apiserver::{AuditLevel, AuditOptions};
use rdd_gateway::{AllowedHost, TrustedOrigin};
use rdd_web::WebEndpoint;

use crate::actions::{self, ActionArgs, RemoveArgs};
use crate::backups::{self, BackupArgs};
use crate::dashboard::{self, DashboardArgs};
use crate::output::{self, OutputArgs, OutputError};
use crate::plugin_dirs::PluginDirArgs;
use crate::plugins::PluginCommand;
use crate::state_dir::StateDir;
use crate::tokens::TokenCommand;
use crate::{
    compiler, completion, ctl, exec, logs, man_pages, plugins, serve, status, tokens, version,
};

/// Serve a container engine as Kubernetes objects, and its logs over WebSockets
#[derive(Parser)]
#[command(name = "rdd", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options that select the daemon.
#[derive(Args, Clone)]
struct InstanceArgs {
    /// Directory with all files of the instance [default: $XDG_STATE_HOME/rdd/$RDD_INSTANCE]
    #[arg(long, global = true, env = "RDD_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon in the foreground
    Serve(Box<ServeArgs>),
    /// Run kubectl with the kubeconfig of the instance; set RDD_KUBECTL to use another kubectl than the one on PATH
    #[command(disable_help_flag = true)]
    Ctl {
        /// Arguments for kubectl
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGS"
        )]
        args: Vec<OsString>,
    },
    /// Fetch the logs of one or more containers
    Logs(logs::LogsArgs),
    /// Open the web page, which shows containers and their logs
    Dashboard(DashboardArgs),
    /// Execute a command in a running container
    Exec(exec::ExecArgs),
    /// Create, list, and revoke tokens with fewer rights than that of the instance
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Write all objects of the embedded API server to a file, also while the daemon is running
    Backup(BackupArgs),
    /// Replace all objects of the embedded API server with those of a backup; the daemon must not be running
    Restore(BackupArgs),
    /// Install, show, and remove engine backends
    Plugin {
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Start one or more stopped containers and wait until they have started
    Start(ActionArgs),
    /// Stop one or more running containers and wait until they have stopped
    Stop(ActionArgs),
    /// Restart one or more containers and wait until they have started
    Restart(ActionArgs),
    /// Pause all processes within one or more containers
    Pause(ActionArgs),
    /// Unpause all processes within one or more containers
    Unpause(ActionArgs),
    /// Remove one or more containers, running or not, and wait until they are removed
    Rm(RemoveArgs),
    /// Compile a backend (started by the daemon as a separate process)
    #[command(name = compiler::COMMAND, hide = true)]
    CompileBackend {
        /// Directory of the compiled backends
        cache_dir: PathBuf,
        /// SHA-256 of the component on standard input
        digest: String,
    },
    /// Show whether the daemon is running and what it serves; exit code 3 if it is not ready, 4 if it does not respond
    Status(OutputArgs),
    /// Show version and build information
    Version(OutputArgs),
    /// Print the completion script for a shell, which completes options and the names of containers
    #[command(after_help = completion::SETUP_HELP)]
    Completion {
        /// Shell
        #[arg(value_parser = completion::shell_names())]
        shell: String,
    },
    /// Write the man pages to a directory
    #[command(hide = true)]
    ManPages {
        /// Directory of the pages, such as /usr/local/share/man/man1
        directory: PathBuf,
    },
}

/// Options of `rdd serve`.
#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    /// Address of the HTTPS listener; port 0 reuses the port of the last run, or selects a free one
    #[arg(
        long,
        env = "RDD_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) listen: SocketAddr,
    /// Address of the web page, which is served over plain HTTP on the loopback interface; port 0 reuses the port of the last run, or selects a free one
    #[arg(
        long,
        env = "RDD_WEB",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) web: WebEndpoint,
    /// Serve no web page
    #[arg(long, env = "RDD_NO_WEB", value_parser = BoolishValueParser::new())]
    pub(crate) no_web: bool,
    /// URL of the engine: unix:///path, tcp://host:port, or ssh://user@host [default: as configured for the docker CLI]
    #[arg(long, env = "RDD_ENGINE_ENDPOINT", value_name = "URL")]
    pub(crate) engine_endpoint: Option<String>,
    /// Name of the installed engine backend to select, in a new App or an existing one
    #[arg(long, env = "RDD_BACKEND", value_name = "NAME")]
    pub(crate) backend: Option<String>,
    #[command(flatten)]
    pub(crate) plugin_dirs: PluginDirArgs,
    /// Use the cluster of this kubeconfig instead of the embedded API server
    #[arg(long, env = "RDD_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Never change the engine: reject actions, deletions, and processes in containers
    #[arg(long, env = "RDD_READ_ONLY", value_parser = BoolishValueParser::new())]
    pub(crate) read_only: bool,
    /// Format of the daemon's log on stderr
    #[arg(long, env = "RDD_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// Filter of the daemon's log, such as info, debug, or rdd_mirror=trace
    #[arg(
        long,
        env = "RDD_LOG",
        default_value = "warn,rdd=info",
        value_name = "FILTER"
    )]
    pub(crate) log: String,
    /// Host name, in addition to the loopback names, under which clients may reach the daemon; can be repeated, or a list separated by ','
    #[arg(
        long = "allowed-host",
        env = "RDD_ALLOWED_HOST",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    /// Origin, in addition to the daemon's own, whose web pages may access the daemon; can be repeated, or a list separated by ','
    #[arg(
        long = "trusted-origin",
        env = "RDD_TRUSTED_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub(crate) trusted_origins: Vec<TrustedOrigin>,
    #[command(flatten)]
    pub(crate) audit: AuditArgs,
    /// Interval between full listings of the engine, from 1s to 24h, such as 30s or 5m
    #[arg(long, env = "RDD_RESYNC", default_value = "5m", value_name = "DURATION", value_parser = parse_resync_interval)]
    pub(crate) resync: Duration,
}

/// Options of the audit log.
#[derive(Args, Clone, Default)]
pub(crate) struct AuditArgs {
    /// File with one line of JSON for each request to the Kubernetes API: who asked for what, and what the response was
    #[arg(long, env = "RDD_AUDIT_LOG", value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// How much of each request the audit log contains
    #[arg(
        long,
        env = "RDD_AUDIT_LEVEL",
        default_value = "metadata",
        value_name = "LEVEL"
    )]
    audit_level: AuditLogLevel,
}

/// How much of each request the audit log contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AuditLogLevel {
    #[default]
    /// User, verb, resource, times, and status code
    Metadata,
    /// The bodies of requests as well, except those with secrets
    Request,
}

impl AuditArgs {
    /// Returns whether there is to be an audit log.
    pub(crate) fn is_wanted(&self) -> bool {
        self.audit_log.is_some()
    }

    /// Returns the options of the audit log, if there is to be one.
    pub(crate) fn into_options(self) -> Option<AuditOptions> {
        let level = match self.audit_level {
            AuditLogLevel::Metadata => AuditLevel::Metadata,
            AuditLogLevel::Request => AuditLevel::Request,
        };
        self.audit_log.map(|file| AuditOptions::new(file, level))
    }
}

/// Formats of the daemon's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Human-readable text
    Text,
    /// One JSON object per line
    Json,
}

/// A duration on the command line that is rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DurationError {
    /// Not a duration, or a negative one.
    #[error(transparent)]
    Invalid(#[from] jiff::Error),
    /// An interval outside [`RESYNC_INTERVALS`].
    #[error(
        "engines drop events, so a periodic full listing is required; use a duration from 1s to 24h"
    )]
    ResyncInterval,
}

/// The accepted values of `--resync`. It cannot be disabled: engines drop events
/// for slow readers, and only a listing makes up for that. A shorter interval is
/// a busy loop, and a longer one effectively disables it.
const RESYNC_INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// Parses a duration such as `5m` or `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let duration: jiff::SignedDuration = text.parse()?;
    Ok(Duration::try_from(duration)?)
}

/// Parses `--resync`.
fn parse_resync_interval(text: &str) -> Result<Duration, DurationError> {
    let interval: jiff::SignedDuration = text.parse()?;
    match Duration::try_from(interval) {
        Ok(interval) if RESYNC_INTERVALS.contains(&interval) => Ok(interval),
        _ => Err(DurationError::ResyncInterval),
    }
}

/// Runs the command. Prints an error as one line and returns the exit code.
pub(crate) async fn run(cli: Cli) -> ExitCode {
    match dispatch(cli).await {
        Ok(code) => code,
        Err(error) if matches!(error.downcast_ref(), Some(OutputError::Closed)) => {
            ExitCode::from(output::BROKEN_PIPE_EXIT_CODE)
        }
        Err(error) => {
            output::print_error(&output::format_error_chain(&error));
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
        Command::Dashboard(args) => dashboard::run(&state_dir, args).await,
        Command::Exec(args) => exec::run(&state_dir, args).await,
        Command::Token { command } => tokens::run(&state_dir, command).await,
        Command::Backup(args) => backups::back_up(&state_dir, args).await,
        Command::Restore(args) => backups::restore(&state_dir, args).await,
        Command::Plugin { command } => plugins::run(&state_dir, command).await,
        Command::Start(args) => act(ActionName::Start, args).await,
        Command::Stop(args) => act(ActionName::Stop, args).await,
        Command::Restart(args) => act(ActionName::Restart, args).await,
        Command::Pause(args) => act(ActionName::Pause, args).await,
        Command::Unpause(args) => act(ActionName::Unpause, args).await,
        Command::Rm(args) => actions::remove(&state_dir, args).await,
        Command::CompileBackend { cache_dir, digest } => compiler::run(&cache_dir, &digest),
        Command::Status(output) => status::run(&state_dir, output).await,
        Command::Version(output) => version::run(output),
        Command::Completion { shell } => completion::print_script(&shell),
        Command::ManPages { directory } => man_pages::write(&directory),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_host_or_origin_that_cannot_match_is_rejected_with_its_option() {
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
    fn every_option_of_serve_is_also_a_variable() {
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
    fn a_resync_interval_is_from_1s_to_24h() {
        let seconds = |text| parse_resync_interval(text).map(|interval| interval.as_secs());
        assert_eq!(seconds("1s").unwrap(), 1);
        assert_eq!(seconds("5m").unwrap(), 300);
        assert_eq!(seconds("24h").unwrap(), 86_400);
        for text in ["0s", "0", "999ms", "-5m", "25h", "9999999999h", "soon", ""] {
            assert!(parse_resync_interval(text).is_err(), "{text:?}");
        }
        let error = parse_resync_interval("0s").unwrap_err().to_string();
        assert!(error.contains("from 1s to 24h"), "{error}");
    }

    #[test]
    fn the_readme_has_a_row_for_every_option_of_serve_and_no_others() {
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
