//! The query parameters of a process: those of Kubernetes' `pods/exec`, and the
//! options of `docker exec`.

use rdd_core::{ExecOptions, text};

use crate::limits;
use crate::query::{self, ParameterError};

/// The names of all parameters, in the order of the documentation.
pub(crate) const PARAMETERS: [&str; 9] = [
    "command",
    "stdin",
    "stdout",
    "stderr",
    "tty",
    "user",
    "workdir",
    "env",
    "namespace",
];

/// How many bytes of a value an error message quotes.
const MAX_QUOTED: usize = 80;

/// An invalid parameter of a process. Values are quoted for the message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExecParameterError {
    #[error(transparent)]
    Common(#[from] ParameterError),
    #[error("unknown parameter {0}; known parameters are {known}", known = PARAMETERS.join(", "))]
    Unknown(String),
    #[error(
        "there is no parameter command; give the program and each argument as one: command=ls&command=-l"
    )]
    MissingCommand,
    #[error("the first parameter command is empty; it must be the program")]
    EmptyProgram,
    /// Does not quote it: the value may be a secret.
    #[error("a parameter env does not have the form NAME=VALUE")]
    InvalidVariable,
    #[error("parameter user is empty; omit it to run as the user of the container")]
    EmptyUser,
    #[error("parameter workdir={0} is not an absolute path")]
    InvalidWorkingDir(String),
    #[error("parameter {0} has a NUL character, which no process can receive")]
    NulCharacter(&'static str),
    #[error("parameter {name} is given more than {} times", limits::MAX_EXEC_ITEMS)]
    TooMany { name: &'static str },
    #[error(
        "the parameters have more than {} bytes; send a long script to the standard input of a shell",
        limits::MAX_EXEC_PARAMETER_BYTES
    )]
    TooLong,
    #[error("stdin, stdout, and stderr are all false, so there is nothing to stream")]
    NoStreamSelected,
}

/// The parameters of a process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ExecParams {
    /// The engine's namespace of the container; `None` for the default one.
    pub(crate) namespace: Option<String>,
    pub(crate) options: ExecOptions,
}

/// Parses a query string.
///
/// As in Kubernetes, a stream that is not requested is not attached, and a process
/// with a terminal has no standard error. If no stream is mentioned at all, both
/// outputs are.
pub(crate) fn parse_exec_params(query: &str) -> Result<ExecParams, ExecParameterError> {
    let mut namespace = None;
    let mut options = ExecOptions::default();
    let (mut stdin, mut stdout, mut stderr, mut tty) = (None, None, None, None);
    let mut bytes = 0;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        bytes += value.len();
        if bytes > limits::MAX_EXEC_PARAMETER_BYTES {
            return Err(ExecParameterError::TooLong);
        }
        match name.as_ref() {
            "command" => push(&mut options.command, "command", text_of("command", &value)?)?,
            "env" => {
                let variable = parse_variable(&text_of("env", &value)?)?;
                push(&mut options.env, "env", variable)?;
            }
            "stdin" => set(&mut stdin, &name, query::parse_boolean(&name, &value)?)?,
            "stdout" => set(&mut stdout, &name, query::parse_boolean(&name, &value)?)?,
            "stderr" => set(&mut stderr, &name, query::parse_boolean(&name, &value)?)?,
            "tty" => set(&mut tty, &name, query::parse_boolean(&name, &value)?)?,
            "user" if value.is_empty() => return Err(ExecParameterError::EmptyUser),
            "user" => set(&mut options.user, &name, text_of("user", &value)?)?,
            "workdir" => set(&mut options.working_dir, &name, parse_working_dir(&value)?)?,
            "namespace" => set(&mut namespace, &name, query::parse_namespace(&value)?)?,
            _ => return Err(ExecParameterError::Unknown(text::quote(&name, MAX_QUOTED))),
        }
    }
    match options.command.first() {
        None => return Err(ExecParameterError::MissingCommand),
        Some(program) if program.is_empty() => return Err(ExecParameterError::EmptyProgram),
        Some(_) => {}
    }
    let is_default = stdin.is_none() && stdout.is_none() && stderr.is_none();
    options.tty = tty.unwrap_or_default();
    options.stdin = stdin.unwrap_or_default();
    options.stdout = stdout.unwrap_or(is_default);
    options.stderr = stderr.unwrap_or(is_default);
    if !options.stdin && !options.stdout && !options.stderr {
        return Err(ExecParameterError::NoStreamSelected);
    }
    if options.tty && options.stderr {
        // Both outputs are one stream. kubelet ignores stderr, too.
        options.stderr = false;
        options.stdout = true;
    }
    Ok(ExecParams { namespace, options })
}

/// Sets a parameter that may be given once.
fn set<T>(value: &mut Option<T>, name: &str, new: T) -> Result<(), ParameterError> {
    match value.replace(new) {
        None => Ok(()),
        Some(_) => Err(ParameterError::Duplicate(name.to_owned())),
    }
}

/// Adds the value of a parameter that may be repeated.
fn push<T>(values: &mut Vec<T>, name: &'static str, new: T) -> Result<(), ExecParameterError> {
    if values.len() == limits::MAX_EXEC_ITEMS {
        return Err(ExecParameterError::TooMany { name });
    }
    values.push(new);
    Ok(())
}

/// Returns a value that a process can receive.
fn text_of(name: &'static str, value: &str) -> Result<String, ExecParameterError> {
    if value.contains('\0') {
        return Err(ExecParameterError::NulCharacter(name));
    }
    Ok(value.to_owned())
}

