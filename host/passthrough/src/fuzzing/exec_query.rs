//! The query of a request for a process.

use rdd_core::ExecOptions;

use super::query_params::{QueryParams, encode};
use crate::exec_query::{ExecParams, PARAMETERS, parse_exec_params};
use crate::limits;

/// - What is accepted can be passed to a process, is within its limits, and is
///   accepted in any order of the parameters and in the form in which it is written
///   by [`encode_params`].
/// - The message of an error names the parameter, and never has the value of an
///   environment variable.
pub fn exec_query(data: &[u8]) {
    let Ok(query) = str::from_utf8(data) else {
        return;
    };
    let pairs = QueryParams::parse(query);
    match parse_exec_params(query) {
        Ok(params) => {
            assert_eq!(parse_exec_params(&pairs.sorted()).as_ref(), Ok(&params));
            let encoded = encode_params(&params);
            assert_eq!(
                parse_exec_params(&encoded).as_ref(),
                Ok(&params),
                "{encoded}"
            );
            check_options(&params.options);
        }
        Err(error) => {
            let name = pairs.check_error(&error, &PARAMETERS, parse_exec_params);
            let message = error.to_string();
            match name {
                Some("env") => {
                    let values = pairs.get("env").into_iter().filter(|env| env.len() > 20);
                    for value in values {
                        assert!(!message.contains(value), "{value:?}: {message}");
                    }
                }
                Some(_) => {}
                None => assert!(message.contains("command"), "{message}"),
            }
        }
    }
}

fn check_options(options: &ExecOptions) {
    let ExecOptions {
        command,
        env,
        working_dir,
        user,
        tty,
        stdin,
        stdout,
        stderr,
    } = options;
    assert!(!command.first().unwrap().is_empty());
    assert!(command.len().max(env.len()) <= limits::MAX_EXEC_ITEMS);
    assert!(
        env.iter()
            .all(|(name, _)| !name.is_empty() && !name.contains('='))
    );
    assert!(working_dir.as_ref().is_none_or(|dir| dir.starts_with('/')));
    assert!(user.as_ref().is_none_or(|user| !user.is_empty()));
    assert!(*stdin || *stdout || *stderr);
    assert!(!(*tty && *stderr), "a terminal has one output");
    let texts = command
        .iter()
        .chain(env.iter().flat_map(|(name, value)| [name, value]))
        .chain(working_dir)
        .chain(user);
    let lengths = texts.map(|text| {
        assert!(!text.contains('\0'), "{text:?}");
        text.len()
    });
    assert!(lengths.sum::<usize>() <= limits::MAX_EXEC_PARAMETER_BYTES);
}

/// Returns a query that means the same.
fn encode_params(params: &ExecParams) -> String {
    let ExecParams { namespace, options } = params;
    let flag = |flag: bool| if flag { "t" } else { "FALSE" };
    let variables: Vec<_> = options
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let flags = [
        ("stdin", flag(options.stdin)),
        ("stdout", flag(options.stdout)),
        ("stderr", flag(options.stderr)),
        ("tty", flag(options.tty)),
    ];
    let texts = [
        ("user", options.user.as_deref()),
        ("workdir", options.working_dir.as_deref()),
        ("namespace", namespace.as_deref()),
    ];
    let command = options.command.iter().map(|text| ("command", &**text));
    let variables = variables.iter().map(|text| ("env", &**text));
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    encode(command.chain(variables).chain(flags).chain(texts))
}
