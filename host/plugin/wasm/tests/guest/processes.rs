//! Processes.

use bytes::Bytes;
use futures::StreamExt;
use rdd_core::{
    ContainerEngine, EngineError, ErrorCode, ExecOptions, ExecSession, OutputSource, TerminalSize,
};
use rdd_plugin_wasm::BackendHandle;

use crate::support::*;

fn options(command: &[&str]) -> ExecOptions {
    ExecOptions {
        command: command.iter().map(ToString::to_string).collect(),
        stdin: true,
        ..ExecOptions::default()
    }
}

async fn exec(handle: &BackendHandle, options: &ExecOptions) -> ExecSession {
    in_time(handle.exec(&container_ref("one"), options))
        .await
        .unwrap()
}

/// Returns the bytes of a source, to the end of the output.
async fn output(session: &mut ExecSession, source: OutputSource) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(session.output.next()).await {
        let chunk = chunk.unwrap();
        if chunk.source == source {
            bytes.extend(chunk.bytes);
        }
    }
    bytes
}

async fn is_closed(handle: &BackendHandle) {
    rdd_testkit::eventually("the session is closed", || async {
        match handle.usage().execs {
            0 => Ok(()),
            open => Err(format!("{open} open")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_is_delivered_until_it_is_half_closed() {
    let backend = backend();
    let handle = launch(&backend).await;
    let session = exec(&handle, &options(&["cat"])).await;
    let message = Bytes::from(vec![b'x'; 1_000_000]);
    let writing = async {
        for _ in 0..20 {
            session.stdin.send(message.clone()).await.unwrap();
        }
    };
    // The output is not read while the input is written, so both have windows.
    let blocked = tokio::time::timeout(std::time::Duration::from_millis(200), writing).await;
    assert!(blocked.is_err(), "the input has no backpressure");
    let mut session = exec(&handle, &options(&["cat"])).await;
    let (stdin, _) = tokio::sync::mpsc::channel(1);
    let writer = std::mem::replace(&mut session.stdin, stdin);
    let (sent, received) = tokio::join!(
        async {
            for _ in 0..3 {
                writer.send(message.clone()).await.unwrap();
            }
            drop(writer);
        },
        output(&mut session, OutputSource::Stdout)
    );
    let () = sent;
    assert_eq!(received.len(), 3_000_000);
    assert_eq!(in_time(session.exit).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_may_come_after_the_output() {
    let backend = backend();
    let handle = launch(&backend).await;
    for (command, code) in [(["exit", "3"], 3), (["late", "137"], 137)] {
        let mut session = exec(&handle, &options(&command)).await;
        assert_eq!(output(&mut session, OutputSource::Stdout).await, b"");
        let ExecSession { output, exit, .. } = session;
        // The end of the output is no stop.
        drop(output);
        assert_eq!(in_time(exit).await.unwrap(), code);
    }
    let mut session = exec(&handle, &options(&["nothing"])).await;
    let message = output(&mut session, OutputSource::Stderr).await;
    assert_eq!(message, b"nothing: not found\n");
    assert_eq!(in_time(session.exit).await.unwrap(), 127);
    is_closed(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_size_of_the_terminal_is_delivered() {
    let backend = backend();
    let handle = launch(&backend).await;
    let with_terminal = ExecOptions {
        tty: true,
        stderr: false,
        ..options(&["size"])
    };
    let mut session = exec(&handle, &with_terminal).await;
    for (columns, rows) in [(80, 24), (132, 50)] {
        session
            .resizes
            .send_replace(Some(TerminalSize { columns, rows }));
        let chunk = in_time(session.output.next()).await.unwrap().unwrap();
        assert_eq!(chunk.bytes, format!("{columns}x{rows}\n"));
    }
    let ExecSession { resizes, exit, .. } = session;
    drop(resizes);
    assert_eq!(in_time(exit).await.unwrap(), 0);
    // Without a terminal there are no sizes.
    let session = exec(&handle, &options(&["size"])).await;
    assert_eq!(in_time(session.exit).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_reads_no_input_continues() {
    let backend = backend();
    let handle = launch(&backend).await;
    let session = exec(&handle, &options(&["deaf"])).await;
    in_time(session.stdin.closed()).await;
    assert_eq!(handle.usage().execs, 1);
    drop(session);
    is_closed(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_session_stops_and_one_that_does_not_is_ended() {
    let backend = backend();
    let handle = launch(&backend).await;
    let session = exec(&handle, &options(&["cat"])).await;
    let ExecSession { output, exit, .. } = session;
    drop(output);
    let error: EngineError = in_time(exit).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Cancelled);
    let backend = backend_with(short_grace(), UnreachableTransport);
    let handle = launch(&backend).await;
    let session = exec(&handle, &options(&["ignores-stop"])).await;
    let ExecSession { output, exit, .. } = session;
    drop(output);
    let error = in_time(exit).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StreamFailed);
    assert!(
        error
            .message
            .starts_with("the exec session of the backend scripted violated the contract"),
        "{error}"
    );
    is_closed(&handle).await;
    in_time(handle.inspect(&container("one"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_call_are_returned_by_it() {
    let backend = backend();
    let handle = launch(&backend).await;
    let one = container_ref("one");
    let missing = in_time(handle.exec(&one, &options(&["missing"]))).await;
    assert_eq!(missing.unwrap_err().code, ErrorCode::NotFound);
    for (invalid, expected) in [
        (options(&[]), "the command is empty"),
        (
            ExecOptions {
                tty: true,
                ..options(&["sh"])
            },
            "no separate standard error",
        ),
    ] {
        let error = in_time(handle.exec(&one, &invalid)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert!(error.message.contains(expected), "{error}");
    }
}
