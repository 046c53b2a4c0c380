//! Processes in containers.

mod process_handle;

use bytes::Bytes;
use rdd_core::{ContainerRef, ErrorCode, ExecOptions, TerminalSize};
use tokio::time::{Duration, timeout};

use self::process_handle::{ProcessHandle, exit_code, run, start};
use super::inspect::unknown_id;
use super::watch::open_connections;
use crate::case::{CaseContext, CaseResult, STOP_LIMIT, check, check_eq, fault};
use crate::environment::ExecScript;
use crate::reading::OutputRecord;
use crate::rules;

fn text(output: &OutputRecord) -> (String, String) {
    output.text()
}

fn pair(stdout: &str, stderr: &str) -> (String, String) {
    (stdout.to_owned(), stderr.to_owned())
}

pub(super) async fn output_and_exit_code(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_EXIT;
    let script = ExecScript::Echo("a  b".to_owned());
    let (output, code) = run(&context, rule, &script, |_| {}).await?;
    check_eq(rule, "the output", &pair("a  b\n", ""), &text(&output))?;
    check_eq(rule, "the exit code", &0, &code)?;
    for expected in [0, 7, 255] {
        let (_, code) = run(&context, rule, &ExecScript::Exit(expected), |_| {}).await?;
        check_eq(rule, "the exit code", &expected, &code)?;
    }
    Ok(())
}

pub(super) async fn sources(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_ORDER;
    let script = ExecScript::Err("to stderr".to_owned());
    let (output, code) = run(&context, rule, &script, |_| {}).await?;
    let expected = pair("", "to stderr\n");
    check_eq(rule, "stdout and stderr", &expected, &text(&output))?;
    check_eq(rule, "the exit code", &0, &code)
}

pub(super) async fn requested_sources(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_SOURCES;
    for (script, stdout, stderr) in [
        (ExecScript::Echo("x".to_owned()), false, true),
        (ExecScript::Err("x".to_owned()), true, false),
        (ExecScript::Echo("x".to_owned()), false, false),
    ] {
        let (output, code) = run(&context, rule, &script, |options| {
            (options.stdout, options.stderr) = (stdout, stderr);
        })
        .await?;
        let what = format!("the output with stdout: {stdout}, stderr: {stderr}");
        check_eq(rule, &what, &pair("", ""), &text(&output))?;
        check_eq(rule, "the exit code", &0, &code)?;
    }
    Ok(())
}

pub(super) async fn options(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_OPTIONS;
    let (output, _) = run(&context, rule, &ExecScript::Env, |options| {
        options.env = vec![("RDD_TEST".to_owned(), "a=b c".to_owned())];
    })
    .await?;
    let what = "the environment variable of the process";
    check_eq(rule, what, &pair("a=b c\n", ""), &text(&output))?;
    let (output, _) = run(&context, rule, &ExecScript::WorkingDir, |options| {
        options.working_dir = Some("/tmp".to_owned());
    })
    .await?;
    let what = "the working directory of the process";
    check_eq(rule, what, &pair("/tmp\n", ""), &text(&output))
}

pub(super) async fn cannot_run(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_CANNOT_RUN;
    for (script, expected) in [(ExecScript::Missing, 127), (ExecScript::NotExecutable, 126)] {
        let (output, code) = run(&context, rule, &script, |_| {}).await?;
        let what = format!("the exit code ({script:?})");
        check_eq(rule, &what, &expected, &code)?;
        check(
            rule,
            !output.stderr.is_empty(),
            "the engine's message as output to stderr",
            format_args!("{:?}", text(&output)),
        )?;
    }
    Ok(())
}

pub(super) async fn signal(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_SIGNAL;
    for signal in [9, 15] {
        let (_, code) = run(&context, rule, &ExecScript::Kill(signal), |_| {}).await?;
        let what = format!("the exit code of a process that signal {signal} ended");
        check_eq(rule, &what, &(128 + signal), &code)?;
    }
    Ok(())
}

pub(super) async fn half_close(context: CaseContext) -> CaseResult {
    context.require(&["exec"])?;
    let rule = rules::EXEC_HALF_CLOSE;
    let container = context.container().await?;
    let mut session = start(&context, &container, rule, &ExecScript::Cat, |options| {
        options.stdin = true;
    })
    .await?;
    let mut output = OutputRecord::default();
    for line in [b"first\n".as_slice(), b"\xff\x00 not text\n"] {
        session.send(line.to_vec()).await?;
        session
            .output
            .until("the input as output", |chunk| {
                output.push(chunk);
                output.stdout.ends_with(line)
            })
            .await?;
    }
    session.send("last, without a newline").await?;
    session.stdin = None;
    let (rest, code) = session.finish().await?;
    output.stdout.extend_from_slice(&rest.stdout);
    check(
        rule,
        output.stdout == b"first\n\xff\x00 not text\nlast, without a newline",
        "all of the input as output",
        format_args!("{:?}", text(&output)),
    )?;
    check_eq(rule, "the exit code", &0, &code)
}

pub(super) async fn without_input(context: CaseContext) -> CaseResult {
    let rule = rules::EXEC_HALF_CLOSE;
    let (output, code) = run(&context, rule, &ExecScript::Cat, |_| {}).await?;
    check_eq(rule, "the output", &pair("", ""), &text(&output))?;
    check_eq(rule, "the exit code", &0, &code)
}