fn parse_variable(value: &str) -> Result<(String, String), ExecParameterError> {
    match value.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(ExecParameterError::InvalidVariable),
    }
}

fn parse_working_dir(value: &str) -> Result<String, ExecParameterError> {
    let value = text_of("workdir", value)?;
    if value.starts_with('/') {
        return Ok(value);
    }
    let value = text::quote(&value, MAX_QUOTED);
    Err(ExecParameterError::InvalidWorkingDir(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(query: &str) -> ExecOptions {
        parse_exec_params(query)
            .unwrap_or_else(|error| panic!("{query}: {error}"))
            .options
    }

    fn error(query: &str) -> String {
        parse_exec_params(query).expect_err(query).to_string()
    }

    #[test]
    fn every_documented_parameter_is_accepted() {
        let params = parse_exec_params(
            "command=sh&command=-c&command=echo+%24A&stdin=true&stdout=1&stderr=T&tty=false\
             &user=1000%3A1000&workdir=/tmp&env=A=b%3Dc&env=B=&namespace=k8s.io",
        )
        .unwrap();
        assert_eq!(params.namespace.as_deref(), Some("k8s.io"));
        assert_eq!(
            params.options,
            ExecOptions {
                command: ["sh", "-c", "echo $A"].map(str::to_owned).to_vec(),
                env: vec![
                    ("A".to_owned(), "b=c".to_owned()),
                    ("B".to_owned(), String::new())
                ],
                working_dir: Some("/tmp".to_owned()),
                user: Some("1000:1000".to_owned()),
                tty: false,
                stdin: true,
                stdout: true,
                stderr: true,
            }
        );
    }

    #[test]
    fn only_the_requested_streams_are_attached_and_both_outputs_if_none_is_mentioned() {
        for (query, expected) in [
            ("", (false, true, true)),
            ("&stdout=true", (false, true, false)),
            ("&stdin=true", (true, false, false)),
            ("&stdin=true&stdout=true", (true, true, false)),
            ("&stderr=true", (false, false, true)),
            ("&stdin=false&stderr=true", (false, false, true)),
            ("&tty=true", (false, true, false)),
            ("&tty=true&stdin=1&stdout=1&stderr=1", (true, true, false)),
            ("&tty=true&stderr=true", (false, true, false)),
        ] {
            let options = ok(&format!("command=ls{query}"));
            let streams = (options.stdin, options.stdout, options.stderr);
            assert_eq!(streams, expected, "{query}");
        }
    }

    #[test]
    fn an_empty_argument_is_an_argument() {
        assert_eq!(ok("command=echo&command=").command, ["echo", ""]);
    }

    #[test]
    fn every_invalid_value_is_rejected_and_named() {
        for (query, named) in [
            ("", "command"),
            ("command=", "command is empty"),
            ("stdout=true", "command"),
            ("command=ls&stdin=yes", "stdin"),
            ("command=ls&tty=", "tty"),
            ("command=ls&stdout=false&stderr=0&stdin=f", "all false"),
            ("command=ls&stdout=1&stdout=1", "\"stdout\" is given twice"),
            ("command=ls&env=A", "NAME=VALUE"),
            ("command=ls&env==b", "NAME=VALUE"),
            ("command=ls&env=", "NAME=VALUE"),
            ("command=ls&user=", "user is empty"),
            ("command=ls&user=a&user=b", "\"user\" is given twice"),
            ("command=ls&workdir=tmp", "workdir=\"tmp\""),
            ("command=ls&workdir=", "workdir=\"\""),
            ("command=ls%00", "command has a NUL character"),
            ("command=ls&env=A=%00", "env has a NUL character"),
            ("command=ls&user=a%00", "user has a NUL character"),
            ("command=ls&workdir=/%00", "workdir has a NUL character"),
            ("command=ls&namespace=a/b", "namespace"),
            (
                "command=ls&container=web",
                "unknown parameter \"container\"",
            ),
            (
                "command=ls&Command=web",
                "known parameters are command, stdin",
            ),
        ] {
            assert!(error(query).contains(named), "{query}: {}", error(query));
        }
    }

    #[test]
    fn the_value_of_a_malformed_variable_is_not_repeated() {
        assert!(!error("command=ls&env=hunter2").contains("hunter2"));
    }

    #[test]
    fn the_number_and_the_size_of_parameters_are_limited() {
        let many = |name: &str, count: usize| format!("{name}=a%3Db&").repeat(count);
        let max = limits::MAX_EXEC_ITEMS;
        for name in ["command", "env"] {
            let query = format!("command=ls&{}", many(name, max - 1));
            ok(query.trim_end_matches('&'));
            let query = format!("command=ls&{}", many(name, max + 1));
            assert!(error(query.trim_end_matches('&')).contains("1024 times"));
        }
        let long = "x".repeat(limits::MAX_EXEC_PARAMETER_BYTES);
        ok(&format!("command={long}"));
        assert!(error(&format!("command={long}&command=x")).contains("32768 bytes"));
    }

    #[test]
    fn every_parameter_is_documented() {
        let page = include_str!("../../../docs/passthrough.md");
        let section = page.split("\n## Processes").nth(1).unwrap_or_default();
        for name in PARAMETERS {
            assert!(
                section.contains(&format!("| `{name}` |")),
                "{name} has no row in docs/passthrough.md"
            );
        }
    }
}
