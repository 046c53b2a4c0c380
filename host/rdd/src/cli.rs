//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use rdd_api::ActionName;

use crate::actions::{self, ActionArgs, RemoveArgs};
use crate::backups::{self, BackupArgs};
use crate::dashboard::{self, DashboardArgs};
use crate::output::{self, OutputArgs, OutputError};
use crate::plugins::PluginCommand;
use crate::serve::ServeArgs;
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
        Command::ManPages { directory } => man_pages::write(Cli::command(), &directory),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_command_line_is_valid() {
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
    fn the_readme_has_a_row_for_every_option_of_serve_and_no_others() {
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