pub(super) async fn closed_input(context: CaseContext) -> CaseResult {
    context.require(&["exec"])?;
    let rule = rules::EXEC_INPUT_CLOSED;
    let container = context.container().await?;
    let mut session = start(
        &context,
        &container,
        rule,
        &ExecScript::CloseInput,
        |options| {
            options.stdin = true;
        },
    )
    .await?;
    let mut output = OutputRecord::default();
    session
        .output
        .until("output after the input was closed", |chunk| {
            output.push(chunk);
            output.stdout == b"closed\n"
        })
        .await?;
    // Either accepted and discarded, or rejected: both are no error.
    if let Some(stdin) = &session.stdin {
        for _ in 0..8 {
            let send = stdin.send(Bytes::from_static(b"nobody reads this\n"));
            if !matches!(timeout(STOP_LIMIT, send).await, Ok(Ok(()))) {
                break;
            }
        }
    }
    let (_, code) = session.finish().await?;
    check_eq(rule, "the exit code", &0, &code)
}

pub(super) async fn independent(context: CaseContext) -> CaseResult {
    const TOTAL: usize = 2 * 1024 * 1024;
    context.require(&["exec"])?;
    let rule = rules::EXEC_INDEPENDENT;
    let container = context.container().await?;
    let session = start(&context, &container, rule, &ExecScript::Cat, |options| {
        options.stdin = true;
    })
    .await?;
    let ProcessHandle {
        stdin,
        mut output,
        exit,
        resizes: _resizes,
        ..
    } = session;
    let input = async {
        let Some(stdin) = stdin else { return };
        for block in 0..TOTAL / 8_192 {
            let byte = u8::try_from(block % 251).unwrap_or(0);
            if stdin.send(vec![byte; 8_192].into()).await.is_err() {
                return;
            }
        }
    };
    let mut read = 0;
    let mut is_in_order = true;
    let drained = output.drain(|chunk| {
        for byte in &chunk.bytes {
            is_in_order &= usize::from(*byte) == read / 8_192 % 251;
            read += 1;
        }
    });
    let ((), drained) = tokio::join!(input, drained);
    drained?;
    check_eq(rule, "the number of bytes that came back", &TOTAL, &read)?;
    check(rule, is_in_order, "the bytes in order", "another order")?;
    let code = exit_code(rule, exit).await?;
    check_eq(rule, "the exit code", &0, &code)
}

pub(super) async fn terminal_size(context: CaseContext) -> CaseResult {
    context.require(&["exec"])?;
    let rule = rules::EXEC_RESIZE;
    let container = context.container().await?;
    let mut session = start(&context, &container, rule, &ExecScript::Size, |options| {
        (options.tty, options.stdin, options.stderr) = (true, true, false);
    })
    .await?;
    let mut output = OutputRecord::default();
    for (columns, rows) in [(80, 24), (132, 50)] {
        // The receiver is gone only if the process has ended.
        let size = Some(TerminalSize { columns, rows });
        session.resizes.send(size).ok();
        let line = format!("{rows} {columns}\r\n");
        session
            .output
            .until(
                &format!("the size {rows} {columns} from the terminal"),
                |chunk| {
                    output.push(chunk);
                    output.text().0.contains(&line)
                },
            )
            .await?;
    }
    check_eq(
        rules::EXEC_TTY,
        "stderr of a terminal",
        &String::new(),
        &output.text().1,
    )
}

pub(super) async fn stops(context: CaseContext) -> CaseResult {
    context.require(&["exec"])?;
    let rule = rules::EXEC_STOP;
    let container = context.container().await?;
    for script in [ExecScript::Sleep, ExecScript::Yes] {
        let before = open_connections(&context).await.ok();
        let session = start(&context, &container, rule, &script, |_| {}).await?;
        let ProcessHandle { output, exit, .. } = session;
        drop(output);
        let expected = format!("the exit to resolve with \"cancelled\" ({script:?})");
        match timeout(STOP_LIMIT, exit).await {
            Ok(Err(error)) if error.code == ErrorCode::Cancelled => {}
            Ok(Err(error)) => {
                let seen = format!("the error {:?} ({})", error.message, error.code);
                return Err(fault(rule, expected, seen));
            }
            Ok(Ok(code)) => return Err(fault(rule, expected, format_args!("exit code {code}"))),
            Err(_) => {
                return Err(fault(
                    rule,
                    expected,
                    format_args!("nothing in {STOP_LIMIT:?}"),
                ));
            }
        }
        let Some(before) = before else { continue };
        context
            .eventually(
                rules::STOP,
                "the connection of the session to be closed",
                STOP_LIMIT,
                || {
                    let open = context.environment.connections()?;
                    (open > before).then(|| format!("{} of them open", open - before))
                },
            )
            .await?;
    }
    Ok(())
}

/// Starts a process that must not start.
async fn rejected(
    context: &CaseContext,
    container: &ContainerRef,
    what: &str,
    code: ErrorCode,
) -> CaseResult {
    let options = ExecOptions {
        command: context.command(&ExecScript::Echo("x".to_owned()))?,
        ..ExecOptions::default()
    };
    let call = context.engine.exec(container, &options);
    context.fails(rules::EXEC_ERRORS, what, code, call).await
}

pub(super) async fn not_found(context: CaseContext) -> CaseResult {
    context.require(&["exec"])?;
    let container = ContainerRef::new(context.environment.namespace(), unknown_id(&context));
    let what = "exec in an unknown container";
    rejected(&context, &container, what, ErrorCode::NotFound).await
}

pub(super) async fn conflict(context: CaseContext) -> CaseResult {
    context.require(&["exec"])?;
    let container = context.container().await?;
    context.stop(&container).await?;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let what = "exec in a stopped container";
    rejected(&context, &container, what, ErrorCode::Conflict).await
}
