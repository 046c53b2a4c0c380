//! The command line of `rdd exec`, with the options and words of `docker exec`.

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::completion;

/// The maximum length of the query in bytes. HTTP libraries allow about 64 KiB for
/// a whole URL; the daemon has a limit of its own for what is in it.
const MAX_QUERY_BYTES: usize = 60 * 1024;

/// Options of `rdd exec`.
#[derive(Args)]
pub(crate) struct ExecArgs {
    /// Keep STDIN open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    /// Username or UID (format: "<name|uid>[:<group|gid>]")
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Working directory inside the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Set environment variables; without a value, that of this environment
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Name, ID, or unique ID prefix of the container
    #[arg(add = ArgValueCompleter::new(completion::running_containers))]
    container: String,
    /// Program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

impl ExecArgs {
    pub(super) fn container(&self) -> &str {
        &self.container
    }

    pub(super) fn has_input(&self) -> bool {
        self.interactive
    }

    pub(super) fn has_terminal(&self) -> bool {
        self.tty
    }

    /// Returns whether keys go to the process as they are, including Ctrl-C.
    pub(super) fn needs_raw_terminal(&self) -> bool {
        self.interactive && self.tty
    }

    /// Fails as docker does if a terminal is requested and the input is none.
    pub(super) fn check_terminal(&self, is_terminal: bool) -> Result<()> {
        if self.needs_raw_terminal() && !is_terminal {
            bail!("the input device is not a TTY; omit --tty to use a pipe or a file");
        }
        Ok(())
    }

    /// Returns the query of the request. `variable` returns a variable of this
    /// environment.
    pub(super) fn query(&self, variable: impl Fn(&str) -> Option<String>) -> Result<String> {
        let boolean = |value| if value { "true" } else { "false" };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("stdin", boolean(self.interactive));
        query.append_pair("stdout", "true");
        query.append_pair("stderr", boolean(!self.tty));
        query.append_pair("tty", boolean(self.tty));
        // An empty value means none, as with docker: scripts pass empty variables.
        for (name, value) in [("user", &self.user), ("workdir", &self.workdir)] {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                query.append_pair(name, value);
            }
        }
        for variable_of_process in &self.env {
            if variable_of_process.contains('=') {
                query.append_pair("env", variable_of_process);
            } else if let Some(value) = variable(variable_of_process) {
                query.append_pair("env", &format!("{variable_of_process}={value}"));
            }
        }
        for argument in &self.command {
            query.append_pair("command", argument);
        }
        let query = query.finish();
        if query.len() > MAX_QUERY_BYTES {
            bail!(
                "the command and its variables are too long; send a long script to the standard input of a shell: rdd exec -i CONTAINER sh <SCRIPT"
            );
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct TestCommand {
        #[command(flatten)]
        args: ExecArgs,
    }

    fn parse(line: &[&str]) -> ExecArgs {
        let line = ["exec"].iter().chain(line);
        TestCommand::try_parse_from(line)
            .unwrap_or_else(|error| panic!("{error}"))
            .args
    }

    fn query(line: &[&str]) -> String {
        parse(line)
            .query(|name| (name == "HOME").then(|| "/root".to_owned()))
            .unwrap()
    }

    #[test]
    fn options_after_the_container_belong_to_the_command() {
        let args = parse(&["-it", "-u", "me", "web", "ls", "-l", "-u", "--", "-i"]);
        assert_eq!(args.container, "web");
        assert_eq!(args.command, ["ls", "-l", "-u", "--", "-i"]);
        assert!(args.interactive && args.tty);
        let args = parse(&["web", "sh", "-c", "exit 3"]);
        assert_eq!(args.command, ["sh", "-c", "exit 3"]);
        assert!(!args.interactive && !args.tty);
        assert!(TestCommand::try_parse_from(["exec", "web"]).is_err());
    }

    #[test]
    fn each_option_is_a_parameter() {
        assert_eq!(
            query(&["web", "ls", "a b", ""]),
            "stdin=false&stdout=true&stderr=true&tty=false&command=ls&command=a+b&command="
        );
        assert_eq!(
            query(&[
                "-it", "--user", "1:2", "-w", "/tmp", "-e", "A=b=c", "--env", "HOME", "-e", "NONE",
                "web", "sh"
            ]),
            "stdin=true&stdout=true&stderr=false&tty=true&user=1%3A2&workdir=%2Ftmp&env=A%3Db%3Dc&env=HOME%3D%2Froot&command=sh"
        );
        assert!(!query(&["-u", "", "-w", "", "web", "sh"]).contains("user"));
    }

    #[test]
    fn a_terminal_is_required_only_for_input_to_a_terminal() {
        for (line, is_refused) in [
            (&["-it", "web", "sh"][..], true),
            (&["-t", "web", "sh"], false),
            (&["-i", "web", "sh"], false),
        ] {
            let args = parse(line);
            assert_eq!(args.check_terminal(false).is_err(), is_refused, "{line:?}");
            assert!(args.check_terminal(true).is_ok());
        }
        let error = parse(&["-it", "web", "sh"]).check_terminal(false);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("the input device is not a TTY"),
            "{error}"
        );
    }

    #[test]
    fn a_command_that_does_not_fit_into_a_url_is_rejected() {
        let long = "x".repeat(MAX_QUERY_BYTES);
        let error = parse(&["web", "sh", "-c", &long]).query(|_| None);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("too long"), "{error}");
    }
}
